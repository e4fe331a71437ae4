"""The picture of docs/explanation/backpressure.md: the places where bytes wait."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Final

import attrs
import trio

import trio_tcp
from trio_tcp import codecs, testing
from trio_tcp.cli._svg import svg

__all__ = ["queues"]

TAKEN: Final = 10
MESSAGE: Final = bytes(996)
PREFIX: Final = 4
"""Bytes of its length before it."""
KIB: Final = 1024
READ: Final = 64 * KIB
"""What one read of a connection gives at most."""

WIDTH: Final = 132
STEP: Final = 164
LEFT: Final = 24
TOP: Final = 78
HEIGHT: Final = 120

STYLE: Final = """
text { font-size: 13px; text-anchor: middle } .soft { font-size: 12px }
.box { fill: none; stroke: #59636e; stroke-width: 1.5 } .bytes { fill: #54aeff }
.way { stroke: #59636e; fill: none; stroke-width: 1.5 } .head { fill: #59636e }
.side { font-weight: 600 } .number { font-weight: 600; font-size: 15px }
@media (prefers-color-scheme: dark) {
  .box { stroke: #9198a1 } .bytes { fill: #1f6feb } .way { stroke: #9198a1 }
  .head { fill: #9198a1 }
}
"""

Bytes = trio_tcp.Connection[bytes, bytes]


@attrs.frozen
class Place:
    """Where bytes wait: how many do, and how many may."""

    name: str
    below: str
    held: int
    most: int


def queues() -> str:
    """Run a receiver that stops, and draw where the bytes are then."""
    places = testing.run_simulation(_stop, seed=0).value
    told = "; ".join(f"{place.name} {place.below}: {place.held}" for place in places)
    return svg(
        "Where bytes wait when the receiver has stopped",
        "From left to right, in bytes: " + told,
        (2 * LEFT + 4 * STEP + WIDTH, TOP + HEIGHT + 66),
        _lines(places),
        style=STYLE,
    )


async def _stop(net: testing.VirtualNetwork) -> list[Place]:
    received: list[Bytes] = []

    async def take_some(connection: Bytes) -> None:
        received.append(connection)
        for _ in range(TAKEN):
            await connection.receive()
        await trio.sleep_forever()

    codec = codecs.LengthPrefixed()
    sender, receiver = net.host("sender"), net.host("receiver")
    receiver.start(partial(trio_tcp.serve_tcp, take_some, 80, codec=codec))
    await net.settle()
    size = len(MESSAGE) + PREFIX

    async def send_without_end() -> list[Place]:
        async with trio_tcp.connect_tcp("receiver", 80, codec=codec) as connection:
            with trio.move_on_after(10):
                while True:
                    await connection.send(MESSAGE)
            text = net.netstat()
            sent, got = connection.statistics(), received[0].statistics()
            connection.abort()
        [to_read] = re.findall(r"receiver: ESTAB.* (\d+) bytes to read", text)
        [to_send] = re.findall(r"sender: ESTAB.* (\d+) to send", text)
        buffered = got.bytes_received - got.messages_received * size
        return [
            Place("send waits", "one message", size, size),
            Place("connection", "64 KiB", sent.bytes_queued, READ),
            Place("kernel", "SO_SNDBUF", int(to_send), sender.send_buffer),
            Place("kernel", "SO_RCVBUF", int(to_read), receiver.receive_buffer),
            Place("connection", "one read: 64 KiB", buffered, READ),
        ]

    return await sender.run(send_without_end)


def _lines(places: list[Place]) -> Iterator[str]:
    middle = LEFT + STEP + WIDTH / 2
    yield f'<text class="side" x="{middle}" y="30">the sender</text>'
    yield f'<text class="side" x="{middle + 2.5 * STEP}" y="30">the receiver</text>'
    for number, place in enumerate(places):
        x = LEFT + number * STEP
        centre = x + WIDTH / 2
        full = HEIGHT * min(1.0, place.held / place.most)
        if number:
            y = TOP + HEIGHT / 2
            yield f'<path class="way" d="M{x - STEP + WIDTH} {y}H{x - 8}"/>'
            yield f'<path class="head" d="M{x} {y}l-10 -5v10z"/>'
        yield (
            f'<rect class="bytes" x="{x}" y="{TOP + HEIGHT - full:.1f}" '
            f'width="{WIDTH}" height="{full:.1f}"/>'
        )
        yield (
            f'<rect class="box" x="{x}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" '
            'rx="3"/>'
        )
        yield f'<text x="{centre}" y="{TOP - 12}">{place.name}</text>'
        held = f"{place.held / KIB:.1f} KiB"
        middle = TOP + HEIGHT / 2 + 5
        yield f'<text class="number" x="{centre}" y="{middle}">{held}</text>'
        yield (
            f'<text class="soft" x="{centre}" y="{TOP + HEIGHT + 20}">{place.below}'
            "</text>"
        )
    line = TOP + HEIGHT + 50
    yield (
        f'<text class="soft" x="{LEFT + 2 * STEP + WIDTH / 2}" y="{line}">'
        "how much waits in each place, and how full it is</text>"
    )
