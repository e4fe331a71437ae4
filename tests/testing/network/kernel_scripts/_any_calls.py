"""Scripts out of any calls in any order, on the ends of a connection or on sockets."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tests.testing.network.kernel_scripts._script import Script
from tests.testing.network.kernel_scripts._steps import STEPS, take
from tests.testing.network.kernel_scripts._world import World

if TYPE_CHECKING:
    from trio.socket import SocketType

HOSTS: Final = {
    socket.AF_INET: ("127.0.0.1", "0.0.0.0", "127.0.0.2"),
    socket.AF_INET6: ("::1", "::", "::ffff:127.0.0.1"),
}


def _listen(end: SocketType) -> None:
    end.listen(2)


def _switch_on(level: int, option: int) -> Callable[[SocketType], Any]:
    return lambda end: end.setsockopt(level, option, 1)


_SIMPLE: Final[dict[str, Callable[[SocketType], Any]]] = STEPS | {
    "listen": _listen,
    "SO_REUSEADDR": _switch_on(socket.SOL_SOCKET, socket.SO_REUSEADDR),
    "SO_REUSEPORT": _switch_on(socket.SOL_SOCKET, socket.SO_REUSEPORT),
}
CALLS: Final = ("bind", "connect", "accept", *_SIMPLE)


class Call(NamedTuple):
    """What is called, and on which socket.

    Attributes:
        name: One of `CALLS`.
        number: Of the socket: two are of IPv4, one of IPv6, then come the accepted.
        host: Which of the three of its family's `HOSTS` is bound or connected to.
        port: Which of two ports.
    """

    name: str
    number: int
    host: int
    port: int


def _is_waited_for_in_vain(end: SocketType, step: str) -> bool:
    """Say whether a closed socket is to be waited for.

    Trio refuses that, and takes the descriptor -1 for one that is waited for, from
    then on.
    """
    return step.startswith("wait") and end.fileno() == -1


def on_a_connection(steps: Sequence[tuple[str, str]]) -> Script:
    """Do steps, each at the end ``"here"`` or at the end ``"peer"``."""

    async def play(world: World) -> None:
        ours, theirs = await world.pair()
        for who, step in steps:
            end = theirs if who == "peer" else ours
            if not _is_waited_for_in_vain(end, step):
                await take(world, who, end, step)

    return Script("steps of both ends", play)


def on_sockets(calls: Sequence[Call]) -> Script:
    """Do calls on new sockets, and on those that they accept."""

    async def play(world: World) -> None:
        ports = [await world.free_port() for _ in range(2)]
        families = (socket.AF_INET, socket.AF_INET, socket.AF_INET6)
        sockets = [world.socket(family) for family in families]
        for call in calls:
            number = call.number % len(sockets)
            end = sockets[number]
            name = f"socket {number}: {call.name}"
            if call.name == "accept":
                if accepted := await world.does(name, end.accept):
                    sockets.append(accepted[0])
            elif _is_waited_for_in_vain(end, call.name):
                continue
            elif call.name in _SIMPLE:
                await world.does(name, _SIMPLE[call.name], end)
            else:
                there = (HOSTS[end.family][call.host], ports[call.port])
                method = end.bind if call.name == "bind" else end.connect
                await world.does(f"{name} {there[0]}:{call.port}", method, there)

    return Script("calls on sockets", play)
