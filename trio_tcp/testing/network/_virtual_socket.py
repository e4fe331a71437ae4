"""A socket of a virtual host, as `trio.socket` has them."""

from __future__ import annotations

import errno
import operator
import socket
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, final, overload

import trio

from trio_tcp.testing.network import _end_calls
from trio_tcp.testing.network._addresses import SocketName, resolve, to_name
from trio_tcp.testing.network._inet_socket import InetSocket
from trio_tcp.testing.network._lacking import check_send_flags, is_peek, lacks
from trio_tcp.testing.network._os_error import os_error

if TYPE_CHECKING:
    from typing_extensions import Buffer  # of collections.abc from Python 3.12 on

    from trio_tcp.testing.network._host import Host

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
        self._fileno = host.wire.register(self)
        self._inet = InetSocket(host, family)
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
        return self._inet.family

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
        return to_name(self._inet.local, self.family)

    def getpeername(self) -> SocketName:
        """Give the address on the other side.

        Raises:
            OSError: ENOTCONN.
        """
        self._check_open()
        end = self._inet.end
        if end is None or not end.is_usable:
            raise os_error(errno.ENOTCONN)
        return to_name(end.remote, self.family)

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
        value = self._inet.get_option(level, optname)
        if buflen is not None:
            return value[:buflen] if isinstance(value, bytes) else _pack(value)[:buflen]
        return value if isinstance(value, int) else int.from_bytes(value[:4], "little")

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
        """Set an option. One that nothing depends on is kept, and given back.

        Raises:
            OSError: ENOPROTOOPT, it can only be read; EINVAL.
        """
        self._check_open()
        if value is None:
            value = bytes(optlen or 0)
        self._inet.set_option(level, optname, value)

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
        self._inet.bind(await resolve(address, self.family))

    def listen(self, backlog: int = 128) -> None:
        """Let connections come.

        Args:
            backlog: How many may wait to be accepted, beside one.

        Raises:
            OSError: EINVAL, it is or was connected; EADDRINUSE.
        """
        self._check_open()
        self._inet.listen(backlog)

    async def accept(self) -> tuple[VirtualSocket, SocketName]:
        """Wait for a connection, and take it.

        Raises:
            OSError: EINVAL, it does not listen, or does not any more.
            trio.ClosedResourceError: it was closed meanwhile.
            trio.BusyResourceError: another task accepts.
        """
        self._check_open()
        await trio.lowlevel.checkpoint_if_cancelled()
        listening = self._inet.listening
        if listening is None:
            raise os_error(errno.EINVAL)
        end = await listening.accept()
        accepted = VirtualSocket(self._host, self.family)
        accepted._inet.take_accepted(end, self._inet)
        return accepted, to_name(end.remote, self.family)

    # --- connecting

    async def connect(self, address: object) -> None:
        """Connect to an address.

        A socket that has connected, or failed, tells that once more before it can be
        told anything else, as in Linux: EISCONN comes with the third call, and after a
        failure it is the third that tries again.

        Raises:
            OSError: ECONNREFUSED, ETIMEDOUT, ENETUNREACH, EISCONN, EADDRNOTAVAIL …
            trio.BusyResourceError: another task connects it.
            trio.ClosedResourceError: it was closed meanwhile.

        Cancellation:
            The socket is closed, as by Trio's.
        """
        self._check_open()
        try:
            await trio.lowlevel.checkpoint()
            end = self._inet.connect(await resolve(address, self.family))
            if end is not None:
                await _end_calls.wait_connected(end)
        except trio.Cancelled:
            self.close()
            raise

    # --- bytes

    def is_readable(self) -> bool:
        """Say whether `recv` or `accept` would return at once.

        Raises:
            ValueError: it is closed.
        """
        self._check_descriptor()
        inet = self._inet
        if inet.listening is not None:
            return bool(inet.listening.queue)
        return inet.end is None or inet.end.can_read()

    def _check_descriptor(self) -> None:
        if self._is_closed:
            raise ValueError("file descriptor cannot be a negative integer (-1)")

    async def wait_readable(self) -> None:
        """Wait until `recv` or `accept` would return at once.

        Raises:
            ValueError: it is closed.
            trio.BusyResourceError: another task waits.
            trio.ClosedResourceError: it was closed meanwhile.
        """
        self._check_descriptor()
        await trio.lowlevel.checkpoint()
        inet = self._inet
        if inet.listening is not None:
            await inet.listening.wait_acceptable()
        elif inet.end is not None:
            await _end_calls.wait_readable(inet.end)

    async def wait_writable(self) -> None:
        """Wait until `send` would take something.

        Raises:
            ValueError: it is closed.
            trio.BusyResourceError: another task sends, or waits for that.
            trio.ClosedResourceError: it was closed meanwhile.
        """
        self._check_descriptor()
        await trio.lowlevel.checkpoint()
        inet = self._inet
        if inet.listening is not None:
            await inet.listening.wait_writable()
        elif inet.end is not None:
            await _end_calls.wait_writable(inet.end)

    async def recv(self, buflen: int, flags: int = 0, /) -> bytes:
        """Wait for bytes, and take up to ``buflen``; none at the end.

        Raises:
            OSError: ENOTCONN, or what broke the connection.
            trio.BusyResourceError: another task receives.
            trio.ClosedResourceError: it was closed meanwhile.
        """
        size = operator.index(buflen)
        if size <= 0:
            return await _end_calls.receive_nothing(size)
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._is_closed:
            raise os_error(errno.EBADF)
        peek = bool(flags and is_peek(flags))
        end = self._inet.end
        if end is not None:
            return await _end_calls.receive(end, size, peek)
        if self._inet.listening is not None or not self._inet.is_read_shut:
            raise os_error(errno.ENOTCONN)
        return b""

    async def recvfrom(self, bufsize: int, flags: int = 0, /) -> tuple[bytes, None]:
        """Do as `recv`; a connection tells no address."""
        return await self.recv(bufsize, flags), None

    async def recvmsg(
        self, bufsize: int, ancbufsize: int = 0, flags: int = 0, /
    ) -> tuple[bytes, list[tuple[int, int, bytes]], int, None]:
        """Do as `recv`; there is no ancillary data, no flag and no address."""
        return await self.recv(bufsize, flags), [], 0, None

    async def recv_into(self, buffer: Buffer, nbytes: int = 0, flags: int = 0) -> int:
        """Wait for bytes, and put them into a buffer; returns how many."""
        with memoryview(buffer).cast("B") as view:
            data = await self.recv(_end_calls.size_for(view, nbytes), flags)
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
        if self._is_closed:
            raise os_error(errno.EBADF)
        end = self._inet.end
        if end is None:
            raise os_error(errno.EPIPE)
        if flags:
            check_send_flags(flags)
        with memoryview(data) as view:
            octets = view if view.format == "B" else view.cast("B")
            return await _end_calls.send(end, octets)

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
            raise lacks("sendmsg with ancillary data or an address")
        return await self.send(b"".join(buffers), flags)

    # --- the end

    def shutdown(self, flag: int) -> None:
        """End one direction, or both.

        Raises:
            OSError: ENOTCONN. A socket that connects later is shut down nevertheless.
        """
        self._check_open()
        if flag not in (socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR):
            raise os_error(errno.EINVAL)
        writing = flag != socket.SHUT_RD
        self._inet.shutdown(flag != socket.SHUT_WR, writing)
        self._did_shut_write |= writing

    def close(self) -> None:
        """Let the socket go. Bytes that were sent still arrive; then comes the end.

        Bytes that were not read, or SO_LINGER with no time, break the connection with
        a reset instead.
        """
        if self._is_closed:
            return
        self._is_closed = True
        self._host.wire.sockets.pop(self._fileno, None)
        self._inet.close()

    def detach(self) -> NoReturn:
        """Say that there is no descriptor to give away."""
        raise lacks("a descriptor that can be detached")

    def dup(self) -> NoReturn:
        """Say that there is no descriptor to duplicate."""
        raise lacks("a descriptor that can be duplicated")


def _pack(value: int) -> bytes:
    return (value & 0xFFFFFFFF).to_bytes(4, "little")
