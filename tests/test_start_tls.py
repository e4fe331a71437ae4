"""TLS in the middle of a connection: `Connection.start_tls`."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeAlias, final

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.certificates import (
    HOST,
    client_context,
    each_version,
    server_context,
    strange_certificate,
)
from tests.integration.loopback import Record
from tests.tls.peer import Peer
from trio_tcp import CloseReason, codecs, testing

Text: TypeAlias = trio_tcp.Connection[str, str]

HIGH_WATER_BYTES = 64 << 10
"""At so many bytes `send` waits, as its docstring has it."""


@final
class Tap(trio.abc.HalfCloseableStream):
    """A stream that keeps what goes through it.

    Attributes:
        sent: all that was sent on it.
    """

    def __init__(self, stream: testing.MemoryStream) -> None:
        self._stream = stream
        self.sent = bytearray()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += data
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return await self._stream.receive_some(max_bytes)

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()

    def reset(self) -> None:
        self._stream.reset()


@asynccontextmanager
async def one_end(
    *,
    capacity: int = 64 << 10,
    timeouts: trio_tcp.Timeouts | None = None,
) -> AsyncGenerator[tuple[Text, testing.MemoryStream], None]:
    """Open a connection of ours; the other end is for the test to play."""
    ours, theirs = testing.memory_stream_pair(capacity)
    async with trio_tcp.open_connection(
        ours, codec=codecs.Lines(), timeouts=timeouts or trio_tcp.Timeouts()
    ) as connection:
        yield connection, theirs
        await theirs.aclose()
        connection.abort()


async def as_client(connection: Text) -> None:
    await connection.start_tls(client_context(), server_hostname=HOST)


async def as_server(connection: Text) -> None:
    await connection.start_tls(server_context())


Side: TypeAlias = Callable[[Text], Awaitable[None]]

each_side = pytest.mark.parametrize("side", [as_client, as_server])


def other_side(side: Side, stream: testing.MemoryStream) -> Peer:
    """Make the peer, driven by hand, that goes with a side of ours."""
    if side is as_client:
        return Peer(stream, server_context())
    return Peer(stream, client_context(), server_hostname=HOST)


async def is_broken(
    connection: Text, kind: type[trio_tcp.ConnectionFault], message: str
) -> None:
    """See that a connection is of no use any more, and says why in all its calls."""
    for call in (
        connection.receive,
        partial(connection.send, "more"),
        connection.flush,
        partial(connection.start_tls, server_context()),
        connection.detach,
        connection.send_eof,
    ):
        with pytest.raises(kind, match=message) as caught:
            await call()
        assert caught.value.connection_id == connection.id
    with pytest.raises(kind, match=message):
        connection.send_nowait("more")
    assert isinstance(connection.close_error, kind)


# In order ----------------------------------------------------------------------------


@each_version
@pytest.mark.parametrize("capacity", [1, 100, 64 << 10])
async def test_both_sides_go_over_to_tls(
    version: ssl.TLSVersion, capacity: int
) -> None:
    """What was said before is in the clear, and nothing behind it."""
    ours, theirs = testing.memory_stream_pair(capacity)
    here, there = Tap(ours), Tap(theirs)
    answers: list[str] = []

    async def serve() -> None:
        async with trio_tcp.open_connection(there, codec=codecs.Lines()) as connection:
            assert connection.tls is None
            assert await connection.receive() == "STARTTLS"
            await connection.send("go ahead")
            await connection.start_tls(server_context(version=version))
            async for line in connection:
                await connection.send(f"secret {line}")
            assert connection.close_reason is CloseReason.PEER_CLOSED

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with trio_tcp.open_connection(here, codec=codecs.Lines()) as connection:
            await connection.send("STARTTLS")
            assert await connection.receive() == "go ahead"
            await connection.start_tls(client_context(), server_hostname=HOST)
            assert connection.tls is not None
            assert connection.tls.version == version.name.replace("_", ".")
            await connection.send_many(["a secret", "x" * 3000])
            answers.extend([await connection.receive(), await connection.receive()])
            assert connection.statistics().messages_sent == 3
            assert connection.statistics().messages_received == 3
            sent = len("STARTTLS\na secret\n") + 3001
            assert connection.statistics().bytes_sent == sent
            assert connection.statistics().bytes_queued == 0
    assert answers == ["secret a secret", "secret " + "x" * 3000]
    assert here.sent.startswith(b"STARTTLS\n\x16\x03")
    assert there.sent.startswith(b"go ahead\n\x16\x03")
    assert b"secret" not in here.sent + there.sent
    assert b"xxxxxxxxxx" not in here.sent + there.sent


@each_version
@pytest.mark.parametrize("cut", [1, 5, 100, 10_000])
async def test_tls_begins_at_the_first_byte_that_is_not_delivered(
    version: ssl.TLSVersion, cut: int
) -> None:
    """Of a client that does not wait: its hello, or a part, comes with the command."""
    async with one_end() as (connection, stream):
        peer = Peer(stream, client_context(version=version), server_hostname=HOST)
        hello = peer.hello()
        await stream.send_all(b"STARTTLS\n" + hello[:cut])
        assert await connection.receive() == "STARTTLS"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(as_server, connection)
            await wait_all_tasks_blocked()
            await stream.send_all(hello[cut:])
            await peer.shake_hands()
            await peer.send(b"hello\n")
        assert await connection.receive() == "hello"
        await connection.send("world")
        assert await peer.receive() == b"world\n"


async def test_messages_behind_the_handshake_are_delivered() -> None:
    """Also where they come in one piece with its end, and the end of TLS behind."""
    async with one_end() as (connection, stream):
        peer = Peer(stream, client_context(), server_hostname=HOST)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(as_server, connection)
            await stream.send_all(peer.hello())
            await wait_all_tasks_blocked()
            finished = peer.finish(await stream.receive_some())
            messages = peer.encrypted(b"one\ntwo\nthr") + peer.encrypted(b"ee\n")
            await stream.send_all(finished + messages + peer.close_notify())
            await stream.send_eof()
        assert [line async for line in connection] == ["one", "two", "three"]
        assert connection.close_reason is CloseReason.PEER_CLOSED


@each_side
async def test_what_others_send_meanwhile_goes_out_behind_the_handshake(
    side: Side,
) -> None:
    """Encrypted, in the order of the calls, and none of it in the clear."""
    lines = [f"line {number} {'x' * 40_000}" for number in range(5)]
    async with one_end() as (connection, stream):
        peer = other_side(side, stream)
        await connection.send("in the clear")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(side, connection)
            assert await stream.receive_some(13) == b"in the clear\n"
            await wait_all_tasks_blocked()
            connection.send_nowait(lines[0])
            nursery.start_soon(connection.send, lines[1])
            await wait_all_tasks_blocked()
            with pytest.raises(trio.WouldBlock):
                connection.send_nowait("too much")
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as senders:
                    # These wait in line; the last one is cancelled there.
                    senders.start_soon(connection.send, "cancelled")
                    await wait_all_tasks_blocked()
                    scope.cancel()
            for line in lines[2:]:
                nursery.start_soon(connection.send, line)
                await wait_all_tasks_blocked()
            assert connection.statistics().bytes_sent == 13
            await peer.shake_hands()
            everything = "".join(f"{line}\n" for line in lines).encode()
            assert await peer.receive_exactly(len(everything)) == everything
        await connection.send("last")
        assert await peer.receive_exactly(5) == b"last\n"


@pytest.mark.parametrize("first", ["in the clear", "over TLS"])
async def test_tls_goes_over_tls(first: str) -> None:
    """As it has to where both a hop and what is behind it are protected."""
    ours, theirs = testing.memory_stream_pair(1000)
    clear = first == "in the clear"

    async def serve() -> None:
        async with trio_tcp.open_connection(
            theirs, codec=codecs.Lines(), tls=None if clear else server_context()
        ) as connection:
            for _ in range(2):
                assert await connection.receive() == "STARTTLS"
                await connection.send("go ahead")
                await as_server(connection)
            async for line in connection:
                await connection.send(line)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with trio_tcp.open_connection(
            ours,
            codec=codecs.Lines(),
            tls=None if clear else client_context(),
            server_hostname=HOST,
        ) as connection:
            for _ in range(2):
                await connection.send("STARTTLS")
                assert await connection.receive() == "go ahead"
                await as_client(connection)
            for size in (1, 1000, 60_000):
                await connection.send("x" * size)
                assert await connection.receive() == "x" * size
            await connection.send_many(["one", "two"])
            await connection.send_eof()
            assert [line async for line in connection] == ["one", "two"]
            assert connection.close_reason is CloseReason.PEER_CLOSED


async def test_another_codec_and_tls_go_together() -> None:
    """The codec is switched before, between the messages and the handshake."""
    async with one_end() as (connection, stream):
        peer = Peer(stream, client_context(), server_hostname=HOST)
        await stream.send_all(b"STARTTLS\n" + peer.hello())
        assert await connection.receive() == "STARTTLS"
        switched = connection.switch_codec(codecs.LengthPrefixed())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(switched.start_tls, server_context())
            await peer.shake_hands()
            await peer.send(b"\0\0\0\5hello")
        assert await switched.receive() == b"hello"
        await switched.send(b"world")
        assert await peer.receive() == b"\0\0\0\5world"


async def test_the_peers_end_is_seen_behind_the_handshake() -> None:
    """A stream that somebody has watched before can be watched again."""
    async with one_end() as (connection, stream):
        peer = Peer(stream, client_context(), server_hostname=HOST)
        with trio.move_on_after(0):
            await connection.wait_disconnected()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.wait_disconnected)
            await wait_all_tasks_blocked()
            await stream.send_all(b"STARTTLS\n" + peer.hello())
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert await connection.receive() == "STARTTLS"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(as_server, connection)
            await peer.shake_hands()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.wait_disconnected)
            await peer.send(b"last\n")
            await peer.end()
        assert [line async for line in connection] == ["last"]


async def test_a_connection_ends_over_tls_as_it_should() -> None:
    async with one_end() as (connection, stream):
        peer = Peer(stream, client_context(), server_hostname=HOST)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(as_server, connection)
            await peer.shake_hands()
        await connection.send("last")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.aclose)
            assert await peer.receive_all() == b"last\n"
            await peer.end()


async def test_a_connection_can_be_detached_over_tls() -> None:
    async with one_end() as (connection, stream):
        peer = Peer(stream, client_context(), server_hostname=HOST)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(as_server, connection)
            await peer.shake_hands()
        await peer.send(b"one\nthe rest")
        assert await connection.receive() == "one"
        detached, rest = await connection.detach()
        assert rest == b"the rest"
        await detached.send_all(b"still secret")
        assert await peer.receive() == b"still secret"
        await peer.send(b"indeed")
        assert await detached.receive_some() == b"indeed"
        await detached.aclose()
        assert await peer.receive_all() == b""


# Plain text in the wrong place -------------------------------------------------------


@pytest.mark.parametrize("injected", [b"EVIL\n", b"E", b"\n", b"\0", b"EVIL " * 20_000])
@each_side
async def test_plain_text_before_tls_is_refused(side: Side, injected: bytes) -> None:
    """An attacker in between puts it there, to be taken for the encrypted peer's.

    As in CVE-2011-0411 and its many kin.
    """
    async with one_end(capacity=1 << 20) as (connection, stream):
        peer = other_side(side, stream)
        # A server would speak only when it has heard the client's hello.
        tls = peer.hello() or b"\x16\x03\x03\x00\x02??"
        await stream.send_all(b"go ahead\n" + injected + tls)
        assert await connection.receive() == "go ahead"
        with pytest.raises(trio_tcp.TlsHandshakeError, match="does not speak TLS"):
            await side(connection)
        assert connection.close_reason is CloseReason.PROTOCOL_ERROR
        await is_broken(connection, trio_tcp.TlsHandshakeError, "does not speak TLS")


@each_side
async def test_plain_text_that_comes_later_is_refused_as_well(side: Side) -> None:
    async with one_end() as (connection, stream):
        async with trio.open_nursery() as nursery:

            async def shake_hands() -> None:
                with pytest.raises(trio_tcp.TlsHandshakeError, match="not speak TLS"):
                    await side(connection)

            nursery.start_soon(shake_hands)
            await wait_all_tasks_blocked()
            await stream.send_all(b"EVIL\n")
        await is_broken(connection, trio_tcp.TlsHandshakeError, "does not speak TLS")


@each_version
async def test_plain_text_behind_tls_is_refused(version: ssl.TLSVersion) -> None:
    async with one_end() as (connection, stream):
        peer = Peer(stream, client_context(version=version), server_hostname=HOST)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(as_server, connection)
            await peer.shake_hands()
        await stream.send_all(peer.encrypted(b"one\n") + b"EVIL\n")
        assert await connection.receive() == "one"
        with pytest.raises(trio_tcp.ConnectionBroken, match="no valid TLS"):
            await connection.receive()


# Failures ----------------------------------------------------------------------------


@each_side
async def test_a_peer_that_goes_away_breaks_the_connection(side: Side) -> None:
    async with one_end() as (connection, stream):
        await stream.send_eof()
        with pytest.raises(trio_tcp.TlsHandshakeError, match="closed in the middle"):
            await side(connection)
        assert connection.close_reason is CloseReason.PROTOCOL_ERROR
        await is_broken(connection, trio_tcp.TlsHandshakeError, "closed in the middle")


@each_side
async def test_a_peer_that_has_closed_before_is_no_peer_for_tls(side: Side) -> None:
    async with one_end() as (connection, stream):
        await stream.send_eof()
        with pytest.raises(trio_tcp.PeerClosed):
            await connection.receive()
        with pytest.raises(trio_tcp.TlsHandshakeError, match="closed in the middle"):
            await side(connection)
        assert connection.close_reason is CloseReason.PROTOCOL_ERROR


@each_side
async def test_a_reset_in_the_handshake_breaks_the_connection(side: Side) -> None:
    async with one_end() as (connection, stream):
        async with trio.open_nursery() as nursery:

            async def shake_hands() -> None:
                with pytest.raises(trio_tcp.TlsHandshakeError, match="broke during"):
                    await side(connection)

            nursery.start_soon(shake_hands)
            await wait_all_tasks_blocked()
            stream.reset()
        await is_broken(connection, trio_tcp.TlsHandshakeError, "broke during")


async def test_a_certificate_that_is_refused_breaks_the_connection() -> None:
    async with one_end() as (connection, stream):
        strange = server_context(certificate_from=strange_certificate(HOST))
        peer = Peer(stream, strange)

        async def serve() -> None:
            await peer.shake_hands()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            with pytest.raises(
                trio_tcp.TlsHandshakeError, match="was refused"
            ) as caught:
                await as_client(connection)
            assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
            assert caught.value.connection_id == connection.id
            await is_broken(connection, trio_tcp.TlsHandshakeError, "was refused")
            nursery.cancel_scope.cancel()


@each_side
async def test_a_handshake_has_its_time(side: Side, autojump_clock: MockClock) -> None:
    """The connection's own, as it is at that moment."""
    async with one_end(timeouts=trio_tcp.Timeouts(handshake=5)) as (connection, _):
        connection.timeouts = trio_tcp.Timeouts(handshake=12, idle=1, message=1)
        with pytest.raises(trio_tcp.PeerTooSlowError) as caught:
            await side(connection)
        assert trio.current_time() == 12
        assert caught.value.timeout == "handshake"
        assert caught.value.seconds == 12
        assert caught.value.connection_id == connection.id
        assert connection.close_reason is CloseReason.TIMED_OUT
        await is_broken(connection, trio_tcp.PeerTooSlowError, "TLS handshake")
        assert trio.current_time() == 12


