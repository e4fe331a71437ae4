"""`respond` on real sockets: where the bytes arrive, however they are waited for."""

from __future__ import annotations

import contextvars
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from typing import NoReturn, TypeAlias
from unittest.mock import AsyncMock

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.integration.loopback import (
    Record,
    connect,
    receive_all,
    receive_exactly,
    receive_reset,
    reset,
    start_server,
    until,
)
from trio_tcp import CloseReason, codecs

Text: TypeAlias = trio_tcp.Connection[str, str]

LINES = codecs.Lines(max_bytes=1 << 20)
BIG = "x" * 4_000_000  # more than kernel and queue hold
BIG_LINES = codecs.Lines(max_bytes=1 << 23)


WAYS = ["auto", "direct", "polled", "general", "polled, in a task"]
IN_A_TASK = "IN_A_TASK"


@pytest.fixture(autouse=True, params=WAYS)
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Wait for sockets in each way in turn; also within a handler of the user's."""
    choice, _, in_a_task = str(request.param).partition(", ")
    monkeypatch.setenv("TRIO_TCP_TRANSPORT", choice)
    monkeypatch.setenv(IN_A_TASK, in_a_task)
    return choice


def respond(
    function: Callable[..., str | None],
    on_error: Callable[[Exception, str | None], str] | None = None,
) -> trio_tcp.Handler[str, str]:
    """Make a handler, and perhaps one around it, which the server knows nothing of."""
    answer: trio_tcp.Handler[str, str] = trio_tcp.respond(function, on_error=on_error)

    async def handle(connection: Text) -> None:
        await answer(connection)

    return handle if os.environ[IN_A_TASK] else answer


def big(_: str) -> str:
    return BIG


def same(request: str) -> str:
    return request


def fail_on_x(request: str) -> str:
    if request == "x":
        raise KeyError(request)
    return request


def never_said(_: Exception, _request: str | None) -> str:
    return "never said"


def name_it(error: Exception, request: str | None) -> str:
    return f"{type(error).__name__} {request}"


async def exchange(port: int, sent: bytes) -> bytes:
    """Send this and the end, while reading to the end."""
    client = connect(port)

    async def send() -> None:
        await client.send_all(sent)
        await client.send_eof()

    async with client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            received = await receive_all(client)
    return received


async def test_many_requests_of_many_clients_are_answered_in_order(
    nursery: trio.Nursery,
) -> None:
    server = await start_server(nursery, respond(same), LINES)

    async def ask(client: int) -> None:
        sent = b"".join(b"%d of %d\n" % (number, client) for number in range(5000))
        assert await exchange(server.port, sent) == sent

    async with trio.open_nursery() as clients:
        for client in range(12):
            clients.start_soon(ask, client)


async def test_a_request_is_answered_when_its_last_byte_comes(
    nursery: trio.Nursery,
) -> None:
    server = await start_server(nursery, respond(same), LINES)
    async with connect(server.port) as client:
        for word in (b"one\n", b"two\n"):
            for position in range(len(word)):
                await wait_all_tasks_blocked()
                await client.send_all(word[position : position + 1])
            assert await receive_exactly(client, 4) == word


async def test_a_client_that_does_not_read_costs_a_bounded_amount(
    nursery: trio.Nursery,
) -> None:
    asked = 0

    def answer(_: str) -> str:
        nonlocal asked
        asked += 1
        return "x" * 999

    server = await start_server(nursery, respond(answer), LINES, small_buffers=True)
    async with connect(server.port, small_buffers=True) as client:
        nursery.start_soon(client.send_all, b"more\n" * 2000)
        await until(lambda: len(server.connections) == 1)
        (connection,) = server.connections
        await until(lambda: connection.statistics().bytes_queued >= 64 << 10)
        await wait_all_tasks_blocked(0.05)
        assert connection.statistics().bytes_queued < (64 << 10) + 1000
        assert asked < 2000
        await receive_exactly(client, 2000 * 1000)
        assert asked == 2000


