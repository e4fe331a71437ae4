"""What is given back, and is not for the next one: begun, unread, ended."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.pool.backend import Backend, Text, number_of
from tests.pool.pooling import discarded, touch
from trio_tcp import DiscardReason


async def test_a_block_that_raises_discards(backend: Backend) -> None:
    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        error = KeyError("mine")
        with pytest.raises(KeyError) as caught:
            async with pool.connection():
                raise error
        assert caught.value is error
        assert await touch(pool) == 1
        assert discarded(pool) == {DiscardReason.UNFINISHED: 1}
        with pytest.raises(trio.BrokenResourceError):
            await backend.peers[0].receive_some()


async def test_a_block_that_is_cancelled_discards_and_does_not_wait(
    backend: Backend, autojump_clock: MockClock
) -> None:
    """Closing gracefully would take seconds: this peer does not close."""
    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        with trio.move_on_after(1):
            async with pool.connection() as connection:
                await connection.send("question")
                await connection.receive()
        assert trio.current_time() == pytest.approx(1)
        assert await touch(pool) == 1
        assert trio.current_time() == pytest.approx(1)
        assert discarded(pool) == {DiscardReason.UNFINISHED: 1}


async def test_a_scope_inside_the_block_that_cancels_receive_discards(
    backend: Backend, autojump_clock: MockClock
) -> None:
    """The reply will come, and must not be the next one's."""
    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        async with pool.connection() as connection:
            await connection.send("question")
            with trio.move_on_after(1):
                await connection.receive()
        assert await touch(pool) == 1
        assert discarded(pool) == {DiscardReason.UNFINISHED: 1}


async def test_a_receive_that_was_cancelled_before_it_began_discards(
    backend: Backend,
) -> None:
    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        async with pool.connection() as connection:
            with trio.CancelScope() as scope:
                await connection.send("question")
                scope.cancel()
                await connection.receive()
        assert await touch(pool) == 1


async def test_other_waits_in_the_block_may_be_cancelled(
    backend: Backend, autojump_clock: MockClock
) -> None:
    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        async with pool.connection():
            with trio.move_on_after(1):
                await trio.sleep_forever()
        assert await touch(pool) == 0


@pytest.mark.parametrize("opaque", [False, True])
@pytest.mark.parametrize("sent", [b"late\n", b"half", b"two\nlines\n"])
async def test_a_reply_that_nobody_received_is_not_the_next_ones(
    backend: Backend, sent: bytes, *, opaque: bool
) -> None:
    """Though the next one waits, and gets his connection as soon as it is free."""
    backend.opaque = opaque
    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        async with trio.open_nursery() as nursery:
            async with pool.connection():
                await backend.peers[0].send_all(sent)
                nursery.start_soon(touch, pool)
                await wait_all_tasks_blocked()
        assert len(backend.peers) == 2
        assert discarded(pool) == {DiscardReason.UNREAD: 1}


@pytest.mark.parametrize("opaque", [False, True])
async def test_nor_is_it_on_a_machine_so_busy_that_time_jumps(
    backend: Backend, autojump_clock: MockClock, *, opaque: bool
) -> None:
    backend.opaque = opaque

    async def let_time_fly() -> None:
        while True:
            autojump_clock.jump(1)
            await trio.lowlevel.checkpoint()

    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        async with trio.open_nursery() as nursery:
            async with pool.connection():
                await backend.peers[0].send_all(b"late\n")
                nursery.start_soon(let_time_fly)
            assert await touch(pool) == 1
            nursery.cancel_scope.cancel()
        assert discarded(pool) == {DiscardReason.UNREAD: 1}


async def test_a_reply_that_was_read_with_another_is_not_the_next_ones(
    backend: Backend,
) -> None:
    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        async with pool.connection() as connection:
            await backend.peers[0].send_all(b"one\ntwo\n")
            assert await connection.receive() == "one"
        assert await touch(pool) == 1
        assert discarded(pool) == {DiscardReason.UNREAD: 1}


async def test_what_was_read_ahead_is_not_the_next_ones(backend: Backend) -> None:
    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        async with pool.connection() as connection:
            async with connection.cancel_on_disconnect():
                await backend.peers[0].send_all(b"early\n")
                await wait_all_tasks_blocked()
        assert await touch(pool) == 1
        assert discarded(pool) == {DiscardReason.UNREAD: 1}


@pytest.mark.parametrize("how", ["abort", "aclose", "send_eof", "detach", "reset"])
async def test_a_connection_that_is_not_open_any_more_is_not_handed_out(
    backend: Backend, how: str
) -> None:
    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        async with pool.connection() as connection:
            match how:
                case "abort":
                    connection.abort()
                case "aclose":
                    await connection.aclose()
                case "send_eof":
                    await connection.send_eof()
                case "detach":
                    stream, _ = await connection.detach()
                    await stream.aclose()
                case _:
                    backend.peers[0].reset()
                    with pytest.raises(trio_tcp.ConnectionBroken):
                        await connection.receive()
        async with pool.connection() as connection:
            assert number_of(connection) == 1
            await connection.send("it works")
        assert discarded(pool) == {DiscardReason.ENDED: 1}


async def test_a_connection_that_another_task_receives_from_is_not_handed_out(
    backend: Backend, nursery: trio.Nursery
) -> None:
    async def receive(connection: Text) -> None:
        with pytest.raises(trio.ClosedResourceError):
            await connection.receive()

    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        async with pool.connection() as connection:
            nursery.start_soon(receive, connection)
            await wait_all_tasks_blocked()
        assert await touch(pool) == 1
        assert discarded(pool) == {DiscardReason.UNFINISHED: 1}


async def test_a_task_that_goes_on_with_it_does_not_disturb_the_pool(
    backend: Backend, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async def receive(connection: Text) -> None:
        with pytest.raises((trio.BusyResourceError, trio.ClosedResourceError)):
            await connection.receive()

    backend.opaque = True  # so that the pool has to receive, too
    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        for _ in range(20):
            async with pool.connection() as connection:
                nursery.start_soon(receive, connection)
            await touch(pool)
