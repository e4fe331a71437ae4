"""The transport over real sockets, TCP and Unix: straight to the kernel.

It takes the descriptor out of Trio's socket and calls the standard library's directly.
Trio's own calls must look as if they always waited, which costs a failing system call
or a pass of the scheduler for each; a connection has its own schedule points.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, cast, final

import outcome
import trio
from trio.lowlevel import (
    current_task,
    reschedule,
    wait_readable,
    wait_task_rescheduled,
)

from trio_tcp._address import Address, from_sockaddr
from trio_tcp._transport._poller import FEW, LONE_WAKES, current_poller
from trio_tcp._transport._tls_info import TlsInfo
from trio_tcp._transport._transport import READ_BYTES, Doze, Offer

__all__ = ["LINGER_ZERO", "SocketTransport"]

LINGER_ZERO: Final = struct.pack("HH" if sys.platform == "win32" else "ii", 1, 0)
"""For SO_LINGER: on, with zero seconds, so that closing sends RST (socket(7)). The
fields of struct linger {l_onoff, l_linger} are ints, on Windows unsigned shorts."""

HAS_SENDMSG: Final = hasattr(socket.socket, "sendmsg")  # not on Windows

# What is known of the kernel having something to read.
NOTHING: Final = 0  # it has to be waited for
BYTES_ALONE: Final = 1  # a read that is not full takes all that there is
SOMETHING: Final = 2  # only a read that finds nothing proves that

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

    __slots__ = (
        "_doze",
        "_eager_reads",
        "_error",
        "_has_waited_directly",
        "_is_interrupted",
        "_is_polled",
        "_lone_wakes",
        "_offer",
        "_peer",
        "_poller",
        "_readable",
        "_reader",
        "_socket",
        "_wants_poller",
        "_woken_at",
    )

    def __init__(self, sock: socket.socket, peer: Address | None = None) -> None:
        self._socket = sock
        self._peer = peer
        self._readable = NOTHING
        self._eager_reads = 0
        self._is_interrupted = False  # when it could not be woken at once
        self._poller = poller = current_poller()
        self._is_polled = False
        self._lone_wakes = 0
        self._has_waited_directly = False  # through Trio
        self._wants_poller = poller.guess()
        self._woken_at = poller.wakes
        self._reader: trio.lowlevel.Task | None = None  # that waits for the poller
        self._offer: Offer | None = None
        self._doze: Doze | None = None
        self._error: Exception | None = None  # of a read for that
        poller.sockets += 1

    @property
    def local(self) -> Address | None:
        """Where the socket is bound; None once it is closed."""
        with suppress(OSError):
            return from_sockaddr(self._socket.family, self._socket.getsockname())
        return None

    @property
    def peer(self) -> Address | None:
        """Where it is connected to; None if the peer is gone already."""
        if self._peer is not None:
            return self._peer
        with suppress(OSError):
            return from_sockaddr(self._socket.family, self._socket.getpeername())
        return None

    @property
    def tls(self) -> TlsInfo | None:
        """None: the bytes are as they are."""
        return None

    async def receive_some(self) -> bytes:  # noqa: C901, PLR0912 - calls cost more
        """Wait for the kernel to have bytes, then take them."""
        self._is_interrupted = False
        while True:
            if self._readable and self._eager_reads:
                pass
            elif self._error is not None:
                error, self._error = self._error, None
                raise error
            elif self._wants_poller is not self._is_polled:
                self._change_sides()
                continue
            elif not self._is_polled:
                fd = self._socket.fileno()
                if fd < 0:
                    raise trio.ClosedResourceError("this socket was closed")
                self._has_waited_directly = True
                await wait_readable(fd)
                self._note_direct_wake()
            elif self._readable:
                await trio.lowlevel.checkpoint()
                self._eager_reads = MAX_EAGER_READS
            else:
                self._reader = current_task()
                chunk = await wait_task_rescheduled(self._stop_waiting)
                self._eager_reads = MAX_EAGER_READS
                if chunk is not None:
                    return cast("bytes", chunk)
            try:
                chunk = self._socket.recv(READ_BYTES)
            except BlockingIOError:
                self._readable = NOTHING
                if self._is_interrupted:
                    raise _interruption() from None
            except OSError as error:
                raise self._translated(error) from error
            else:
                self._note_read(len(chunk))
                return chunk

    def _note_read(self, count: int) -> None:
        """Conclude whether more is there: to try would be a wasted system call."""
        if count == READ_BYTES:
            self._eager_reads -= 1
        elif self._readable == BYTES_ALONE:
            self._readable = NOTHING
        else:
            self._eager_reads -= 1

    def _note_direct_wake(self) -> None:
        # It is asked anew each time, and so need not be sure.
        self._readable = BYTES_ALONE
        self._eager_reads = MAX_EAGER_READS
        poller = self._poller
        poller.wakes += 1
        self._wants_poller = poller.is_worth_it(self._woken_at, was=False)
        self._woken_at = poller.wakes

    def _stop_waiting(self, _: object) -> trio.lowlevel.Abort:
        self._reader = None
        return trio.lowlevel.Abort.SUCCEEDED

    # With the poller

    def _change_sides(self) -> None:
        fd = self._socket.fileno()
        if fd < 0:
            raise trio.ClosedResourceError("this socket was closed")
        if self._is_polled:
            self._poller.remove(fd)
        elif not self._poller.add(fd, self._told):
            self._wants_poller = False
            return
        self._is_polled = not self._is_polled
        self._readable = NOTHING  # else it will be told at once

    def _told(self, is_bytes_alone: bool) -> None:
        """Something has come: tell the task that waits for it."""
        if not is_bytes_alone:
            self._readable = SOMETHING
            if self._poller.is_over:
                self._wants_poller = False
        elif not self._readable:
            self._readable = BYTES_ALONE
        wakes = self._poller.wakes
        if wakes - self._woken_at <= FEW:
            self._note_lone_wake()
        else:
            self._lone_wakes = 0
        self._woken_at = wakes
        reader = self._reader
        if reader is None:
            if self._doze is not None:
                self._read_for(self._doze)
        elif self._offer is None or not self._wants_poller:
            self._reader = None
            reschedule(reader)
        else:
            self._read_now(reader, self._offer)

    def _note_lone_wake(self) -> None:
        self._lone_wakes += 1
        if self._lone_wakes > LONE_WAKES:
            self._wants_poller = self._poller.is_worth_it(self._woken_at, was=True)

    def _read_now(self, reader: trio.lowlevel.Task, offer: Offer) -> None:
        """Read for the task that waits; if nothing is left to do, it waits on."""
        self._eager_reads = MAX_EAGER_READS
        for _ in range(MAX_EAGER_READS):
            try:
                chunk = self._socket.recv(READ_BYTES)
            except BlockingIOError:
                self._readable = NOTHING
                return
            except OSError as error:
                # Kept for the task: only the first read tells of a reset.
                self._wake(outcome.Error(self._caused_by(error)))
                return
            self._note_read(len(chunk))
            if not chunk:
                self._wake(outcome.Value(chunk))
                return
            is_done = offer(chunk)
            if self._reader is not reader:
                return  # it has been cancelled, or sent away, meanwhile
            if not is_done:
                self.interrupt_receive()
                return
            if not self._readable:
                return
        self.interrupt_receive()  # others have their turn before it goes on

    def _read_for(self, doze: Doze) -> None:
        """Read with no task that waits."""
        if not self._wants_poller:
            doze.wake()
            return
        self._eager_reads = MAX_EAGER_READS
        for _ in range(MAX_EAGER_READS):
            try:
                chunk = self._socket.recv(READ_BYTES)
            except BlockingIOError:
                self._readable = NOTHING
                return
            except OSError as error:
                self._error = self._caused_by(error)
                self._readable = NOTHING  # a second read would tell of an end
                doze.wake()
                return
            self._note_read(len(chunk))
            if not doze.take(chunk) or not self._readable:
                return
        doze.wake()

    def _wake(self, result: outcome.Outcome[bytes]) -> None:
        if self._reader is not None:
            reschedule(self._reader, result)
            self._reader = None

    def offer_to(self, offer: Offer | None) -> None:
        """Offer to read for the task that waits, while the poller tells this socket."""
        self._offer = offer

    def doze(self, doze: Doze | None) -> bool:
        """Only if the poller tells this socket."""
        if doze is not None and self._wants_poller and not self._is_polled:
            self._change_sides()
        self._doze = doze if self._is_polled else None
        return self._is_polled

    def interrupt_receive(self) -> None:
        """Wake the reader; the socket stays open."""
        if self._reader is not None:
            self._wake(outcome.Error(_interruption()))
            return
        # One that is about to run goes on with what it has been woken for; that may
        # turn out to be nothing.
        self._is_interrupted = True
        if self._socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self._socket)

    # Without waiting

    def is_quiet(self) -> bool:
        """Ask the kernel, which has neither bytes nor an end to tell of.

        To peek would take a reset's error away from the read that is to tell of it.
        """
        if self._socket.fileno() < 0:
            return False
        return not trio.socket.from_stdlib_socket(self._socket).is_readable()

    def send_now(self, data: bytes | memoryview) -> int:
        """Let the kernel take what fits into its buffer."""
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._translated(error) from error

    def send_parts_now(self, parts: Sequence[bytes | memoryview]) -> int:
        """Let the kernel take what fits, from where it lies."""
        if not HAS_SENDMSG:
            return self.send_now(b"".join(parts))
        try:
            return self._socket.sendmsg(parts)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._translated(error) from error

    async def send_some(self, data: memoryview) -> int:
        """Let the kernel take what fits, as soon as something does."""
        while not (taken := self.send_now(data)):
            self._has_waited_directly = True
            # Woken for the reader's sake, it tries again.
            with suppress(trio.ClosedResourceError):
                await trio.lowlevel.wait_writable(self._socket)
        return taken

    def _caused_by(self, error: OSError) -> Exception:
        translated = self._translated(error)
        translated.__cause__ = error
        return translated

    def _translated(self, error: OSError) -> Exception:
        if self._socket.fileno() < 0:
            return trio.ClosedResourceError("this socket was closed")
        return trio.BrokenResourceError(f"socket connection broken: {error}")

    @property
    def can_half_close(self) -> bool:
        """Sockets can."""
        return True

    @property
    def closes_at_once(self) -> bool:
        """Sockets do."""
        return True

    async def send_eof(self) -> None:
        """Send FIN."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise self._translated(error) from error

    async def aclose(self) -> None:
        """Close: FIN, or RST where received bytes are left unread."""
        self.close_now()

    def close_now(self) -> bool:
        """The same."""
        if self._socket.fileno() >= 0:
            self._leave_poller()
            if self._has_waited_directly:
                trio.lowlevel.notify_closing(self._socket)
            self._socket.close()
        return True

    def _leave_poller(self) -> None:
        self._poller.sockets -= 1
        if self._is_polled:
            self._poller.remove(self._socket.fileno())
            self._is_polled = False
        if self._reader is not None:
            self.interrupt_receive()

    async def abort(self) -> None:
        """Close with RST."""
        with suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
        await self.aclose()

    def release(self) -> trio.abc.Stream:
        """Make a stream of Trio's of the socket, which is not this one's any more."""
        self._leave_poller()
        sock = socket.socket(fileno=self._socket.detach())
        return trio.SocketStream(trio.socket.from_stdlib_socket(sock))


def _interruption() -> Exception:
    return trio.ClosedResourceError("receiving was interrupted")
