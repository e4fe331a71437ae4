"""What `respond` receives that is no request: replied to, if another can follow."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.integration.loopback import Record
from tests.respond.answering import (
    LINES,
    Flavour,
    Text,
    answers,
    never_said,
    plain_and_async,
    receive_all,
    serving,
    upper,
)
from trio_tcp import CloseReason, codecs, testing


@plain_and_async
async def test_a_malformed_request_is_told_once_and_the_next_one_answered(
    flavour: Flavour,
) -> None:
    seen: list[str | None] = []

    def apologise(error: Exception, request: str | None) -> str:
        assert isinstance(error, trio_tcp.MalformedMessageError)
        seen.append(request)
        return "what?"

    async with serving(trio_tcp.respond(flavour(upper), on_error=apologise)) as (
        served,
        record,
    ):
        client = await served.listener.connect()
        await client.send_all(b"a\n\xff\nb\n")
        await client.send_eof()
        assert await receive_all(client) == b"A\nwhat?\nB\n"
        assert len(record.all(trio_tcp.MessageMalformed)) == 1
        assert seen == [None]


@plain_and_async
async def test_a_malformed_request_without_on_error_ends_the_connection(
    flavour: Flavour,
) -> None:
    async with serving(trio_tcp.respond(flavour(upper))) as (served, record):
        client = await served.listener.connect()
        await client.send_all(b"\xff\nb\n")
        (ended,) = await record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.PROTOCOL_ERROR
        assert len(record.all(trio_tcp.MessageMalformed)) == 1
        assert record.all(trio_tcp.HandlerFailed) == []
        await client.aclose()


@plain_and_async
@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        (b"x" * (1 << 20) + b"xx", CloseReason.PROTOCOL_ERROR),
        (b"unfinished", CloseReason.TRUNCATED),
    ],
)
async def test_lost_framing_is_nothing_to_reply_to(
    flavour: Flavour, rest: bytes, reason: CloseReason
) -> None:
    handler = trio_tcp.respond(flavour(upper), on_error=never_said)
    received, ended = await answers(handler, b"a\n" + rest)
    assert b"never" not in received
    assert ended.reason is reason
    assert ended.statistics.messages_received == 1


@plain_and_async
async def test_a_reset_is_nothing_to_reply_to(flavour: Flavour) -> None:
    async with serving(trio_tcp.respond(flavour(upper), on_error=never_said)) as (
        served,
        record,
    ):
        client = await served.listener.connect()
        await client.send_all(b"a\n")
        assert await client.receive_some() == b"A\n"
        client.reset()
        (ended,) = await record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.BROKEN
        assert record.all(trio_tcp.HandlerFailed) == []


class BrokenCodec:
    """A codec whose decoder has a bug."""

    def encode(self, message: str, /) -> bytes:
        return LINES.encode(message)

    def decode(self, buffer: codecs.Buffer, /) -> codecs.Decoding[str]:
        yield codecs.NEED_MORE
        raise ZeroDivisionError("a bug")


@plain_and_async
async def test_a_codec_with_a_bug_is_nothing_to_reply_to(flavour: Flavour) -> None:
    """It would fail again and again."""
    record = Record()
    async with testing.serve_in_memory(
        trio_tcp.respond(flavour(upper), on_error=never_said),
        BrokenCodec(),
        observer=record,
    ) as served:
        client = await served.listener.connect()
        await client.send_all(b"a\n")
        (failed,) = await record.wait(trio_tcp.HandlerFailed)
        assert isinstance(failed.error, ZeroDivisionError)
        await client.aclose()


@plain_and_async
async def test_another_task_that_receives_is_nothing_to_reply_to(
    flavour: Flavour,
) -> None:
    answer = trio_tcp.respond(flavour(upper), on_error=never_said)

    async def handle(connection: Text) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.receive)
            await wait_all_tasks_blocked()
            await answer(connection)

    async with serving(handle) as (served, record):
        client = await served.listener.connect()
        (failed,) = await record.wait(trio_tcp.HandlerFailed)
        with pytest.RaisesGroup(trio.BusyResourceError):
            raise failed.error
        await client.aclose()
