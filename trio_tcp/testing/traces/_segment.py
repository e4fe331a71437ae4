"""One TCP segment of a virtual network, as a capture would show it."""

from __future__ import annotations

import enum
from typing import Final, NamedTuple, Protocol, final

__all__ = ["Endpoint", "Flag", "Flow", "Segment", "SegmentOptions"]


class Flag(enum.IntFlag):
    """The control bits of a segment, with their values on the wire (RFC 9293, 3.1)."""

    FIN = 1
    SYN = 2
    RST = 4
    PSH = 8
    ACK = 16


_NAMES: Final = tuple((flag.value, flag.name or "") for flag in reversed(Flag))


class Endpoint(NamedTuple):
    """One end of a connection: an IP address without a zone, and a port."""

    ip: str
    port: int

    def __str__(self) -> str:
        """Write it as in a URL, an IPv6 address in brackets."""
        return (
            f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"
        )


class Flow(Protocol):
    """Bytes on their way from one end to another: a segment, or a connection."""

    @property
    def sender(self) -> str:
        """The name of the host that sends."""
        ...

    @property
    def receiver(self) -> str:
        """The name of the host that receives."""
        ...

    @property
    def source(self) -> Endpoint:
        """The end that sends."""
        ...

    @property
    def destination(self) -> Endpoint:
        """The end that receives."""
        ...


class SegmentOptions(NamedTuple):
    """What a SYN offers.

    Attributes:
        mss: The largest payload that the sender takes, in bytes.
        window_scale: By how many bits its windows are shifted (RFC 7323, 2.2).
    """

    mss: int
    """The largest payload of a segment that its sender takes, in bytes."""
    window_scale: int
    """By how many bits the windows that its sender announces are shifted (RFC 7323)."""


@final
class Segment:
    """One TCP segment: what was sent when, and what became of it.

    Segments are recorded as they are sent, so that a trace is in causal order.

    Attributes:
        time: When it was sent, in seconds of the simulation.
        source: Who sent it.
        destination: Whom it was sent to.
        sender: The name of the host that sent it.
        receiver: The name of the host that it was sent to; empty if there is none.
        flags: The control bits; compare with `Flag`.
        seq: The sequence number of its first byte (or of its SYN or FIN), 32 bits.
        ack: The next byte that the sender expects, 32 bits; 0 without `Flag.ACK`.
        window: How many bytes the sender has room for, not scaled.
        payload: The bytes that it carries.
        options: What a SYN offers; None on all others.
        arrived: When the receiving host got it; None if it did not, or not yet.
        fate: Why it was lost, held or late; empty where nothing happened to it.
    """

    __slots__ = (
        "ack",
        "arrived",
        "destination",
        "fate",
        "flags",
        "options",
        "payload",
        "receiver",
        "sender",
        "seq",
        "source",
        "time",
        "window",
    )

    def __init__(  # noqa: PLR0917 - one is made per packet, and keywords cost time
        self,
        time: float,
        source: Endpoint,
        destination: Endpoint,
        sender: str,
        receiver: str,
        flags: int,
        seq: int,
        ack: int,
        window: int,
        payload: bytes = b"",
        options: SegmentOptions | None = None,
    ) -> None:
        self.time: float = time
        self.source: Endpoint = source
        self.destination: Endpoint = destination
        self.sender: str = sender
        self.receiver: str = receiver
        self.flags: int = flags
        self.seq: int = seq
        self.ack: int = ack
        self.window: int = window
        self.payload: bytes = payload
        self.options: SegmentOptions | None = options
        self.arrived: float | None = None
        self.fate: str = ""

    @property
    def flag_names(self) -> str:
        """The names of the set bits, such as ``SYN ACK``."""
        return " ".join(name for bit, name in sorted(_NAMES) if self.flags & bit)

    @property
    def is_lost(self) -> bool:
        """Whether something happened to it, so that it has not arrived."""
        return self.arrived is None and bool(self.fate)

    def __str__(self) -> str:
        """Give one line, in the manner of tcpdump."""
        fate = f" ({self.fate})" if self.fate else ""
        return (
            f"{self.time:.6f} {self.source} > {self.destination} "
            f"[{self.flag_names}] seq {self.seq} ack {self.ack} win {self.window} "
            f"length {len(self.payload)}{fate}"
        )

    def __repr__(self) -> str:
        return f"<Segment {self}>"
