"""What `respond` promises, over streams in memory and in virtual time."""

from __future__ import annotations

import contextvars
import functools
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from typing import Any, TypeAlias, assert_type

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.integration.loopback import Record
from tests.tls.peer import serving as serving_tls
from trio_tcp import CloseReason, codecs, testing

Text: TypeAlias = trio_tcp.Connection[str, str]
Handler: TypeAlias = trio_tcp.Handler[str, str]
Flavour: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]

LINES = codecs.Lines(max_bytes=1 << 20)
BIG = "x" * 200_000  # more than a stream and a queue hold


def as_it_is(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


def as_async(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make an async function that does the same."""

    @functools.wraps(function)
    async def call(*args: object) -> object:
        await trio.lowlevel.checkpoint()
        return function(*args)

    return call


plain_and_async = pytest.mark.parametrize(
    "flavour", [as_it_is, as_async], ids=["plain", "async"]
)


@asynccontextmanager
async def serving(
    handler: Handler,
    *,
    capacity: int = 64 << 10,
    timeouts: trio_tcp.Timeouts | None = None,
    limits: trio_tcp.Limits | None = None,
) -> AsyncGenerator[tuple[testing.MemoryServer[str], Record], None]:
    """Run a server, and keep what happens."""
    record = Record()
    async with testing.serve_in_memory(
        handler,
        LINES,
        capacity=capacity,
        timeouts=timeouts or trio_tcp.Timeouts(),
        limits=limits or trio_tcp.Limits(),
        observer=record,
    ) as served:
        yield served, record


async def receive_all(stream: trio.abc.ReceiveStream) -> bytes:
    """Read until the other end closes."""
    return b"".join([chunk async for chunk in stream])


async def answers(
    handler: Handler, sent: bytes
) -> tuple[bytes, trio_tcp.ConnectionEnded]:
    """Send this and the end; return what came back, and how the connection ended."""
    received = b""
    async with serving(handler) as (served, record), trio.open_nursery() as nursery:
        client = await served.listener.connect()

        async def send() -> None:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await client.send_all(sent)
                await client.send_eof()

        nursery.start_soon(send)
        with suppress(trio.BrokenResourceError):
            async for chunk in client:
                received += chunk
        await client.aclose()
        (ended,) = await record.wait(trio_tcp.ConnectionEnded)
    return received, ended


# Functions ----------------------------------------------------------------------------


def upper(request: str) -> str:
    return request.upper()


def upper_of(request: str, connection: Text) -> str:
    return f"{connection.id}: {request.upper()}"


class Upper:
    """An object that can be called."""

    def __call__(self, request: str) -> str:
        return request.upper()

    def method(self, request: str) -> str:
        return request.upper()

    def method_of(self, request: str, connection: Text) -> str:
        return upper_of(request, connection)

    @classmethod
    async def waits(cls, request: str) -> str:
        return request.upper()


class AsyncUpper:
    """One that has to be awaited."""

    async def __call__(self, request: str) -> str:
        return request.upper()


def hush(request: str) -> str | None:
    return None if request == "hush" else request


def big(_: str) -> str:
    return BIG


def two_lines(request: str) -> str:
    return f"{request}\n{request}"


def never_said(_: Exception, _request: str | None) -> str:
    return "never said"


def say_nothing(_: Exception, _request: str | None) -> None:
    return None


def say_two_lines(_: Exception, _request: str | None) -> str:
    return "two\nlines"


def refuse(_: Exception, request: str | None) -> str:
    return f"no {request}"


def with_default(request: str, times: int = 1) -> str:
    return request.upper() * times


def with_keyword(request: str, *, times: int = 1) -> str:
    return request.upper() * times


def with_rest(*requests: str) -> str:
    return " ".join(requests).upper()


def after_a_word(word: str, request: str) -> str:
    return (word + request).upper()


async def async_after_a_word(word: str, request: str) -> str:
    return (word + request).upper()


FUNCTIONS: dict[str, tuple[Callable[..., Any], bytes]] = {
    "plain": (upper, b"HI\n"),
    "async": (as_async(upper), b"HI\n"),
    "plain, with connection": (upper_of, b"1: HI\n"),
    "async, with connection": (as_async(upper_of), b"1: HI\n"),
    "method of a type in C": (str.upper, b"HI\n"),
    "method of an object in C, with a default": ({"hi": "HI"}.get, b"HI\n"),
    "type without a signature": (str, b"hi\n"),
    "object": (Upper(), b"HI\n"),
    "method": (Upper().method, b"HI\n"),
    "method, with connection": (Upper().method_of, b"1: HI\n"),
    "class method": (Upper.waits, b"HI\n"),
    "async object": (AsyncUpper(), b"HI\n"),
    "partial of an async object": (functools.partial(AsyncUpper()), b"HI\n"),
    "default": (with_default, b"HI\n"),
    "keyword": (with_keyword, b"HI\n"),
    "any number of arguments": (with_rest, b"HI\n"),
    "partial": (functools.partial(after_a_word, "o"), b"OHI\n"),
    "async partial": (functools.partial(async_after_a_word, "o"), b"OHI\n"),
}


@pytest.mark.parametrize("kind", FUNCTIONS)
async def test_it_takes_whatever_can_be_called(kind: str) -> None:
    function, reply = FUNCTIONS[kind]
    received, _ = await answers(trio_tcp.respond(function), b"hi\n")
    assert received == reply


def test_what_cannot_be_called_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="callable"):
        trio_tcp.respond(5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue] - the point


def test_types_follow_the_function() -> None:
    async def size(request: bytes) -> int:
        return len(request)

    def size_of(request: bytes, connection: trio_tcp.Connection[bytes, int]) -> int:
        return len(request) + connection.id

    assert_type(trio_tcp.respond(upper), trio_tcp.Handler[str, str])
    assert_type(trio_tcp.respond(upper_of), trio_tcp.Handler[str, str])
    assert_type(trio_tcp.respond(size), trio_tcp.Handler[bytes, int])
    assert_type(trio_tcp.respond(size_of), trio_tcp.Handler[bytes, int])


@plain_and_async
async def test_none_is_no_reply(flavour: Flavour) -> None:
    handler = trio_tcp.respond(flavour(hush))
    received, ended = await answers(handler, b"a\nhush\nb\nhush\n")
    assert received == b"a\nb\n"
    assert ended.statistics.messages_received == 4
    assert ended.statistics.messages_sent == 2


@plain_and_async
async def test_every_request_is_answered_in_order_before_the_end(
    flavour: Flavour,
) -> None:
    """More than has room anywhere, from a client that has closed its direction."""
    sent = b"".join(b"%d\n" % number for number in range(50_000))
    received, ended = await answers(trio_tcp.respond(flavour(as_it_is)), sent)
    assert received == sent
    assert ended.reason is CloseReason.PEER_CLOSED
    assert ended.statistics == trio_tcp.ConnectionStatistics(
        messages_received=50_000,
        messages_sent=50_000,
        bytes_received=len(sent),
        bytes_sent=len(sent),
        bytes_queued=0,
        bytes_skipped=0,
    )


@pytest.mark.parametrize("flavour", [as_it_is, as_async])
@given(
    requests=st.lists(st.text("ab", max_size=4), max_size=8),
    cuts=st.lists(st.integers(1, 6), max_size=30),
)
def test_however_requests_are_cut_the_replies_are_the_same(
    flavour: Flavour, requests: list[str], cuts: list[int]
) -> None:
    stream = "".join(f"{request}\n" for request in requests).encode()

    async def main() -> bytes:
        async with serving(trio_tcp.respond(flavour(upper))) as (served, _):
            client = await served.listener.connect()
            rest = stream
            for cut in cuts:
                if rest:
                    await client.send_all(rest[:cut])
                    rest = rest[cut:]
                    await wait_all_tasks_blocked()
            await client.send_all(rest)
            await client.send_eof()
            return await receive_all(client)

    assert trio.run(main) == stream.upper()


# Room ---------------------------------------------------------------------------------


@plain_and_async
async def test_a_client_that_does_not_read_is_not_answered_without_bound(
    flavour: Flavour,
) -> None:
    """The queue takes one reply over its mark; what comes then is not lost."""
    asked: list[str] = []

    def answer(request: str) -> str:
        asked.append(request)
        return request * 1000

    requests = [f"{number:04}" for number in range(500)]
    async with (
        serving(trio_tcp.respond(flavour(answer)), capacity=4096) as (served, _),
        trio.open_nursery() as nursery,
    ):
        client = await served.listener.connect()
        sent = "".join(f"{request}\n" for request in requests).encode()
        nursery.start_soon(client.send_all, sent)
        await wait_all_tasks_blocked()
        (connection,) = served.server.connections
        assert 64 << 10 <= connection.statistics().bytes_queued < (64 << 10) + 4001
        assert len(asked) < 30
        received = b""
        while len(received) < 500 * 4001:
            received += await client.receive_some()
        assert received.decode().split() == [request * 1000 for request in requests]


@plain_and_async
async def test_a_request_after_a_reply_that_has_filled_the_queue_is_answered(
    flavour: Flavour,
) -> None:
    handler = trio_tcp.respond(flavour(big))
    async with serving(handler, capacity=4096) as (served, _):
        client = await served.listener.connect()
        for _ in range(3):
            await client.send_all(b"more\n")
            await wait_all_tasks_blocked()
        await client.send_eof()
        assert await receive_all(client) == (BIG + "\n").encode() * 3


@plain_and_async
async def test_a_close_is_not_held_up_by_a_client_that_writes_before_it_reads(
    flavour: Flavour,
) -> None:
    """While the replies wait for room, what the client still writes is read."""
    handler = trio_tcp.respond(flavour(big))
    async with serving(handler) as (served, _), trio.open_nursery() as nursery:
        client = await served.listener.connect()

        async def write_then_read() -> None:
            await client.send_all(b"more\n" * 100_000)
            await client.send_eof()
            assert (await receive_all(client)).startswith(BIG.encode())

        nursery.start_soon(write_then_read)
        await wait_all_tasks_blocked()
        (connection,) = served.server.connections
        with trio.fail_after(4):  # the linger is 5 seconds
            await connection.aclose()


@plain_and_async
async def test_what_a_function_sends_itself_keeps_its_place(flavour: Flavour) -> None:
    def twice(request: str, connection: Text) -> str:
        connection.send_nowait(f"{request} first")
        return f"{request} second"

    received, ended = await answers(trio_tcp.respond(flavour(twice)), b"1\n2\n3\n")
    assert received.decode().splitlines() == [
        f"{number} {word}" for number in (1, 2, 3) for word in ("first", "second")
    ]
    assert ended.statistics.messages_sent == 6


@plain_and_async
async def test_a_reply_behind_much_that_a_function_sends_waits_for_room(
    flavour: Flavour,
) -> None:
    def much(request: str, connection: Text) -> str:
        connection.send_nowait(BIG)
        return request

    received, ended = await answers(trio_tcp.respond(flavour(much)), b"1\n2\n3\n")
    expected = "".join(f"{BIG}\n{number}\n" for number in (1, 2, 3))
    assert received == expected.encode()
    assert ended.statistics.messages_sent == 6


@plain_and_async
async def test_requests_without_end_take_turns_with_other_tasks(
    flavour: Flavour,
) -> None:
    """No more than 64 are answered in a pass of the scheduler.

    The order of a pass is random: a task may be the first in one and the last in the
    next, and so see two turns of another between its own.
    """
    answered, turns = 0, [0]

    def count(request: str) -> str:
        nonlocal answered
        answered += 1
        return request

    async def take_turns() -> None:
        while True:
            turns.append(answered)
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take_turns)
        await answers(trio_tcp.respond(flavour(count)), b"x\n" * 5000)
        nursery.cancel_scope.cancel()
    steps = [after - before for before, after in pairwise(turns)]
    assert answered == 5000
    assert max(steps) <= 2 * 64


async def test_a_connection_that_holds_too_much_is_ended() -> None:
    handler = trio_tcp.respond(big)
    limits = trio_tcp.Limits(max_buffered_bytes=50_000)
    async with serving(handler, capacity=4096, limits=limits) as (served, record):
        client = await served.listener.connect()
        await client.send_all(b"more\n" * 10)
        (ended,) = await record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.EVICTED
        assert ended.statistics.messages_sent <= 1
        assert record.all(trio_tcp.HandlerFailed) == []
        await client.aclose()


# Errors -------------------------------------------------------------------------------


def fail_on_x(request: str) -> str:
    if request == "x":
        raise KeyError(request)
    return request


@plain_and_async
async def test_an_exception_ends_its_connection_and_no_other(flavour: Flavour) -> None:
    async with serving(trio_tcp.respond(flavour(fail_on_x))) as (served, record):
        async with served.connect() as other:
            client = await served.listener.connect()
            await client.send_all(b"x\nnever asked\n")
            with pytest.raises(trio.BrokenResourceError):
                await receive_all(client)
            (failed,) = record.all(trio_tcp.HandlerFailed)
            assert isinstance(failed.error, KeyError)
            (ended,) = await record.wait(trio_tcp.ConnectionEnded)
            assert ended.reason is CloseReason.HANDLER_FAILED
            assert ended.statistics.messages_received == 1
            await other.send("still here?")
            assert await other.receive() == "still here?"


@plain_and_async
async def test_on_error_says_what_to_reply(flavour: Flavour) -> None:
    def apologise(error: Exception, request: str | None) -> str | None:
        return f"{type(error).__name__} {request}"

    handler = trio_tcp.respond(flavour(fail_on_x), on_error=apologise)
    received, ended = await answers(handler, b"a\nx\nb\n")
    assert received == b"a\nKeyError x\nb\n"
    assert ended.reason is CloseReason.PEER_CLOSED
    assert ended.statistics.messages_received == 3
    assert ended.statistics.messages_sent == 3


@plain_and_async
async def test_on_error_may_say_nothing(flavour: Flavour) -> None:
    handler = trio_tcp.respond(flavour(fail_on_x), on_error=say_nothing)
    received, _ = await answers(handler, b"a\nx\nb\n")
    assert received == b"a\nb\n"


@plain_and_async
async def test_on_error_that_raises_ends_the_connection(flavour: Flavour) -> None:
    def fail(error: Exception, request: str | None) -> str:
        raise LookupError(request) from error

    async with serving(trio_tcp.respond(flavour(fail_on_x), on_error=fail)) as (
        served,
        record,
    ):
        client = await served.listener.connect()
        await client.send_all(b"x\n")
        (failed,) = await record.wait(trio_tcp.HandlerFailed)
        assert type(failed.error) is LookupError
        assert isinstance(failed.error.__cause__, KeyError)
        await client.aclose()


@plain_and_async
async def test_an_apology_that_cannot_be_encoded_ends_the_connection(
    flavour: Flavour,
) -> None:
    handler = trio_tcp.respond(flavour(fail_on_x), on_error=say_two_lines)
    _, ended = await answers(handler, b"x\n")
    assert ended.reason is CloseReason.HANDLER_FAILED


@plain_and_async
async def test_a_reply_that_cannot_be_encoded_is_an_error_of_its_request(
    flavour: Flavour,
) -> None:
    seen: list[tuple[type[Exception], str | None]] = []

    def apologise(error: Exception, request: str | None) -> str:
        seen.append((type(error), request))
        return "sorry"

    handler = trio_tcp.respond(flavour(two_lines), on_error=apologise)
    received, ended = await answers(handler, b"a\n")
    assert received == b"sorry\n"
    ((error, request),) = seen
    assert issubclass(error, trio_tcp.EncodeError)
    assert request == "a"
    assert ended.statistics.messages_sent == 1


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


async def test_nobody_else_receives_while_a_plain_function_answers() -> None:
    async with serving(trio_tcp.respond(upper)) as (served, _):
        async with served.connect() as client:
            await wait_all_tasks_blocked()
            (connection,) = served.server.connections
            with pytest.raises(trio.BusyResourceError):
                await connection.receive()
            await client.send("a")
            assert await client.receive() == "A"


def faults() -> list[trio_tcp.ConnectionFault]:
    """What may become of another connection that a function uses."""
    found: list[trio_tcp.ConnectionFault] = [
        trio_tcp.PeerClosed("the other"),
        trio_tcp.Drained("the other"),
        trio_tcp.ConnectionBroken(None),
        trio_tcp.TruncatedError(1),
        trio_tcp.MalformedMessageError("the other"),
        trio_tcp.ConnectionClosedError("the other"),
    ]
    for fault in found:
        fault.connection_id = 1_000_000
    return found


@plain_and_async
@pytest.mark.parametrize("fault", faults(), ids=lambda fault: type(fault).__name__)
async def test_what_becomes_of_another_connection_is_the_functions_failure(
    flavour: Flavour, fault: trio_tcp.ConnectionFault
) -> None:
    def use_another(_: str) -> str:
        raise fault

    async with serving(trio_tcp.respond(flavour(use_another))) as (served, record):
        client = await served.listener.connect()
        await client.send_all(b"a\n")
        (ended,) = await record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.HANDLER_FAILED
        assert ended.error is fault
        assert fault.connection_id == 1_000_000
        assert record.all(trio_tcp.MessageMalformed) == []
        await client.aclose()


@plain_and_async
@pytest.mark.parametrize("fault", faults(), ids=lambda fault: type(fault).__name__)
async def test_what_becomes_of_another_connection_can_be_replied_to(
    flavour: Flavour, fault: trio_tcp.ConnectionFault
) -> None:
    def use_another(_: str) -> str:
        raise fault

    handler = trio_tcp.respond(flavour(use_another), on_error=refuse)
    received, _ = await answers(handler, b"a\nb\n")
    assert received == b"no a\nno b\n"


@plain_and_async
async def test_the_end_of_a_channel_of_its_own_is_the_functions_failure(
    flavour: Flavour,
) -> None:
    def use_channel(_: str) -> str:
        raise trio.EndOfChannel

    _, ended = await answers(trio_tcp.respond(flavour(use_channel)), b"a\n")
    assert ended.reason is CloseReason.HANDLER_FAILED


@plain_and_async
async def test_a_request_may_be_none(flavour: Flavour) -> None:
    """That is no request that made no sense."""
    fault = trio_tcp.TruncatedError(1)
    fault.connection_id = 1_000_000

    def use_another(_: object) -> object:
        raise fault

    record = Record()
    codec: codecs.Codec[Any, Any] = codecs.Json()
    async with testing.serve_in_memory(
        trio_tcp.respond(flavour(use_another)), codec, observer=record
    ) as served:
        client = await served.listener.connect()
        await client.send_all(b"null\n")
        (ended,) = await record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.HANDLER_FAILED
        assert fault.connection_id == 1_000_000
        await client.aclose()


@pytest.mark.parametrize("on_error", [None, never_said])
async def test_a_plain_function_that_returns_a_coroutine_is_told_so(
    on_error: Callable[..., str] | None,
) -> None:
    async def wait(request: str) -> str:
        return request

    def forget_to_wait(request: str) -> Awaitable[str]:
        return wait(request)

    handler = trio_tcp.respond(forget_to_wait, on_error=on_error)
    async with serving(handler) as (served, record):
        client = await served.listener.connect()
        await client.send_all(b"a\n")
        (failed,) = await record.wait(trio_tcp.HandlerFailed)
        assert isinstance(failed.error, TypeError)
        assert "give it the async function itself" in str(failed.error)
        await client.aclose()


# With the connection ------------------------------------------------------------------


@plain_and_async
async def test_a_function_may_abort_its_connection(flavour: Flavour) -> None:
    asked: list[str] = []

    def hang_up(request: str, connection: Text) -> str:
        asked.append(request)
        connection.abort()
        return request

    received, ended = await answers(trio_tcp.respond(flavour(hang_up)), b"a\nb\n")
    assert received == b""
    assert asked == ["a"]
    assert ended.reason is CloseReason.CLOSED
    assert ended.statistics.messages_sent == 0


async def test_an_async_function_may_close_its_connection() -> None:
    async def say_goodbye(request: str, connection: Text) -> None:
        await connection.send(request)
        await connection.aclose()

    received, ended = await answers(trio_tcp.respond(say_goodbye), b"a\nb\n")
    assert received == b"a\n"
    assert ended.reason is CloseReason.CLOSED


async def test_an_async_function_may_receive_more_of_a_request() -> None:
    async def add(request: str, connection: Text) -> str:
        return request + await connection.receive()

    received, _ = await answers(trio_tcp.respond(add), b"a\nb\nc\nd\n")
    assert received == b"ab\ncd\n"


@plain_and_async
async def test_a_function_may_switch_the_codec(flavour: Flavour) -> None:
    """What came along with that request is decoded by the new one."""

    def switch(request: object, connection: trio_tcp.Connection[Any, Any]) -> object:
        if request == "switch":
            connection.switch_codec(codecs.Netstrings())
            return None
        return request

    handler = trio_tcp.respond(flavour(switch))
    received, _ = await answers(handler, b"a\nswitch\n3:two,5:three,")
    assert received == b"a\n3:two,5:three,"


@plain_and_async
async def test_a_function_may_label_its_connection_and_change_its_timeouts(
    flavour: Flavour, autojump_clock: MockClock
) -> None:
    def log_in(request: str, connection: Text) -> str:
        connection.label = request
        connection.timeouts = attrs.evolve(connection.timeouts, idle=5)
        return request

    async with serving(trio_tcp.respond(flavour(log_in))) as (served, record):
        client = await served.listener.connect()
        await client.send_all(b"ann\n")
        (ended,) = await record.wait(trio_tcp.ConnectionEnded)
        assert ended.label == "ann"
        assert ended.reason is CloseReason.TIMED_OUT
        assert ended.seconds == 5
        await client.aclose()


user: contextvars.ContextVar[str] = contextvars.ContextVar("user")


@plain_and_async
async def test_a_function_sees_the_context_of_its_connection(flavour: Flavour) -> None:
    def who(request: str) -> str:
        before = user.get()
        user.set(request)
        return before

    answer = trio_tcp.respond(flavour(who))

    async def handle(connection: Text) -> None:
        user.set("nobody")
        await answer(connection)

    received, _ = await answers(handle, b"ann\nben\n")
    assert received == b"nobody\nann\n"


# Time, and the end --------------------------------------------------------------------


@plain_and_async
@pytest.mark.parametrize(
    ("timeouts", "sent", "seconds"),
    [
        (trio_tcp.Timeouts(first_message=7), b"", 7),
        (trio_tcp.Timeouts(idle=8), b"a\n", 8),
        (trio_tcp.Timeouts(message=9, message_rate=1), b"a\nxyz", 12),
        (trio_tcp.Timeouts(lifetime=10), b"a\n", 10),
    ],
    ids=["first_message", "idle", "message", "lifetime"],
)
async def test_timeouts_hold_to_the_second(
    flavour: Flavour,
    timeouts: trio_tcp.Timeouts,
    sent: bytes,
    seconds: float,
    autojump_clock: MockClock,
) -> None:
    async with serving(trio_tcp.respond(flavour(upper)), timeouts=timeouts) as (
        served,
        record,
    ):
        client = await served.listener.connect()
        if sent:
            await client.send_all(sent)
        (ended,) = await record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.TIMED_OUT
        assert ended.seconds == seconds
        await client.aclose()


@plain_and_async
async def test_a_client_that_does_not_read_is_given_up(
    flavour: Flavour, autojump_clock: MockClock
) -> None:
    handler = trio_tcp.respond(flavour(big))
    timeouts = trio_tcp.Timeouts(write=6)
    async with serving(handler, timeouts=timeouts) as (served, record):
        client = await served.listener.connect()
        await client.send_all(b"more\n" * 100)
        (ended,) = await record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.TIMED_OUT
        assert ended.seconds == 6
        assert record.all(trio_tcp.HandlerFailed) == []
        await client.aclose()


@plain_and_async
async def test_a_drain_ends_the_idle_at_once_and_answers_what_has_come(
    flavour: Flavour, autojump_clock: MockClock
) -> None:
    async with serving(trio_tcp.respond(flavour(upper))) as (served, _):
        idle = await served.listener.connect()
        busy = await served.listener.connect()
        await busy.send_all(b"a\n" * 10_000)
        async with trio.open_nursery() as nursery:
            received: list[bytes] = []

            async def receive(client: testing.MemoryStream) -> None:
                received.append(await receive_all(client))
                await client.aclose()

            nursery.start_soon(receive, idle)
            nursery.start_soon(receive, busy)
            report = await served.server.drain()
        assert sorted(received) == [b"", b"A\n" * 10_000]
        assert report.finished == 2
        assert report.seconds == 0


@plain_and_async
async def test_a_server_that_is_cancelled_ends_in_the_middle_of_answers(
    flavour: Flavour,
) -> None:
    async with serving(trio_tcp.respond(flavour(big))) as (served, record):
        client = await served.listener.connect()
        await client.send_all(b"more\n" * 100)
        await wait_all_tasks_blocked()
    (ended,) = record.all(trio_tcp.ConnectionEnded)
    assert ended.statistics.messages_sent == ended.statistics.messages_received - (
        flavour is as_async
    )
    await client.aclose()


@plain_and_async
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
async def test_what_ends_the_program_goes_through_the_server(
    flavour: Flavour, error: type[BaseException]
) -> None:
    def end(_: str) -> str:
        raise error

    with pytest.RaisesGroup(error, flatten_subgroups=True, allow_unwrapped=True):
        async with serving(trio_tcp.respond(flavour(end), on_error=never_said)) as (
            served,
            _,
        ):
            client = await served.listener.connect()
            await client.send_all(b"a\n")
            await trio.sleep_forever()


@plain_and_async
async def test_it_answers_over_tls(flavour: Flavour) -> None:
    requests = [str(number) for number in range(5000)]
    handler = trio_tcp.respond(flavour(as_it_is))
    sent = "".join(f"{request}\n" for request in requests).encode()
    async with serving_tls(handler, LINES) as served:
        client = await served.connect_peer()
        async with trio.open_nursery() as nursery:

            async def send() -> None:
                await client.send(sent)
                await client.end()

            nursery.start_soon(send)
            assert await client.receive_all() == sent
        await client.stream.aclose()
