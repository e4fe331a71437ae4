"""Asking a silent peer whether it is still there, as Linux does (SO_KEEPALIVE)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final, NamedTuple, final

from trio_tcp.testing.network._sending import MASK

if TYPE_CHECKING:
    from trio_tcp.testing.network._tcp_end import TcpEnd

__all__ = ["ROUNDING", "Keepalive", "KeepaliveSettings"]

ROUNDING: Final = 1e-9
"""Seconds by which a sum of times may fall short."""


class KeepaliveSettings(NamedTuple):
    """What a socket's options say of a peer that is silent.

    Attributes:
        is_on: It is asked (SO_KEEPALIVE).
        idle: Seconds of silence until it is asked (TCP_KEEPIDLE).
        interval: Seconds until it is asked again (TCP_KEEPINTVL).
        probes: How often it is asked in vain (TCP_KEEPCNT).
        user_timeout: Seconds for which what was sent, or a probe, may stay without an
            answer; 0 for the system's own limits (TCP_USER_TIMEOUT).
    """

    is_on: bool
    idle: int
    interval: int
    probes: int
    user_timeout: float


@final
class Keepalive:
    """The keepalive timer of one end (`tcp_keepalive_timer`).

    Unlike that for retransmission it runs always, as nothing else could tell of a peer
    that is gone; but only where the option is set.

    Attributes:
        settings: What the options say.
    """

    __slots__ = ("_end", "_heard_at", "_probed_at", "_probes", "_timer", "settings")

    def __init__(self, end: TcpEnd, settings: KeepaliveSettings) -> None:
        self.settings: KeepaliveSettings = settings
        self._end = end
        self._heard_at = self._probed_at = end.host.wire.now()
        self._probes = 0
        self._timer = 0
        self._set_after(settings.idle)

    def take(self, settings: KeepaliveSettings) -> None:
        """Do from now on as the options say."""
        if settings != self.settings:
            self.settings = settings
            silence = self._end.host.wire.now() - self._heard_at
            self._set_after(max(0.0, settings.idle - silence))

    def hear(self) -> None:
        """Learn that something came from the peer."""
        self._heard_at = self._end.host.wire.now()

    def _set_after(self, seconds: float) -> None:
        self._timer += 1
        if self.settings.is_on:
            wire = self._end.host.wire
            wire.timeline.at(wire.now() + seconds, self._fire, self._timer)

    def _fire(self, timer: int) -> None:
        end, settings = self._end, self.settings
        if timer != self._timer or end.is_over or end.is_orphan:
            return
        silence = end.host.wire.now() - self._heard_at
        if self._heard_at > self._probed_at:
            self._probes = 0
        if end.is_connecting or end.sending.has_work:
            self._set_after(settings.idle)  # that has timers of its own
        elif silence < settings.idle - ROUNDING:
            self._set_after(settings.idle - silence)
        elif self._is_dead(silence):
            end.send_reset()
            end.error = errno.ETIMEDOUT
        else:
            self._probes += 1
            self._probed_at = end.host.wire.now()
            end.send_ack(end.sending.acknowledged - 1 & MASK)
            self._set_after(settings.interval)

    def _is_dead(self, silence: float) -> bool:
        limit = self.settings.user_timeout
        if limit:
            return self._probes > 0 and silence >= limit - ROUNDING
        return self._probes >= self.settings.probes
