"""When received bytes are acknowledged: at once, with an answer, or after a moment.

A young connection acknowledges at once, until the program turns out to answer at once:
then an acknowledgment is a segment that can be spared. This is what Linux does
(`tcp_in_quickack_mode`, `inet_csk_in_pingpong_mode`). It costs an echo two segments in
the life of a connection, and spares Nagle's algorithm its first wait.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from trio_tcp.testing.network._tcp_end import TcpEnd

__all__ = ["Acknowledging"]

LONGEST_DELAY: Final = 0.04
"""Seconds after which bytes are acknowledged at the latest (TCP_DELACK_MIN)."""

MOST_AT_ONCE: Final = 16
"""How many segments a connection acknowledges at once (TCP_MAX_QUICKACKS)."""


@final
class Acknowledging:
    """What one end of a connection still has to acknowledge.

    Attributes:
        is_pending: Something waits to be acknowledged.
        full_segments: How many full segments wait to be acknowledged.
        is_interactive: The program answered at once what it got last.
        last_bytes: When bytes came, as long as it was not known to be interactive.
    """

    __slots__ = (
        "_at_once",
        "_due",
        "_end",
        "_timer_is_set",
        "full_segments",
        "is_interactive",
        "is_pending",
        "last_bytes",
    )

    def __init__(self, end: TcpEnd) -> None:
        self.is_pending: bool = False
        self.full_segments: int = 0
        self.is_interactive: bool = False
        self.last_bytes: float = -math.inf
        self._end = end
        self._at_once = MOST_AT_ONCE
        self._due = 0.0
        self._timer_is_set = False

    def take(self, size: int) -> None:
        """Learn that a segment came with new bytes, of a size."""
        end = self._end
        if self._at_once and not self.is_interactive:
            self._at_once -= 1
            self.last_bytes = end.host.wire.now()
            end.send_ack()
            return
        if not self.is_pending:
            self.is_pending = True
            self._due = end.host.wire.now() + LONGEST_DELAY
            self._set_timer()
        if size >= end.sending.mss:
            self.full_segments += 1
            if self.full_segments > 1:
                end.send_ack()

    def on_sent(self, now: float, has_bytes: bool) -> None:
        """Learn that a segment goes out, which acknowledges everything."""
        self.is_pending = False
        self.full_segments = 0
        if has_bytes and now - self.last_bytes < LONGEST_DELAY:
            self.is_interactive = True

    def _set_timer(self) -> None:
        if not self._timer_is_set:
            self._timer_is_set = True
            self._end.host.wire.timeline.at(self._due, self._on_timer)

    def _on_timer(self) -> None:
        self._timer_is_set = False
        end = self._end
        if not self.is_pending or end.is_over:
            return
        if end.host.wire.now() < self._due:  # that was for bytes long acknowledged
            self._set_timer()
        else:
            self.is_interactive = False
            end.send_ack()
