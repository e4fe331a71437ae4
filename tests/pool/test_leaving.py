"""The end of the pool's block: how connections end, and who is told."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.pool.backend import Backend
from tests.pool.pooling import touch


async def test_at_the_end_idle_connections_are_closed_gracefully(
    backend: Backend,
) -> None:
    async with trio_tcp.open_pool(backend.connect, size=2) as pool:
        async with pool.connection() as first, pool.connection():
            await first.send("goodbye")
    assert backend.open == 0
    assert await backend.peers[0].receive_some() == b"goodbye\n"
    assert await backend.peers[0].receive_some() == b""
    assert await backend.peers[1].receive_some() == b""


async def test_at_the_end_whoever_uses_or_waits_is_told(
    backend: Backend, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    told: list[str] = []

    async def use() -> None:
        with pytest.raises(trio_tcp.ConnectionClosedError):
            async with pool.connection() as connection:
                await connection.receive()
        told.append("in use")

    async def wait() -> None:
        with pytest.raises(trio_tcp.PoolClosedError):
            await touch(pool)
        told.append("waiting")

    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        nursery.start_soon(use)
        await wait_all_tasks_blocked()
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
    assert trio.current_time() == 0
    assert backend.open == 0
    await wait_all_tasks_blocked()
    assert sorted(told) == ["in use", "waiting"]
    with pytest.raises(trio.ClosedResourceError):
        await touch(pool)


async def test_at_the_end_attempts_are_broken_off(
    backend: Backend, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async def wait() -> None:
        with pytest.raises(trio_tcp.PoolClosedError):
            await touch(pool)

    backend.gate = trio.Event()
    async with trio_tcp.open_pool(backend.connect, size=3) as pool:
        for _ in range(3):
            nursery.start_soon(wait)
        await wait_all_tasks_blocked()
    assert trio.current_time() == 0


@pytest.mark.parametrize(
    "error",
    [
        ValueError("mine"),
        KeyboardInterrupt("mine"),
        ExceptionGroup("mine", [ValueError(), KeyError()]),
    ],
)
async def test_what_the_block_raises_leaves_as_itself(
    backend: Backend, error: BaseException, autojump_clock: MockClock
) -> None:
    with pytest.raises(type(error)) as caught:
        async with trio_tcp.open_pool(backend.connect, size=3) as pool:
            await touch(pool)
            async with pool.connection():
                raise error
    assert caught.value is error
    assert backend.open == 0
    assert trio.current_time() == 0


async def test_a_cancelled_pool_does_not_wait(
    backend: Backend, autojump_clock: MockClock
) -> None:
    with trio.move_on_after(1):
        async with trio_tcp.open_pool(backend.connect, size=3) as pool:
            async with pool.connection(), pool.connection():
                pass
            await trio.sleep_forever()
    assert backend.open == 0
    assert trio.current_time() == 1


async def test_when_the_pool_is_cancelled_whoever_waits_outside_is_told_at_once(
    backend: Backend, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Though the pool's block takes its time to end."""
    told: list[float] = []

    async def wait() -> None:
        with pytest.raises(trio_tcp.PoolClosedError):
            await touch(pool)
        told.append(trio.current_time())

    backend.gate = trio.Event()
    with trio.move_on_after(1):
        async with trio_tcp.open_pool(backend.connect, size=1) as pool:
            nursery.start_soon(wait)
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(5)
    assert told == [1]
