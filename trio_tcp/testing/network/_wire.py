"""What carries segments from host to host, and tells both ends what was lost.

A real sender learns of a loss by its clock. Here the network knows, and tells both
ends, so that timers run only where something was lost.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, final

from trio_tcp.testing.network._addresses import is_loopback
from trio_tcp.testing.network._rules import HeldBack, Rules
from trio_tcp.testing.network._sending import MASK
from trio_tcp.testing.traces import Endpoint, Segment, Trace
from trio_tcp.testing.traces._flags import ACK, FIN, RST, SYN

if TYPE_CHECKING:
    from trio_tcp.testing.network._host import Host
    from trio_tcp.testing.network._link import Link
    from trio_tcp.testing.network._tcp_end import TcpEnd
    from trio_tcp.testing.network._timeline import Timeline
    from trio_tcp.testing.network._virtual_socket import VirtualSocket

__all__ = ["FIRST_FILENO", "Wire"]

FIRST_FILENO: Final = 1 << 30
"""Virtual descriptors begin above all that the system gives out."""

_ENDS_REMEMBERED: Final = 1_000
"""The latest ends, those that are gone too: later resets stay behind what they sent."""


@final
class Wire:
    """Carries segments between the hosts of one network.

    Attributes:
        timeline: What will happen when.
        trace: Where every segment is recorded.
        rules: The faults.
        hosts: The hosts by their names.
        hosts_by_ip: The hosts by their addresses.
        sockets: The open sockets by their descriptors.
        underway: How many segments travel; those that are held back do not.
        on_quiet: Called when no segment travels any more.
        now: Says what time it is.
    """

    def __init__(
        self,
        timeline: Timeline,
        trace: Trace,
        find_link: Callable[[str, str], Link],
    ) -> None:
        self.timeline: Timeline = timeline
        self.trace: Trace = trace
        self.rules: Rules = Rules()
        self.hosts: dict[str, Host] = {}
        self.hosts_by_ip: dict[str, Host] = {}
        self.underway: int = 0
        self.on_quiet: Callable[[], None] = lambda: None
        self.now: Callable[[], float] = lambda: 0.0
        self.find_link: Callable[[str, str], Link] = find_link
        self.sockets: dict[int, VirtualSocket] = {}
        self._last_fileno = FIRST_FILENO - 1
        self._latest_ends: dict[tuple[str, Endpoint, Endpoint], TcpEnd] = {}

    def register(self, new: VirtualSocket) -> int:
        """Give a socket a descriptor that no other has."""
        self._last_fileno += 1
        self.sockets[self._last_fileno] = new
        return self._last_fileno

    def find_receiver(self, sender: Host, ip: str) -> Host | None:
        """Find the host that has an address, as one host sees it."""
        return sender if is_loopback(ip) else self.hosts_by_ip.get(ip)

    def send(self, segment: Segment, sender: Host, end: TcpEnd | None) -> None:
        """Send a segment from a host, and from an end of it, if it has one."""
        receiver = None if end is None else end.receiver
        if receiver is None:
            receiver = self.find_receiver(sender, segment.destination.ip)
            segment.receiver = "" if receiver is None else receiver.name
        self.trace.segments.append(segment)
        if segment.flags & SYN and end is not None:
            self._remember(end)
        if receiver is None:
            self.lose(segment, "no such host")
        elif self.rules.wire:
            self._pass_rules(segment, receiver, end)
        else:
            self._post(segment, receiver, end, 0.0, 0.0)

    def _pass_rules(self, segment: Segment, receiver: Host, end: TcpEnd | None) -> None:
        passage = self.rules.judge(segment)
        if passage.keep is not None:
            segment.payload = segment.payload[: passage.keep]
            segment.flags &= ~FIN
            self._tell_of_loss(segment)
        if passage.refused:
            segment.fate = passage.refused
            self.answer_with_reset(segment, receiver)
        elif passage.lost:
            self.lose(segment, passage.lost)
        elif passage.held is not None:
            segment.fate = "held back"
            passage.held.segments.append((segment, end))
            self._tell_of_hold(segment)
        else:
            self._post(segment, receiver, end, passage.delay, passage.every)
        if passage.reset:
            self.reset_both(segment, receiver)

    def release(self, held: HeldBack) -> None:
        """Let segments go that were held back: they begin to travel now.

        What else is in force now is in force on them: another may hold them back.
        """
        segments, held.segments = held.segments, []
        for segment, end in segments:
            self._pass_rules(segment, self.hosts[segment.receiver], end)

    def _post(
        self,
        segment: Segment,
        receiver: Host,
        end: TcpEnd | None,
        delay: float,
        every: float,
    ) -> None:
        now = self.now()
        if end is None or end.receiver is None:
            link = self.find_link(segment.sender, receiver.name)
        else:
            link = end.link
        arrival = now + delay + link.travel_time(len(segment.payload), now)
        if every:
            arrival = max(arrival, math.ceil(arrival / every - 1e-9) * every)
        if end is not None:  # what one connection sends arrives in order
            arrival = end.last_arrival = max(arrival, end.last_arrival)
        self.underway += 1
        self.timeline.at(arrival, self._deliver, segment, receiver)

    def _deliver(self, segment: Segment, receiver: Host) -> None:
        self.underway -= 1
        if receiver.is_up:
            segment.arrived = self.now()
            receiver.deliver(segment)
        else:
            self.lose(segment, "the host is down")
        if not self.underway:
            self.on_quiet()

    def lose(self, segment: Segment, why: str) -> None:
        """Let a segment be lost, and both ends find that out in their time."""
        segment.fate = why
        self._tell_of_loss(segment)

    def _tell_of_loss(self, segment: Segment) -> None:
        for end in self._ends_of(segment):
            end.retransmission.expect()

    def _tell_of_hold(self, segment: Segment) -> None:
        """Have what is held back sent again, where that decides how long it may be."""
        for end in self._ends_of(segment):
            if end.keepalive.settings.user_timeout:
                end.retransmission.expect()

    def leave_peer(self, end: TcpEnd) -> None:
        """Let the other end find out in its time that one is gone without a word."""
        host = self.hosts.get(end.outgoing.receiver)
        peer = None if host is None else host.ends.get((end.remote, end.local))
        if peer is not None:
            peer.retransmission.expect()

    def _ends_of(self, segment: Segment) -> list[TcpEnd]:
        """Find the ends that a segment is between, as far as they exist."""
        near, far = segment.source, segment.destination
        ends = [self.hosts[segment.sender].ends.get((near, far))]
        if segment.receiver:
            ends.append(self.hosts[segment.receiver].ends.get((far, near)))
        return [end for end in ends if end is not None]

    def reset_both(self, segment: Segment, receiver: Host | None) -> None:
        """Reset a connection in both directions, after a segment of it."""
        onward = Segment(
            self.now(),
            segment.source,
            segment.destination,
            segment.sender,
            segment.receiver,
            RST | ACK,
            _end_of(segment),
            segment.ack,
            0,
        )
        self.trace.segments.append(onward)
        if receiver is None:
            return
        sender = self.hosts[segment.sender]
        end = self._latest_end(sender, segment.source, segment.destination)
        self._post(onward, receiver, end, 0.0, 0.0)
        self.answer_with_reset(segment, receiver)

    def answer_with_reset(self, segment: Segment, receiver: Host) -> None:
        """Send the reset with which a host answers what it knows nothing of.

        By RFC 9293, 3.5.2: with the sequence number that the segment acknowledges,
        or else acknowledging the segment.
        """
        has_ack = segment.flags & ACK
        reset = Segment(
            self.now(),
            segment.destination,
            segment.source,
            receiver.name,
            segment.sender,
            RST if has_ack else RST | ACK,
            segment.ack if has_ack else 0,
            0 if has_ack else _end_of(segment),
            0,
        )
        end = self._latest_end(receiver, segment.destination, segment.source)
        self.send(reset, receiver, end)

    def _remember(self, end: TcpEnd) -> None:
        self._latest_ends[end.host.name, end.local, end.remote] = end
        if len(self._latest_ends) > _ENDS_REMEMBERED:
            del self._latest_ends[next(iter(self._latest_ends))]

    def _latest_end(
        self, host: Host, local: Endpoint, remote: Endpoint
    ) -> TcpEnd | None:
        """Find the end that a host has, or had, between two addresses."""
        end = host.ends.get((local, remote))
        return end or self._latest_ends.get((host.name, local, remote))


def _end_of(segment: Segment) -> int:
    """Return the sequence number behind a segment."""
    length = len(segment.payload) + bool(segment.flags & (SYN | FIN))
    return segment.seq + length & MASK
