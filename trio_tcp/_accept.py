"""The accept loop: which errors mean what, and why it never waits for a client."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, final

import trio

from trio_tcp._admission import Admission
from trio_tcp._events import AcceptPaused, AcceptResumed, Observer, notify
from trio_tcp._transport import Acceptor, Transport, make_acceptor

__all__ = ["Gate", "accept_forever"]

CAPACITY_ERRNOS: Final = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
)
"""The system is out of descriptors or memory (accept(2)): it may recover."""

ACCEPTS_PER_PASS: Final = 8
"""How many clients are accepted before others have their turn. More would gain little,
and in a flood of connects those who are connected already would wait long: with 32,
their 99th percentile went from 4 to 27 ms."""

RETRY_SECONDS: Final = 0.1
"""How long to wait for that. As `trio.serve_listeners`, Ranch and EasyNetwork."""


@final
class Gate:
    """Lets the accept loops of a server run, stops them for a while, or for good.

    Attributes:
        is_open: they run.
    """

    def __init__(self) -> None:
        self.is_open: bool = True
        self._is_shut = False
        self._moved = trio.Event()
        self._left = trio.lowlevel.ParkingLot()
        self._scopes: set[trio.CancelScope] = set()

    def open(self) -> None:
        """Let them run."""
        self.is_open = True
        self._moved.set()

    def close(self) -> None:
        """Stop them, also those that are waiting for a client."""
        self.is_open = False
        self._moved = trio.Event()
        for scope in self._scopes:
            scope.cancel()

    def shut(self) -> None:
        """Close for good."""
        self._is_shut = True
        self._moved.set()
        self.close()

    async def run(self, accept: Callable[[], Awaitable[None]]) -> None:
        """Run an accept loop while the gate is open, until it ends by itself."""
        while not self._is_shut:
            if not self.is_open:
                await self._moved.wait()
                continue
            with trio.CancelScope() as scope:
                self._scopes.add(scope)
                try:
                    await accept()
                    return
                finally:
                    self._scopes.remove(scope)
                    self._left.unpark_all()

    async def wait_until_left(self) -> None:
        """Wait until no accept loop runs; after `shut`, none will any more."""
        while self._scopes:
            await self._left.park()


async def accept_forever(
    listener: trio.abc.Listener[trio.abc.Stream],
    start: Callable[[Transport], object],
    *,
    admission: Admission,
    gate: Gate,
    observer: Observer,
) -> None:
    """Accept connections until cancelled or until the listener is closed; close it.

    Args:
        listener: skips by itself what a client did wrong before it was accepted
            (``ECONNABORTED`` and the like), as Trio's listeners do.
        start: is called with each client and must return at once: none is waited for
            here, so none can keep others from being accepted.
        admission: is asked for room before each client is accepted.
        gate: can stop this, and let it go on.
        observer: is told once when accepting fails, and once when it works again.

    Raises:
        OSError: accepting failed for a reason that will not go away.
    """
    accepted: list[Transport] = []
    exhaustion = _Exhaustion(observer)
    async with listener:
        acceptor = make_acceptor(listener)
        loop = partial(_accept, acceptor, start, admission, accepted, exhaustion)
        try:
            await gate.run(loop)
        finally:
            acceptor.release()
            for transport in accepted:
                await transport.aclose()  # noqa: ASYNC102 - does not wait


async def _accept(
    acceptor: Acceptor,
    start: Callable[[Transport], object],
    admission: Admission,
    accepted: list[Transport],
    exhaustion: _Exhaustion,
) -> None:
    while True:
        if admission.is_full:
            await admission.wait_for_room()
        if accepted:
            start(accepted.pop(0))
            continue
        try:
            # They may have to wait for room after all, and must not be lost then: the
            # loop of another listener can be faster, and the gate can close.
            room = min(ACCEPTS_PER_PASS, admission.room)
            accepted.extend(await acceptor.accept(room))
        except trio.ClosedResourceError:
            return
        except OSError as error:
            if error.errno not in CAPACITY_ERRNOS:
                raise
            exhaustion.begin(error)
            await trio.sleep(RETRY_SECONDS)
            continue
        exhaustion.end()


@final
class _Exhaustion:
    """The system is out of something: reported once, and once when it is over."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._began_at: float | None = None

    def begin(self, error: OSError) -> None:
        if self._began_at is None:
            self._began_at = trio.current_time()
            paused = AcceptPaused(error=error, retry_seconds=RETRY_SECONDS)
            notify(self._observer, paused)

    def end(self) -> None:
        if self._began_at is not None:
            seconds, self._began_at = trio.current_time() - self._began_at, None
            notify(self._observer, AcceptResumed(paused_seconds=seconds))