@each_side
async def test_what_is_sent_meanwhile_waits_as_long_as_the_handshake(
    side: Side, autojump_clock: MockClock
) -> None:
    """Nobody has asked the peer to take it, so it is not late with that."""
    timeouts = trio_tcp.Timeouts(handshake=100, write=10)
    async with one_end(timeouts=timeouts) as (connection, stream):
        peer = other_side(side, stream)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(side, connection)
            await wait_all_tasks_blocked()
            await connection.send("hello")
            await trio.sleep(50)
            await peer.shake_hands()
            assert await peer.receive() == b"hello\n"


@each_side
async def test_the_time_to_take_it_begins_with_the_end_of_the_handshake(
    side: Side, autojump_clock: MockClock
) -> None:
    timeouts = trio_tcp.Timeouts(handshake=100, write=10)
    async with one_end(capacity=5000, timeouts=timeouts) as (connection, stream):
        peer = other_side(side, stream)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(side, connection)
            await wait_all_tasks_blocked()
            await connection.send("x" * 50_000)
            await trio.sleep(50)
            await peer.shake_hands()
        with pytest.raises(trio_tcp.PeerTooSlowError) as caught:
            await connection.flush()
        assert caught.value.timeout == "write"
        assert trio.current_time() == 60
        assert connection.close_reason is CloseReason.TIMED_OUT