async def test_a_request_after_a_reply_that_has_filled_the_queue_is_answered(
    nursery: trio.Nursery,
) -> None:
    server = await start_server(nursery, respond(big), BIG_LINES)
    async with connect(server.port) as client:
        for _ in range(3):
            await client.send_all(b"more\n")
            await wait_all_tasks_blocked()
        await client.send_eof()
        assert len(await receive_all(client)) == 3 * (len(BIG) + 1)


async def test_a_reset_ends_the_connection_and_is_no_failure(
    nursery: trio.Nursery, record: Record
) -> None:
    handler = respond(same, on_error=never_said)
    server = await start_server(nursery, handler, LINES, observer=record)
    client = connect(server.port)
    await client.send_all(b"a\n")
    assert await receive_exactly(client, 2) == b"a\n"
    reset(client)
    (ended,) = await record.wait(trio_tcp.ConnectionEnded)
    assert ended.reason is CloseReason.BROKEN
    assert record.all(trio_tcp.HandlerFailed) == []


async def test_an_exception_ends_its_connection_and_no_other(
    nursery: trio.Nursery, record: Record
) -> None:
    handler = respond(fail_on_x)
    server = await start_server(nursery, handler, LINES, observer=record)
    async with connect(server.port) as client, connect(server.port) as other:
        await client.send_all(b"a\n")
        assert await receive_exactly(client, 2) == b"a\n"
        await client.send_all(b"x\nnever asked\n")
        await receive_reset(client)
        (failed,) = await record.wait(trio_tcp.HandlerFailed)
        assert isinstance(failed.error, KeyError)
        await other.send_all(b"b\n")
        assert await receive_exactly(other, 2) == b"b\n"


async def test_on_error_says_what_to_reply(
    nursery: trio.Nursery, record: Record
) -> None:
    handler = respond(fail_on_x, on_error=name_it)
    server = await start_server(nursery, handler, LINES, observer=record)
    received = await exchange(server.port, b"a\nx\n\xff\nb\n")
    assert received == b"a\nKeyError x\nMalformedMessageError None\nb\n"
    assert len(record.all(trio_tcp.MessageMalformed)) == 1


async def test_a_function_may_abort_its_connection(
    nursery: trio.Nursery, record: Record
) -> None:
    def hang_up(request: str, connection: Text) -> str:
        if request == "x":
            connection.abort()
        return request

    handler = respond(hang_up, on_error=never_said)
    server = await start_server(nursery, handler, LINES, observer=record)
    async with connect(server.port) as client:
        await client.send_all(b"a\n")
        assert await receive_exactly(client, 2) == b"a\n"
        await client.send_all(b"x\nb\n")
        await receive_reset(client)
    (ended,) = await record.wait(trio_tcp.ConnectionEnded)
    assert ended.reason is CloseReason.CLOSED
    assert ended.statistics.messages_received == 2
    assert ended.statistics.messages_sent == 1
    assert record.all(trio_tcp.HandlerFailed) == []


async def test_what_a_function_sends_itself_keeps_its_place(
    nursery: trio.Nursery,
) -> None:
    def twice(request: str, connection: Text) -> str:
        connection.send_nowait(f"{request} first")
        return f"{request} second"

    server = await start_server(nursery, respond(twice), LINES)
    received = await exchange(server.port, b"1\n2\n3\n")
    assert received.decode().splitlines() == [
        f"{number} {word}" for number in (1, 2, 3) for word in ("first", "second")
    ]


user: contextvars.ContextVar[str] = contextvars.ContextVar("user")


async def test_a_function_sees_the_context_of_its_connection(
    nursery: trio.Nursery,
) -> None:
    def who(request: str) -> str:
        before = user.get()
        user.set(request)
        return before

    answer = respond(who)

    async def handle(connection: Text) -> None:
        user.set("nobody")
        await answer(connection)

    server = await start_server(nursery, handle, LINES)
    async with connect(server.port) as client, connect(server.port) as other:
        for stream, sent, reply in [
            (client, b"ann\n", b"nobody\n"),
            (other, b"ben\n", b"nobody\n"),
            (client, b"zoe\n", b"ann\n"),
            (other, b"zoe\n", b"ben\n"),
        ]:
            await stream.send_all(sent)
            assert await receive_exactly(stream, len(reply)) == reply


