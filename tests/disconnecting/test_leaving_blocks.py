"""What leaves a block that the end may cancel: it leaves as itself."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.disconnecting.pairs import ORDERS, Open, work


async def test_an_end_that_is_received_in_the_block_leaves_it_as_itself(
    open_text: Open,
) -> None:
    """Or cancels it: both are there at the same moment."""
    for _ in range(ORDERS):
        async with open_text() as (connection, peer):
            await peer.end()
            with suppress(trio_tcp.PeerClosed):
                async with connection.cancel_on_disconnect() as scope:
                    await connection.receive()
                assert scope.cancelled_caught


@pytest.mark.parametrize(
    "error",
    [
        ValueError("mine"),
        KeyboardInterrupt("mine"),
        trio_tcp.PeerClosed("of another connection"),
        ExceptionGroup("mine", [ValueError(), KeyError()]),
    ],
)
async def test_what_the_block_raises_leaves_as_itself(
    open_text: Open, error: BaseException
) -> None:
    async with open_text() as (connection, peer):
        with pytest.raises(type(error)) as caught:
            async with connection.cancel_on_disconnect():
                await wait_all_tasks_blocked()
                raise error
        assert caught.value is error
        await peer.send(b"unharmed\n")
        assert await connection.receive() == "unharmed"


async def test_what_the_block_raises_when_it_is_cancelled_leaves_as_itself(
    open_text: Open,
) -> None:
    async with open_text() as (connection, peer):
        error = ValueError("in the middle of cleaning up")
        with pytest.raises(ValueError, match="cleaning up") as caught:
            async with connection.cancel_on_disconnect():
                try:
                    await peer.end()
                    await work()
                finally:
                    raise error
        assert caught.value is error


async def test_a_block_may_be_left_by_return_and_break(open_text: Open) -> None:
    async with open_text() as (connection, _peer):

        async def answer() -> int:
            async with connection.cancel_on_disconnect():
                await wait_all_tasks_blocked()
                return 42

        assert await answer() == 42
        while True:
            async with connection.cancel_on_disconnect():
                break
        assert connection.close_reason is None


async def test_a_block_cancelled_from_outside_is_not_cancelled_by_the_peer(
    open_text: Open,
) -> None:
    async with open_text() as (connection, peer):
        with trio.CancelScope() as outer:
            async with connection.cancel_on_disconnect():
                await wait_all_tasks_blocked()
                outer.cancel()
                await work()
            pytest.fail("it was the outer scope's to catch")
        assert outer.cancelled_caught
        await peer.send(b"unharmed\n")
        assert await connection.receive() == "unharmed"
