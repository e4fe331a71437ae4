"""Receiving and watching, whatever is cancelled: each message comes once, in order."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import final

import pytest
import trio

import trio_tcp
from tests.disconnecting.pairs import Open, Other, Text, encoded, line
from trio_tcp import CloseReason


@final
class Mixture:
    """One task that receives and watches by turns, as the dice say.

    Attributes:
        received: the messages, in order.
    """

    def __init__(self, connection: Text, dice: random.Random) -> None:
        self.received: list[str] = []
        self._connection = connection
        self._dice = dice

    async def run(self) -> None:
        """Go on to the end of the stream."""
        with suppress(trio_tcp.PeerClosed):
            while True:
                await self._dice.choices(
                    [
                        self._receive,
                        self._receive_and_be_cancelled,
                        self._watch_and_be_cancelled,
                        self._receive_in_a_block,
                        self._receive_as_another_watches,
                        self._receive_nowait,
                        self._pause,
                    ],
                    [3, 3, 3, 2, 2, 1, 2],
                )[0]()

    async def _receive(self) -> None:
        self.received.append(await self._connection.receive())

    async def _receive_nowait(self) -> None:
        with suppress(trio.WouldBlock):
            self.received.append(self._connection.receive_nowait())

    async def _pause(self) -> None:
        for _ in range(self._dice.randrange(4)):
            await trio.lowlevel.checkpoint()

    async def _cancel_soon(self, scope: trio.CancelScope) -> None:
        await self._pause()
        scope.cancel()

    async def _receive_and_be_cancelled(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._cancel_soon, nursery.cancel_scope)
            with suppress(trio_tcp.PeerClosed):
                await self._receive()
            nursery.cancel_scope.cancel()

    async def _watch_and_be_cancelled(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._cancel_soon, nursery.cancel_scope)
            await self._connection.wait_disconnected()
            nursery.cancel_scope.cancel()

    async def _receive_in_a_block(self) -> None:
        async with self._connection.cancel_on_disconnect():
            await self._receive()

    async def _receive_as_another_watches(self) -> None:
        """Let one watch, begin to receive, and let it be cancelled in between."""
        async with trio.open_nursery() as nursery:
            scope = trio.CancelScope()

            async def watch() -> None:
                with scope:
                    await self._connection.wait_disconnected()

            nursery.start_soon(watch)
            await self._pause()
            nursery.start_soon(self._cancel_soon, scope)
            with suppress(trio_tcp.PeerClosed):
                await self._receive()


async def send_in_pieces(
    peer: Other, data: bytes, dice: random.Random, at_once: int
) -> None:
    """Send everything, cut anywhere, with pauses; and the end."""
    while data:
        size = dice.randrange(1, at_once)
        await peer.send(data[:size])
        data = data[size:]
        for _ in range(dice.randrange(5)):
            await trio.lowlevel.checkpoint()
    await peer.end()


@pytest.mark.parametrize("at_once", [30, 300, 3000])
async def test_every_message_arrives_once_and_in_order_whatever_is_cancelled(
    open_text: Open, at_once: int
) -> None:
    for seed in range(25):
        dice = random.Random(seed)
        lines = [line(number, dice.randrange(5, 200)) for number in range(60)]
        async with open_text() as (connection, peer):
            mixture = Mixture(connection, dice)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(send_in_pieces, peer, encoded(*lines), dice, at_once)
                await mixture.run()
            assert mixture.received == lines, f"seed {seed}"
            assert connection.close_reason is CloseReason.PEER_CLOSED
