"""One connection of a pool: is it fit to be used by somebody else?

What a pool must never do is to answer one task with the reply to another. A reply that
comes late, or was never read, is still in the connection when it is given back, or on
its way. So a connection is fit only if everything says so:

- It is open in both directions, and nothing has come that nobody has received: not in
  the codec, not in the kernel, neither bytes nor the end.
- No `Connection.receive` was cancelled while it was in use. Whoever gave up waiting for
  a reply has left it in the connection for the next one.
- While nobody uses it somebody listens all the same, so that a message out of turn, or
  the peer's end, is noticed at once.
"""

from __future__ import annotations

import enum
from contextlib import suppress
from typing import Final, Generic, TypeVar, final

import trio

from trio_tcp._connection import Connection
from trio_tcp._errors import ConnectionFault

__all__ = ["DiscardReason", "Pooled"]

In = TypeVar("In")
Out = TypeVar("Out")

GLANCE_SECONDS: Final = 0.01
"""For a stream to show what it has received already, if it cannot be asked: many passes
of the scheduler, and little beside a round trip through a network."""


class DiscardReason(enum.Enum):
    """Why a pool did not keep a connection."""

    IDLE = "idle"
    """Nobody needed it for ``max_idle`` seconds."""
    OLD = "old"
    """It was open for ``max_lifetime`` seconds."""
    ENDED = "ended"
    """The peer or the network had ended it, or the one who used it."""
    UNREAD = "unread"
    """Something came that nobody had asked for, or that nobody had received."""
    UNFINISHED = "unfinished"
    """The block that used it raised or was cancelled, or a `receive` in it was."""
    CHECK_FAILED = "check failed"
    """``check`` found it unfit."""


@final
class Pooled(Generic[In, Out]):
    """A connection, and what has become of it since it was handed out.

    Attributes:
        connection: as it was made and prepared.
        was_idle: nobody used it before it was handed out.
        has_served: it was given back whole once.
        is_woken: it is not idle any more.
    """

    __slots__ = (
        "_expires_at",
        "_given_back",
        "_is_settled",
        "_keeper",
        "_listening",
        "_reason",
        "_receives_cancelled",
        "_tells",
        "connection",
        "has_served",
        "is_woken",
        "was_idle",
    )

    def __init__(
        self,
        connection: Connection[In, Out],
        *,
        keeper: trio.CancelScope,
        expires_at: float,
    ) -> None:
        """Take a new connection.

        Args:
            connection: it.
            keeper: in which the task runs that holds it open.
            expires_at: the end of its life, on Trio's clock.
        """
        self.connection: Connection[In, Out] = connection
        self.was_idle: bool = False
        self.has_served: bool = False
        self.is_woken: bool = False
        self._keeper = keeper
        self._expires_at = expires_at
        self._listening = trio.CancelScope()
        self._given_back = trio.Event()
        self._reason: DiscardReason | None = None
        self._receives_cancelled = 0
        self._is_settled = False  # it was listened to since it was last used
        self._tells = False  # its stream can be asked what it has received

    # Looking at it

    @property
    def has_ended(self) -> bool:
        """Whether it is not open in both directions any more."""
        connection = self.connection
        is_open = connection.close_reason is None
        return not is_open or connection._outgoing.closed  # noqa: SLF001 - see find_fault

    def find_fault(self) -> DiscardReason | None:
        """Say why it must not be used any more; None if it may."""
        # A pool must know more of a connection than those who talk over it.
        connection = self.connection
        incoming = connection._incoming  # noqa: SLF001 - as said
        cancelled = connection._receives_cancelled  # noqa: SLF001 - as said
        if self.has_ended:
            return DiscardReason.ENDED
        if incoming.receiving or cancelled != self._receives_cancelled:
            return DiscardReason.UNFINISHED
        if incoming.has_more or incoming.bytes_ahead:
            return DiscardReason.UNREAD
        if trio.current_time() >= self._expires_at:
            return DiscardReason.OLD
        return None

    def is_quiet(self) -> bool:
        """Ask the stream whether it has received nothing; not every stream can tell."""
        quiet = self.connection._transport.is_quiet()  # noqa: SLF001 - as find_fault
        self._tells = self._tells or quiet
        return quiet

    # While nobody uses it

    async def settle(self) -> DiscardReason | None:
        """Find out what has been received, if the stream does not say "nothing"."""
        if self.is_quiet() or (self._is_settled and not self._tells):
            return None
        glance = trio.CancelScope()

        def end_soon() -> None:
            glance.deadline = trio.current_time() + GLANCE_SECONDS

        # Only then: on a busy machine the time could be over before it has looked.
        self.connection._group.call_later(end_soon)  # noqa: SLF001 - as find_fault
        return await self._listen(glance)

    async def wait_until_needed(self, until: float) -> DiscardReason | None:
        """Wait for `wake`, or say why it is needed no more.

        Args:
            until: when its time is over, on Trio's clock.
        """
        self.is_woken = False
        self.was_idle = True
        until = min(until, self._expires_at)
        reason = await self._listen(trio.CancelScope(deadline=until))
        if reason is None and not self.is_woken:
            return DiscardReason.IDLE
        return reason

    def wake(self) -> None:
        """End `wait_until_needed`."""
        self.is_woken = True
        self._listening.cancel()

    async def _listen(self, scope: trio.CancelScope) -> DiscardReason | None:
        self._listening = scope
        incoming = self.connection._incoming  # noqa: SLF001 - as find_fault
        received = incoming.bytes_received
        with scope:
            # Busy is a task that did not leave it alone when it was given back.
            with suppress(ConnectionFault, trio.BusyResourceError):
                await self.connection.receive()
        self._is_settled = True
        self.begin_use()  # the call that was cancelled was this one
        if incoming.bytes_received != received and not self.has_ended:
            return DiscardReason.UNREAD
        return self.find_fault()

    # While somebody does

    def begin_use(self) -> None:
        """Forget what was before."""
        self._receives_cancelled = self.connection._receives_cancelled  # noqa: SLF001 - as find_fault

    async def wait_given_back(self) -> DiscardReason | None:
        """Wait until it is not in use; say why it must not be used again, if so."""
        self._given_back = trio.Event()
        await self._given_back.wait()
        self._is_settled = self.was_idle = False
        return self._reason

    def give_back(self, reason: DiscardReason | None) -> None:
        """End `wait_given_back`."""
        self._reason = reason
        self._given_back.set()

    def close_now(self) -> None:
        """Close it at once, whoever uses it."""
        self._keeper.cancel()
