"""The things that one end of a connection can do, by name, for tables of scripts."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import trio

from tests.testing.network.kernel_scripts._world import World

if TYPE_CHECKING:
    from trio.socket import SocketType


def reset(end: SocketType) -> None:
    """Close such that RST is sent: lingering for no time (socket(7))."""
    linger = struct.pack("ii", 1, 0)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    end.close()


def pending_error(end: SocketType) -> str:
    """Take the error of a socket, so that it is told only here."""
    number = end.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return errno.errorcode[number] if number else "none"


async def _recv_into(end: SocketType) -> tuple[int, bytearray]:
    room = bytearray(5)
    return await end.recv_into(room), room


async def _wait_readable(end: SocketType) -> None:
    await trio.lowlevel.wait_readable(end)


STEPS: Final[dict[str, Callable[[SocketType], Any]]] = {
    "recv": lambda end: end.recv(100),
    "recv one byte": lambda end: end.recv(1),
    "recv no bytes": lambda end: end.recv(0),
    "peek": lambda end: end.recv(100, socket.MSG_PEEK),
    "recv into": _recv_into,
    "send": lambda end: end.send(b"abc"),
    "send nothing": lambda end: end.send(b""),
    "shutdown write": lambda end: end.shutdown(socket.SHUT_WR),
    "shutdown read": lambda end: end.shutdown(socket.SHUT_RD),
    "shutdown both": lambda end: end.shutdown(socket.SHUT_RDWR),
    "close": lambda end: end.close(),
    "reset": reset,
    "peer name": lambda end: end.getpeername(),
    "own name": lambda end: end.getsockname(),
    "error": pending_error,
    "readable": lambda end: end.is_readable(),
    "wait writable": lambda end: end.wait_writable(),
    "wait readable": _wait_readable,
    "did shut down": lambda end: end.did_shutdown_SHUT_WR,
}


async def take(world: World, who: str, end: SocketType, steps: str) -> None:
    """Do steps, separated by commas, and write down what comes of each."""
    for step in steps.split(", "):
        await world.does(f"{who}: {step}", STEPS[step], end)
