"""`trio.lowlevel.wait_readable` and its kin, for the descriptors of virtual sockets."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Protocol, final

import trio

from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.network._virtual_socket import VirtualSocket
from trio_tcp.testing.network._wire import FIRST_FILENO
from trio_tcp.testing.simulation._fences import is_allowed, refuse
from trio_tcp.testing.simulation._replaced import replaced

__all__ = ["virtual_readiness"]


class _HasFileno(Protocol):
    def fileno(self) -> int: ...


@contextmanager
def virtual_readiness(network: VirtualNetwork) -> Generator[None, None, None]:
    """Let the three functions know virtual sockets, until the end of the block.

    Real descriptors go to Trio's own, where something real is allowed at all.
    """
    waiters = _Waiters(network)
    with replaced(
        trio.lowlevel,
        wait_readable=waiters.wait_readable,
        wait_writable=waiters.wait_writable,
        notify_closing=waiters.notify_closing,
    ):
        yield


@final
class _Waiters:
    """Who waits for which virtual descriptor."""

    def __init__(self, network: VirtualNetwork) -> None:
        self._network = network
        self._scopes: dict[int, list[trio.CancelScope]] = {}
        self._real_readable = trio.lowlevel.wait_readable
        self._real_writable = trio.lowlevel.wait_writable
        self._real_notify = trio.lowlevel.notify_closing

    async def wait_readable(self, fd: int | _HasFileno) -> None:
        number = _number(fd)
        if number < FIRST_FILENO:
            _check_real(number)
            await self._real_readable(fd)
            return
        async with self._woken_by_closing(number):
            await self._find(number).wait_readable()

    async def wait_writable(self, fd: int | _HasFileno) -> None:
        number = _number(fd)
        if number < FIRST_FILENO:
            _check_real(number)
            await self._real_writable(fd)
            return
        async with self._woken_by_closing(number):
            await self._find(number).wait_writable()

    def _find(self, number: int) -> VirtualSocket:
        found = self._network.socket_by_fileno(number)
        if found is None:  # closed meanwhile
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return found

    def notify_closing(self, fd: int | _HasFileno) -> None:
        number = _number(fd)
        if number < FIRST_FILENO:
            self._real_notify(fd)
        for scope in self._scopes.get(number, ()):
            scope.cancel()

    @asynccontextmanager
    async def _woken_by_closing(self, number: int) -> AsyncGenerator[None, None]:
        scopes = self._scopes.setdefault(number, [])
        scope = trio.CancelScope()
        scopes.append(scope)
        try:
            with scope:
                yield
        finally:
            scopes.remove(scope)
            if not scopes:
                del self._scopes[number]
        if scope.cancelled_caught:
            raise trio.ClosedResourceError("another task closed this socket")


def _number(fd: int | _HasFileno) -> int:
    return fd if isinstance(fd, int) else fd.fileno()


def _check_real(number: int) -> None:
    # A process's pipes are real, and so is the descriptor that tells of its end. A
    # negative number belongs to something closed: Trio says so best.
    if number >= 0 and not is_allowed("processes"):
        refuse("sockets", f"a real descriptor ({number}) is waited for")
