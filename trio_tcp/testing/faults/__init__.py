"""What goes wrong on a virtual network, on purpose: one fault a file.

A fault is put on a host, a link, a path, a port, a connection or everything, for a
block, until it is ended, by a `Plan`, or drawn by `Chaos`::

    with net.inject(faults.Latency(0.2, jitter=0.1), on=net.path("a", "b")):
        ...

Faults compose: of two that delay, both do; of two that limit, the smaller limit holds.
To add one, write a class with a ``begin``, as `Fault` says, and ``draw`` if `Chaos`
shall draw it.
"""

from trio_tcp.testing.faults._bandwidth import Bandwidth
from trio_tcp.testing.faults._black_hole import BlackHole
from trio_tcp.testing.faults._chaos import BREAKING, DELAYING, Chaos, Draw
from trio_tcp.testing.faults._coalesce import Coalesce
from trio_tcp.testing.faults._crash import Crash
from trio_tcp.testing.faults._cut import Cut
from trio_tcp.testing.faults._dns_failure import DnsFailure
from trio_tcp.testing.faults._fail_next import FailNext
from trio_tcp.testing.faults._full_backlog import FullBacklog
from trio_tcp.testing.faults._hold import Hold
from trio_tcp.testing.faults._latency import Latency
from trio_tcp.testing.faults._loss import Loss
from trio_tcp.testing.faults._partition import Partition
from trio_tcp.testing.faults._pause import Pause
from trio_tcp.testing.faults._plan import Plan, Step
from trio_tcp.testing.faults._refuse import Refuse
from trio_tcp.testing.faults._reset import Reset
from trio_tcp.testing.faults._short_writes import ShortWrites
from trio_tcp.testing.faults._slice import Slice
from trio_tcp.testing.faults._slice_at import SliceAt
from trio_tcp.testing.faults._stall import Stall
from trio_tcp.testing.faults._swizzle import swizzle
from trio_tcp.testing.network import Fault

__all__ = [
    "BREAKING",
    "DELAYING",
    "Bandwidth",
    "BlackHole",
    "Chaos",
    "Coalesce",
    "Crash",
    "Cut",
    "DnsFailure",
    "Draw",
    "FailNext",
    "Fault",
    "FullBacklog",
    "Hold",
    "Latency",
    "Loss",
    "Partition",
    "Pause",
    "Plan",
    "Refuse",
    "Reset",
    "ShortWrites",
    "Slice",
    "SliceAt",
    "Stall",
    "Step",
    "swizzle",
]
