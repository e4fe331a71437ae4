"""Never more connections than allowed: others wait in line, and are counted."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.pool.backend import Backend
from tests.pool.pooling import touch


async def hold(pool: trio_tcp.Pool[str, str]) -> None:
    """Hold a connection until cancelled."""
    async with pool.connection():
        await trio.sleep_forever()


async def test_there_are_never_more_than_size_and_those_who_wait_come_in_turn(
    backend: Backend,
) -> None:
    asked: list[int] = []
    served: list[int] = []
    async with trio_tcp.open_pool(backend.connect, size=3) as pool:

        async def use(number: int) -> None:
            asked.append(number)
            async with pool.connection():
                served.append(number)
                for _ in range(number % 4):
                    await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(use, number)
    assert backend.most_open == 3
    assert len(served) == 50
    # Those who are served at the same moment run in any order.
    places = [asked.index(number) for number in served]
    assert all(abs(place - turn) < 3 for turn, place in enumerate(places))


async def test_a_connection_that_closes_still_counts(
    backend: Backend, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """The peer does not close its side: the graceful close takes its time."""
    backend.linger = 5
    async with trio_tcp.open_pool(backend.connect, size=1, max_idle=1) as pool:
        await touch(pool)
        await trio.sleep(2)
        assert pool.statistics().open == backend.open == 1
        assert await touch(pool) == 1
        assert backend.most_open == 1
        assert trio.current_time() == pytest.approx(6, abs=0.1)


async def test_whoever_leaves_the_line_is_passed_over(
    backend: Backend, nursery: trio.Nursery
) -> None:
    served: list[str] = []

    async def use(name: str, scope: trio.CancelScope) -> None:
        with scope:
            async with pool.connection():
                served.append(name)

    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        async with pool.connection():
            scopes = {name: trio.CancelScope() for name in "abc"}
            for name, scope in scopes.items():
                nursery.start_soon(use, name, scope)
                await wait_all_tasks_blocked()
            scopes["b"].cancel()
            await wait_all_tasks_blocked()
            assert pool.statistics().waiting == 2
        await wait_all_tasks_blocked()
        assert served == ["a", "c"]


async def test_who_is_cancelled_as_he_is_served_gives_it_back_or_has_not_got_it(
    backend: Backend, autojump_clock: MockClock
) -> None:
    for _ in range(40):
        async with trio_tcp.open_pool(backend.connect, size=1) as pool:
            async with trio.open_nursery() as nursery:
                async with pool.connection():
                    nursery.start_soon(touch, pool)
                    await wait_all_tasks_blocked()
                    nursery.cancel_scope.cancel()
            with trio.fail_after(1):
                await touch(pool)


async def test_asking_when_already_cancelled_starts_nothing(backend: Backend) -> None:
    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        with trio.CancelScope() as scope:
            scope.cancel()
            await touch(pool)
        await wait_all_tasks_blocked()
        assert not backend.attempts


async def test_statistics_tell_who_is_where(
    backend: Backend, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async with trio_tcp.open_pool(backend.connect, size=3) as pool:
        async with pool.connection():
            nursery.start_soon(hold, pool)
            await wait_all_tasks_blocked()
        await wait_all_tasks_blocked()
        backend.gate = trio.Event()
        for _ in range(3):
            nursery.start_soon(hold, pool)
        await wait_all_tasks_blocked()
        await trio.sleep(2)
        assert pool.statistics() == trio_tcp.PoolStatistics(
            open=2,
            idle=0,
            in_use=2,
            connecting=1,
            waiting=2,
            longest_wait=2,
            made=2,
            discarded={},
        )
        nursery.cancel_scope.cancel()
