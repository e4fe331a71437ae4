from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio

import trio_tcp
from tests.certificates import HOST, client_context, server_context
from tests.cli.connect.screen import CTRL_D, ENTER, Screen, open_screen
from tests.cli.connect.talking import AnyConnection, talking
from trio_tcp import CloseReason, codecs
from trio_tcp._nursery import ungrouped
from trio_tcp.cli._connect._commands import COMMANDS
from trio_tcp.cli._connect._conversation import Conversation
from trio_tcp.cli._connect._interactive import Interactive
from trio_tcp.cli._connect._view import View


@attrs.define
class Desk:
    """Somebody at a terminal, and whom they talk to.

    Attributes:
        screen: with the keyboard.
        peer: the other end.
        conversation: with it.
        session: what is tested.
        over: the session has ended.
    """

    screen: Screen
    peer: AnyConnection
    conversation: Conversation
    session: Interactive
    over: trio.Event = attrs.field(factory=trio.Event)

    def enters(self, *lines: str) -> None:
        """Type lines."""
        self.screen.types("".join(f"{line}{ENTER}" for line in lines))

    def pastes(self, *lines: str) -> None:
        """Paste lines, as terminals tell it that know bracketed paste."""
        self.screen.types("\x1b[200~" + "\n".join(lines) + "\x1b[201~" + ENTER)

    @property
    def reason(self) -> CloseReason | None:
        """Why the connection has ended."""
        return self.conversation.connection.close_reason


@asynccontextmanager
async def at_desk(
    codec: codecs.Codec[Any, Any] | None = None,
    *,
    peer_codec: codecs.Codec[Any, Any] | None = None,
    context: ssl.SSLContext | None = None,
    capacity: int = 1 << 16,
) -> AsyncGenerator[Desk, None]:
    """Begin a session, and wait for its end after the block."""
    async with (
        talking(codec, peer_codec=peer_codec, capacity=capacity) as (talk, peer),
        open_screen() as (terminal, screen),
        _open_ungrouped() as nursery,
    ):

        async def upgrade() -> list[str]:
            assert context is not None
            await talk.connection.start_tls(context, server_hostname=HOST)
            return ["now it is TLS"]

        session = Interactive(talk, terminal, View("none"), upgrade)
        desk = Desk(screen, peer, talk, session)

        async def run() -> None:
            await session.run()
            desk.over.set()

        nursery.start_soon(run)
        yield desk
        with trio.fail_after(15):
            await desk.over.wait()


@asynccontextmanager
async def _open_ungrouped() -> AsyncGenerator[trio.Nursery, None]:
    """Open a nursery out of which a session's exception leaves as itself."""
    with ungrouped():
        async with trio.open_nursery() as nursery:
            yield nursery


async def test_what_is_typed_is_sent_and_what_comes_is_shown() -> None:
    """Each in its direction, with its size."""
    async with at_desk() as desk:
        desk.enters("hello")
        assert await desk.peer.receive() == "hello"
        await desk.screen.shows(r"6 B  > hello")
        await desk.peer.send("hi yourself")
        await desk.screen.shows(r"12 B  < hi yourself")
        desk.enters("/quit")


async def test_what_a_peer_sends_controls_no_terminal() -> None:
    """Escape sequences, C1 controls, text from right to left: all are escaped."""
    hostile = "\x1b]0;owned\x07\x1b[2J\x9b2J\x7f\u202egpj\u2066\x00"
    async with at_desk() as desk:
        await desk.peer.send(hostile)
        await desk.peer.send("the end")
        await desk.screen.shows("< the end")
        assert r"< \x1b]0;owned\x07\x1b[2J\x9b2J\x7f\u202egpj\u2066\x00" in (
            desk.screen.text
        )
        for control in ("\x1b]", "\x1b[2J", "\x9b", "\x7f", "\u202e", "\u2066", "\x00"):
            assert control not in desk.screen.drawn
        desk.enters("/quit")


