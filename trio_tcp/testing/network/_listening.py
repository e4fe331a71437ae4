"""A socket that listens: connections that nobody has accepted yet."""

from __future__ import annotations

import errno
from collections import deque
from typing import TYPE_CHECKING, Final, final

import trio

from trio_tcp.testing.network._end_calls import closed_meanwhile
from trio_tcp.testing.network._os_error import os_error
from trio_tcp.testing.network._waiter import Waiter

if TYPE_CHECKING:
    from trio_tcp.testing.network._ports import Binding
    from trio_tcp.testing.network._socket_options import SocketOptions
    from trio_tcp.testing.network._tcp_end import TcpEnd

__all__ = ["Listening"]

LONGEST_BACKLOG: Final = 4096
"""What a backlog is cut down to (net.core.somaxconn)."""


@final
class Listening:
    """The accept queue of a socket.

    Attributes:
        binding: Where it listens.
        options: What connections that it accepts inherit.
        queue: Connections that are ready to be accepted, oldest first.
        acceptable: Where the task waits that accepts.
        ended: Where a task waits to send, until it listens no more: in vain.
        is_over: It listens no more.
        is_closed: The socket is closed.
    """

    def __init__(self, binding: Binding, options: SocketOptions, backlog: int) -> None:
        self.binding: Binding = binding
        self.options: SocketOptions = options
        self.queue: deque[TcpEnd] = deque()
        self.acceptable: Waiter = Waiter("accepting")
        self.ended: Waiter = Waiter("waiting to send")
        self.is_over: bool = False
        self.is_closed: bool = False
        self.set_backlog(backlog)

    def set_backlog(self, backlog: int) -> None:
        """Say how many connections may wait beside one; a negative number is many."""
        is_many = not 0 <= backlog <= LONGEST_BACKLOG
        self._backlog = LONGEST_BACKLOG if is_many else backlog

    @property
    def is_full(self) -> bool:
        """Whether no more fit: one more than the backlog (sk_acceptq_is_full)."""
        return len(self.queue) > self._backlog

    def add(self, end: TcpEnd) -> None:
        """Put a connection into the queue, whose handshake is done."""
        self.queue.append(end)
        self.acceptable.wake()

    async def accept(self) -> TcpEnd:
        """Wait for a connection, and take it: with a checkpoint, as Trio's sockets.

        Raises:
            OSError: EINVAL, it was shut down meanwhile.
        """
        if self.queue:
            end = self.queue.popleft()
            await trio.lowlevel.cancel_shielded_checkpoint()
            return end
        await self.wait_acceptable()
        if self.is_over:
            raise os_error(errno.EINVAL)
        return self.queue.popleft()

    async def wait_acceptable(self) -> None:
        """Wait until `accept` would not wait."""
        while not self.queue and not self.is_over:
            await self.acceptable.wait()
            if self.is_closed:
                raise closed_meanwhile()

    async def wait_writable(self) -> None:
        """Wait for what a listener never is."""
        await self.ended.wait()
        if self.is_closed:
            raise closed_meanwhile()

    def stop(self) -> None:
        """Accept no more; whoever waited to be accepted is reset."""
        self.is_over = True
        while self.queue:
            self.queue.popleft().close(with_reset=True)
        self.acceptable.wake()
        self.ended.wake()
