"""The transport over real sockets, TCP and Unix: straight to the kernel.

It takes the descriptor out of Trio's socket and calls the standard library's directly.
Trio's own calls must look as if they always waited, which costs a failing system call
or a pass of the scheduler for each; a connection has its own schedule points.
"""

from __future__ import annotations

import socket
import struct
import sys
from contextlib import suppress
from typing import Final, final

import trio

from trio_tcp._address import Address, from_sockaddr
from trio_tcp._transport._tls_info import TlsInfo
from trio_tcp._transport._transport import READ_BYTES

__all__ = ["LINGER_ZERO", "SocketTransport"]

LINGER_ZERO: Final = struct.pack("HH" if sys.platform == "win32" else "ii", 1, 0)
"""For SO_LINGER: on, with zero seconds, so that closing sends RST (socket(7)). The
fields of struct linger {l_onoff, l_linger} are ints, on Windows unsigned shorts."""

MAX_EAGER_READS: Final = 2
"""How many reads in a row may do without waiting, and so without a schedule point: a
message of many megabytes must not keep the other connections from theirs."""


@final
class SocketTransport:
    """Bytes over a non-blocking socket that it owns.

    `trio.lowlevel.notify_closing` wakes the tasks that wait for a socket. It serves
    here to interrupt a read without the cost of a cancel scope for each. It wakes a
    waiting writer too; that one just goes on.
    """

    __slots__ = ("_eager_reads", "_socket")

    def __init__(self, sock: socket.socket) -> None:
        # It is non-blocking already, but socket.setdefaulttimeout may have made Python
        # believe otherwise, and wait.
        sock.setblocking(False)
        self._socket = sock
        self._eager_reads = 0

    @property
    def local(self) -> Address | None:
        """Where the socket is bound; None once it is closed."""
        with suppress(OSError):
            return from_sockaddr(self._socket.family, self._socket.getsockname())
        return None

    @property
    def peer(self) -> Address | None:
        """Where it is connected to; None if the peer is gone already."""
        with suppress(OSError):
            return from_sockaddr(self._socket.family, self._socket.getpeername())
        return None

    @property
    def tls(self) -> TlsInfo | None:
        """None: the bytes are as they are."""
        return None

    async def receive_some(self) -> bytes:
        """Wait for the kernel to have bytes, then take them."""
        sock = self._socket
        while True:
            # After a full read the kernel has probably more; else it surely has not,
            # and to try would be a wasted system call.
            if not self._eager_reads:
                if sock.fileno() < 0:
                    raise trio.ClosedResourceError("this socket was closed")
                await trio.lowlevel.wait_readable(sock)
                self._eager_reads = MAX_EAGER_READS
            try:
                chunk = sock.recv(READ_BYTES)
            except BlockingIOError:
                self._eager_reads = 0
            except OSError as error:
                raise self._translated(error) from error
            else:
                full = len(chunk) == READ_BYTES
                self._eager_reads = self._eager_reads - 1 if full else 0
                return chunk

    def interrupt_receive(self) -> None:
        """Wake the reader; the socket stays open."""
        if self._socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self._socket)

    def is_quiet(self) -> bool:
        """Ask the kernel, which has neither bytes nor an end to tell of."""
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except OSError as error:
            return isinstance(error, BlockingIOError)
        return False

    def send_now(self, data: bytes | memoryview) -> int:
        """Let the kernel take what fits into its buffer."""
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._translated(error) from error

    async def send_some(self, data: memoryview) -> int:
        """Let the kernel take what fits, as soon as something does."""
        while not (taken := self.send_now(data)):
            # Woken for the reader's sake, it tries again.
            with suppress(trio.ClosedResourceError):
                await trio.lowlevel.wait_writable(self._socket)
        return taken

    def _translated(self, error: OSError) -> Exception:
        if self._socket.fileno() < 0:
            return trio.ClosedResourceError("this socket was closed")
        return trio.BrokenResourceError(f"socket connection broken: {error}")

    @property
    def can_half_close(self) -> bool:
        """Sockets can."""
        return True

    async def send_eof(self) -> None:
        """Send FIN."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise self._translated(error) from error

    async def aclose(self) -> None:
        """Close: FIN, or RST where received bytes are left unread."""
        if self._socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()

    async def abort(self) -> None:
        """Close with RST."""
        with suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
        await self.aclose()

    def release(self) -> trio.abc.Stream:
        """Make a stream of Trio's of the socket, which is not this one's any more."""
        sock = socket.socket(fileno=self._socket.detach())
        return trio.SocketStream(trio.socket.from_stdlib_socket(sock))
