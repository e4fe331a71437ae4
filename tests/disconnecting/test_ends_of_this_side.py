"""The ends that this side makes: whoever watches is told, and is not in their way."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.disconnecting.pairs import LINES, ORDERS, Open, Text, line, set_when_gone
from trio_tcp import CloseReason, Timeouts, testing


@pytest.mark.parametrize("how", ["aclose", "abort"])
async def test_closing_on_this_side_is_an_end_too(open_text: Open, how: str) -> None:
    async with open_text() as (connection, peer):
        async with trio.open_nursery() as nursery:
            gone = trio.Event()
            nursery.start_soon(set_when_gone, connection, gone)
            await wait_all_tasks_blocked()
            if how == "abort":
                connection.abort()
            else:
                # The peer does not close: nobody waits for that here.
                nursery.start_soon(connection.aclose)
            await gone.wait()
            if how == "aclose":
                await peer.end()
    await connection.wait_disconnected()


@pytest.mark.parametrize("how", ["aclose", "abort"])
async def test_whoever_begins_to_receive_as_it_is_closed_is_sent_away_at_once(
    open_text: Open, how: str
) -> None:
    """Also while the one that watches has not yet left the stream to the receiver."""
    for _ in range(ORDERS):
        async with open_text() as (connection, peer):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(connection.wait_disconnected)
                await wait_all_tasks_blocked()
                sent_away = trio.Event()

                async def receive(
                    connection: Text = connection, sent_away: trio.Event = sent_away
                ) -> None:
                    with pytest.raises(trio_tcp.ConnectionClosedError):
                        await connection.receive()
                    sent_away.set()

                async def close(connection: Text = connection) -> None:
                    if how == "abort":
                        await trio.lowlevel.checkpoint()
                        connection.abort()
                    else:
                        await connection.aclose()

                nursery.start_soon(receive)
                nursery.start_soon(close)
                await sent_away.wait()
                if how == "aclose":
                    assert await peer.receive() == b""
                    await peer.end()


async def test_an_abort_during_a_close_ends_it_at_once_whenever_it_comes(
    autojump_clock: MockClock,
) -> None:
    """Also before the receiver has noticed that it is being closed."""
    for passes in [*range(6)] * 10:  # Trio runs the tasks of a pass in either order
        ours, _theirs = testing.memory_stream_pair()
        async with trio_tcp.open_connection(ours, codec=LINES) as connection:

            async def receive(connection: Text = connection) -> None:
                with pytest.raises(trio_tcp.ConnectionClosedError):
                    await connection.receive()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(connection.wait_disconnected)
                await wait_all_tasks_blocked()
                nursery.start_soon(receive)
                await trio.lowlevel.checkpoint()
                nursery.start_soon(connection.aclose)
                for _ in range(passes):
                    await trio.lowlevel.checkpoint()
                connection.abort()
    assert trio.current_time() == 0


async def test_timeouts_go_on_while_somebody_watches(autojump_clock: MockClock) -> None:
    timeouts = Timeouts(idle=7, message=3)
    for begun in (b"", b"unfin"):
        ours, theirs = testing.memory_stream_pair()
        began_at = trio.current_time()
        async with trio_tcp.open_connection(
            ours, codec=LINES, timeouts=timeouts
        ) as connection:
            await theirs.send_all(begun)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(connection.wait_disconnected)
                await wait_all_tasks_blocked()
                with pytest.raises(trio_tcp.PeerTooSlowError) as caught:
                    await connection.receive()
                nursery.cancel_scope.cancel()
            waited = trio.current_time() - began_at
            assert waited == pytest.approx(caught.value.seconds)
            assert caught.value.timeout == ("message" if begun else "idle")
            connection.abort()


async def test_a_timeout_of_nothing_is_noticed_by_who_begins_to_receive(
    autojump_clock: MockClock,
) -> None:
    """It runs out before the one that watches has left the stream to the receiver."""
    for _ in range(ORDERS):
        ours, _theirs = testing.memory_stream_pair()
        async with trio_tcp.open_connection(
            ours, codec=LINES, timeouts=Timeouts(idle=0)
        ) as connection:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(connection.wait_disconnected)
                await wait_all_tasks_blocked()
                with pytest.raises(trio_tcp.PeerTooSlowError):
                    await connection.receive()
                nursery.cancel_scope.cancel()
            connection.abort()


async def test_a_write_that_is_given_up_is_an_end(autojump_clock: MockClock) -> None:
    ours, _theirs = testing.memory_stream_pair(capacity=100)
    async with trio_tcp.open_connection(
        ours, codec=LINES, timeouts=Timeouts(write=5)
    ) as connection:
        await connection.send(line(1))
        await connection.wait_disconnected()
        assert trio.current_time() == 5
        assert connection.close_reason is CloseReason.TIMED_OUT


async def test_an_eviction_is_an_end() -> None:
    listener = testing.MemoryListener()
    seen: list[CloseReason | None] = []

    async def handler(connection: Text) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.wait_disconnected)
            with suppress(trio_tcp.EvictedError):
                await connection.receive()
        seen.append(connection.close_reason)

    serve = partial(
        trio_tcp.serve_listeners,
        handler,
        [listener],
        codec=LINES,
        limits=trio_tcp.Limits(max_buffered_bytes=10_000),
    )
    async with trio.open_nursery() as nursery:
        server: trio_tcp.Server = await nursery.start(serve)
        client = await listener.connect()
        await client.send_all(b"x" * 20_000)
        with pytest.raises(trio.BrokenResourceError):
            await client.receive_some()
        assert seen == [CloseReason.EVICTED]
        await server.drain()
