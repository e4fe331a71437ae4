"""How long a peer is waited for, and for what: one connection's clocks.

Three of the `Timeouts` are about receiving: for a first message to begin, for anything
at all to happen, for a message that has begun to be finished. Their clocks run only
while a task waits in `receive`, and go on where they stopped when a wait that was
cancelled is made again: a handler that looks up every few seconds to do something else
must not make its peer's time endless. A fourth, a server's, is the connection's
lifetime.

All share one `Timer`, which is this object: its deadline is the earliest of theirs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias, final

from trio_tcp._errors import PeerTooSlowError
from trio_tcp._kinds import check_kind
from trio_tcp._options import Timeouts
from trio_tcp._timers import Timers

__all__ = ["Patience"]

Expired: TypeAlias = Callable[[PeerTooSlowError], None]


def _nobody(_: PeerTooSlowError) -> None:
    """Hear of it no more. So nothing refers back to the connection, which is gone."""


@final
class Patience:
    """The clocks of one connection.

    Attributes:
        timeouts: how long each may run. Use `replace` to change them.
        awaits_first: the peer has begun no message yet, and is to.
        waiting: a task waits to receive: the clocks run.
        is_at_work: this side has something to say, so that silence is not the peer's.
        deadline: the earliest of the clocks; see `Timer`.
        looked_at: see `Timer`.
    """

    __slots__ = (
        "_expired",
        "_first_waited",
        "_held",
        "_idle_since",
        "_idle_waited",
        "_lifetime_end",
        "_message_at",
        "_message_waited",
        "_opened_at",
        "_outlived",
        "_since",
        "_timers",
        "awaits_first",
        "deadline",
        "is_at_work",
        "looked_at",
        "timeouts",
        "waiting",
    )

    def __init__(
        self,
        timeouts: Timeouts,
        timers: Timers,
        expired: Expired,
        *,
        awaits_first: bool,
    ) -> None:
        self.timeouts = timeouts
        self.awaits_first = awaits_first
        self.waiting = False
        self.is_at_work = False
        self._timers = timers
        self.deadline: float = math.inf
        self.looked_at: float = math.inf
        timers.open()
        self._expired = expired
        self._outlived: Expired = _nobody
        self._opened_at = math.inf
        self._lifetime_end = math.inf
        self._since = 0.0  # when the wait at hand began
        self._idle_since = 0.0
        self._held = 0  # bytes of a message that is not whole
        self._message_at = 0  # where that message begins in the stream
        # Seconds for which earlier waits have waited for the same thing.
        self._first_waited = 0.0
        self._idle_waited = 0.0
        self._message_waited = 0.0

    def begin_life(self, opened_at: float, outlived: Expired) -> None:
        """Start the clock of the lifetime.

        Args:
            opened_at: when it began.
            outlived: called at its end.
        """
        self._opened_at = opened_at
        self._outlived = outlived
        timeouts = self.timeouts
        self._lifetime_end = opened_at + timeouts.lifetime
        self.deadline = self._lifetime_end
        # The peer will soon be waited for: to look then for the first time saves to
        # have it written down twice.
        first = timeouts.first_message if self.awaits_first else math.inf
        soon = min(timeouts.idle, timeouts.lifetime, first)
        if soon < math.inf:
            self._timers.look_at(self, opened_at + soon)

    def start(self, position: int, held: int) -> None:
        """Start the clocks of receiving.

        Args:
            position: of the first byte of the next message, in the whole stream.
            held: how many bytes of that message have come.
        """
        self.waiting = True
        self._since = now = self._timers.now()
        self._idle_since = since = now - self._idle_waited
        self._held = held
        if held or self.awaits_first:
            if held and position != self._message_at:
                self._message_at = position
                self._message_waited = 0.0
            self._arm()
        else:  # as _arm, for the usual case
            self.deadline = deadline = since + self.timeouts.idle
            if deadline < self.looked_at or deadline > self._lifetime_end:
                self._arm()

    def go_on(self, position: int, held: int) -> None:
        """Stop and start the clocks of receiving: something came, and is taken."""
        if held or self._held or self.awaits_first or self._idle_waited:
            self.stop()
            self.start(position, held)
            return
        # As both, for the usual case.
        self.waiting = True
        self._since = self._idle_since = now = self._timers.now()
        self.deadline = deadline = now + self.timeouts.idle
        if deadline < self.looked_at or deadline > self._lifetime_end:
            self._arm()

    def stop(self) -> None:
        """Stop the clocks of receiving: something came."""
        self.waiting = self.awaits_first = False
        self._idle_waited = 0.0
        self.deadline = self._lifetime_end
        if self._held:
            self._message_waited += self._timers.now() - self._since

    def stop_in_vain(self) -> None:
        """Stop the clocks of receiving: nothing came, and they are to go on."""
        self.waiting = False
        self.deadline = self._lifetime_end
        now = self._timers.now()
        self._idle_waited = now - self._idle_since
        self._first_waited += now - self._since
        if self._held:
            self._message_waited += now - self._since

    def note_sent(self) -> None:
        """Note that something has gone out just now: the connection is not idle."""
        self._idle_waited = 0.0
        if self.waiting:
            self._idle_since = self._timers.now()

    def begin_work(self) -> None:
        """Note that this side is at work for the peer, which may be silent meanwhile.

        Only where somebody receives at the same time: otherwise the clocks stand still.
        """
        self.is_at_work = True

    def end_work(self) -> None:
        """Note that it is the peer's turn again."""
        self.is_at_work = False
        self.note_sent()

    def replace(self, timeouts: Timeouts) -> None:
        """Replace the timeouts, also for a wait that is going on.

        Raises:
            TypeError: these are none.
        """
        check_kind("timeouts", timeouts, Timeouts)
        self.timeouts = timeouts
        self._lifetime_end = self._opened_at + timeouts.lifetime
        self._arm()

    def close(self) -> None:
        """Stop for good."""
        self._timers.close(self)
        self._expired = self._outlived = _nobody

    def _arm(self) -> None:
        deadline = self._lifetime_end
        if self.waiting:
            deadline = min(deadline, self._idle_since + self.timeouts.idle)
            if self._held:
                deadline = min(deadline, self._message_deadline())
            elif self.awaits_first:
                deadline = min(deadline, self._first_deadline())
        self._set(deadline)

    def _set(self, deadline: float) -> None:
        self.deadline = deadline
        if deadline < self.looked_at:
            self._timers.look(self)

    def _message_deadline(self) -> float:
        return self._since - self._message_waited + self._message_seconds()

    def _message_seconds(self) -> float:
        return self.timeouts.message + self._held / self.timeouts.message_rate

    def _first_deadline(self) -> float:
        return self._since - self._first_waited + self.timeouts.first_message

    def _give_up(self, timeout: str, seconds: float) -> None:
        """Stop waiting for the peer; the lifetime goes on."""
        self._set(self._lifetime_end)
        self._expired(PeerTooSlowError(timeout, seconds))

    def expire(self) -> None:
        """See what it is too late for, if anything: something may have been sent."""
        now = self._timers.now()
        timeouts = self.timeouts
        if self._lifetime_end <= now:
            self._opened_at = self._lifetime_end = math.inf  # it is over once
            self._outlived(PeerTooSlowError("lifetime", timeouts.lifetime))
        elif not self.waiting:
            pass
        elif self._held and self._message_deadline() <= now:
            self._give_up("message", self._message_seconds())
            return
        elif self.awaits_first and not self._held and self._first_deadline() <= now:
            self._give_up("first_message", timeouts.first_message)
            return
        elif self.is_at_work:
            self._idle_since = now
        elif self._idle_since + timeouts.idle <= now:
            self._give_up("idle", timeouts.idle)
            return
        self._arm()
