"""Traces made by hand: a conversation, segment by segment."""

from __future__ import annotations

from typing import Final, final

from trio_tcp.testing.traces import (
    Endpoint,
    FaultSpan,
    Flag,
    Segment,
    SegmentOptions,
    Trace,
)

__all__ = ["ALICE", "BOB", "Talk", "clean_trace", "long_trace", "troubled_trace"]

ALICE: Final = Endpoint("192.0.2.1", 49152)
BOB: Final = Endpoint("192.0.2.2", 80)

_ACK: Final = int(Flag.ACK)


@final
class Talk:
    """Two ends that send segments with the numbers that TCP would give them."""

    def __init__(
        self,
        trace: Trace,
        *,
        client: Endpoint = ALICE,
        server: Endpoint = BOB,
        names: tuple[str, str] = ("alice", "bob"),
        scale: int = 7,
        latency: float = 0.01,
    ) -> None:
        self.trace = trace
        self.names = {client: names[0], server: names[1]}
        self.other = {client: server, server: client}
        self.client = client
        self.server = server
        self.seq = {client: 4_294_967_290, server: 1000}  # the first wraps around
        self.scale = scale
        self.latency = latency
        self.now = 0.0
        trace.hosts.setdefault(client.ip, names[0])
        trace.hosts.setdefault(server.ip, names[1])

    def send(
        self,
        source: Endpoint,
        flags: int,
        payload: bytes = b"",
        *,
        fate: str = "",
        lost: bool = False,
    ) -> Segment:
        """Send a segment; time goes on by the latency."""
        target = self.other[source]
        is_syn = bool(flags & Flag.SYN)
        segment = Segment(
            self.now,
            source,
            target,
            self.names[source],
            self.names[target],
            flags,
            self.seq[source],
            self.seq[target] if flags & Flag.ACK else 0,
            65535,
            payload,
            SegmentOptions(1460, self.scale) if is_syn else None,
        )
        segment.fate = fate
        step = len(payload) + is_syn + bool(flags & Flag.FIN)
        self.seq[source] = (self.seq[source] + step) % 2**32
        self.now += self.latency
        if not lost:
            segment.arrived = self.now
        self.trace.segments.append(segment)
        return segment

    def open(self) -> None:
        """Shake hands."""
        self.send(self.client, Flag.SYN)
        self.send(self.server, Flag.SYN | Flag.ACK)
        self.send(self.client, Flag.ACK)

    def say(self, source: Endpoint, payload: bytes) -> None:
        """Send a payload, and have it acknowledged."""
        self.send(source, Flag.PSH | Flag.ACK, payload)
        self.send(self.other[source], _ACK)

    def close(self) -> None:
        """Close both ways, the client first: four segments."""
        for source in (self.client, self.server):
            self.send(source, Flag.FIN | Flag.ACK)
            self.send(self.other[source], _ACK)


def clean_trace() -> Trace:
    """Give a question, its answer, and a close: eleven segments."""
    trace = Trace()
    talk = Talk(trace)
    talk.open()
    talk.say(ALICE, b"6 * 7?\n")
    talk.say(BOB, b"42\n")
    talk.close()
    return trace


def troubled_trace() -> Trace:
    """Give what a trace can have: faults, losses, a long silence, IPv6, a loop."""
    trace = Trace()
    talk = Talk(trace)
    talk.open()
    talk.say(ALICE, b"GET / HTTP/1.1\r\n\r\n")
    cut = FaultSpan("Partition()", "alice - bob", ("alice", "bob"), talk.now)
    trace.faults.append(cut)
    talk.send(BOB, Flag.PSH | Flag.ACK, b"HTTP/1.1 200 OK\r\n", fate="cut", lost=True)
    talk.now += 60
    cut.end = talk.now
    talk.say(ALICE, b"are you there?")
    talk.send(BOB, Flag.RST)
    trace.faults.append(FaultSpan("Pause()", "carol", ("carol",), talk.now))
    six = Talk(
        trace,
        client=Endpoint("2001:db8::3", 50000),
        server=Endpoint("2001:db8::2", 443),
        names=("carol", "bob"),
    )
    six.now = talk.now
    six.open()
    six.send(six.client, Flag.PSH | Flag.ACK, b"\x00\x01\xffbinary", fate="held")
    home = Talk(
        trace,
        client=Endpoint("127.0.0.1", 50001),
        server=Endpoint("127.0.0.1", 8080),
        names=("carol", "carol"),
    )
    home.now = six.now
    home.open()
    nobody = Segment(
        home.now,
        ALICE,
        Endpoint("192.0.2.99", 1),
        "alice",
        "",
        int(Flag.SYN),
        7,
        0,
        65535,
        b"",
        SegmentOptions(1460, 7),
    )
    nobody.fate = "no such host"
    trace.segments.append(nobody)
    return trace


def long_trace(segments: int) -> Trace:
    """Give twelve clients that talk with one server by turns."""
    trace = Trace()
    server = Endpoint("192.0.2.1", 49000)
    trace.hosts[server.ip] = "server"
    talks = [
        Talk(
            trace,
            client=Endpoint(f"192.0.2.{10 + number}", 49152),
            server=server,
            names=(f"client-{number}", "server"),
        )
        for number in range(12)
    ]
    now = 0.0
    for turn, talk in enumerate(talks):
        talk.now = now = 0.003 * turn
        talk.open()
    turn = 0
    while len(trace.segments) < segments:
        talk = talks[turn % len(talks)]
        now += 0.004 if turn % 200 else 30.0
        talk.now = now
        talk.say(talk.client, f"message {turn} from {turn % 12}".encode())
        turn += 1
    trace.segments.sort(key=lambda segment: segment.time)
    del trace.segments[segments:]
    return trace
