"""A function, and the connection it answers on: what it may do, and others may not."""

from __future__ import annotations

import contextvars
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.respond.answering import (
    Flavour,
    Text,
    answers,
    plain_and_async,
    serving,
    upper,
)
from trio_tcp import CloseReason, codecs


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


async def test_nobody_else_receives_while_a_plain_function_answers() -> None:
    async with serving(trio_tcp.respond(upper)) as (served, _):
        async with served.connect() as client:
            await wait_all_tasks_blocked()
            (connection,) = served.server.connections
            with pytest.raises(trio.BusyResourceError):
                await connection.receive()
            await client.send("a")
            assert await client.receive() == "A"