@each_side
async def test_a_handshake_that_is_cancelled_breaks_the_connection(
    side: Side, autojump_clock: MockClock
) -> None:
    async with one_end() as (connection, _):
        with trio.move_on_after(3) as scope:
            await side(connection)
        assert scope.cancelled_caught
        assert trio.current_time() == 3
        assert connection.close_reason is CloseReason.CLOSED
        await is_broken(connection, trio_tcp.TlsHandshakeError, "on this side")


@each_side
async def test_senders_hear_of_a_handshake_that_fails(side: Side) -> None:
    """Those whose message was accepted in `flush`, those in line at once."""
    errors: list[Exception] = []

    async def expect_failure(call: Callable[[], Awaitable[None]]) -> None:
        with pytest.raises(trio_tcp.TlsHandshakeError, match="closed in the") as caught:
            await call()
        errors.append(caught.value)

    async with one_end() as (connection, stream):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(expect_failure, partial(side, connection))
            await wait_all_tasks_blocked()
            await connection.send("x" * HIGH_WATER_BYTES)
            nursery.start_soon(expect_failure, connection.flush)
            nursery.start_soon(expect_failure, partial(connection.send, "in line"))
            await wait_all_tasks_blocked()
            await stream.send_eof()
        assert len(errors) == 3
        assert connection.statistics().bytes_queued == 0


