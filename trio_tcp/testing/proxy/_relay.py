"""A real socket and one end of a virtual connection, joined: what one gets, both get.

Bytes, the end of the stream in each direction, a reset, and that a reader is slow: the
virtual end has bounded buffers, and the socket is read only as they have room.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeAlias, final

import trio

from trio_tcp.testing.network import _end_calls
from trio_tcp.testing.network._os_error import os_error
from trio_tcp.testing.proxy import _real_socket
from trio_tcp.testing.proxy._unread import wait_read

if TYPE_CHECKING:
    from trio_tcp.testing.network import TcpEnd

__all__ = ["Count", "relay"]

CHUNK_BYTES: Final = 64 << 10
"""Read at once: as much as one segment carries over the loopback interface."""

Count: TypeAlias = Callable[[int], None]
"""Takes how many bytes went by."""


async def relay(
    sock: trio.socket.SocketType, end: TcpEnd, *, received: Count, sent: Count
) -> OSError | None:
    """Join both until either is broken, or both directions have ended.

    Afterwards both are closed, in the way in which the other was. The virtual end still
    delivers what it holds, as a kernel does.

    Args:
        sock: the real socket.
        end: the virtual end, with its handshake done.
        received: is told of bytes that came out of the socket.
        sent: is told of bytes that went into it.

    Returns:
        What broke it; None if both directions ended.

    Cancellation:
        Resets both.
    """
    joint = _Joint(sock, end)
    try:
        await joint.carry(received, sent)
        if joint.error is None:
            sock.close()
            end.close(with_reset=False)
        else:
            end.close(with_reset=True)
            await _real_socket.wait_sent(sock)
        return joint.error
    finally:
        _real_socket.reset(sock)
        end.close(with_reset=True)


@final
class _Joint:
    """Both directions of a pair.

    Attributes:
        error: What broke either side.
    """

    def __init__(self, sock: trio.socket.SocketType, end: TcpEnd) -> None:
        self.error: OSError | None = None
        self._sock = sock
        self._end = end
        self._has_ended_once = False
        self._scope = trio.CancelScope()

    async def carry(self, received: Count, sent: Count) -> None:
        """Carry bytes both ways, until both have ended or one has failed."""
        with self._scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._until_error, self._carry_in, received)
                nursery.start_soon(self._until_error, self._carry_out, sent)

    async def _until_error(
        self, carry: Callable[[Count], Awaitable[None]], count: Count
    ) -> None:
        try:
            await carry(count)
        except OSError as error:
            self.error = self.error or error
            self._scope.cancel()

    async def _carry_in(self, count: Count) -> None:
        """Carry bytes from the socket to the virtual end."""
        sock, end = self._sock, self._end
        while data := await sock.recv(CHUNK_BYTES):
            count(len(data))
            rest = memoryview(data)
            while rest:
                rest = rest[await _end_calls.send(end, rest) :]
        if self.error is not None:
            return  # the other direction was told of it, and this one of nothing
        end.shut_write()
        if not self._is_last():
            await _real_socket.wait_broken(sock)

    async def _carry_out(self, count: Count) -> None:
        """Carry bytes from the virtual end to the socket."""
        sock, end = self._sock, self._end
        rules = end.host.wire.rules
        while data := await _end_calls.receive(end, CHUNK_BYTES, peek=False):
            rest = memoryview(data)
            while rest:
                size = await sock.send(rest)
                count(size)
                rest = rest[size:]
            if rules.read and rules.read_limit(end) < sys.maxsize:
                # The next slice is for the next read, or the kernel would join them.
                while not await wait_read(sock) and not end.error:
                    pass
        if not end.receiving.fin_received:
            return  # likewise
        sock.shutdown(trio.socket.SHUT_WR)
        if not self._is_last():
            await _wait_broken(end)

    def _is_last(self) -> bool:
        """Say whether both directions have ended, now that one has."""
        if self._has_ended_once:
            self._scope.cancel()
        last, self._has_ended_once = self._has_ended_once, True
        return last


async def _wait_broken(end: TcpEnd) -> None:
    """Wait for a reset, on an end whose end of the stream has been read.

    Raises:
        OSError: the connection is broken.
    """
    while not end.is_over:
        await end.receiving.readable.wait()
    if end.error:
        raise os_error(end.take_error())
    await trio.sleep_forever()
