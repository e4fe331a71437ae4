"""What is read ahead to see the end: a little, which counts as received and as held."""

from __future__ import annotations

from functools import partial

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.disconnecting.pairs import (
    AHEAD,
    LINES,
    Open,
    Text,
    encoded,
    line,
    set_when_gone,
)
from tests.integration.loopback import Record
from trio_tcp import CloseReason, testing


async def test_behind_too_much_the_end_is_out_of_sight_until_it_is_received(
    open_text: Open,
) -> None:
    lines = [line(number) for number in range(200)]
    async with open_text() as (connection, peer):
        async with trio.open_nursery() as nursery:
            gone = trio.Event()
            nursery.start_soon(set_when_gone, connection, gone)
            await peer.send(encoded(*lines))
            await peer.end()
            await wait_all_tasks_blocked()
            assert not gone.is_set()
            assert [await connection.receive() for _ in lines] == lines
            await gone.wait()


@pytest.mark.parametrize("how", ["aclose", "abort"])
async def test_behind_too_much_the_end_on_this_side_is_seen(
    open_text: Open, how: str
) -> None:
    async with open_text() as (connection, peer):
        async with trio.open_nursery() as nursery:
            gone = trio.Event()
            nursery.start_soon(set_when_gone, connection, gone)
            await peer.send(bytes(2 * AHEAD))
            await wait_all_tasks_blocked()
            if how == "abort":
                connection.abort()
            else:
                nursery.start_soon(connection.aclose)
            await gone.wait()
            if how == "aclose":
                await peer.end()


async def test_it_takes_no_more_than_a_little_from_a_peer_that_pours() -> None:
    """What nobody receives waits at the peer, as ever."""
    ours, theirs = testing.memory_stream_pair(capacity=1000)
    async with trio_tcp.open_connection(ours, codec=LINES) as connection:
        sent = 0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.wait_disconnected)

            async def pour() -> None:
                nonlocal sent
                while True:
                    await theirs.send_all(bytes(1000))
                    sent += 1000

            nursery.start_soon(pour)
            await wait_all_tasks_blocked()
            # What is kept, up to a read more, what is on its way, and what waits.
            assert AHEAD <= sent <= AHEAD + 3000
            nursery.cancel_scope.cancel()
        connection.abort()


async def test_what_was_read_ahead_counts_as_held() -> None:
    """Handlers that watch must not be a way round `Limits.max_buffered_bytes`."""
    listener = testing.MemoryListener()
    record = Record()

    async def handler(connection: Text) -> None:
        await connection.wait_disconnected()

    serve = partial(
        trio_tcp.serve_listeners,
        handler,
        [listener],
        codec=LINES,
        limits=trio_tcp.Limits(max_buffered_bytes=100_000),
        observer=record,
    )
    async with trio.open_nursery() as nursery:
        server: trio_tcp.Server = await nursery.start(serve)
        clients = [await listener.connect() for _ in range(3)]
        await clients[0].send_all(b"x" * 30_000)
        await wait_all_tasks_blocked()
        assert server.statistics().bytes_buffered == 30_000
        await clients[1].send_all(b"x" * 50_000)
        await wait_all_tasks_blocked()
        assert server.statistics().bytes_buffered == 80_000
        await clients[2].send_all(b"x" * 40_000)
        with pytest.raises(trio.BrokenResourceError):
            await clients[1].receive_some()
        await wait_all_tasks_blocked()
        assert server.statistics().bytes_buffered == 70_000
        [ended] = record.all(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.EVICTED
        await clients[0].aclose()
        await clients[2].aclose()
        await record.wait(trio_tcp.ConnectionEnded, 3)
        assert server.statistics().bytes_buffered == 0
        await server.drain()


async def test_statistics_count_what_was_read_ahead(open_text: Open) -> None:
    async with open_text() as (connection, peer):
        await peer.send(b"one\ntwo\n")
        await peer.end()
        await connection.wait_disconnected()
        assert connection.statistics().bytes_received == 8
        assert await connection.receive() == "one"
        assert connection.statistics().bytes_received == 8