async def test_who_watches_for_the_end_beside_it_changes_nothing(
    nursery: trio.Nursery,
) -> None:
    """What reads ahead then hands on what comes."""
    watches, ends = trio.Event(), trio.Event()
    answer = respond(same)

    async def handle(connection: Text) -> None:
        async def watch() -> None:
            await watches.wait()
            await connection.wait_disconnected()
            ends.set()

        async with trio.open_nursery() as tasks:
            tasks.start_soon(watch)
            await answer(connection)

    server = await start_server(nursery, handle, LINES)
    async with connect(server.port) as client:
        await client.send_all(b"a\n")
        assert await receive_exactly(client, 2) == b"a\n"
        watches.set()
        await wait_all_tasks_blocked()
        for word in (b"b\n", b"c\n"):
            await client.send_all(word)
            assert await receive_exactly(client, 2) == word
        await client.send_eof()
        await ends.wait()
        assert await receive_all(client) == b""


# Turns --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [2, 1100, 5000])
async def test_requests_without_end_take_turns_with_other_tasks(
    nursery: trio.Nursery, size: int, transport: str
) -> None:
    """No more than 64 are answered in a turn; also where each read brings fewer.

    The order of a pass is random, so that there may be two turns between two of another
    task; where one task tells of all bytes, its turns come on top.
    """
    answered, turns = 0, [0]

    def count(_: str) -> None:
        nonlocal answered
        answered += 1

    async def take_turns() -> None:
        while True:
            turns.append(answered)
            await trio.lowlevel.checkpoint()

    server = await start_server(nursery, respond(count), LINES)
    async with trio.open_nursery() as tasks:
        tasks.start_soon(take_turns)
        assert await exchange(server.port, (b"x" * (size - 1) + b"\n") * 3000) == b""
        tasks.cancel_scope.cancel()
    assert answered == 3000
    between = max(after - before for before, after in pairwise(turns))
    assert between <= 64 * (2 if transport in ("direct", "general") else 4)


async def test_a_flood_of_requests_does_not_keep_others_from_theirs(
    nursery: trio.Nursery,
) -> None:
    """Between two of its replies, an honest client waits for a bounded number."""
    floods = 0
    between: list[int] = []

    def count(request: str) -> str:
        nonlocal floods
        if request == "f":
            floods += 1
        else:
            between.append(floods)
        return request

    async def flood(client: trio.SocketStream) -> NoReturn:
        while True:
            await client.send_all(b"f\n" * 50_000)

    async def swallow(client: trio.SocketStream) -> None:
        with suppress(trio.ClosedResourceError):
            async for _ in client:
                pass

    server = await start_server(nursery, respond(count), LINES)
    async with connect(server.port) as rude, connect(server.port) as honest:
        async with trio.open_nursery() as tasks:
            tasks.start_soon(flood, rude)
            tasks.start_soon(swallow, rude)
            await until(lambda: floods > 0)
            for _ in range(20):
                await honest.send_all(b"h\n")
                assert await receive_exactly(honest, 2) == b"h\n"
            tasks.cancel_scope.cancel()
    assert floods > 20
    assert max(after - before for before, after in pairwise(between)) <= 32 * 64


# The end ------------------------------------------------------------------------------


async def test_one_that_is_idle_for_too_long_is_ended(
    clock: MockClock, nursery: trio.Nursery, record: Record
) -> None:
    """Each request sets its clock back."""
    server = await start_server(
        nursery,
        respond(same),
        LINES,
        observer=record,
        timeouts=trio_tcp.Timeouts(idle=500),
    )
    async with connect(server.port) as client:
        for _ in range(3):
            await client.send_all(b"a\n")
            assert await receive_exactly(client, 2) == b"a\n"
            await wait_all_tasks_blocked()  # it waits for the next one
            clock.jump(400)
        await wait_all_tasks_blocked()
        assert not record.all(trio_tcp.ConnectionEnded)
        clock.jump(100)
        (ended,) = await record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.TIMED_OUT
        assert ended.seconds >= 2 * 400 + 500
        assert ended.statistics.messages_sent == 3


