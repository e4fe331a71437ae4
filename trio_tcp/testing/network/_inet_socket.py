"""A socket as the kernel of its host keeps it: its name, its port, what it is for.

In Linux that is what `inet_bind`, `inet_listen`, `__inet_stream_connect`,
`inet_shutdown` and `tcp_disconnect` do.
"""

from __future__ import annotations

import enum
import errno
import socket
from typing import TYPE_CHECKING, final

from trio_tcp.testing.network._os_error import os_error
from trio_tcp.testing.network._ports import ANY_IPV4, ANY_IPV6, Binding
from trio_tcp.testing.network._socket_options import SO_DOMAIN
from trio_tcp.testing.traces import Endpoint

if TYPE_CHECKING:
    from typing_extensions import Buffer  # of collections.abc from Python 3.12 on

    from trio_tcp.testing.network._host import Host
    from trio_tcp.testing.network._listening import Listening
    from trio_tcp.testing.network._socket_options import SocketOptions
    from trio_tcp.testing.network._tcp_end import TcpEnd

__all__ = ["InetSocket", "SocketState"]


class SocketState(enum.Enum):
    """What a socket has told the program of its connection (`socket_state`)."""

    UNCONNECTED = enum.auto()
    """It has none, or has told that it failed: it may connect."""
    CONNECTING = enum.auto()
    """`connect` began one. The next call that concerns it tells what came of that."""
    CONNECTED = enum.auto()
    """It has told that there is one. This is so for ever, even when that has ended."""
    DISCONNECTING = enum.auto()
    """It was shut down before it told of a failure: it is of no use any more."""


