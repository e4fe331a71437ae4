"""Requesters on real sockets: a real server, which is ended under them."""

from __future__ import annotations

from functools import partial

import pytest
import trio

import trio_tcp
from tests.integration.loopback import LOOPBACK, reset, start_server
from trio_tcp import codecs

LINES = codecs.Lines(max_bytes=1 << 20)
BIG = "x" * 300_000  # several of them are more than the kernel holds


def upper(request: str) -> str:
    return request.upper()


async def give_up(scope: trio.CancelScope) -> None:
    """Cancel what has just been sent, most probably."""
    await trio.lowlevel.checkpoint()
    scope.cancel()


async def ask_some(
    requester: trio_tcp.Requester[str, str], name: str, nursery: trio.Nursery
) -> None:
    """Ask, and give up now and then."""
    for number in range(30):
        with trio.CancelScope() as scope:
            if number % 7 == 3:
                nursery.start_soon(give_up, scope)
            request = f"{name} {number} " + (BIG if number % 10 == 9 else "")
            assert await requester.request(request) == request.upper()


async def test_each_of_many_tasks_gets_its_own_replies(nursery: trio.Nursery) -> None:
    server = await start_server(nursery, trio_tcp.respond(upper), LINES)
    async with (
        trio_tcp.connect_tcp(LOOPBACK, server.port, codec=LINES) as connection,
        trio_tcp.Requester(connection, max_in_flight=8) as requester,
        trio.open_nursery() as tasks,
    ):
        for number in range(20):
            tasks.start_soon(ask_some, requester, f"task{number}", tasks)


async def test_the_next_connection_serves_when_one_is_reset(
    nursery: trio.Nursery,
) -> None:
    (listener,) = await trio.open_tcp_listeners(0, host=LOOPBACK)
    port = listener.socket.getsockname()[1]
    connect = partial(trio_tcp.connect_tcp, LOOPBACK, port, codec=LINES)
    backoff = trio_tcp.Backoff(initial=0.001, maximum=0.001)
    async with listener, trio_tcp.open_requester(connect, backoff=backoff) as requester:

        async def ask_once() -> None:
            with pytest.raises(trio_tcp.ConnectionLost) as caught:
                await requester.request("once")
            assert caught.value.may_have_been_processed
            assert isinstance(caught.value.__cause__, trio_tcp.ConnectionBroken)

        async def ask_repeatably() -> None:
            assert await requester.request_repeatable("again") == "AGAIN"

        async with trio.open_nursery() as tasks:
            first = await listener.accept()
            tasks.start_soon(ask_once)
            assert await first.receive_some() == b"once\n"
            tasks.start_soon(ask_repeatably)
            assert await first.receive_some() == b"again\n"
            reset(first)
            second = await listener.accept()
            assert await second.receive_some() == b"again\n"
            await second.send_all(b"AGAIN\n")
        await second.aclose()
