"""Everything that was sent on a virtual network, and what went wrong on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import final

from trio_tcp.testing.traces import _html, _pcap, _svg, _text
from trio_tcp.testing.traces._conversation import Conversation, find_conversations
from trio_tcp.testing.traces._diff import Difference, find_difference
from trio_tcp.testing.traces._digest import digest
from trio_tcp.testing.traces._fault_span import FaultSpan
from trio_tcp.testing.traces._note import Note
from trio_tcp.testing.traces._segment import Segment

__all__ = ["Trace"]


@final
class Trace:
    """Every segment of a run, in the order in which they were sent.

    ``len(trace)`` and ``for segment in trace`` are about the segments.

    Attributes:
        segments: The segments.
        faults: The faults, in the order in which they began.
        notes: What programs said that they do, in order; see `VirtualNetwork.note`.
        hosts: Names of the hosts by their addresses, in the order of their making.
    """

    def __init__(self) -> None:
        self.segments: list[Segment] = []
        self.faults: list[FaultSpan] = []
        self.notes: list[Note] = []
        self.hosts: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self.segments)

    def __iter__(self) -> Iterator[Segment]:
        return iter(self.segments)

    @property
    def connections(self) -> list[Conversation]:
        """The connections, and attempts at one, in the order of their first segments.

        They are looked for anew each time: keep the list where you need it twice.
        """
        return find_conversations(self.segments)

    @property
    def lost(self) -> list[Segment]:
        """The segments that something happened to, so that they have not arrived."""
        return [segment for segment in self.segments if segment.is_lost]

    def select(
        self,
        *,
        sender: str | None = None,
        receiver: str | None = None,
        flags: int = 0,
        port: int | None = None,
    ) -> list[Segment]:
        """Return the segments that are all that is asked for.

        Args:
            sender: The name of the host that sent them.
            receiver: The name of the host that they were sent to.
            flags: Bits that are set, beside others: `Flag.SYN` finds the answers to
                SYNs as well.
            port: The port at either end.
        """
        return [
            segment
            for segment in self.segments
            if sender in {None, segment.sender}
            and receiver in {None, segment.receiver}
            and segment.flags & flags == flags
            and port in {None, segment.source.port, segment.destination.port}
        ]

    def count(
        self,
        *,
        sender: str | None = None,
        receiver: str | None = None,
        flags: int = 0,
        port: int | None = None,
    ) -> int:
        """Return how many segments `select` finds."""
        return len(
            self.select(sender=sender, receiver=receiver, flags=flags, port=port)
        )

    def payload(self, sender: str, receiver: str) -> bytes:
        """Return the bytes that one host has sent to another, each once.

        What was sent a second time is left out; what never arrived is not. The bytes
        of several connections follow one another in the order of the connections.
        """
        sent: list[bytes] = []
        for connection in self.connections:
            ends = {s.source: (s.sender, s.receiver) for s in connection.segments}
            sent += [
                connection.payload(source)
                for source, names in ends.items()
                if names == (sender, receiver)
            ]
        return b"".join(sent)

    def digest(self, *, payload: bool = True) -> str:
        """Return a fingerprint: equal for equal segments, in hexadecimal digits.

        Args:
            payload: True takes in all of each segment. False leaves only the shape:
                times, hosts, flags, lengths and fates. That is for TLS, whose bytes
                come out of OpenSSL's own generator and so from no seed.
        """
        return digest(self.segments, payload=payload)

    def diff(self, other: Trace, *, payload: bool = True) -> Difference | None:
        """Return where another trace first differs from this one; None if nowhere.

        Args:
            other: The other trace.
            payload: As in `digest`.
        """
        return find_difference(self.segments, other.segments, payload=payload)

    def to_text(self, path: str | Path | None = None) -> str:
        """Return a line for each segment, each note, each begin and end of a fault.

        Sequence numbers count from 0 in each connection.

        Args:
            path: Also write it to this file.

        Raises:
            OSError: The file cannot be written.
        """
        text = _text.to_text(self.segments, self.faults, self.hosts, self.notes)
        if path is not None:
            _write(path, text)
        return text

    def to_pcap(self, path: str | Path) -> None:
        """Write a capture that Wireshark and tcpdump open.

        Lost segments are in it: it shows what was sent. Time begins with the year 2000.

        Raises:
            OSError: The file cannot be written.
        """
        Path(path).write_bytes(_pcap.to_pcap(self.segments))

    def to_svg(self, path: str | Path, *, title: str = "Segments of a network") -> None:
        """Write a sequence diagram as a picture: for documents, and for short traces.

        Time goes downwards. Beside the segments stand the notes, at the lifelines of
        their hosts. The picture is light or dark as its reader wants it.

        Args:
            path: The file.
            title: What the picture is called, for those who do not see it.

        Raises:
            OSError: The file cannot be written.
        """
        picture = _svg.to_svg(
            self.segments, self.faults, self.hosts, self.notes, title=title
        )
        _write(path, picture)

    def to_html(self, path: str | Path, *, title: str = "Trace") -> None:
        """Write a sequence diagram as a web page to look around in.

        It is one file that needs no network, and stays quick with thousands of
        segments.

        Args:
            path: The file.
            title: What the page is called.

        Raises:
            OSError: The file cannot be written.
        """
        page = _html.to_html(self.segments, self.faults, self.hosts, title=title)
        _write(path, page)


def _write(path: str | Path, text: str) -> None:
    # A host's name may be anything, which UTF-8 may be unable to spell.
    Path(path).write_text(text, "utf-8", errors="backslashreplace", newline="\n")