@final
class InetSocket:
    """A socket, which is for nothing yet, listens, or has one end of a connection.

    Attributes:
        family: AF_INET or AF_INET6.
        options: What was set on it.
        local: What `getsockname` gives. A port is told even if it was given back.
        state: What it has told of its connection.
        end: Its end of the connection; None while it is UNCONNECTED.
        listening: Its queue, while it listens.
        is_read_shut: It is UNCONNECTED, and was shut down for reading nevertheless.
        is_write_shut: So it was for writing.
    """

    def __init__(self, host: Host, family: socket.AddressFamily) -> None:
        self.family: socket.AddressFamily = family
        self.options: SocketOptions = host.new_options()
        self.state: SocketState = SocketState.UNCONNECTED
        self.end: TcpEnd | None = None
        self.listening: Listening | None = None
        self.is_read_shut: bool = False
        self.is_write_shut: bool = False
        self._host = host
        self._wildcard = ANY_IPV4 if family == socket.AF_INET else ANY_IPV6
        self.local: Endpoint = Endpoint(self._wildcard, 0)
        self._binding: Binding | None = None
        self._keeps_ip = False  # SOCK_BINDADDR_LOCK: bind was given an address
        self._keeps_port = False  # SOCK_BINDPORT_LOCK: bind was given a port

    def take_accepted(self, end: TcpEnd, listener: InetSocket) -> None:
        """Become the socket of a connection that a listener accepted."""
        self.options = listener.options.copy()
        self.state = SocketState.CONNECTED
        self.end = end
        self.local = end.local
        listener.shut_down_from_the_start(end)

    def shut_down_from_the_start(self, end: TcpEnd) -> None:
        """Let an end be shut down as this socket was, before it was for anything."""
        end.receiving.is_shut = self.is_read_shut
        end.sending.is_shut = self.is_write_shut

    # --- options

    def get_option(self, level: int, option: int) -> int | bytes:
        """Give an option."""
        if level == socket.SOL_SOCKET:
            if option == socket.SO_ACCEPTCONN:
                return int(self.listening is not None)
            if option == socket.SO_ERROR:
                return 0 if self.end is None else self.end.take_error()
            if option == SO_DOMAIN:
                return int(self.family)
        return self.options.get(level, option)

    def set_option(self, level: int, option: int, value: int | Buffer) -> None:
        """Set an option.

        Raises:
            OSError: ENOPROTOOPT, it can only be read; EINVAL.
        """
        options = self.options
        is_only_ipv6 = level == socket.IPPROTO_IPV6 and option == socket.IPV6_V6ONLY
        if is_only_ipv6 and self._has_port:
            raise os_error(errno.EINVAL)
        options.set(level, option, value)
        if self._binding is not None:
            self._binding.reuse_address = options.reuse_address
            self._binding.reuse_port = options.reuse_port
        if self.end is not None:
            self.end.take_options(options)

    @property
    def _has_port(self) -> bool:
        """Whether it holds a port: a connection from elsewhere loses it at its end."""
        return self._binding is not None or (
            self.end is not None and not self.end.is_over
        )

    # --- binding

    def bind(self, local: Endpoint) -> None:
        """Take a local address.

        Raises:
            OSError: EINVAL, EADDRINUSE or EADDRNOTAVAIL.
        """
        is_ipv4 = "." in local.ip
        if self._has_port or (self._is_ipv6 and is_ipv4 and self.options.only_ipv6):
            raise os_error(errno.EINVAL)
        if not self._host.has_address(local.ip):
            raise os_error(errno.EADDRNOTAVAIL, local.ip)
        self._take_port(local)
        self._keeps_ip = local.ip != self._wildcard
        self._keeps_port = local.port != 0
        if self._is_ipv6 and self._keeps_ip and not is_ipv4:
            self.options.set(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)

    @property
    def _is_ipv6(self) -> bool:
        return self.family == socket.AF_INET6

    def _take_port(self, local: Endpoint) -> Binding:
        binding = Binding(
            local.ip,
            local.port,
            only_ipv6=self.options.only_ipv6,
            reuse_address=self.options.reuse_address,
            reuse_port=self.options.reuse_port,
        )
        self._host.ports.add(binding)
        self._binding = binding
        self.local = Endpoint(local.ip, binding.port)
        return binding

    def _give_port_back(self) -> None:
        if self._binding is not None:
            self._host.ports.release(self._binding)
            self._binding = None

    # --- listening

    def listen(self, backlog: int) -> None:
        """Let connections come, or change how many may wait.

        Raises:
            OSError: EINVAL, it has told of a connection, or has to; EADDRINUSE.
        """
        if self.listening is not None:
            self.listening.set_backlog(backlog)
            return
        if self.state is not SocketState.UNCONNECTED:
            raise os_error(errno.EINVAL)
        binding = self._binding or self._take_port(Endpoint(self.local.ip, 0))
        self.listening = self._host.listen(binding, self.options, backlog)

    # --- connecting

    def connect(self, remote: Endpoint) -> TcpEnd | None:
        """Begin a connection, or tell what came of the one that was begun.

        Returns:
            The end whose handshake is to be waited for; None if that is done.

        Raises:
            OSError: EISCONN, it is connected or listens; EINVAL, it is of no use;
                what broke the connection, or ECONNABORTED if that was told; or what
                `Host.connect` raises.
        """
        end = self.end
        if end is None:
            return self._begin(remote)
        if self.state is SocketState.CONNECTED:
            raise os_error(errno.EISCONN)
        if self.state is SocketState.DISCONNECTING:
            raise os_error(errno.EINVAL)
        if end.is_connecting:
            return end
        if end.is_over:
            error = end.take_error() or errno.ECONNABORTED
            self._disconnect()
            raise os_error(error)
        self.state = SocketState.CONNECTED
        return None

    def _begin(self, remote: Endpoint) -> TcpEnd:
        if self.listening is not None:
            raise os_error(errno.EISCONN)
        if self._is_ipv6 and "." in remote.ip and self.options.only_ipv6:
            raise os_error(errno.ENETUNREACH, remote.ip)
        port = 0 if self._binding is None else self._binding.port
        local = Endpoint(self.local.ip, port)
        end = self._host.connect(local, remote, self.options)
        self.shut_down_from_the_start(end)
        self.state = SocketState.CONNECTING
        self.end = end
        self.local = end.local
        if not self._keeps_port:
            self._give_port_back()  # the end has it now, and loses it when it fails
        elif self._binding is not None:
            self._binding.ip = end.local.ip
        return end

    def _disconnect(self) -> None:
        """Be as new, but for what `bind` was given (`tcp_disconnect`)."""
        self.state = SocketState.UNCONNECTED
        self.end = None
        self.is_read_shut = self.is_write_shut = False
        if not self._keeps_ip:
            self.local = Endpoint(self._wildcard, self.local.port)
        if not self._keeps_port:
            self._give_port_back()
        elif self._binding is not None:
            self._binding.ip = self.local.ip

    # --- the end

    def shutdown(self, reading: bool, writing: bool) -> None:
        """End one direction, or both.

        Raises:
            OSError: ENOTCONN. What is connected later is shut down nevertheless.
        """
        end = self.end
        if self.listening is not None:
            if reading:
                self._stop_listening()
                self._disconnect()
        elif end is None:
            self.is_read_shut |= reading
            self.is_write_shut |= writing
            raise os_error(errno.ENOTCONN)
        elif end.is_connecting:
            end.fail(errno.ECONNRESET)
            self._disconnect()
        else:
            self._shut_down(end, reading, writing)

    def _shut_down(self, end: TcpEnd, reading: bool, writing: bool) -> None:
        if self.state is SocketState.CONNECTING:
            self.state = (
                SocketState.DISCONNECTING if end.is_over else SocketState.CONNECTED
            )
        if not end.is_usable:
            raise os_error(errno.ENOTCONN)
        if writing:
            end.shut_write()
        if reading:
            end.shut_read()

    def _stop_listening(self) -> None:
        if self.listening is not None:
            self._host.stop_listening(self.listening)
            self.listening = None

    def close(self) -> None:
        """Let everything go. A connection ends by itself."""
        if self.listening is not None:
            self.listening.is_closed = True
        self._stop_listening()
        self._give_port_back()
        if self.end is not None:
            self.end.close(self.options.closes_with_reset)
            self.end.receiving.readable.wake()
            self.end.sending.room.wake()