@each_side
@pytest.mark.parametrize("way", ["aclose", "abort"])
async def test_a_connection_can_be_closed_in_its_handshake(
    side: Side, way: str, autojump_clock: MockClock
) -> None:
    """By another task; then this is no failure of the peer's."""
    async with one_end() as (connection, _):

        async def shake_hands() -> None:
            with pytest.raises(trio_tcp.ConnectionClosedError) as caught:
                await side(connection)
            assert caught.value.connection_id == connection.id

        async with trio.open_nursery() as nursery:
            nursery.start_soon(shake_hands)
            await wait_all_tasks_blocked()
            if way == "aclose":
                await connection.aclose()
            else:
                connection.abort()
        assert connection.close_reason is CloseReason.CLOSED
        assert connection.close_error is None
        assert trio.current_time() == 0
        with pytest.raises(trio_tcp.ConnectionClosedError):
            await connection.receive()


async def test_somebody_who_receives_or_watches_keeps_tls_away() -> None:
    """Two would read the same bytes. The connection is unharmed, in the clear."""
    async with one_end() as (connection, stream):
        for call in (connection.receive, connection.wait_disconnected):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(call)
                await wait_all_tasks_blocked()
                with pytest.raises(trio.BusyResourceError):
                    await as_server(connection)
                nursery.cancel_scope.cancel()
        await stream.send_all(b"still here\n")
        assert await connection.receive() == "still here"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(as_server, connection)
            await wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await connection.receive()
            with pytest.raises(trio.BusyResourceError):
                await as_server(connection)
            peer = Peer(stream, client_context(), server_hostname=HOST)
            await peer.shake_hands()