async def test_it_ends_when_the_peer_closes() -> None:
    """What came before is shown."""
    async with at_desk() as desk:
        await desk.peer.send("goodbye")
        await desk.peer.send_eof()
        await desk.over.wait()
        assert "< goodbye" in desk.screen.text
        assert desk.reason is CloseReason.PEER_CLOSED


async def test_ctrl_d_is_a_half_close_and_then_leaves() -> None:
    """After the first one, answers still come, and nothing can be sent."""
    async with at_desk() as desk:
        desk.screen.types(f"last{ENTER}{CTRL_D}")
        assert [line async for line in desk.peer] == ["last"]
        desk.enters("too late")
        await desk.screen.shows("not sent: nothing can be after /eof")
        await desk.peer.send("the answer")
        await desk.screen.shows("< the answer")
        assert not desk.over.is_set()
        desk.screen.types(CTRL_D)


async def test_a_terminal_that_is_closed_ends_it() -> None:
    """As a shell does it that loses its window: nobody is left to talk."""
    async with at_desk() as desk:
        desk.screen.hangs_up()
        await desk.over.wait()


async def test_two_slashes_begin_a_message_with_one() -> None:
    """And one a command, which is not sent."""
    async with at_desk() as desk:
        desk.enters("/nick ann", "//nick ann")
        assert await desk.peer.receive() == "/nick ann"
        await desk.screen.shows("there is no '/nick'")
        desk.enters("/quit")


async def test_help_has_every_command() -> None:
    """Each with what it does."""
    async with at_desk() as desk:
        desk.enters("/help")
        await desk.screen.shows("Ctrl-C +clears")
        for command in COMMANDS.values():
            assert command.usage in desk.screen.text
            assert command.meaning in desk.screen.text
        desk.enters("/quit")


async def test_the_bytes_can_be_shown() -> None:
    """With /hex, and no more with another."""
    async with at_desk() as desk:
        desk.enters("/hex", "one")
        await desk.screen.shows(r"00000000  6f 6e 65 0a +\|one\.\|")
        desk.enters("/hex", "two")
        await desk.screen.shows("> two")
        assert "74 77 6f" not in desk.screen.text
        desk.enters("/quit")


async def test_messages_can_be_written_differently_meanwhile() -> None:
    """Both ways, where the codec can; if not, it says what can be."""
    async with at_desk(codecs.Netstrings()) as desk:
        desk.enters(r"\xff", "/view hex", "00 ff", "/view json")
        assert [await desk.peer.receive() for _ in range(2)] == [b"\xff", b"\0\xff"]
        await desk.screen.shows("not written as json; bytes or hex or text")
        await desk.peer.send(b"\x01\x02")
        await desk.screen.shows("< 01 02")
        desk.enters("/quit")


async def test_times_can_count_from_elsewhere() -> None:
    """Seconds since the last request have a plus."""
    async with at_desk() as desk:
        desk.enters("/timing yesterday", "/timing request", "hello")
        await desk.peer.receive()
        await desk.peer.send("hi")
        await desk.screen.shows(r"\+ +\d+\.\d{3} s +3 B  < hi")
        assert "/timing is one of start, request, none" in desk.screen.text
        desk.enters("/quit")


async def test_the_counters_can_be_asked_for() -> None:
    """As they are now."""
    async with at_desk() as desk:
        desk.enters("hello", "/stats")
        await desk.screen.shows(r"messages_sent +1$")
        await desk.screen.shows(r"bytes_received +0$")
        desk.enters("/quit")


async def test_what_cannot_be_sent_is_said_and_the_next_line_can() -> None:
    """The codec's reason, and nothing on the wire."""
    numbers = codecs.Mapped(codecs.Lines(), decode=int, encode=str)
    async with at_desk(numbers) as desk:
        desk.enters("one", "1")
        assert await desk.peer.receive() == 1
        await desk.screen.shows("'one' is no literal of Python")
        desk.enters("/quit")


