"""To test programs of the network without sockets, sleeps and luck.

Three ways, from the smallest: `connection_pair` makes two connected connections, and
`serve_in_memory` runs a handler under all of a server's policies, both over
`memory_stream_pair`, whose buffer is bounded as a socket's is. `check_codec` holds a
codec to what all codecs promise, and `check_backplane` a backplane. `MemoryBackplane`
joins the hubs of a test as Redis would, over a `MemoryBroker` that fails at will.

`run_simulation` and `simulated` run whole programs, servers and clients on hosts of
their own, on a `VirtualNetwork` and in virtual time, each run as its seed decides. What
goes wrong on that network is in `faults`; what was sent is a `Trace`. `explore`
searches many seeds, and `check_deterministic` asks whether one seed is one run.

For programs that cannot run there, `open_fault_proxy` brings the same faults to real
sockets.
"""

from trio_tcp.testing import faults
from trio_tcp.testing._check_backplane import check_backplane
from trio_tcp.testing._check_codec import check_codec
from trio_tcp.testing._memory import MemoryListener, MemoryStream, memory_stream_pair
from trio_tcp.testing._memory_backplane import MemoryBackplane
from trio_tcp.testing._memory_broker import MemoryBroker
from trio_tcp.testing._pair import MemoryServer, connection_pair, serve_in_memory
from trio_tcp.testing.network import (
    Fault,
    Host,
    HostCrashedError,
    Injection,
    Link,
    LinkOptions,
    Path,
    Port,
    Target,
    VirtualConnection,
    VirtualNetwork,
)
from trio_tcp.testing.proxy import FaultProxy, ProxiedConnection, open_fault_proxy
from trio_tcp.testing.simulation import (
    Exploration,
    FailedRun,
    FailedSeed,
    NotDeterministicError,
    ScheduleUnavailableError,
    ScheduleWarning,
    SimulationDeadlock,
    SimulationError,
    SimulationFenceError,
    SimulationLivelock,
    SimulationResult,
    SimulationStopped,
    SimulationTimeout,
    check_deterministic,
    explore,
    last_failure,
    run_simulation,
    simulated,
)
from trio_tcp.testing.traces import (
    Conversation,
    Difference,
    Endpoint,
    FaultSpan,
    Flag,
    Note,
    Segment,
    SegmentOptions,
    Trace,
)

__all__ = [
    "Conversation",
    "Difference",
    "Endpoint",
    "Exploration",
    "FailedRun",
    "FailedSeed",
    "Fault",
    "FaultProxy",
    "FaultSpan",
    "Flag",
    "Host",
    "HostCrashedError",
    "Injection",
    "Link",
    "LinkOptions",
    "MemoryBackplane",
    "MemoryBroker",
    "MemoryListener",
    "MemoryServer",
    "MemoryStream",
    "NotDeterministicError",
    "Note",
    "Path",
    "Port",
    "ProxiedConnection",
    "ScheduleUnavailableError",
    "ScheduleWarning",
    "Segment",
    "SegmentOptions",
    "SimulationDeadlock",
    "SimulationError",
    "SimulationFenceError",
    "SimulationLivelock",
    "SimulationResult",
    "SimulationStopped",
    "SimulationTimeout",
    "Target",
    "Trace",
    "VirtualConnection",
    "VirtualNetwork",
    "check_backplane",
    "check_codec",
    "check_deterministic",
    "connection_pair",
    "explore",
    "faults",
    "last_failure",
    "memory_stream_pair",
    "open_fault_proxy",
    "run_simulation",
    "serve_in_memory",
    "simulated",
]