async def test_bad_arguments_harm_nothing() -> None:
    """They are refused before anything is taken of what has come."""
    async with one_end() as (connection, stream):
        await stream.send_all(b"one\ntwo\n")
        assert await connection.receive() == "one"
        with pytest.raises(ValueError, match="server_hostname"):
            await connection.start_tls(client_context())
        with pytest.raises(ValueError, match="server_hostname"):
            await connection.start_tls(server_context(), server_hostname=HOST)
        with pytest.raises(ValueError, match="server_hostname"):
            await connection.start_tls(client_context(), server_hostname="")
        assert connection.tls is None
        assert await connection.receive() == "two"
        await connection.send("three")
        assert await stream.receive_some() == b"three\n"


async def test_there_is_no_tls_after_the_end() -> None:
    async with one_end() as (connection, stream):
        await connection.send_eof()
        with pytest.raises(trio_tcp.ConnectionClosedError, match="send_eof"):
            await as_server(connection)
        await stream.send_all(b"still here\n")
        assert await connection.receive() == "still here"
        await stream.send_eof()
        await connection.aclose()
        with pytest.raises(trio_tcp.ConnectionClosedError):
            await as_server(connection)


async def test_there_is_nothing_to_tell_of_tls_before_it_is_agreed_on() -> None:
    async with one_end() as (connection, stream):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(as_server, connection)
            await wait_all_tasks_blocked()
            assert connection.tls is None
            assert not connection.draining.is_set()
            assert "open" in repr(connection)
            await Peer(stream, client_context(), server_hostname=HOST).shake_hands()
        assert connection.tls is not None


