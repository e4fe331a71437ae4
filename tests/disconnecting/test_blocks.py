"""A block that is cancelled when the connection has ended, and only then."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.disconnecting.pairs import LINES, Open, encoded, line, work
from trio_tcp import testing


@pytest.mark.parametrize("how", ["end", "reset"])
async def test_a_block_is_cancelled_when_the_peer_is_gone(
    open_text: Open, how: str
) -> None:
    async with open_text() as (connection, peer):
        async with connection.cancel_on_disconnect() as scope:
            await wait_all_tasks_blocked()
            await (peer.end() if how == "end" else peer.reset())
            await work()
        assert scope.cancelled_caught


async def test_a_block_that_is_done_first_leaves_the_connection_as_it_was(
    open_text: Open,
) -> None:
    async with open_text() as (connection, peer):
        for number in range(3):
            async with connection.cancel_on_disconnect() as scope:
                await peer.send(b"%d\n" % number)
                await wait_all_tasks_blocked()
            assert not scope.cancelled_caught
            assert await connection.receive() == str(number)
            await connection.send("thanks")
            assert await peer.receive() == b"thanks\n"
        await peer.end()
        with pytest.raises(trio_tcp.PeerClosed):
            await connection.receive()


async def test_the_end_after_a_block_is_none_of_its_business(open_text: Open) -> None:
    async with open_text() as (connection, peer):
        async with connection.cancel_on_disconnect() as scope:
            await wait_all_tasks_blocked()
        await peer.end()
        await connection.wait_disconnected()
        assert not scope.cancelled_caught
        assert not scope.cancel_called


async def test_what_comes_meanwhile_can_be_received_in_the_block(
    open_text: Open,
) -> None:
    lines = [line(number) for number in range(100)]
    received: list[str] = []
    async with open_text() as (connection, peer):
        async with trio.open_nursery() as nursery:

            async def talk() -> None:
                for text in lines:
                    await peer.send(encoded(text))
                    await peer.receive()
                await peer.end()

            nursery.start_soon(talk)
            async with connection.cancel_on_disconnect() as scope:
                for _ in lines:
                    received.append(await connection.receive())
                    await connection.send("next")
                await work()
            assert scope.cancelled_caught
        assert received == lines


async def test_blocks_inside_each_other_are_all_cancelled(open_text: Open) -> None:
    async with open_text() as (connection, peer):
        async with connection.cancel_on_disconnect() as outer:
            async with connection.cancel_on_disconnect() as inner:
                await wait_all_tasks_blocked()
                await peer.end()
                await work()
            await work()
        assert inner.cancel_called
        assert outer.cancelled_caught


async def test_of_blocks_inside_each_other_the_outer_one_goes_on(
    open_text: Open,
) -> None:
    async with open_text() as (connection, peer):
        async with connection.cancel_on_disconnect() as outer:
            async with connection.cancel_on_disconnect() as inner:
                await wait_all_tasks_blocked()
            await wait_all_tasks_blocked()
            await peer.send(b"still there\n")
            assert await connection.receive() == "still there"
            await peer.end()
            await work()
        assert not inner.cancelled_caught
        assert outer.cancelled_caught


async def test_a_close_inside_the_block_delivers_everything() -> None:
    """It is this side's own doing, and graceful: not the peer's end."""
    ours, theirs = testing.memory_stream_pair(capacity=100)
    received = b""
    lines = [line(number) for number in range(20)]

    async def read_slowly() -> None:
        nonlocal received
        while chunk := await theirs.receive_some(50):
            received += chunk
            await trio.lowlevel.checkpoint()
        await theirs.aclose()

    async with trio_tcp.open_connection(ours, codec=LINES) as connection:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_slowly)
            async with connection.cancel_on_disconnect():
                for text in lines:
                    await connection.send(text)
                await connection.aclose()
    assert received == encoded(*lines)


@pytest.mark.parametrize("how", ["aclose", "abort"])
async def test_a_close_by_another_task_cancels_the_block(
    open_text: Open, how: str
) -> None:
    async with open_text() as (connection, peer):
        async with trio.open_nursery() as nursery:

            async def close() -> None:
                await wait_all_tasks_blocked()
                if how == "abort":
                    connection.abort()
                else:
                    await peer.end()
                    await connection.aclose()

            nursery.start_soon(close)
            async with connection.cancel_on_disconnect() as scope:
                await work()
            assert scope.cancelled_caught
