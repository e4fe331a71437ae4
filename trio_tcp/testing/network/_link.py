"""One direction between two hosts: how long a segment travels, and how large it is."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Final, final

import attrs

from trio_tcp._validators import duration, rate, share
from trio_tcp.testing.network._loss_delay import draw_loss_delay

if TYPE_CHECKING:
    from trio_tcp.testing.traces import Flow

__all__ = ["Link", "LinkOptions"]

HEADERS: Final = 40
"""Bytes of IPv4 and TCP header without options: carried beside payload."""

LARGEST_PAYLOAD: Final = 65_483
"""Bytes that fit into one IP packet behind its headers, with options."""


def _fits_a_packet(_: object, attribute: attrs.Attribute[int], value: int) -> None:
    if not 0 < value <= LARGEST_PAYLOAD:
        raise ValueError(f"{attribute.name} is {value}: not in 1 to {LARGEST_PAYLOAD}")


@attrs.frozen(kw_only=True)
class LinkOptions:
    """What a link is like.

    Attributes:
        latency: Seconds that every segment travels.
        jitter: Up to how many seconds more, drawn anew for each segment. Segments of
            one connection stay in order.
        bandwidth: Bytes a second; what is sent faster waits.
        loss: The share of segments that are lost on the way. An application sees a
            loss as a delay, until the segment is sent again: 0.2 seconds, twice that
            if it is lost again, and so on. That is how it is simulated; a segment is
            lost five times in a row at most.
        mss: The largest payload of a segment, in bytes.
    """

    latency: float = attrs.field(default=0.001, validator=duration)
    jitter: float = attrs.field(default=0.0, validator=duration)
    bandwidth: float = attrs.field(default=math.inf, validator=rate)
    loss: float = attrs.field(default=0.0, validator=share)
    mss: int = attrs.field(default=1460, validator=_fits_a_packet)


@final
class Link:
    """One direction between two hosts. Made by `VirtualNetwork.link`."""

    def __init__(
        self, sender: str, receiver: str, options: LinkOptions, seed: object
    ) -> None:
        self.sender: str = sender
        self.receiver: str = receiver
        self.options = options
        # A stream of its own: what one link draws shifts nothing on another.
        self._random = random.Random(f"{seed}:link {sender} -> {receiver}")
        self._busy_until = 0.0

    @property
    def options(self) -> LinkOptions:
        """What it is like. Others may be set at any time."""
        return self._options

    @options.setter
    def options(self, options: LinkOptions) -> None:
        self._options = options
        self._is_steady = options == LinkOptions(
            latency=options.latency, mss=options.mss
        )

    def __str__(self) -> str:
        return f"{self.sender} -> {self.receiver}"

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of both."""
        return (self.sender, self.receiver)

    def covers(self, flow: Flow) -> bool:
        """Say whether bytes on this way pass this link."""
        return flow.sender == self.sender and flow.receiver == self.receiver

    def travel_time(self, size: int, now: float) -> float:
        """Draw how many seconds a segment with ``size`` bytes of payload travels."""
        options = self._options
        seconds = options.latency
        if self._is_steady:
            return seconds
        if options.jitter:
            seconds += self._random.random() * options.jitter
        if options.bandwidth != math.inf:
            start = max(now, self._busy_until)
            self._busy_until = start + (HEADERS + size) / options.bandwidth
            seconds += self._busy_until - now
        if options.loss:
            seconds += draw_loss_delay(self._random, options.loss)
        return seconds
