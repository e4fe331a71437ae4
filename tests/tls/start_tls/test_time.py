"""The time that a handshake has, and the time for what is sent meanwhile, after it."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.tls.start_tls.starting import Side, each_side, is_broken, one_end, other_side
from trio_tcp import CloseReason


@each_side
async def test_a_handshake_has_its_time(side: Side, autojump_clock: MockClock) -> None:
    """The connection's own, as it is at that moment."""
    async with one_end(timeouts=trio_tcp.Timeouts(handshake=5)) as (connection, _):
        connection.timeouts = trio_tcp.Timeouts(handshake=12, idle=1, message=1)
        with pytest.raises(trio_tcp.PeerTooSlowError) as caught:
            await side(connection)
        assert trio.current_time() == 12
        assert caught.value.timeout == "handshake"
        assert caught.value.seconds == 12
        assert caught.value.connection_id == connection.id
        assert connection.close_reason is CloseReason.TIMED_OUT
        await is_broken(connection, trio_tcp.PeerTooSlowError, "TLS handshake")
        assert trio.current_time() == 12


@each_side
async def test_what_is_sent_meanwhile_waits_as_long_as_the_handshake(
    side: Side, autojump_clock: MockClock
) -> None:
    """Nobody has asked the peer to take it, so it is not late with that."""
    timeouts = trio_tcp.Timeouts(handshake=100, write=10)
    async with one_end(timeouts=timeouts) as (connection, stream):
        peer = other_side(side, stream)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(side, connection)
            await wait_all_tasks_blocked()
            await connection.send("hello")
            await trio.sleep(50)
            await peer.shake_hands()
            assert await peer.receive() == b"hello\n"


@each_side
async def test_the_time_to_take_it_begins_with_the_end_of_the_handshake(
    side: Side, autojump_clock: MockClock
) -> None:
    timeouts = trio_tcp.Timeouts(handshake=100, write=10)
    async with one_end(capacity=5000, timeouts=timeouts) as (connection, stream):
        peer = other_side(side, stream)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(side, connection)
            await wait_all_tasks_blocked()
            await connection.send("x" * 50_000)
            await trio.sleep(50)
            await peer.shake_hands()
        with pytest.raises(trio_tcp.PeerTooSlowError) as caught:
            await connection.flush()
        assert caught.value.timeout == "write"
        assert trio.current_time() == 60
        assert connection.close_reason is CloseReason.TIMED_OUT
