"""A pool over the kernel's TCP, and over TLS, which has messages of its own."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

import trio_tcp
from tests.certificates import HOST, client_context, server_context
from trio_tcp import DiscardReason, codecs

LINES = codecs.Lines()
Pool = trio_tcp.Pool[str, str]


async def answer(connection: trio_tcp.Connection[str, str]) -> None:
    async for line in connection:
        for _ in range(int(line)):
            await connection.send("reply")


@asynccontextmanager
async def pooling(
    *, over_tls: bool, size: int = 1
) -> AsyncGenerator[tuple[Pool, trio_tcp.Server], None]:
    tls: ssl.SSLContext | None = server_context() if over_tls else None
    serve = partial(trio_tcp.serve_tcp, answer, 0, host="127.0.0.1", codec=LINES)
    async with trio.open_nursery() as nursery:
        server: trio_tcp.Server = await nursery.start(partial(serve, tls=tls))
        connect = partial(
            trio_tcp.connect_tcp,
            "127.0.0.1",
            server.port,
            codec=LINES,
            tls=client_context() if over_tls else None,
            server_hostname=HOST if over_tls else None,
        )
        async with trio_tcp.open_pool(connect, size=size) as pool:
            yield pool, server
        nursery.cancel_scope.cancel()


async def ask(pool: Pool, replies: int, *, receive: int) -> int:
    """Ask for replies, receive some of them, and return the connection's number."""
    async with pool.connection() as connection:
        await connection.send(str(replies))
        for _ in range(receive):
            assert await connection.receive() == "reply"
        return connection.id


async def wait_for_discarded(pool: Pool) -> dict[DiscardReason, int]:
    while not pool.statistics().discarded:  # noqa: ASYNC110 - the pool has no event
        await trio.lowlevel.checkpoint()
    return dict(pool.statistics().discarded)


over_both = pytest.mark.parametrize("over_tls", [False, True])


@over_both
async def test_one_connection_is_used_again_and_again(*, over_tls: bool) -> None:
    async with pooling(over_tls=over_tls) as (pool, server):
        numbers = {await ask(pool, 1, receive=1) for _ in range(20)}
        assert len(numbers) == 1
        assert server.statistics().accepted == 1


@over_both
async def test_a_connection_that_only_sent_is_used_again(*, over_tls: bool) -> None:
    """Over TLS 1.3 the server's tickets come, of which no message is made."""
    async with pooling(over_tls=over_tls) as (pool, _):
        numbers = {await ask(pool, 0, receive=0) for _ in range(20)}
        assert len(numbers) == 1


@over_both
async def test_many_tasks_share_a_few(*, over_tls: bool) -> None:
    async with pooling(over_tls=over_tls, size=3) as (pool, server):
        async with trio.open_nursery() as nursery:
            for _ in range(60):
                nursery.start_soon(partial(ask, pool, 2, receive=2))
        assert server.statistics().accepted <= 3
        assert pool.statistics().discarded == {}


@over_both
async def test_a_reply_too_many_ends_a_connection(*, over_tls: bool) -> None:
    async with pooling(over_tls=over_tls) as (pool, _):
        first = await ask(pool, 2, receive=1)
        assert await wait_for_discarded(pool) == {DiscardReason.UNREAD: 1}
        assert await ask(pool, 1, receive=1) != first


@over_both
async def test_the_servers_end_ends_an_idle_connection(*, over_tls: bool) -> None:
    async with pooling(over_tls=over_tls) as (pool, server):
        first = await ask(pool, 1, receive=1)
        for connection in server.connections:
            await connection.aclose()
        assert await wait_for_discarded(pool) == {DiscardReason.ENDED: 1}
        assert await ask(pool, 1, receive=1) != first
