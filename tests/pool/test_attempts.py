"""When a server is asked again for a connection: not too often, for all together."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.pool.backend import Backend
from tests.pool.pooling import discarded, touch
from trio_tcp import Backoff, DiscardReason

STEADY = Backoff(initial=1, factor=1, jitter="none")


async def test_those_who_wait_share_one_backoff(
    backend: Backend, autojump_clock: MockClock
) -> None:
    backend.refuse_with = ConnectionRefusedError("down")
    async with trio_tcp.open_pool(backend.connect, size=10, backoff=STEADY) as pool:
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(touch, pool)
            await trio.sleep(5.5)
            assert backend.attempts == [0, 1, 2, 3, 4, 5]
            assert pool.statistics().waiting == 10
            assert pool.statistics().longest_wait == 5.5
            assert isinstance(pool.state, trio_tcp.Waiting)
            assert pool.state.error is backend.refuse_with
            backend.refuse_with = None
        assert trio.current_time() == pytest.approx(6)


async def test_whoever_waits_waits_as_long_as_he_wants(
    backend: Backend, autojump_clock: MockClock
) -> None:
    backend.refuse_with = ConnectionRefusedError("down")
    async with trio_tcp.open_pool(backend.connect, size=1, backoff=STEADY) as pool:
        with pytest.raises(trio.TooSlowError):
            with trio.fail_after(3.5):
                await touch(pool)
        assert trio.current_time() == 3.5


async def test_a_server_that_nobody_wants_is_not_asked(
    backend: Backend, autojump_clock: MockClock
) -> None:
    backend.refuse_with = ConnectionRefusedError("down")
    async with trio_tcp.open_pool(backend.connect, size=5, backoff=STEADY) as pool:
        with trio.move_on_after(2.5):
            async with trio.open_nursery() as nursery:
                for _ in range(5):
                    nursery.start_soon(touch, pool)
        await trio.sleep(100)
        assert backend.attempts == [0, 1, 2]
        assert pool.statistics().connecting == 0
        backend.refuse_with = None
        await touch(pool)
        assert len(backend.peers) == 1


async def test_a_server_that_closes_idle_connections_is_not_down(
    backend: Backend, autojump_clock: MockClock
) -> None:
    async with trio_tcp.open_pool(backend.connect, size=1, backoff=STEADY) as pool:
        for number in range(5):
            assert await touch(pool) == number
            await trio.sleep(0.25)
            await backend.peers[number].aclose()
            await wait_all_tasks_blocked()
        assert trio.current_time() == 1.25


async def test_a_server_that_closes_every_new_connection_is_not_asked_at_once_again(
    backend: Backend, autojump_clock: MockClock
) -> None:
    async with trio_tcp.open_pool(backend.connect, size=1, backoff=STEADY) as pool:
        for number in range(3):
            with pytest.raises(trio_tcp.ConnectionBroken):
                async with pool.connection() as connection:
                    backend.peers[number].reset()
                    await connection.receive()
        assert backend.attempts == [0, 1, 2]
        await wait_all_tasks_blocked()
        assert discarded(pool) == {DiscardReason.ENDED: 3}


async def test_a_connection_that_has_served_may_break_and_the_next_is_made_at_once(
    backend: Backend, autojump_clock: MockClock
) -> None:
    async with trio_tcp.open_pool(backend.connect, size=1, backoff=STEADY) as pool:
        await touch(pool)
        with pytest.raises(trio_tcp.ConnectionBroken):
            async with pool.connection() as connection:
                backend.peers[0].reset()
                await connection.receive()
        await touch(pool)
        assert backend.attempts == [0, 0]


async def test_an_end_before_it_was_ever_used_is_no_reason_to_wait(
    backend: Backend, autojump_clock: MockClock
) -> None:
    backend.gate = trio.Event()
    async with trio_tcp.open_pool(backend.connect, size=1, backoff=STEADY) as pool:
        with trio.move_on_after(1):
            await touch(pool)
        backend.gate.set()
        await wait_all_tasks_blocked()
        await backend.peers[0].aclose()
        await wait_all_tasks_blocked()
        await touch(pool)
        assert backend.attempts == [0, 1]
