"""Watching for the end, by turns with receiving: no byte is lost by it."""

from __future__ import annotations

import random

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.disconnecting.pairs import ORDERS, Open, Text, encoded, line
from trio_tcp import CloseReason


async def test_what_comes_before_the_end_is_kept_in_order(open_text: Open) -> None:
    lines = [line(number) for number in range(60)]
    async with open_text() as (connection, peer):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.wait_disconnected)
            for text in lines:
                await peer.send(encoded(text))
                await trio.lowlevel.checkpoint()
            await peer.end()
        assert [text async for text in connection] == lines


async def test_what_was_read_before_a_reset_is_kept(open_text: Open) -> None:
    async with open_text() as (connection, peer):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.wait_disconnected)
            await wait_all_tasks_blocked()
            await peer.send(b"one\ntwo\n")
            await wait_all_tasks_blocked()
            await peer.reset()
        assert await connection.receive() == "one"
        assert connection.receive_nowait() == "two"
        with pytest.raises(trio_tcp.ConnectionBroken):
            await connection.receive()


async def test_an_end_inside_a_message_stays_one(open_text: Open) -> None:
    async with open_text() as (connection, peer):
        await peer.send(b"whole\nunfin")
        await peer.end()
        await connection.wait_disconnected()
        assert await connection.receive() == "whole"
        with pytest.raises(trio_tcp.TruncatedError):
            await connection.receive()


async def test_another_task_may_receive_meanwhile(open_text: Open) -> None:
    lines = [line(number) for number in range(200)]
    received: list[str] = []
    async with open_text() as (connection, peer):

        async def receive() -> None:
            received.extend([text async for text in connection])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.wait_disconnected)
            await wait_all_tasks_blocked()
            nursery.start_soon(receive)
            for text in lines:
                await peer.send(encoded(text))
                await trio.lowlevel.checkpoint()
            await peer.end()
        assert received == lines


async def test_it_may_begin_while_a_task_receives(open_text: Open) -> None:
    received: list[str] = []
    async with open_text() as (connection, peer):

        async def receive() -> None:
            async for text in connection:
                received.append(text)  # noqa: PERF401 - each as it comes

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            await wait_all_tasks_blocked()
            nursery.start_soon(connection.wait_disconnected)
            await wait_all_tasks_blocked()
            await peer.send(b"one\n")
            await wait_all_tasks_blocked()
            assert received == ["one"]
            await peer.send(b"two\n")
            await peer.end()
        assert received == ["one", "two"]
        assert connection.close_reason is CloseReason.PEER_CLOSED


async def test_it_may_begin_in_the_moment_in_which_something_comes(
    open_text: Open,
) -> None:
    """Whoever reads first, the receiver or the one that watches."""
    for _ in range(ORDERS):
        received: list[str] = []
        async with open_text() as (connection, peer):

            async def receive(
                connection: Text = connection, received: list[str] = received
            ) -> None:
                received.extend([text async for text in connection])

            async with trio.open_nursery() as nursery:
                nursery.start_soon(receive)
                await wait_all_tasks_blocked()
                nursery.start_soon(connection.wait_disconnected)
                nursery.start_soon(peer.send, b"one\n")
                await wait_all_tasks_blocked()
                await peer.end()
            assert received == ["one"]


async def test_a_receiver_that_is_cancelled_as_it_begins_leaves_the_stream_to_it(
    open_text: Open,
) -> None:
    for _ in range(ORDERS):
        async with open_text() as (connection, peer):
            async with trio.open_nursery() as nursery:
                with trio.CancelScope() as scope:

                    async def begin(
                        scope: trio.CancelScope = scope,
                        connection: Text = connection,
                        nursery: trio.Nursery = nursery,
                    ) -> None:
                        await wait_all_tasks_blocked()
                        nursery.start_soon(connection.wait_disconnected)
                        nursery.start_soon(trio.lowlevel.checkpoint)
                        await trio.lowlevel.checkpoint()
                        scope.cancel()

                    nursery.start_soon(begin)
                    await connection.receive()
                await peer.send(b"one\n")
                await peer.end()
            assert [text async for text in connection] == ["one"]


async def test_cancelled_it_loses_nothing(open_text: Open) -> None:
    chance = random.Random(0)
    lines = [line(number, 100) for number in range(100)]
    async with open_text() as (connection, peer):
        for text in lines:
            data = encoded(text)
            cut = chance.randrange(len(data))
            for piece in (data[:cut], data[cut:]):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(connection.wait_disconnected)
                    for _ in range(chance.randrange(3)):
                        await trio.lowlevel.checkpoint()
                    if piece:
                        await peer.send(piece)
                    for _ in range(chance.randrange(3)):
                        await trio.lowlevel.checkpoint()
                    nursery.cancel_scope.cancel()
        await peer.end()
        assert [text async for text in connection] == lines
