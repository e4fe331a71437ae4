"""A socket of a virtual host, as `trio.socket` has them."""

from __future__ import annotations

import errno
import operator
import socket
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, cast, final, overload

import trio

from trio_tcp.testing.network import _end_calls
from trio_tcp.testing.network._addresses import SocketName, from_name, to_name
from trio_tcp.testing.network._os_error import os_error
from trio_tcp.testing.network._ports import ANY_IPV4, ANY_IPV6, Binding
from trio_tcp.testing.network._stage import Stage
from trio_tcp.testing.traces import Endpoint

if TYPE_CHECKING:
    from typing_extensions import Buffer  # of collections.abc from Python 3.12 on

    from trio_tcp.testing.network._host import Host
    from trio_tcp.testing.network._listening import Listening
    from trio_tcp.testing.network._tcp_end import TcpEnd

__all__ = ["VirtualSocket"]


@final
class VirtualSocket(trio.socket.SocketType):
    """A TCP socket on a virtual host. Made by `trio.socket.socket` there.

    It does what a socket of Linux does, with the same errors. What it lacks: urgent
    data, ancillary data, and a descriptor that the system knows.
    """

    def __init__(self, host: Host, family: socket.AddressFamily) -> None:
        super().__init__()
        self._host = host
        self._family = family
        self._fileno = host.wire.register(self)
        self._options = host.new_options()
        self._binding: Binding | None = None
        self._listening: Listening | None = None
        self._end: TcpEnd | None = None
        self._is_closed = False
        self._did_shut_write = False

    # Trio keeps the sockets of one connection attempt in a set, and closes them in its
    # order, which must not depend on where they are in memory.
    def __hash__(self) -> int:
        return self._fileno

    def __eq__(self, other: object) -> bool:
        return self is other

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else self.getsockname()
        return f"<VirtualSocket {self._fileno} on {self._host.name}: {state}>"

    def __enter__(self) -> VirtualSocket:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def family(self) -> socket.AddressFamily:
        """AF_INET or AF_INET6."""
        return self._family

    @property
    def type(self) -> socket.SocketKind:
        """SOCK_STREAM."""
        return socket.SOCK_STREAM

    @property
    def proto(self) -> int:
        """IPPROTO_TCP."""
        return socket.IPPROTO_TCP

    @property
    def did_shutdown_SHUT_WR(self) -> bool:  # noqa: N802 - Trio's name
        """Whether this side has sent its end."""
        return self._did_shut_write

    @property
    def _sock(self) -> VirtualSocket:
        """What anyio takes for the socket inside, to ask it for names and options."""
        return self

    def fileno(self) -> int:
        """Give a number that no real descriptor has; -1 when closed.

        In `run_simulation`, `trio.lowlevel.wait_readable` and its kin take it.
        """
        return -1 if self._is_closed else self._fileno

    # --- names

    def getsockname(self) -> SocketName:
        """Give the address on this side."""
        self._check_open()
        if self._end is not None:
            return to_name(self._end.local, self._family)
        if self._binding is not None:
            local = Endpoint(self._binding.ip, self._binding.port)
            return to_name(local, self._family)
        return to_name(Endpoint(self._wildcard, 0), self._family)

    @property
    def _wildcard(self) -> str:
        return ANY_IPV4 if self._family == socket.AF_INET else ANY_IPV6

    def getpeername(self) -> SocketName:
        """Give the address on the other side.

        Raises:
            OSError: ENOTCONN.
        """
        self._check_open()
        return to_name(self._connected().remote, self._family)

    def _connected(self) -> TcpEnd:
        end = self._end
        if end is None or not end.is_usable:
            raise os_error(errno.ENOTCONN)
        return end

    def _check_open(self) -> None:
        if self._is_closed:
            raise os_error(errno.EBADF)

    # --- options

    @overload
    def getsockopt(self, level: int, optname: int) -> int: ...

    @overload
    def getsockopt(self, level: int, optname: int, buflen: int) -> bytes: ...

    def getsockopt(
        self, level: int, optname: int, buflen: int | None = None
    ) -> int | bytes:
        """Give an option."""
        self._check_open()
        value = self._get(level, optname)
        if buflen is None:
            return (
                value if isinstance(value, int) else int.from_bytes(value[:4], "little")
            )
        return value[:buflen] if isinstance(value, bytes) else _pack(value)[:buflen]

    def _get(self, level: int, option: int) -> int | bytes:
        if level == socket.SOL_SOCKET:
            if option == socket.SO_ACCEPTCONN:
                return int(self._listening is not None)
            if option == socket.SO_TYPE:
                return int(socket.SOCK_STREAM)
            if option == socket.SO_ERROR:
                return 0 if self._end is None else self._end.take_error()
        return self._options.get(level, option)

    @overload
    def setsockopt(self, level: int, optname: int, value: int | Buffer) -> None: ...

    @overload
    def setsockopt(
        self, level: int, optname: int, value: None, optlen: int
    ) -> None: ...

    def setsockopt(
        self,
        level: int,
        optname: int,
        value: int | Buffer | None,
        optlen: int | None = None,
    ) -> None:
        """Set an option. One that nothing depends on is kept, and given back."""
        self._check_open()
        if value is None:
            value = bytes(optlen or 0)
        self._options.set(level, optname, value)
        binding, end = self._binding, self._end
        if binding is not None:
            binding.reuse_address = self._options.reuse_address
        if end is not None:
            end.receiving.capacity = self._options.receive_buffer
            end.sending.capacity = self._options.send_buffer
            end.sending.no_delay = self._options.no_delay
            end.push()

    def get_inheritable(self) -> bool:
        """Say no: no other program can have it."""
        return False

    def set_inheritable(self, inheritable: bool) -> None:
        """Do nothing: no other program can have it."""

    # --- listening

    async def bind(self, address: object) -> None:
        """Take a local address.

        Raises:
            OSError: EINVAL, EADDRINUSE or EADDRNOTAVAIL.
        """
        self._check_open()
        await trio.lowlevel.checkpoint()
        local = await self._resolve(address)
        if self._binding is not None or self._end is not None:
            raise os_error(errno.EINVAL)
        if not self._host.has_address(local.ip):
            raise os_error(errno.EADDRNOTAVAIL, local.ip)
        self._bind(local)

    def _bind(self, local: Endpoint) -> Binding:
        options = self._options
        binding = Binding(
            local.ip,
            local.port,
            only_ipv6=options.only_ipv6,
            reuse_address=options.reuse_address,
            reuse_port=options.reuse_port,
        )
        self._host.ports.add(binding)
        self._binding = binding
        return binding

    async def _resolve(self, address: object) -> Endpoint:
        try:
            return from_name(address, self._family)
        except socket.gaierror:
            host, port = cast("tuple[str, int]", address)[:2]
            found = await trio.socket.getaddrinfo(host, port, self._family)
            return from_name(found[0][4], self._family)

    def listen(self, backlog: int = 128) -> None:
        """Let connections come.

        Args:
            backlog: How many may wait to be accepted, beside one.

        Raises:
            OSError: EINVAL, it is connected; EADDRINUSE.
        """
        self._check_open()
        if self._listening is not None:
            self._listening.set_backlog(backlog)
            return
        if self._end is not None and not self._end.is_over:
            raise os_error(errno.EINVAL)
        binding = self._binding or self._bind(Endpoint(self._wildcard, 0))
        self._listening = self._host.listen(binding, self._options, backlog)

    async def accept(self) -> tuple[VirtualSocket, SocketName]:
        """Wait for a connection, and take it.

        Raises:
            OSError: EINVAL, it does not listen.
            trio.ClosedResourceError: it was closed meanwhile.
            trio.BusyResourceError: another task accepts.
        """
        self._check_open()
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._listening is None:
            raise os_error(errno.EINVAL)
        end = await self._listening.accept()
        accepted = VirtualSocket(self._host, self._family)
        accepted._end = end
        accepted._options = self._options.copy()
        return accepted, to_name(end.remote, self._family)

    # --- connecting

    async def connect(self, address: object) -> None:
        """Connect to an address.

        Raises:
            OSError: ECONNREFUSED, ETIMEDOUT, ENETUNREACH, EISCONN, EADDRNOTAVAIL …

        Cancellation:
            The socket is closed, as by Trio's.
        """
        self._check_open()
        try:
            await trio.lowlevel.checkpoint()
            remote = await self._resolve(address)
            if self._listening is not None or self._is_connected:
                raise os_error(errno.EISCONN)
            end = self._end = self._host.connect(self._binding, remote, self._options)
            while end.stage in (Stage.SYN_SENT, Stage.SYN_RECEIVED):
                await end.sending.room.wait()
                self._check_still_open()
        except trio.Cancelled:
            self.close()
            raise
        error = end.take_error()
        if error:
            self._end = None  # it may be tried again
            raise os_error(error, f"connecting to {remote}")

    @property
    def _is_connected(self) -> bool:
        return self._end is not None and self._end.is_usable

    def _check_still_open(self) -> None:
        if self._is_closed:
            raise _end_calls.closed_meanwhile()

    # --- bytes

    def is_readable(self) -> bool:
        """Say whether `recv` or `accept` would return at once."""
        if self._is_closed:
            return False
        if self._listening is not None:
            return bool(self._listening.queue)
        return self._end is None or self._end.can_read()

    async def wait_readable(self) -> None:
        """Wait until `recv` or `accept` would return at once.

        Raises:
            trio.BusyResourceError: another task waits.
            trio.ClosedResourceError: it was closed meanwhile.
        """
        self._check_open()
        await trio.lowlevel.checkpoint()
        if self._listening is not None:
            await self._listening.wait()
        elif self._end is not None:
            await _end_calls.wait_readable(self._end)

    async def wait_writable(self) -> None:
        """Wait until `send` would take something.

        Raises:
            trio.BusyResourceError: another task sends, or waits for that.
            trio.ClosedResourceError: it was closed meanwhile.
        """
        self._check_open()
        await trio.lowlevel.checkpoint()
        if self._end is not None:
            await _end_calls.wait_writable(self._end)

    async def recv(self, buflen: int, flags: int = 0, /) -> bytes:
        """Wait for bytes, and take up to ``buflen``; none at the end.

        Raises:
            OSError: ENOTCONN, or what broke the connection.
            trio.BusyResourceError: another task receives.
            trio.ClosedResourceError: it was closed meanwhile.
        """
        size = operator.index(buflen)
        if size < 0:
            raise ValueError("negative buffersize in recv")
        await trio.lowlevel.checkpoint_if_cancelled()
        self._check_open()
        if self._end is None:
            raise os_error(errno.ENOTCONN)
        peek = bool(flags and _is_peek(flags))
        return await _end_calls.receive(self._end, size, peek)

    async def recv_into(self, buffer: Buffer, nbytes: int = 0, flags: int = 0) -> int:
        """Wait for bytes, and put them into a buffer; returns how many."""
        with memoryview(buffer).cast("B") as view:
            data = await self.recv(nbytes or len(view), flags)
            view[: len(data)] = data
        return len(data)

    async def send(self, data: Buffer, flags: int = 0, /) -> int:
        """Wait for room, and send as much of the bytes as there is room for.

        Raises:
            OSError: EPIPE, or what broke the connection.
            trio.BusyResourceError: another task sends.
            trio.ClosedResourceError: it was closed meanwhile.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        self._check_open()
        if self._end is None:
            raise os_error(errno.EPIPE)
        if flags:
            _check_send_flags(flags)
        with memoryview(data) as view:
            octets = view if view.format == "B" else view.cast("B")
            return await _end_calls.send(self._end, octets)

    async def sendmsg(
        self,
        buffers: Iterable[Buffer],
        ancdata: Iterable[tuple[int, int, Buffer]] = (),
        flags: int = 0,
        address: object = None,
        /,
    ) -> int:
        """Send bytes from several buffers; returns how many were taken."""
        if list(ancdata) or address is not None:
            raise _lacks("sendmsg with ancillary data or an address")
        return await self.send(b"".join(buffers), flags)

    # --- the end

    def shutdown(self, flag: int) -> None:
        """End one direction, or both.

        Raises:
            OSError: ENOTCONN.
        """
        self._check_open()
        if flag not in (socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR):
            raise os_error(errno.EINVAL)
        end = self._connected()
        if flag != socket.SHUT_RD:
            self._did_shut_write = True
            end.shut_write()
        if flag != socket.SHUT_WR:
            end.shut_read()

    def close(self) -> None:
        """Let the socket go. Bytes that were sent still arrive; then comes the end.

        Bytes that were not read, or SO_LINGER with no time, break the connection with
        a reset instead.
        """
        if self._is_closed:
            return
        self._is_closed = True
        self._host.wire.sockets.pop(self._fileno, None)
        if self._listening is not None:
            self._host.stop_listening(self._listening)
        if self._binding is not None:
            self._host.ports.release(self._binding)
        if self._end is not None:
            self._end.close(self._options.closes_with_reset)
            self._end.receiving.readable.wake()
            self._end.sending.room.wake()

    def detach(self) -> NoReturn:
        """Say that there is no descriptor to give away."""
        raise _lacks("a descriptor that can be detached")

    def dup(self) -> NoReturn:
        """Say that there is no descriptor to duplicate."""
        raise _lacks("a descriptor that can be duplicated")


def _pack(value: int) -> bytes:
    return (value & 0xFFFFFFFF).to_bytes(4, "little")


def _is_peek(flags: int) -> bool:
    if flags & ~(socket.MSG_PEEK | socket.MSG_DONTWAIT):
        raise _lacks("a recv with flags other than MSG_PEEK")
    return bool(flags & socket.MSG_PEEK)


def _check_send_flags(flags: int) -> None:
    if flags & ~(socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT):
        raise _lacks("a send with flags other than MSG_NOSIGNAL")


def _lacks(what: str) -> OSError:
    return os_error(errno.EOPNOTSUPP, f"a virtual socket does not have {what}")
