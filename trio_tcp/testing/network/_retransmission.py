"""What is sent again after a loss, when, and for how long until it is given up."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final, final

from trio_tcp.testing.network._sending import MASK
from trio_tcp.testing.network._stage import Stage

if TYPE_CHECKING:
    from trio_tcp.testing.network._tcp_end import TcpEnd

__all__ = ["Retransmission"]

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

    __slots__ = ("_attempts", "_end", "_is_set", "is_recovering")

    def __init__(self, end: TcpEnd) -> None:
        self.is_recovering: bool = False
        self._end = end
        self._attempts = 0
        self._is_set = False

    def expect(self) -> None:
        """Learn that something was lost: it, or its acknowledgment, is sent again."""
        end = self._end
        if self._is_set or end.is_over or not end.sending.has_work:
            return
        self._is_set = self.is_recovering = True
        is_shaking = end.stage in (Stage.SYN_SENT, Stage.SYN_RECEIVED)
        wait = HANDSHAKE_WAIT if is_shaking else SHORTEST_WAIT
        wait = min(wait * 2**self._attempts, LONGEST_WAIT)
        wire = end.host.wire
        wire.timeline.at(wire.now() + wait, self._fire, end.sending.acknowledged)

    def recover(self) -> None:
        """Learn that everything in flight is acknowledged."""
        self._attempts = 0
        self.is_recovering = False

    def _fire(self, acknowledged: int) -> None:
        end = self._end
        sending = end.sending
        self._is_set = False
        if end.is_over or not self.is_recovering:
            return
        if acknowledged != sending.acknowledged:
            self._attempts = 0
        self._attempts += 1
        if self._attempts > self._retries():
            end.fail(errno.ETIMEDOUT)
        elif sending.in_flight:
            for sent in list(sending.in_flight):
                end.emit(sent)
        else:  # a probe of a window that the peer may have opened meanwhile
            end.send_ack(sending.acknowledged - 1 & MASK)

    def _retries(self) -> int:
        if self._end.stage is Stage.SYN_SENT:
            return SYN_RETRIES
        if self._end.stage is Stage.SYN_RECEIVED:
            return SYN_ACK_RETRIES
        return ORPHAN_RETRIES if self._end.is_orphan else RETRIES
