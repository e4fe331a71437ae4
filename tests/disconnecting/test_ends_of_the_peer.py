"""The end that a peer makes: whoever waits for it is told."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.disconnecting.pairs import Open, secure_pair, set_when_gone, work
from trio_tcp import CloseReason, testing


async def test_a_peer_that_closes_is_gone(open_text: Open) -> None:
    async with open_text() as (connection, peer):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.wait_disconnected)
            await wait_all_tasks_blocked()
            await peer.end()
        assert connection.close_reason is None  # nobody has received the end yet
        with pytest.raises(trio_tcp.PeerClosed):
            await connection.receive()
        assert connection.close_reason is CloseReason.PEER_CLOSED


async def test_a_peer_that_half_closes_still_gets_answers(open_text: Open) -> None:
    async with open_text() as (connection, peer):
        await peer.send(b"question\n")
        await peer.end()
        await connection.wait_disconnected()
        assert await connection.receive() == "question"
        await connection.send("answer")
        assert await peer.receive() == b"answer\n"


async def test_a_peer_that_resets_is_gone(open_text: Open) -> None:
    async with open_text() as (connection, peer):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.wait_disconnected)
            await wait_all_tasks_blocked()
            await peer.reset()
        with pytest.raises(trio_tcp.ConnectionBroken):
            await connection.receive()
        assert connection.close_reason is CloseReason.BROKEN


async def test_a_tls_stream_that_just_ends_is_gone_and_truncated() -> None:
    ours, theirs = testing.memory_stream_pair()
    async with secure_pair((ours, theirs)) as (connection, peer):
        await peer.send(b"whole\n")
        await theirs.send_eof()
        await connection.wait_disconnected()
        assert await connection.receive() == "whole"
        with pytest.raises(trio_tcp.CloseNotifyMissingError):
            await connection.receive()
        assert connection.close_reason is CloseReason.TRUNCATED


async def test_an_end_that_was_seen_comes_before_that_of_this_side(
    open_text: Open,
) -> None:
    """Though nobody has received it."""
    for how, reason in (
        ("end", CloseReason.PEER_CLOSED),
        ("reset", CloseReason.BROKEN),
    ):
        async with open_text() as (connection, peer):
            async with connection.cancel_on_disconnect():
                await (peer.end() if how == "end" else peer.reset())
                await work()
            await connection.aclose()
        assert connection.close_reason is reason


async def test_a_missing_end_of_tls_that_was_seen_is_one_too() -> None:
    ours, theirs = testing.memory_stream_pair()
    async with secure_pair((ours, theirs)) as (connection, _):
        await theirs.send_eof()
        await connection.wait_disconnected()
    assert connection.close_reason is CloseReason.TRUNCATED


async def test_all_who_wait_are_told(open_text: Open) -> None:
    async with open_text() as (connection, peer):
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(connection.wait_disconnected)
            await wait_all_tasks_blocked()
            await peer.send(b"hello\n")
            await wait_all_tasks_blocked()
            await peer.end()
        assert await connection.receive() == "hello"


async def test_another_goes_on_when_the_one_that_reads_is_cancelled(
    open_text: Open,
) -> None:
    async with open_text() as (connection, peer):
        async with trio.open_nursery() as nursery:
            scopes: list[trio.CancelScope] = []
            gone = [trio.Event() for _ in range(5)]

            async def watch(number: int) -> None:
                with trio.CancelScope() as scope:
                    scopes.append(scope)
                    await set_when_gone(connection, gone[number])

            for number in range(5):
                nursery.start_soon(watch, number)
            await wait_all_tasks_blocked()
            for scope in scopes[:4]:
                scope.cancel()
                await wait_all_tasks_blocked()
            assert not any(event.is_set() for event in gone)
            await peer.end()
        assert sum(event.is_set() for event in gone) == 1


@pytest.mark.parametrize("how", ["end", "reset"])
async def test_who_asks_after_the_end_is_told_at_once(
    open_text: Open, how: str
) -> None:
    async with open_text() as (connection, peer):
        await (peer.end() if how == "end" else peer.reset())
        with pytest.raises(trio_tcp.ConnectionFault):
            await connection.receive()
        await connection.wait_disconnected()
        async with connection.cancel_on_disconnect() as scope:
            await work()
        assert scope.cancelled_caught
