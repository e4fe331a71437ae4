"""What happened, as frozen records; and where they go.

The package never logs in passing. It makes a record of each thing worth knowing and
hands it to the `Observer`; the default one, `trio_tcp.log_events`, writes to the
``trio_tcp`` logger. Another observer can count, trace or test instead.

``_server_events.py`` has what happens to a server as a whole, and
``_connection_events.py`` each step of a client's way: it is accepted, its handshake
goes well or not, its connection opens, waits, and ends. All the records of one client
have the same ``id``. There is none for a message: what happens all the time is counted,
and read with `Server.statistics` or `Connection.statistics`.
"""

from trio_tcp._events._connection_events import (
    BackpressureEnded,
    BackpressureStarted,
    CloseReason,
    ConnectionAccepted,
    ConnectionDrained,
    ConnectionEnded,
    ConnectionEvent,
    ConnectionOpened,
    ConnectionRejected,
    ConnectionStatistics,
    GarbageSkipped,
    HandlerFailed,
    HandshakeFailed,
    MessageMalformed,
    ProxyHeaderReceived,
    TimedOut,
    TlsEstablished,
)
from trio_tcp._events._event import LOGGER, DescribedEvent, Event, Observer, notify
from trio_tcp._events._server_events import (
    AcceptPaused,
    AcceptResumed,
    DrainReport,
    DrainStarted,
    LimitReached,
    ServerResumed,
    ServerStarted,
    ServerStopped,
    ServerSuspended,
)

__all__ = [
    "LOGGER",
    "AcceptPaused",
    "AcceptResumed",
    "BackpressureEnded",
    "BackpressureStarted",
    "CloseReason",
    "ConnectionAccepted",
    "ConnectionDrained",
    "ConnectionEnded",
    "ConnectionEvent",
    "ConnectionOpened",
    "ConnectionRejected",
    "ConnectionStatistics",
    "DescribedEvent",
    "DrainReport",
    "DrainStarted",
    "Event",
    "GarbageSkipped",
    "HandlerFailed",
    "HandshakeFailed",
    "LimitReached",
    "MessageMalformed",
    "Observer",
    "ProxyHeaderReceived",
    "ServerResumed",
    "ServerStarted",
    "ServerStopped",
    "ServerSuspended",
    "TimedOut",
    "TlsEstablished",
    "notify",
]
