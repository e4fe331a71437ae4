"""Whether the program at the other end has read what was sent to it.

TCP does not tell: an acknowledgment comes from the kernel. But where the program is on
this machine, its kernel is ours, and Linux tells how many bytes wait in the program's
socket (sock_diag(7): ``inet_diag_req_v2``, ``idiag_rqueue``). If nobody asked, what a
fault has cut in slices would be whole again by the time at which a busy program reads.
"""

from __future__ import annotations

import socket
import struct
import sys
from typing import Final, NamedTuple, cast

import trio

__all__ = ["wait_read"]

PAUSE_SECONDS: Final = 0.001
"""How long is waited before it is asked again, and where nobody can be asked."""

NETLINK_SOCK_DIAG: Final = 4
SOCK_DIAG_BY_FAMILY: Final = 20
NLM_F_REQUEST: Final = 1
ANY_STATE: Final = 0xFFFFFFFF
ANY_SOCKET: Final = (0xFFFFFFFF, 0xFFFFFFFF)  # INET_DIAG_NOCOOKIE

HEADER: Final = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, seq, pid
REQUEST: Final = struct.Struct("=BBBxI")  # inet_diag_req_v2, before the addresses
PORTS: Final = struct.Struct("!HH")
REST: Final = struct.Struct("=I2I")  # interface, cookie
QUEUE_OFFSET: Final = HEADER.size + 4 + 48 + 4  # of idiag_rqueue, in inet_diag_msg
QUEUE: Final = struct.Struct("=I")


class _Name(NamedTuple):
    ip: str
    port: int


async def wait_read(sock: trio.socket.SocketType) -> bool:
    """Wait until the other end may have read all, and say whether it has.

    Returns:
        True: it has, or has had a moment for it and nobody can be asked: it is not on
        this machine, or this is not Linux. False: it has not, so far.

    Cancellation:
        It waits no more; nothing else has happened.
    """
    await trio.sleep(PAUSE_SECONDS)
    return not _unread(sock)


def _unread(sock: trio.socket.SocketType) -> int:
    """Say how many bytes wait in the socket at the other end; 0 if unknown."""
    if sys.platform != "linux" or sock.family not in (
        socket.AF_INET,
        socket.AF_INET6,
    ):
        return 0
    try:
        near, far = _name(sock.getsockname()), _name(sock.getpeername())
        with socket.socket(
            socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_SOCK_DIAG
        ) as kernel:
            kernel.connect((0, 0))
            kernel.send(_request(sock.family, far, near))
            answer = kernel.recv(4096, socket.MSG_DONTWAIT)
    except OSError:  # the connection is broken, or netlink is forbidden here
        return 0
    if HEADER.unpack_from(answer)[1] != SOCK_DIAG_BY_FAMILY:
        return 0  # an error: no such socket on this machine
    return int(QUEUE.unpack_from(answer, QUEUE_OFFSET)[0])


def _name(sockaddr: object) -> _Name:
    ip, port, *_ = cast("tuple[str, int]", sockaddr)
    return _Name(ip.partition("%")[0], port)


def _request(family: int, source: _Name, destination: _Name) -> bytes:
    def packed(ip: str) -> bytes:
        return socket.inet_pton(family, ip).ljust(16, b"\0")

    body = b"".join(
        [
            REQUEST.pack(family, socket.IPPROTO_TCP, 0, ANY_STATE),
            PORTS.pack(source.port, destination.port),
            packed(source.ip),
            packed(destination.ip),
            REST.pack(0, *ANY_SOCKET),
        ]
    )
    length = HEADER.size + len(body)
    return HEADER.pack(length, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 0, 0) + body
