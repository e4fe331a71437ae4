"""What a relay asks of a real socket, beside sending and receiving."""

from __future__ import annotations

import os
import select
import socket
import struct
import sys
from typing import Final

import trio

__all__ = ["reset", "wait_broken", "wait_sent"]

_LINGER_NOT: Final = struct.pack("ii", 1, 0)

_POLL_SECONDS: Final = 0.001
"""How often the kernel is asked what it has not sent yet: it tells nobody."""

_PATIENCE_SECONDS: Final = 5.0
"""For the kernel to send what it holds, as by default a connection lingers
(`Timeouts.linger`). A peer that reads nothing takes for ever."""


def reset(sock: trio.socket.SocketType) -> None:
    """Close with RST instead of FIN (SO_LINGER, on and with no time; socket(7))."""
    if sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        sock.close()


async def wait_sent(sock: trio.socket.SocketType) -> None:
    """Wait until the peer's kernel has all that was sent, so that a reset loses none.

    It waits for five seconds at most, and not where the system does not tell.

    Cancellation:
        It waits no more; nothing else has happened.
    """
    with trio.move_on_after(_PATIENCE_SECONDS):
        while _unsent(sock):  # noqa: ASYNC110 - the kernel tells nobody
            await trio.sleep(_POLL_SECONDS)
    await trio.lowlevel.checkpoint()


def _unsent(sock: trio.socket.SocketType) -> int:
    """Say how many bytes are not acknowledged (SIOCOUTQ; tcp(7)); 0 if unknown."""
    if sys.platform != "linux":
        return 0
    import fcntl  # noqa: PLC0415 - not on every system
    import termios  # noqa: PLC0415 - likewise

    try:
        answer = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4))
    except OSError:  # it is closed, or of no kind that could tell
        return 0
    return int.from_bytes(answer, sys.byteorder)


async def wait_broken(sock: trio.socket.SocketType) -> None:
    """Wait for a reset, on a socket whose end of the stream has been read.

    Only for a reset: `trio.lowlevel.wait_readable` would return at once, for the end.
    So an epoll asks for nothing, and tells of an error nevertheless (epoll_ctl(2)).
    Other systems than Linux have none, and there it waits for ever.

    Raises:
        OSError: the connection is broken.

    Cancellation:
        It waits no more; nothing else has happened.
    """
    if sys.platform == "linux":
        with select.epoll() as errors:
            errors.register(sock.fileno(), 0)
            await trio.lowlevel.wait_readable(errors.fileno())
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))
    await trio.sleep_forever()
