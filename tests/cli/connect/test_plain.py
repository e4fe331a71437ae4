from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

import pytest
import trio
import trio.testing

from tests.cli.connect.talking import talking
from trio_tcp import codecs
from trio_tcp._nursery import open_quiet_nursery
from trio_tcp.cli._connect._conversation import Conversation
from trio_tcp.cli._connect._plain import Form, Plain, as_json, as_text


class Output:
    """A standard output, and what was complained about on standard error.

    Attributes:
        text: all that was written.
        complaints: each sentence.
        gate: what is written waits until it is set.
    """

    def __init__(self) -> None:
        self.text = ""
        self.complaints: list[str] = []
        self.gate = trio.Event()
        self.gate.set()

    async def write(self, data: bytes) -> None:
        """Take what is written."""
        await self.gate.wait()
        self.text += data.decode()


class Input:
    """Lines to be sent. At their end they may stay open, as a terminal does.

    Attributes:
        taken: how many were.
    """

    def __init__(self, *texts: str, stays_open: bool = False) -> None:
        self.taken = 0
        self._texts = iter(texts)
        self._stays_open = stays_open

    def __aiter__(self) -> Input:
        return self

    async def __anext__(self) -> str:
        await trio.lowlevel.checkpoint()
        for text in self._texts:
            self.taken += 1
            return text
        if self._stays_open:
            await trio.sleep_forever()
        raise StopAsyncIteration


def plain(
    conversation: Conversation,
    output: Output,
    given: Input,
    *,
    form: Form = as_text,
    wait: float = math.inf,
) -> Plain:
    """Make one with this input and output."""
    return Plain(
        conversation, given, output.write, form, output.complaints.append, wait
    )


async def echo(peer: Any) -> None:  # noqa: ANN401 - of any codec
    """Answer everything, and close when the other side has."""
    async for message in peer:
        await peer.send(message)
    await peer.aclose()


async def piped(
    texts: Iterable[str],
    codec: codecs.Codec[Any, Any] | None = None,
    form: Form = as_text,
) -> tuple[Plain, Output]:
    """Send lines to a peer that echoes."""
    output = Output()
    async with (
        talking(codec) as (conversation, peer),
        open_quiet_nursery() as nursery,
    ):
        nursery.start_soon(echo, peer)
        session = plain(conversation, output, Input(*texts), form=form)
        await session.run()
    return session, output


async def test_each_line_is_a_message_and_each_message_a_line() -> None:
    """In order, and nothing else is written. The end of the input is a half-close."""
    session, output = await piped(["one", "", "grüße"])
    assert output.text == "one\n\ngrüße\n"
    assert output.complaints == []
    assert not session.failed


async def test_lines_are_written_as_is_usual_for_the_codec() -> None:
    """Bytes have escapes."""
    _, output = await piped([r"\xff\x1b[2J\n"], codecs.Netstrings())
    assert output.text == "\\xff\\x1b[2J\\n\n"


async def test_objects_say_which_way_and_how_large_and_when() -> None:
    """Sent messages are among them."""
    _, output = await piped(["hi"], form=as_json)
    sent, received = map(json.loads, output.text.splitlines())
    assert (sent["direction"], received["direction"]) == ("sent", "received")
    for record in (sent, received):
        assert record["message"] == "hi"
        assert record["size"] == len(b"hi\n")
        assert record["time"] > 1e9
    assert 0 <= sent["seconds"] <= received["seconds"]


async def test_json_is_in_objects_as_it_is() -> None:
    """So that programs need not parse it twice."""
    _, output = await piped(['{"a": [1]}'], codecs.Json(), form=as_json)
    records = list(map(json.loads, output.text.splitlines()))
    assert [record["message"] for record in records] == [{"a": [1]}] * 2


async def test_what_cannot_be_sent_is_named_and_ends_the_input() -> None:
    """What was sent before is answered all the same."""
    session, output = await piped(["1", "one", "2"], NUMBERS)
    assert output.text == "1\n"
    [complaint] = output.complaints
    assert complaint.startswith("line 2: 'one' is no literal of Python")
    assert session.failed


NUMBERS = codecs.Mapped(codecs.Lines(), decode=int, encode=str)


@pytest.mark.parametrize("form", [as_text, as_json])
async def test_a_malformed_message_is_complained_about_and_survived(form: Form) -> None:
    """With its bytes. The next one comes as ever."""
    output = Output()
    async with talking(NUMBERS, peer_codec=codecs.Lines()) as (conversation, peer):
        await peer.send_many(["1", "t\x1bo", "3"])
        await peer.send_eof()
        await plain(conversation, output, Input(), form=form).run()
    [complaint] = output.complaints
    assert "cannot be decoded" in complaint
    assert "74 1b 6f 0a" in complaint
    assert complaint.isprintable()
    if form is as_text:
        assert output.text == "1\n3\n"
    else:
        [_, malformed, _] = map(json.loads, output.text.splitlines())
        assert malformed["bytes"] == "741b6f0a"
        assert "message" not in malformed


async def test_at_the_end_of_the_input_it_waits_as_long_as_it_is_told_to(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """For a peer that answers, but does not close."""
    output = Output()
    async with talking() as (conversation, peer):
        await peer.send("not yet asked")
        began = trio.current_time()
        await plain(conversation, output, Input("bye"), wait=7).run()
        assert trio.current_time() - began == pytest.approx(7)
        assert await peer.receive() == "bye"
    assert output.text == "not yet asked\n"


async def test_it_ends_when_the_peer_does() -> None:
    """Even if there is more input to come."""
    output = Output()
    async with talking() as (conversation, peer):
        await peer.send("goodbye")
        await peer.send_eof()
        await plain(conversation, output, Input(stays_open=True)).run()
    assert output.text == "goodbye\n"


async def test_a_peer_that_does_not_read_stops_the_reading_of_lines() -> None:
    """What waits in memory does not grow with the input."""
    given = Input(*["x" * 1000] * 1000)
    async with talking(capacity=1000) as (conversation, _):
        session = plain(conversation, Output(), given)
        async with open_quiet_nursery() as nursery:
            nursery.start_soon(session.run)
            await trio.testing.wait_all_tasks_blocked()
            assert 50 < given.taken < 100  # 64 KiB, and what is under way
            nursery.cancel_scope.cancel()
        conversation.connection.abort()


async def test_a_pipe_that_nobody_empties_stops_the_receiving() -> None:
    """And so, at last, the peer."""
    output = Output()
    output.gate = trio.Event()
    sent = 0
    async with talking(capacity=1000) as (conversation, peer):

        async def flood() -> None:
            nonlocal sent
            while True:
                await peer.send("x" * 1000)
                sent += 1

        async with open_quiet_nursery() as nursery:
            nursery.start_soon(flood)
            nursery.start_soon(plain(conversation, output, Input()).run)
            await trio.testing.wait_all_tasks_blocked()
            assert sent < 300
            assert conversation.connection.statistics().bytes_received < 200_000
            nursery.cancel_scope.cancel()
        conversation.connection.abort()


@pytest.mark.parametrize("form", [as_text, as_json])
async def test_nobody_reading_the_output_is_an_error_of_its_own(form: Form) -> None:
    """The command makes the exit code of SIGPIPE of it."""

    async def broken(_data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        raise BrokenPipeError

    async with talking() as (conversation, peer):
        await peer.send("hello")
        session = plain(conversation, Output(), Input("hi"), form=form)
        session.write = broken
        with pytest.raises(BrokenPipeError):
            await session.run()
