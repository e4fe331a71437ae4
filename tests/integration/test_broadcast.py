"""Broadcasts over real sockets, however they are waited for."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TypeAlias

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.integration.loopback import (
    Record,
    connect,
    receive_exactly,
    reset,
    start_server,
    until,
)
from trio_tcp import CloseReason, codecs

Text: TypeAlias = trio_tcp.Connection[str, str]

LINES = codecs.Lines(max_bytes=1 << 23)
BIG = "x" * 4_000_000  # more than kernel and queue hold


@pytest.fixture(autouse=True, params=["auto", "direct", "polled", "general"])
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for sockets in each way in turn."""
    monkeypatch.setenv("TRIO_TCP_TRANSPORT", request.param)


async def connect_many(
    stack: AsyncExitStack, server: trio_tcp.Server, count: int
) -> list[trio.SocketStream]:
    """Connect so many clients, and wait until the server has them."""
    clients = [connect(server.port) for _ in range(count)]
    for client in clients:
        await stack.enter_async_context(client)
    await until(lambda: len(server.connections) == count)
    return clients


def ignore(_: str) -> None:
    """Reply to nothing."""


async def test_a_hundred_get_all_messages_in_order(nursery: trio.Nursery) -> None:
    server = await start_server(nursery, trio_tcp.respond(ignore), LINES)
    expected = b"".join(b"%d\n" % number for number in range(50))
    async with AsyncExitStack() as stack:
        clients = await connect_many(stack, server, 100)
        for number in range(0, 50, 2):
            await trio_tcp.broadcast(str(number), server.connections)
            nobody = trio_tcp.broadcast_nowait(str(number + 1), server.connections)
            assert nobody == []
        for client in clients:
            assert await receive_exactly(client, len(expected)) == expected


async def test_a_plain_function_may_relay_what_its_client_says(
    nursery: trio.Nursery,
) -> None:
    def relay(request: str) -> str:
        trio_tcp.broadcast_nowait(f"all: {request}", server.connections)
        return f"you: {request}"

    server = await start_server(nursery, trio_tcp.respond(relay), LINES)
    async with AsyncExitStack() as stack:
        speaker, *others = await connect_many(stack, server, 20)
        await speaker.send_all(b"a\nb\n")
        told = b"all: a\nyou: a\nall: b\nyou: b\n"
        assert await receive_exactly(speaker, len(told)) == told
        for other in others:
            assert await receive_exactly(other, 14) == b"all: a\nall: b\n"


async def test_one_that_turns_out_to_be_reset_is_left_out(
    nursery: trio.Nursery, record: Record
) -> None:
    """Its handler does not receive, so that sending finds out."""

    async def wait(_: Text) -> None:
        await trio.sleep_forever()

    server = await start_server(nursery, wait, LINES, observer=record)
    async with AsyncExitStack() as stack:
        rude, honest = await connect_many(stack, server, 2)
        reset(rude)
        # The first is refused by the reset that is there, or brings it.
        for message in (BIG, "hello", "again"):
            nursery.start_soon(trio_tcp.broadcast, message, server.connections)
            await wait_all_tasks_blocked()
        expected = len(f"{BIG}\nhello\nagain\n")
        received = await receive_exactly(honest, expected)
        assert received.endswith(b"x\nhello\nagain\n")
        assert CloseReason.BROKEN in [each.close_reason for each in server.connections]


async def test_a_slow_one_is_waited_for(nursery: trio.Nursery) -> None:
    server = await start_server(nursery, trio_tcp.respond(ignore), LINES)
    is_over = trio.Event()

    async def tell() -> None:
        for message in (BIG, "hello"):
            await trio_tcp.broadcast(message, server.connections)
        is_over.set()

    async with AsyncExitStack() as stack:
        slow, fast = await connect_many(stack, server, 2)
        nursery.start_soon(tell)
        received = await receive_exactly(fast, len(BIG) + 7)
        assert received.endswith(b"x\nhello\n")
        assert not is_over.is_set()
        received = await receive_exactly(slow, len(BIG) + 7)
        assert received.endswith(b"x\nhello\n")
        await is_over.wait()
