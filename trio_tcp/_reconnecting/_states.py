"""What is known about a server that one reconnects to, and how to wait for news.

`Connecting` becomes `Ready` when the server answers, and `Waiting` when it does not.
`Ready` becomes `Waiting` when a connection ends, and that, when the time is over,
`Connecting` again. Each of them may become `Stopped`, which is the end.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TypeAlias, TypeVar, final

import attrs
import trio

from trio_tcp._reconnecting._copied import copied

__all__ = [
    "Connecting",
    "Ready",
    "SessionState",
    "StateT",
    "States",
    "Stopped",
    "Waiting",
]


@attrs.frozen
class Connecting:
    """A connection is being made and prepared, or will be when somebody wants one.

    Attributes:
        attempt: which one it is since the server was last healthy; the first is 1.
        error: why the one before failed, or its connection ended; None at first.
    """

    attempt: int
    error: Exception | None = None


@attrs.frozen
class Ready:
    """A connection is there, and prepared.

    Attributes:
        connection_id: `Connection.id` of the one that was ready first.
    """

    connection_id: int


@attrs.frozen
class Waiting:
    """No attempt is made for a while.

    Attributes:
        seconds: how long, from when this state began.
        error: why the last attempt failed, or the connection ended.
    """

    seconds: float
    error: Exception


@attrs.frozen
class Stopped:
    """No attempt is made any more.

    Attributes:
        error: the permanent one, or the last before giving up; None where this side has
            closed it.
    """

    error: Exception | None


SessionState: TypeAlias = Connecting | Ready | Waiting | Stopped
"""What is known about the server, and done about it."""

StateT = TypeVar("StateT", Connecting, Ready, Waiting, Stopped)


@final
class _Moment:
    """A state, and the way to the next: whoever waits misses none, however short."""

    __slots__ = ("_next", "_over", "state")

    def __init__(self, state: SessionState) -> None:
        self.state = state
        self._over = trio.Event()
        self._next = self

    def end(self, following: _Moment) -> None:
        """Let this one follow."""
        self._next = following
        self._over.set()

    async def following(self) -> _Moment:
        """Wait for the next."""
        await self._over.wait()
        return self._next


@final
class States:
    """The current state, and whoever waits for another.

    Past states are kept only by those who iterate and have not come to them yet.
    """

    __slots__ = ("_now",)

    def __init__(self) -> None:
        self._now = _Moment(Connecting(1))

    @property
    def current(self) -> SessionState:
        """The state as it is."""
        return self._now.state

    def move(self, state: SessionState) -> None:
        """Go on to this state, if it is another."""
        if state != self.current:
            before, self._now = self._now, _Moment(state)
            before.end(self._now)

    def iterate(self) -> AsyncIterator[SessionState]:
        """Iterate over the state as it is and each that follows; `Stopped` is last."""
        return _Iteration(self._now)

    async def wait_for_next(self) -> None:
        """Wait until it is another."""
        await self._now.following()

    async def wait_for(self, kind: type[StateT]) -> StateT:
        """Wait until the state is of this kind, and return it, even if it is over soon.

        Raises:
            Exception: as `check_running`, if it is another kind that is waited for.
        """
        await trio.lowlevel.checkpoint()
        moment = self._now
        while not isinstance(moment.state, kind):
            _check_running(moment.state)
            moment = await moment.following()
        return moment.state

    def check_running(self) -> None:
        """Raise what it has stopped with, if it has.

        Raises:
            Exception: that error.
            trio.ClosedResourceError: it has stopped without one.
        """
        _check_running(self.current)


@final
class _Iteration(AsyncIterator[SessionState]):
    """Over the states from one on."""

    def __init__(self, first: _Moment) -> None:
        self._moment = first
        self._is_first = True

    async def __anext__(self) -> SessionState:
        await trio.lowlevel.checkpoint()
        if self._is_first:
            self._is_first = False
        elif isinstance(self._moment.state, Stopped):
            raise StopAsyncIteration
        else:
            self._moment = await self._moment.following()
        return self._moment.state


def _check_running(state: SessionState) -> None:
    if isinstance(state, Stopped):
        if state.error is not None:
            raise copied(state.error)
        raise trio.ClosedResourceError("this was closed on our side")
