"""Clients that do not read: they wait, and cost no more than they may."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Generator
from contextlib import contextmanager

import pytest
import trio

import trio_tcp
from tests.integration.loopback import LOOPBACK, connect, start_server, until
from trio_tcp import codecs

PREFIXED = codecs.LengthPrefixed()

HIGH_WATER = 64 << 10
MEMORY_LIMIT = HIGH_WATER + (64 << 10)
READERS = 10


async def pour(connection: trio_tcp.Connection[bytes, bytes]) -> None:
    """Send the same message again and again, once it is known."""
    message = await connection.receive()
    while True:
        await connection.send(message)


def all_are_full(server: trio_tcp.Server, count: int) -> bool:
    """Say if there are so many connections, and the queue of each is full."""
    queued = [each.statistics().bytes_queued for each in server.connections]
    return len(queued) == count and min(queued) >= HIGH_WATER


async def test_sending_waits_for_a_client_that_does_not_read(
    nursery: trio.Nursery,
) -> None:
    """The queue takes one message over its mark, and no more; it goes on by itself."""
    message = bytes(1000)
    queued: list[int] = []

    async def pour_a_million(connection: trio_tcp.Connection[bytes, bytes]) -> None:
        for _ in range(1000):
            await connection.send(message)
            queued.append(connection.statistics().bytes_queued)

    server = await start_server(nursery, pour_a_million, PREFIXED, small_buffers=True)
    frame = PREFIXED.encode(message)
    async with trio_tcp.connect_tcp(
        LOOPBACK, server.port, codec=PREFIXED
    ) as connection:
        await until(lambda: all_are_full(server, 1))
        assert len(queued) < 1000
        assert [answer async for answer in connection] == [message] * 1000
    assert HIGH_WATER <= max(queued) < HIGH_WATER + len(frame)


@contextmanager
def traced_memory() -> Generator[None, None, None]:
    """Trace what is allocated in the block."""
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [1, 16, 64, 1000, 10_000])
async def test_a_client_that_does_not_read_costs_a_bounded_amount_of_memory(
    nursery: trio.Nursery, size: int
) -> None:
    """No more than the high-water mark and 64 KiB, however small the messages are."""
    server = await start_server(nursery, pour, PREFIXED, small_buffers=True)
    streams = [connect(server.port, small_buffers=True) for _ in range(READERS)]
    try:
        await until(lambda: len(server.connections) == READERS)
        gc.collect()
        with traced_memory():
            for stream in streams:
                await stream.send_all(PREFIXED.encode(bytes(size)))
            await until(lambda: all_are_full(server, READERS))
            gc.collect()
            used, _ = tracemalloc.get_traced_memory()
        assert HIGH_WATER < used / READERS < MEMORY_LIMIT
    finally:
        for stream in streams:
            await trio.aclose_forcefully(stream)


async def test_clients_that_do_not_read_do_not_slow_the_others(
    nursery: trio.Nursery,
) -> None:
    """One that does gets its messages while the others are full."""
    server = await start_server(nursery, pour, PREFIXED, small_buffers=True)
    streams = [connect(server.port, small_buffers=True) for _ in range(READERS)]
    try:
        for stream in streams:
            await stream.send_all(PREFIXED.encode(bytes(1000)))
        await until(lambda: all_are_full(server, READERS))
        async with trio_tcp.connect_tcp(
            LOOPBACK, server.port, codec=PREFIXED
        ) as reader:
            await reader.send(b"hello")
            for _ in range(1000):
                assert await reader.receive() == b"hello"
            reader.abort()
    finally:
        for stream in streams:
            await trio.aclose_forcefully(stream)
