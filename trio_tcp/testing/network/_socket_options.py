"""Options of a virtual socket: those that change something here, and all others."""

from __future__ import annotations

import errno
import socket
import struct
from typing import TYPE_CHECKING, Final, final

from trio_tcp.testing.network._keepalive import KeepaliveSettings
from trio_tcp.testing.network._os_error import os_error

if TYPE_CHECKING:
    from typing_extensions import Buffer  # of collections.abc from Python 3.12 on

__all__ = ["SO_DOMAIN", "SO_PROTOCOL", "SocketOptions"]

_Key = tuple[int, int]

# Other systems than Linux lack these two; they are so numbered there.
SO_PROTOCOL: Final[int] = getattr(socket, "SO_PROTOCOL", 38)
SO_DOMAIN: Final[int] = getattr(socket, "SO_DOMAIN", 39)

_SO_RCVBUF: Final = (socket.SOL_SOCKET, socket.SO_RCVBUF)
_SO_SNDBUF: Final = (socket.SOL_SOCKET, socket.SO_SNDBUF)
_SO_LINGER: Final = (socket.SOL_SOCKET, socket.SO_LINGER)
_SO_REUSEADDR: Final = (socket.SOL_SOCKET, socket.SO_REUSEADDR)
_SO_REUSEPORT: Final = (socket.SOL_SOCKET, getattr(socket, "SO_REUSEPORT", 15))
_SO_KEEPALIVE: Final = (socket.SOL_SOCKET, socket.SO_KEEPALIVE)
# By Linux's numbers, as other systems have other names for some of them.
_KEEPIDLE: Final = (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPIDLE", 4))
_KEEPINTVL: Final = (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPINTVL", 5))
_KEEPCNT: Final = (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPCNT", 6))
_USER_TIMEOUT: Final = (socket.IPPROTO_TCP, getattr(socket, "TCP_USER_TIMEOUT", 18))
_NODELAY: Final = (socket.IPPROTO_TCP, socket.TCP_NODELAY)
_V6ONLY: Final = (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)

_READ_ONLY: Final = frozenset(
    (socket.SOL_SOCKET, option)
    for option in (
        socket.SO_ERROR,
        socket.SO_TYPE,
        SO_PROTOCOL,
        SO_DOMAIN,
        socket.SO_ACCEPTCONN,
    )
)

_TOLD: Final[dict[_Key, int | bytes]] = {
    (socket.SOL_SOCKET, socket.SO_TYPE): int(socket.SOCK_STREAM),
    (socket.SOL_SOCKET, SO_PROTOCOL): socket.IPPROTO_TCP,
    (socket.SOL_SOCKET, socket.SO_LINGER): struct.pack("ii", 0, 0),
    _KEEPIDLE: 7200,
    _KEEPINTVL: 75,
    _KEEPCNT: 9,
}
"""What options are that were not set; others are 0."""

_ALLOWED: Final[dict[_Key, range]] = {
    _KEEPIDLE: range(1, 32_768),
    _KEEPINTVL: range(1, 32_768),
    _KEEPCNT: range(1, 128),
    _USER_TIMEOUT: range(1 << 31),
}
"""The numbers that Linux takes (MAX_TCP_KEEPIDLE and its kin)."""

_LEAST_BUFFER: Final = 2304
"""What SO_RCVBUF and SO_SNDBUF are raised to, in bytes (SOCK_MIN_RCVBUF)."""


@final
class SocketOptions:
    """What was set on a socket. What nothing depends on is kept, and given back.

    Attributes:
        receive_buffer: How many received bytes there is room for (SO_RCVBUF).
        send_buffer: How many bytes may wait to be sent (SO_SNDBUF).
    """

    def __init__(self, receive_buffer: int, send_buffer: int) -> None:
        self.receive_buffer: int = receive_buffer
        self.send_buffer: int = send_buffer
        self._values: dict[_Key, int | bytes] = {}

    def copy(self) -> SocketOptions:
        """Make the options of a socket that inherits these."""
        options = SocketOptions(self.receive_buffer, self.send_buffer)
        options._values.update(self._values)
        return options

    def set(self, level: int, option: int, value: int | Buffer) -> None:
        """Keep what setsockopt was given.

        Raises:
            OSError: ENOPROTOOPT, the option can only be read; EINVAL.
        """
        key = (level, option)
        if key in _READ_ONLY:
            raise os_error(errno.ENOPROTOOPT)
        if key in (_SO_RCVBUF, _SO_SNDBUF):
            # Linux doubles it, to have room for its own accounts.
            size = max(2 * self._number(value), _LEAST_BUFFER)
            if key == _SO_RCVBUF:
                self.receive_buffer = size
            else:
                self.send_buffer = size
        elif key in _ALLOWED and self._number(value) not in _ALLOWED[key]:
            raise os_error(errno.EINVAL)
        elif key == _SO_LINGER:
            if isinstance(value, int) or len(bytes(value)) < struct.calcsize("ii"):
                raise os_error(errno.EINVAL)
            self._values[key] = bytes(value)
        else:
            self._values[key] = int(value) if isinstance(value, int) else bytes(value)

    def get(self, level: int, option: int) -> int | bytes:
        """Give what getsockopt gives, where the connection has no say in it."""
        key = (level, option)
        if key == _SO_RCVBUF:
            return self.receive_buffer
        if key == _SO_SNDBUF:
            return self.send_buffer
        return self._values.get(key, _TOLD.get(key, 0))

    @staticmethod
    def _number(value: int | bytes | Buffer) -> int:
        if isinstance(value, int):
            return value
        raw = bytes(value)
        return int(struct.unpack("i", raw[:4])[0]) if len(raw) >= 4 else 0  # noqa: PLR2004 - an int of C

    @property
    def no_delay(self) -> bool:
        """TCP_NODELAY."""
        return bool(self._number(self._values.get(_NODELAY, 0)))

    @property
    def keepalive(self) -> KeepaliveSettings:
        """SO_KEEPALIVE, what belongs to it, and TCP_USER_TIMEOUT."""
        idle, interval, count, milliseconds = (
            self._number(self._values.get(key, _TOLD.get(key, 0)))
            for key in (_KEEPIDLE, _KEEPINTVL, _KEEPCNT, _USER_TIMEOUT)
        )
        is_on = bool(self._number(self._values.get(_SO_KEEPALIVE, 0)))
        return KeepaliveSettings(is_on, idle, interval, count, milliseconds / 1000)

    @property
    def reuse_address(self) -> bool:
        """SO_REUSEADDR."""
        return bool(self._number(self._values.get(_SO_REUSEADDR, 0)))

    @property
    def reuse_port(self) -> bool:
        """SO_REUSEPORT."""
        return bool(self._number(self._values.get(_SO_REUSEPORT, 0)))

    @property
    def only_ipv6(self) -> bool:
        """IPV6_V6ONLY."""
        return bool(self._number(self._values.get(_V6ONLY, 0)))

    @property
    def closes_with_reset(self) -> bool:
        """SO_LINGER, on and with no time."""
        value = self._values.get(_SO_LINGER)
        if not isinstance(value, bytes):
            return False
        on, seconds = struct.unpack("ii", value[: struct.calcsize("ii")])
        return bool(on) and seconds == 0
