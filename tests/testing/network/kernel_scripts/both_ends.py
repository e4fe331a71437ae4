"""What both ends see when both do something, one after the other or at once."""

from __future__ import annotations

import contextlib
from itertools import product
from typing import TYPE_CHECKING, Final

from tests.testing.network.kernel_scripts._script import Play, Scripts
from tests.testing.network.kernel_scripts._steps import STEPS, take
from tests.testing.network.kernel_scripts._world import World

if TYPE_CHECKING:
    from trio.socket import SocketType

__all__ = ["SCRIPTS"]

SCRIPTS: Final = Scripts()

_ENDINGS: Final = (
    "shutdown write",
    "shutdown read",
    "shutdown both",
    "close",
    "reset",
)
_GONE: Final = ("close", "reset")


async def _see(world: World, theirs: SocketType, ours: SocketType) -> None:
    for who, end in (("peer", theirs), ("here", ours)):
        if end.fileno() != -1:
            steps = "readable, recv, send, send, recv, error, peer name"
            await take(world, who, end, steps)


def _one_after_the_other(first: str, second: str) -> Play:
    async def play(world: World) -> None:
        ours, theirs = await world.pair()
        await take(world, "peer", theirs, first)
        await take(world, "here", ours, second)
        await _see(world, theirs, ours)

    return play


def _data_crosses(first: str, second: str) -> Play:
    async def play(world: World) -> None:
        ours, theirs = await world.pair()
        await take(world, "peer", theirs, f"send, {first}")
        await take(world, "here", ours, f"send, {second}")
        await _see(world, theirs, ours)

    return play


def _at_once(first: str, second: str) -> Play:
    """Let nothing arrive between the two, unless the world is as fast as loopback."""

    async def play(world: World) -> None:
        ours, theirs = await world.pair()
        STEPS[first](theirs)
        with contextlib.suppress(OSError):  # loopback has told of the first already
            STEPS[second](ours)
        await world.settle()
        await _see(world, theirs, ours)

    return play


def _both_sent(first: str, second: str) -> Play:
    """Close with what the other sent still unread, on one end or on both."""

    async def play(world: World) -> None:
        ours, theirs = await world.pair()
        await take(world, "peer", theirs, "send")
        await take(world, "here", ours, "send")
        await take(world, "peer", theirs, first)
        await take(world, "here", ours, second)
        await _see(world, theirs, ours)

    return play


for _first, _second in product(_ENDINGS, _ENDINGS):
    SCRIPTS.add_as(
        f"the peer did {_first}, then here {_second}",
        _one_after_the_other(_first, _second),
    )
    SCRIPTS.add_as(f"{_first} and {_second} at once", _at_once(_first, _second))
    if _first not in _GONE:
        SCRIPTS.add_as(
            f"the peer sent and did {_first}, then here send and {_second}",
            _data_crosses(_first, _second),
        )
    SCRIPTS.add_as(
        f"both sent, the peer did {_first}, then here {_second}",
        _both_sent(_first, _second),
    )


async def _data_crosses_a_close(world: World) -> None:
    ours, theirs = await world.pair()
    await ours.send(b"abc")
    theirs.close()
    await world.settle()
    await take(world, "here", ours, "recv, recv, send, recv")


SCRIPTS.add_as(
    "data crosses a close",
    _data_crosses_a_close,
    # The data came before the close, which therefore was a reset.
    (
        "here: recv: ECONNRESET",
        "here: recv: b''",
        "here: send: EPIPE",
        "here: recv: b''",
    ),
    # The data came after the close, and was answered with a reset after the FIN.
    ("here: recv: b''", "here: recv: b''", "here: send: EPIPE", "here: recv: b''"),
)
