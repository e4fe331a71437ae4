"""The trace of a proxy, which runs for long: the latest segments only."""

from __future__ import annotations

from typing import Final, final

from trio_tcp.testing.traces import Trace

__all__ = ["Recording"]

SEGMENT_BYTES: Final = 512
"""About what a segment takes beside its payload, in memory."""

MOST_FAULTS: Final = 1_000
"""So many faults are kept, the latest."""


@final
class Recording:
    """Keeps a trace within a number of bytes.

    Args:
        trace: the trace, to which others append.
        limit: how many bytes it may take. It takes up to twice that for a moment; 0
            keeps nothing.
    """

    def __init__(self, trace: Trace, limit: int) -> None:
        self._trace = trace
        self._limit = limit
        self._seen = 0
        self._bytes = 0

    def trim(self) -> None:
        """Drop the oldest segments if there are too many; to be called now and then."""
        segments = self._trace.segments
        if not self._limit:
            segments.clear()
        else:
            for segment in segments[self._seen :]:
                self._bytes += SEGMENT_BYTES + len(segment.payload)
            if self._bytes > 2 * self._limit:
                self._drop()
            self._seen = len(segments)
        if len(self._trace.faults) > 2 * MOST_FAULTS:
            self._trace.faults = [
                *(f for f in self._trace.faults[:-MOST_FAULTS] if f.end is None),
                *self._trace.faults[-MOST_FAULTS:],
            ]

    def _drop(self) -> None:
        segments = self._trace.segments
        keep = size = 0
        for segment in reversed(segments):
            more = SEGMENT_BYTES + len(segment.payload)
            if size + more > self._limit:
                break
            keep, size = keep + 1, size + more
        del segments[: len(segments) - keep]
        self._bytes = size
