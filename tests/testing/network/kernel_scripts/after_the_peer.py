"""What an end sees after the other has done something: every order of the two."""

from __future__ import annotations

from itertools import product
from typing import Final

from tests.testing.network.kernel_scripts._script import Play, Scripts
from tests.testing.network.kernel_scripts._steps import take
from tests.testing.network.kernel_scripts._world import World

__all__ = ["SCRIPTS"]

SCRIPTS: Final = Scripts()

# "unread" is what this end sends first, and the peer never reads.
_PEER: Final = (
    "send",
    "shutdown write",
    "shutdown read",
    "shutdown both",
    "close",
    "reset",
    "send, shutdown write",
    "send, shutdown read",
    "send, shutdown both",
    "send, close",
    "send, reset",
    "shutdown write, close",
    "shutdown write, reset",
    "shutdown both, close",
    "send, shutdown write, close",
    "send, shutdown write, reset",
    "unread, close",
    "unread, reset",
    "unread, shutdown read",
    "unread, send, close",
    "unread, shutdown write, close",
    "unread, send, shutdown write, close",
    "unread, shutdown both, close",
    "unread, recv, close",
    "unread, recv one byte, close",
    "unread, peek, close",
)

_HERE: Final = (
    "recv, recv, recv, send, send",
    "send, send, recv, recv, error",
    "error, error, recv, send",
    "shutdown write, peer name, send, recv, recv, shutdown write, close",
    "shutdown read, recv, recv, send, send, peer name",
    "shutdown both, recv, recv, send, peer name, shutdown both",
    "readable, peek, peek, recv one byte, recv, readable",
    "recv no bytes, send nothing, recv into, wait writable, own name, peer name",
    "wait readable, wait writable, send, send, wait readable, recv, wait readable",
)


def _play(peer: str, here: str) -> Play:
    async def play(world: World) -> None:
        ours, theirs = await world.pair()
        if peer.startswith("unread"):
            await take(world, "here", ours, "send")
        await take(world, "peer", theirs, peer.removeprefix("unread, "))
        await take(world, "here", ours, here)

    return play


for _peer, _here in product(_PEER, _HERE):
    SCRIPTS.add_as(f"after the peer did {_peer}: {_here}", _play(_peer, _here))
