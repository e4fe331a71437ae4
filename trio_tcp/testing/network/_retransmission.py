"""What is sent again after a loss, when, and for how long until it is given up."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final, final

from trio_tcp.testing.network._keepalive import ROUNDING
from trio_tcp.testing.network._sending import MASK
from trio_tcp.testing.network._stage import Stage

if TYPE_CHECKING:
    from trio_tcp.testing.network._tcp_end import TcpEnd

__all__ = ["SHORTEST_WAIT", "Retransmission"]

HANDSHAKE_WAIT: Final = 1.0
"""Seconds after which a SYN is sent again; doubled each time (TCP_TIMEOUT_INIT)."""

SHORTEST_WAIT: Final = 0.2
"""Seconds after which other segments are sent again (TCP_RTO_MIN)."""

LONGEST_WAIT: Final = 120.0
"""Seconds to which the wait for an acknowledgment doubles (TCP_RTO_MAX)."""

SYN_RETRIES: Final = 6
"""How often a SYN is sent again: for 127 seconds (net.ipv4.tcp_syn_retries)."""

SYN_ACK_RETRIES: Final = 5
"""How often a SYN-ACK is sent again (net.ipv4.tcp_synack_retries)."""

RETRIES: Final = 15
"""How often others are: for about 925 seconds (net.ipv4.tcp_retries2)."""

ORPHAN_RETRIES: Final = 8
"""How often, when the program has closed (net.ipv4.tcp_orphan_retries)."""


@final
class Retransmission:
    """The retransmission timer of one end. It runs only after a loss.

    Attributes:
        is_recovering: Something was lost, and is not yet acknowledged. Until it is,
            nothing new is sent, so that all that is in flight can be sent again.
    """

    __slots__ = (
        "_attempts",
        "_backoff",
        "_end",
        "_has_lost",
        "_is_set",
        "_since",
        "_timer",
        "is_recovering",
    )

    def __init__(self, end: TcpEnd) -> None:
        self.is_recovering: bool = False
        self._end = end
        self._attempts = 0
        self._backoff = 0
        self._has_lost = False
        self._is_set = False
        self._timer = 0
        self._since: float | None = None  # when it was sent again for the first time

    def expect(self) -> None:
        """Learn that something was lost: it, or its acknowledgment, is sent again."""
        self._has_lost = True
        if not self._is_set and not self._end.is_over and self._end.sending.has_work:
            self._set()

    def expect_room(self) -> None:
        """Ask for the window, as the word that it is open may be lost.

        A real sender always asks (RFC 9293, 3.8.6.1); this one where anything was lost,
        or where TCP_USER_TIMEOUT says for how long.
        """
        if (self._has_lost or self._user_timeout) and not self._is_set:
            self._set()

    @property
    def _user_timeout(self) -> float:
        return self._end.keepalive.settings.user_timeout

    def _set(self) -> None:
        end = self._end
        self._is_set = self.is_recovering = True
        is_shaking = end.stage in (Stage.SYN_SENT, Stage.SYN_RECEIVED)
        wait = HANDSHAKE_WAIT if is_shaking else SHORTEST_WAIT
        wait = min(wait * 2 ** min(self._backoff, 10), LONGEST_WAIT)
        wire = end.host.wire
        acknowledged = end.sending.acknowledged
        if self._user_timeout and self._since is not None:
            # As tcp_clamp_rto_to_user_timeout: so that it is over in time.
            wait = min(wait, max(0.0, self._since + self._user_timeout - wire.now()))
        wire.timeline.at(wire.now() + wait, self._fire, self._timer, acknowledged)

    def recover(self) -> None:
        """Learn that everything in flight is acknowledged, or that there is room."""
        self._backoff = 0
        self._since = None
        self.hear()

    def hear(self) -> None:
        """Learn that the peer has answered, if only that it has no room."""
        self._attempts = 0
        self._timer += 1
        self._is_set = self.is_recovering = False

    def _fire(self, timer: int, acknowledged: int) -> None:
        if timer != self._timer:
            return  # it was stopped
        end = self._end
        sending = end.sending
        self._is_set = False
        if end.is_over:
            return
        if acknowledged != sending.acknowledged:
            self._attempts = self._backoff = 0
            self._since = None
        self._attempts += 1
        self._backoff += 1
        if self._is_hopeless():
            end.fail(errno.ETIMEDOUT)
        elif sending.in_flight:
            for sent in list(sending.in_flight):
                end.emit(sent)
        else:  # a probe of a window that the peer may have opened meanwhile
            end.send_ack(sending.acknowledged - 1 & MASK)

    def _is_hopeless(self) -> bool:
        """Say whether it is given up, as tcp_write_timeout and tcp_probe_timer do."""
        now = self._end.host.wire.now()
        if self._since is None:
            self._since = now
        is_out_of_time = now - self._since >= self._user_timeout - ROUNDING
        if not self._user_timeout:
            return self._attempts > self._retries()
        if self._end.is_connecting and self._attempts > self._retries():
            return True
        return is_out_of_time

    def _retries(self) -> int:
        if self._end.stage is Stage.SYN_SENT:
            return SYN_RETRIES
        if self._end.stage is Stage.SYN_RECEIVED:
            return SYN_ACK_RETRIES
        return ORPHAN_RETRIES if self._end.is_orphan else RETRIES