async def test_a_malformed_message_is_shown_and_survived() -> None:
    """With its bytes, unasked."""
    numbers = codecs.Mapped(codecs.Lines(), decode=int, encode=str)
    async with at_desk(numbers, peer_codec=codecs.Lines()) as desk:
        await desk.peer.send_many(["x\x1b[2J", "2"])
        await desk.screen.shows("< 2$")
        assert "< a message cannot be decoded" in desk.screen.text
        assert "78 1b 5b 32 4a 0a" in desk.screen.text
        assert "\x1b[2J" not in desk.screen.drawn
        desk.enters("/quit")


async def test_what_broke_the_framing_is_the_last_that_is_shown() -> None:
    """Somebody has dialled a web server with another protocol."""
    async with at_desk(codecs.Netstrings(), peer_codec=codecs.Lines()) as desk:
        await desk.peer.send("HTTP/1.1 400 Bad Request")
        await desk.over.wait()
        assert "|HTTP/1.1 400 Bad|" in desk.screen.text
        assert desk.reason is CloseReason.PROTOCOL_ERROR
        desk.peer.abort()


@pytest.mark.parametrize("command", ["/quit", "/close enough"])
async def test_closing_is_graceful(command: str) -> None:
    """What was typed before it is sent. A reason is kept."""
    async with at_desk() as desk:
        desk.enters("the last words", command)
        await desk.over.wait()
        assert await desk.peer.receive() == "the last words"
        assert desk.session.farewell == command.partition(" ")[2]


async def test_abort_resets_the_connection() -> None:
    """The peer sees that something is wrong."""
    async with at_desk() as desk:
        desk.enters("/abort")
        with pytest.raises(trio_tcp.ConnectionBroken):
            await desk.peer.receive()


async def test_a_peer_that_does_not_read_can_be_left() -> None:
    """Lines wait for it in order, and /abort does not wait for them."""
    async with at_desk(capacity=1000) as desk:
        desk.pastes(*["x" * 1000] * 70)
        await desk.screen.shows("the peer does not read; this waits, and /abort")
        desk.enters("/stats", "/abort")
        await desk.over.wait()
        assert "messages_sent" not in desk.screen.text
        assert desk.reason is CloseReason.CLOSED


async def test_many_pasted_lines_are_as_many_messages() -> None:
    """In order."""
    texts = [f"line {number}" for number in range(200)]
    async with at_desk() as desk:
        desk.pastes(*texts)
        assert [await desk.peer.receive() for _ in texts] == texts
        desk.enters("/quit")


async def test_a_fast_peer_loses_nothing_and_typing_goes_on() -> None:
    """Thousands of messages, and a line that is typed between them."""
    count = 3000
    async with at_desk() as desk:
        desk.screen.types("half a ")
        for number in range(count):
            await desk.peer.send(f"message {number}.")
        desk.screen.types(f"line{ENTER}")
        assert await desk.peer.receive() == "half a line"
        await desk.screen.shows(f"message {count - 1}\\.")
        shown = desk.screen.text
        assert all(f"< message {number}." in shown for number in range(count))
        desk.enters("/quit")


async def test_tls_can_begin_in_the_middle() -> None:
    """While messages are listened to; afterwards they go on, encrypted."""
    async with at_desk(context=client_context()) as desk:
        desk.enters("STARTTLS")
        assert await desk.peer.receive() == "STARTTLS"
        await desk.peer.send("go ahead")
        await desk.screen.shows("< go ahead")
        desk.enters("/starttls", "hello", "/starttls")
        await desk.peer.start_tls(server_context())
        assert await desk.peer.receive() == "hello"
        await desk.screen.shows("now it is TLS")
        await desk.screen.shows("this is TLS already")
        await desk.peer.send("hello to you")
        await desk.screen.shows("< hello to you")
        desk.enters("/quit")


async def test_tls_that_cannot_be_agreed_on_is_the_end() -> None:
    """With the error, as itself."""
    with pytest.raises(trio_tcp.TlsHandshakeError):
        async with at_desk(context=client_context()) as desk:
            desk.enters("/starttls")
            stream, _ = await desk.peer.detach()
            async with stream:
                await stream.receive_some()  # the client's first flight
                await stream.send_all(b"there is no TLS here\n")
                await trio.sleep_forever()
