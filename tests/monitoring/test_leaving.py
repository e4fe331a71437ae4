"""A server that is about to go says so first, and is as before until then."""

from __future__ import annotations

import signal
from functools import partial

import pytest
import trio
from trio.testing import MockClock

import trio_tcp
from trio_tcp import ServerState, codecs, testing

CODEC = codecs.Lines()


async def echo(connection: trio_tcp.Connection[str, str]) -> None:
    async for line in connection:
        await connection.send(line)


async def test_a_signal_is_followed_by_the_delay_and_then_the_drain(
    autojump_clock: MockClock,
) -> None:
    listener = testing.MemoryListener()
    serve = partial(trio_tcp.serve_listeners, echo, [listener], codec=CODEC)
    async with trio.open_nursery() as nursery:
        server: trio_tcp.Server = await nursery.start(
            partial(trio_tcp.serve_until_signalled, serve, drain_delay=5)
        )
        signal.raise_signal(signal.SIGTERM)
        for _ in range(2):
            await trio.sleep(2)
            assert server.state is ServerState.LEAVING
            stream = await listener.connect()
            async with trio_tcp.open_connection(stream, codec=CODEC) as client:
                await client.send("late")
                assert await client.receive() == "late"
        await trio.sleep(2)
        assert server.state is ServerState.STOPPED


async def test_without_a_delay_the_drain_begins_at_once(
    autojump_clock: MockClock,
) -> None:
    listener = testing.MemoryListener()
    serve = partial(trio_tcp.serve_listeners, echo, [listener], codec=CODEC)
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(trio_tcp.serve_until_signalled, serve))
        signal.raise_signal(signal.SIGTERM)
    assert trio.current_time() == began


async def test_a_delay_that_makes_no_sense_is_refused_at_once() -> None:
    serve = partial(trio_tcp.serve_tcp, echo, 0, codec=CODEC)
    for delay in (-1, float("nan")):
        with pytest.raises(ValueError, match="drain_delay"):
            await trio_tcp.serve_until_signalled(serve, drain_delay=delay)


async def test_a_state_is_left_for_the_next_one(autojump_clock: MockClock) -> None:
    """And a server that leaves may still be suspended, and resumed."""
    states: list[ServerState] = []

    async def slowly(connection: trio_tcp.Connection[str, str]) -> None:
        await connection.receive()
        await trio.sleep(5)

    async with testing.serve_in_memory(slowly, CODEC) as served:
        server = served.server
        states.append(server.state)
        server.suspend()
        states.append(server.state)
        server.announce_drain()
        states.append(server.state)
        server.resume()
        states.append(server.state)
        async with served.connect() as client, trio.open_nursery() as nursery:
            await client.send("a")
            await trio.sleep(1)
            nursery.start_soon(server.drain)
            await trio.sleep(1)
            states.append(server.state)
            with pytest.raises(trio_tcp.PeerClosed):
                await client.receive()
    states.append(server.state)
    assert states == [
        ServerState.ACCEPTING,
        ServerState.SUSPENDED,
        ServerState.LEAVING,
        ServerState.LEAVING,
        ServerState.DRAINING,
        ServerState.STOPPED,
    ]
