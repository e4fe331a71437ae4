"""Which transport there is, and how sockets are waited for, is chosen as it is best.

A socket that is waited for by itself is one of the tasks that wait in Trio's
statistics; those that are waited for together are one task.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.integration.loopback import LOOPBACK, echo, start_server
from tests.integration.transport.choosing import VARIABLE, using
from tests.integration.transport.ends import LINES, PATIENCE, Binary
from trio_tcp import codecs
from trio_tcp._transport._poller import FEW, MANY, Poller

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere there is no choice"
)

CROWD = 24


def test_few_sockets_are_waited_for_one_by_one_and_many_together() -> None:
    poller = Poller("auto")
    assert not poller.guess()
    poller.sockets = MANY
    assert poller.guess()
    for active in range(2 * MANY):
        poller.wakes = 100 + active
        assert poller.is_worth_it(100, was=False) is (active >= MANY)
        assert poller.is_worth_it(100, was=True) is (active > FEW)


@pytest.mark.parametrize(("choice", "together"), [("direct", False), ("polled", True)])
def test_a_choice_is_obeyed(choice: str, together: bool) -> None:
    poller = Poller(choice)
    assert poller.allows_sockets
    for count in (0, 2 * MANY):
        poller.sockets = poller.wakes = count
        assert poller.guess() is together
        assert poller.is_worth_it(0, was=together) is together


def test_no_socket_is_used_directly_if_that_is_the_choice() -> None:
    assert not Poller("general").allows_sockets


def test_an_unknown_choice_is_an_error_that_names_the_variable() -> None:
    async def main() -> None:
        stream, _ = streams = [*map(trio.SocketStream, trio.socket.socketpair())]
        try:
            async with trio_tcp.open_connection(stream, codec=LINES):
                pass
        finally:
            for each in streams:
                await each.aclose()

    with using("fast"), pytest.raises(ValueError, match=VARIABLE):
        trio.run(main)


def waiting() -> int:
    """Count the tasks that Trio has wait for something to be readable."""
    statistics = trio.lowlevel.current_statistics().io_statistics
    assert statistics.backend == "epoll"
    return statistics.tasks_waiting_read


@asynccontextmanager
async def crowd(count: int) -> AsyncGenerator[list[Binary], None]:
    """Have some clients of a server that answers."""
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery, AsyncExitStack() as clients:
            server = await start_server(nursery, echo, LINES)
            yield [
                await clients.enter_async_context(
                    trio_tcp.connect_tcp(LOOPBACK, server.port, codec=LINES)
                )
                for _ in range(count)
            ]
            nursery.cancel_scope.cancel()


async def talk(connection: Binary, name: str, turns: int) -> None:
    """Ask, and be answered."""
    for turn in range(turns):
        await connection.send(f"{name}, {turn}".encode())
        assert await connection.receive() == f"{name}, {turn}".encode()


async def test_sockets_move_to_and_fro_and_lose_nothing() -> None:
    """First one is active, then many are, then one again, and so on."""
    with using("auto"):
        async with crowd(CROWD) as clients:
            for phase in range(3):
                async with trio.open_nursery() as nursery:
                    for number, client in enumerate(clients):
                        nursery.start_soon(talk, client, f"{phase} {number}", 20)
                await wait_all_tasks_blocked()
                together = waiting()
                assert together < CROWD / 2
                await talk(clients[phase], f"{phase} alone", 20)
                await wait_all_tasks_blocked()
                assert waiting() > together


async def test_an_answering_function_moves_with_its_socket() -> None:
    """One client alone is waited for by itself, whoever reads for it."""

    def upper(request: bytes) -> bytes:
        return request.upper()

    with using("auto"), trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
            server = await start_server(nursery, trio_tcp.respond(upper), LINES)
            clients = [
                await stack.enter_async_context(
                    trio_tcp.connect_tcp(LOOPBACK, server.port, codec=LINES)
                )
                for _ in range(CROWD)
            ]
            for _ in range(3):
                for client in clients:
                    await client.send(b"hello")
                for client in clients:
                    assert await client.receive() == b"HELLO"
            await wait_all_tasks_blocked()
            together = waiting()
            for _ in range(20):
                await clients[0].send(b"hello")
                assert await clients[0].receive() == b"HELLO"
            await wait_all_tasks_blocked()
            assert waiting() > together
            nursery.cancel_scope.cancel()


async def test_few_wait_by_themselves() -> None:
    with using("auto"):
        async with crowd(2) as clients:
            await wait_all_tasks_blocked()
            before = waiting()
            async with trio.open_nursery() as nursery:
                for client in clients:
                    nursery.start_soon(talk, client, "few", 10)
            await wait_all_tasks_blocked()
            assert waiting() == before


async def test_without_descriptors_sockets_are_waited_for_one_by_one() -> None:
    """None is left for waiting together; all goes on."""
    resource = pytest.importorskip("resource")
    with using("polled"):
        async with trio.open_nursery() as nursery:
            ours, theirs = map(trio.SocketStream, trio.socket.socketpair())
            limits = resource.getrlimit(resource.RLIMIT_NOFILE)
            async with (
                trio_tcp.open_connection(ours, codec=codecs.Chunks()) as connection,
                theirs,
            ):
                resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
                try:
                    for _ in range(3):
                        nursery.start_soon(theirs.send_all, b"hello")
                        with trio.fail_after(PATIENCE):
                            assert await connection.receive() == b"hello"
                finally:
                    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
                connection.abort()
