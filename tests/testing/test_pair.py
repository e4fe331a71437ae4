"""Connections for tests are like any others."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

import trio_tcp
from trio_tcp import codecs, testing


async def echo(connection: trio_tcp.Connection[str, str]) -> None:
    async for line in connection:
        await connection.send(line)


async def test_a_pair_talks_in_both_directions(autojump_clock: MockClock) -> None:
    async with testing.connection_pair(codecs.Lines()) as (here, there):
        await here.send("hello")
        assert await there.receive() == "hello"
        await there.send("hi")
        assert await here.receive() == "hi"
    assert trio.current_time() == 0  # neither had to linger for the other


async def test_the_pairs_buffer_is_bounded() -> None:
    async with testing.connection_pair(codecs.Lines(), capacity=10) as (here, there):
        await here.send("x" * 65_000)
        await here.send("x" * 1000)
        with pytest.raises(trio.WouldBlock):
            here.send_nowait("one too many")
        assert [await there.receive() for _ in range(2)] == ["x" * 65_000, "x" * 1000]


async def test_many_clients_connect_to_a_server_in_memory() -> None:
    async with testing.serve_in_memory(echo, codecs.Lines()) as served:
        async with trio.open_nursery() as nursery:
            for name in range(20):
                nursery.start_soon(_ask, served, f"client {name}")
        assert served.server.statistics().accepted == 20


async def _ask(served: testing.MemoryServer[str], question: str) -> None:
    async with served.connect() as client:
        await client.send(question)
        assert await client.receive() == question


async def test_what_a_test_raises_leaves_as_itself() -> None:
    with pytest.raises(LookupError):
        async with testing.connection_pair(codecs.Lines()):
            raise LookupError
    with pytest.raises(LookupError):
        async with testing.serve_in_memory(echo, codecs.Lines()) as served:
            async with served.connect():
                raise LookupError