# On a server -------------------------------------------------------------------------


async def upgrade(connection: Text) -> None:
    """Go over to TLS when the client wants to, and echo."""
    async for line in connection:
        if line == "STARTTLS":
            await connection.send("go ahead")
            await connection.start_tls(server_context())
        else:
            await connection.send(line)


@pytest.mark.parametrize(
    ("hello", "reason"),
    [
        (b"EVIL\n", CloseReason.PROTOCOL_ERROR),
        (b"\x16\x03\x01\x00\x20" + b"?" * 32, CloseReason.PROTOCOL_ERROR),
        (b"", CloseReason.TIMED_OUT),
    ],
    ids=["plain text", "garbage", "nothing"],
)
async def test_a_client_that_fails_in_it_ends_its_connection_alone(
    hello: bytes, reason: CloseReason, autojump_clock: MockClock
) -> None:
    record = Record()
    async with testing.serve_in_memory(
        upgrade, codecs.Lines(), observer=record
    ) as served:
        async with served.connect() as other:
            client = await served.listener.connect()
            await client.send_all(b"STARTTLS\n" + hello)
            (ended,) = await record.wait(trio_tcp.ConnectionEnded)
            assert ended.reason is reason
            assert isinstance(ended.error, trio_tcp.ConnectionFault)
            assert not record.all(trio_tcp.HandlerFailed)
            await other.send("hello")
            assert await other.receive() == "hello"
            await other.send("STARTTLS")
            assert await other.receive() == "go ahead"
            await as_client(other)
            await other.send("hello")
            assert await other.receive() == "hello"


async def test_a_drain_ends_a_handshake_after_its_grace(
    autojump_clock: MockClock,
) -> None:
    record = Record()
    async with testing.serve_in_memory(
        upgrade, codecs.Lines(), observer=record
    ) as served:
        client = await served.listener.connect()
        await client.send_all(b"STARTTLS\n")
        await wait_all_tasks_blocked()
        report = await served.server.drain(grace=7)
        assert (report.finished, report.cancelled, report.aborted) == (0, 1, 0)
        assert report.seconds == trio.current_time() == 7
        (ended,) = await record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.DRAINED