async def test_a_drain_ends_the_idle_and_answers_what_has_come(
    nursery: trio.Nursery,
) -> None:
    server = await start_server(nursery, respond(same), LINES)
    sent = b"a\n" * 20_000
    async with connect(server.port) as idle, connect(server.port) as busy:
        for client in (idle, busy):
            await client.send_all(b"b\n")
            assert await receive_exactly(client, 2) == b"b\n"
        await wait_all_tasks_blocked()
        await busy.send_all(sent)
        received: list[bytes] = []

        async def receive(client: trio.SocketStream) -> None:
            received.append(await receive_all(client))
            await client.aclose()

        async with trio.open_nursery() as tasks:
            tasks.start_soon(receive, idle)
            tasks.start_soon(receive, busy)
            report = await server.drain()
        assert sorted(received) == [b"", sent]
        assert report.finished == 2


async def test_a_drain_cancels_who_is_in_the_middle_of_a_request(
    nursery: trio.Nursery,
) -> None:
    server = await start_server(nursery, respond(same), LINES)
    async with connect(server.port) as client:
        await client.send_all(b"a\nhalf of b")
        assert await receive_exactly(client, 2) == b"a\n"
        await wait_all_tasks_blocked()

        async def receive() -> None:
            with suppress(trio.BrokenResourceError):
                await receive_all(client)
            await client.aclose()

        nursery.start_soon(receive)
        report = await server.drain(grace=0)
    assert (report.cancelled, report.aborted) == (1, 0)


async def test_a_mock_is_a_handler_as_any_other(nursery: trio.Nursery) -> None:
    handler = AsyncMock()
    server = await start_server(nursery, handler, LINES)
    async with connect(server.port) as client:
        await client.send_eof()
        assert await receive_all(client) == b""
    handler.assert_awaited_once()


async def test_a_function_may_cancel_its_own_server() -> None:
    served: list[trio_tcp.Server] = []
    asked: list[str] = []

    async with trio.open_nursery() as nursery:

        def stop(request: str) -> str:
            asked.append(request)
            if request == "stop":
                nursery.cancel_scope.cancel()
            return request

        server = await start_server(nursery, respond(stop), LINES)
        served.append(server)
        client = connect(server.port)
        await client.send_all(b"a\n")
        assert await receive_exactly(client, 2) == b"a\n"
        await client.send_all(b"stop\n")
        await trio.Event().wait()
    assert asked == ["a", "stop"]
    assert served[0].connections == ()
    await trio.aclose_forcefully(client)


def press_ctrl_c(_: str) -> str:
    signal.raise_signal(signal.SIGINT)
    return "never said"


def exit_program(_: str) -> str:
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("function", "error"),
    [(press_ctrl_c, KeyboardInterrupt), (exit_program, SystemExit)],
)
def test_what_ends_the_program_goes_through_as_itself(
    function: Callable[[str], str], error: type[BaseException]
) -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            handler = respond(function, on_error=never_said)
            server = await start_server(nursery, handler, LINES)
            async with connect(server.port) as client:
                await wait_all_tasks_blocked()
                await client.send_all(b"a\n")
                await trio.sleep_forever()

    with pytest.RaisesGroup(error, flatten_subgroups=True, allow_unwrapped=True):
        trio.run(main)


def test_what_ends_the_program_is_not_lost_in_a_cancellation() -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:

            def stop(_: str) -> str:
                nursery.cancel_scope.cancel()
                raise SystemExit(3)

            server = await start_server(nursery, respond(stop), LINES)
            client = connect(server.port)
            try:
                await wait_all_tasks_blocked()
                await client.send_all(b"a\n")
                await trio.Event().wait()
            finally:
                await trio.aclose_forcefully(client)

    with pytest.RaisesGroup(SystemExit, flatten_subgroups=True, allow_unwrapped=True):
        trio.run(main)
