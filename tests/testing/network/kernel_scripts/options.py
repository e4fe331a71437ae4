"""What sockets say of themselves, and what is set on them."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Final

from tests.testing.network.kernel_scripts._script import Scripts
from tests.testing.network.kernel_scripts._steps import take
from tests.testing.network.kernel_scripts._world import World

if TYPE_CHECKING:
    from trio.socket import SocketType

__all__ = ["SCRIPTS"]

SCRIPTS: Final = Scripts()

_TOLD: Final = ("SO_TYPE", "SO_PROTOCOL", "SO_DOMAIN", "SO_ACCEPTCONN", "SO_ERROR")
_SWITCHES: Final = (
    (socket.SOL_SOCKET, socket.SO_REUSEADDR),
    (socket.SOL_SOCKET, socket.SO_REUSEPORT),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY),
)


def _tell(world: World, who: str, end: SocketType) -> None:
    for name in _TOLD:
        world.say(
            f"{who}: {name}", end.getsockopt(socket.SOL_SOCKET, getattr(socket, name))
        )


@SCRIPTS.add
async def sockets_tell_what_they_are(world: World) -> None:
    _tell(world, "new", world.socket())
    _tell(world, "bound", await world.bound())
    listener = await world.listener()
    _tell(world, "listening", listener)
    ours, theirs = await world.pair()
    _tell(world, "client", ours)
    _tell(world, "accepted", theirs)
    for end in (listener, ours, theirs):
        world.say("family", end.family)
        world.say("type", end.type)


@SCRIPTS.add
async def switches_are_off_until_they_are_set(world: World) -> None:
    end = world.socket()
    for level, switch in _SWITCHES:
        world.say("before", end.getsockopt(level, switch))
        end.setsockopt(level, switch, 1)
        world.say("after", end.getsockopt(level, switch) != 0)
        end.setsockopt(level, switch, 0)
        world.say("off again", end.getsockopt(level, switch))


@SCRIPTS.add
async def what_is_accepted_inherits_the_switches(world: World) -> None:
    listener = await world.listener()
    for level, switch in _SWITCHES:
        listener.setsockopt(level, switch, 1)
    await world.does("connect", world.socket().connect, listener.getsockname())
    accepted, _ = await world.does("accept", listener.accept)
    for level, switch in _SWITCHES:
        world.say("inherited", accepted.getsockopt(level, switch) != 0)


@SCRIPTS.add
async def no_option_is_set_on_a_closed_socket(world: World) -> None:
    end = world.socket()
    end.close()
    level, switch = _SWITCHES[0]
    await world.does("set", end.setsockopt, level, switch, 1)
    await world.does("get", end.getsockopt, level, switch)


@SCRIPTS.add
async def lingering_is_told_as_it_was_set(world: World) -> None:
    end = world.socket()
    for linger in (struct.pack("ii", 1, 0), struct.pack("ii", 0, 0)):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        told = end.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)
        world.say("linger", told == linger)


@SCRIPTS.add
async def a_listener_that_lingers_resets_what_it_accepted(world: World) -> None:
    listener = await world.listener()
    linger = struct.pack("ii", 1, 0)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    client = world.socket()
    await world.does("connect", client.connect, listener.getsockname())
    accepted, _ = await world.does("accept", listener.accept)
    await take(world, "accepted", accepted, "close")
    await take(world, "client", client, "recv, recv, send")


@SCRIPTS.add
async def a_socket_remembers_that_it_shut_down_writing(world: World) -> None:
    ours, theirs = await world.pair()
    await take(world, "here", ours, "did shut down, shutdown read, did shut down")
    await take(world, "here", ours, "shutdown write, did shut down")
    await take(world, "peer", theirs, "did shut down, shutdown both, did shut down")


@SCRIPTS.add
async def an_odd_shutdown_is_refused(world: World) -> None:
    ours, _ = await world.pair()
    await world.does("shutdown", ours.shutdown, 7)
    await take(world, "here", ours, "did shut down, send")


@SCRIPTS.add
async def a_closed_socket_has_no_descriptor(world: World) -> None:
    end = world.socket()
    world.say("descriptor", end.fileno() >= 0)
    end.close()
    world.say("descriptor", end.fileno())
