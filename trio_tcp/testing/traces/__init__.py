"""What happened on a virtual network: segments, queries, captures and pictures.

A ``_trace`` holds each ``_segment`` and ``_fault_span``. It can be asked about a
``_conversation``, compared (``_diff``, ``_digest``), and shown: as ``_text``, as an
``_svg`` picture or an ``_html`` page (``_layout``, ``_words``), and as a ``_pcap``.
"""

from trio_tcp.testing.traces._conversation import Conversation
from trio_tcp.testing.traces._diff import Difference
from trio_tcp.testing.traces._fault_span import FaultSpan
from trio_tcp.testing.traces._note import Note
from trio_tcp.testing.traces._segment import (
    Endpoint,
    Flag,
    Flow,
    Segment,
    SegmentOptions,
)
from trio_tcp.testing.traces._trace import Trace

__all__ = [
    "Conversation",
    "Difference",
    "Endpoint",
    "FaultSpan",
    "Flag",
    "Flow",
    "Note",
    "Segment",
    "SegmentOptions",
    "Trace",
]
