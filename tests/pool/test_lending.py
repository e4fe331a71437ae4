"""Which connection is lent, and when one is made for it."""

from __future__ import annotations

import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.pool.backend import Backend, Text, number_of
from tests.pool.pooling import touch


async def test_a_connection_is_made_when_needed_and_used_again(
    backend: Backend,
) -> None:
    async with trio_tcp.open_pool(backend.connect, size=10) as pool:
        await wait_all_tasks_blocked()
        assert not backend.peers
        for _ in range(5):
            assert await touch(pool) == 0
            await wait_all_tasks_blocked()
    assert len(backend.peers) == 1


async def test_one_after_the_other_needs_one_connection(backend: Backend) -> None:
    """Also where it is asked for again at the moment it is given back."""
    async with trio_tcp.open_pool(backend.connect, size=10) as pool:
        for _ in range(40):
            assert await touch(pool) == 0
    assert len(backend.attempts) == 1


async def test_a_dialogue_goes_through(backend: Backend) -> None:
    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        for _ in range(3):
            async with pool.connection() as connection:
                await connection.send("question")
                assert await backend.peers[0].receive_some() == b"question\n"
                await backend.peers[0].send_all(b"answer\n")
                assert await connection.receive() == "answer"
    assert len(backend.peers) == 1


async def test_the_most_recently_used_is_handed_out_first(
    backend: Backend, nursery: trio.Nursery
) -> None:
    async with trio_tcp.open_pool(backend.connect, size=10) as pool:
        leave = [trio.Event() for _ in range(3)]

        async def use(number: int) -> None:
            async with pool.connection():
                await leave[number].wait()

        for number in range(3):
            nursery.start_soon(use, number)
            await wait_all_tasks_blocked()
        for number in (1, 2, 0):
            leave[number].set()
            await wait_all_tasks_blocked()
        async with pool.connection() as first, pool.connection() as second:
            assert [number_of(first), number_of(second)] == [0, 2]
            assert await touch(pool) == 1


async def test_a_connection_made_for_one_who_left_serves_the_next(
    backend: Backend,
) -> None:
    backend.gate = trio.Event()
    async with trio_tcp.open_pool(backend.connect, size=5) as pool:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(touch, pool)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        backend.gate.set()
        await wait_all_tasks_blocked()
        assert pool.statistics().idle == 1
        assert await touch(pool) == 0
    assert len(backend.attempts) == 1


async def test_an_idle_connection_is_not_left_alone_for_one_that_is_being_made(
    backend: Backend, nursery: trio.Nursery
) -> None:
    async with trio_tcp.open_pool(backend.connect, size=2) as pool:
        async with pool.connection():
            backend.gate = trio.Event()
            with trio.CancelScope() as scope:
                nursery.start_soon(cancel_when_all_wait, scope)
                await touch(pool)
        await wait_all_tasks_blocked()
        assert pool.statistics().connecting == 1
        assert await touch(pool) == 0


async def cancel_when_all_wait(scope: trio.CancelScope) -> None:
    await wait_all_tasks_blocked()
    scope.cancel()


async def test_each_connection_is_prepared_once(backend: Backend) -> None:
    prepared: list[int] = []

    async def prepare(connection: Text) -> None:
        prepared.append(number_of(connection))

    async with trio_tcp.open_pool(backend.connect, size=2, prepare=prepare) as pool:
        async with pool.connection(), pool.connection():
            pass
        await wait_all_tasks_blocked()
        await touch(pool)
    assert prepared == [0, 1]
