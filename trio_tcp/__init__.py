"""trio_tcp: a structured-concurrency TCP toolkit for Trio.

Messages instead of bytes, for servers and clients of your own protocols::

    import trio_tcp
    from trio_tcp import codecs

    async def echo(connection: trio_tcp.Connection[str, str]) -> None:
        async for line in connection:
            await connection.send(line)

    trio_tcp.run_server(echo, 8888, codec=codecs.Lines())

What there is, by what it is for; ``help`` of each name says the rest::

    run_server serve_tcp serve_unix serve_listeners  accept: a handler for each client
    serve_until_signalled run_workers                until a signal; several processes
    respond framed                                   handlers of functions; for streams
    connect_tcp connect_unix open_connection         one connection, for a block
    open_session open_pool                           the next when it breaks; several
    Requester open_requester open_requester_pool     many tasks ask over one, or a few
    Connection Server                                what handlers and you are given
    heartbeat broadcast Hub RedisBackplane           dead peers; one message to many
    Timeouts Limits KeepAlive Tls ProxyProtocol      policies, each with defaults
    ConnectError ConnectionFault EncodeError         what to catch
    log_events                                       the log; other observers of events
    trio_tcp.codecs                                  what makes messages of bytes
    trio_tcp.monitoring trio_tcp.testing             for operators; for tests

The modules that make them, each of which imports only from those below it::

    cli                     the command, one file per subcommand
    testing                 memory streams, conformance checks
    _workers                a service of several processes
    _run                    a server as a whole program,
    _until_signalled        or as one's own, until a signal
    monitoring              what an operator looks at: figures, status, the log as JSON
    _redis                  hubs of several machines, joined by Redis
    _backplane              what joins them, and goes on when it breaks
    _serve _client          who accepts, who connects
    _http                   HTTP/1.1 for the few pages that operators ask for
    _pool                   a connection for each task that wants one
    _requests               many tasks, one connection: each its own reply
    _session                a client that goes on when its connection breaks
    _reconnecting           what these share: when to try, to wait, to give up
    _framed _respond        handlers made: of streams, of functions
    _heartbeat              a dead peer, noticed in a known time
    _broadcast              one message to many connections
    _hub                    topics, and who subscribes to them
    _turns                  who tells many gives way to others, now and then
    _clients                a task for each client of a server
    _server                 the running server: what it tells, how it changes
    _drain                  its end in order, in stages
    _serve_connection       a handler's failure stays with its connection
    _accept                 which accept errors mean what
    _arrival                what comes first: PROXY header, limits, TLS
    _listen_unix _listen    sockets to listen on: Unix, TCP,
    _inherited              or whoever started the program has opened them
    _admission              who gets in
    _connection             messages over a transport
    _closing                its graceful end, and every other
    _incoming _outgoing     its two halves
    _read_ahead             the end of the stream, seen while nobody receives
    _patience _stall        how long the peer is waited for
    _journal                who a connection is, and why it ended
    _group                  what the connections of a server share:
    _budget _timers         bytes held, and deadlines
    _writers                tasks that write
    _proxy_protocol         whom to believe about a client's address
    _handshake              TLS put over a transport
    _transport              one byte pipe below: sockets, streams, TLS
    _proxy_header           the PROXY header's format
    codecs                  bytes to messages and back; no I/O
    _log_events _events     what happened: in the log, and as records
    _backplane_events       those of what joins several machines
    _keepalive              TCP's own, as options of a socket
    _arguments              what every way to a connection is given, checked
    _options _validators    timeouts and limits; what their numbers may be
    _address _systemd       where the two ends are; the service manager
    _kinds                  of what kind an argument must be
    _errors _nursery        one tree of exceptions; groups of them taken apart
    _printable              text of others, fit for a line of a log
"""

from trio_tcp._address import Address, TcpAddress, UnixAddress
from trio_tcp._backplane import BackplaneStatistics, ReconnectingBackplane
from trio_tcp._backplane_events import (
    BackplaneConnected,
    BackplaneLost,
    BackplaneRefused,
)
from trio_tcp._broadcast import broadcast, broadcast_nowait
from trio_tcp._client import connect_tcp, connect_unix, open_connection
from trio_tcp._connection import Connection
from trio_tcp._errors import (
    CloseNotifyMissingError,
    ConnectError,
    ConnectionBroken,
    ConnectionClosedError,
    ConnectionFault,
    ConnectionLost,
    Drained,
    EncodeError,
    EvictedError,
    FrameTooLargeError,
    FramingError,
    HalfCloseUnsupportedError,
    HubClosedError,
    InvalidFrameError,
    MalformedMessageError,
    MessageTooLargeError,
    PeerClosed,
    PeerTooSlowError,
    PoolClosedError,
    RequestIdInUseError,
    SlowSubscriberError,
    TlsHandshakeError,
    TrioTcpError,
    TruncatedError,
    UnexpectedReplyError,
    WorkersFailedError,
)
from trio_tcp._events import (
    AcceptPaused,
    AcceptResumed,
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
    DrainReport,
    DrainStarted,
    Event,
    GarbageSkipped,
    HandlerFailed,
    HandshakeFailed,
    LimitReached,
    MessageMalformed,
    Observer,
    ProxyHeaderReceived,
    ServerResumed,
    ServerStarted,
    ServerStopped,
    ServerSuspended,
    TimedOut,
    TlsEstablished,
)
from trio_tcp._framed import framed
from trio_tcp._heartbeat import heartbeat
from trio_tcp._hub import (
    Attachment,
    Backplane,
    Hub,
    HubStatistics,
    Lagged,
    Position,
    Publication,
    Subscription,
    WhenFull,
)
from trio_tcp._inherited import inherited_listeners, listener_from_fd
from trio_tcp._listen import open_tcp_listeners
from trio_tcp._listen_unix import open_unix_listener
from trio_tcp._log_events import log_events
from trio_tcp._options import Concurrency, KeepAlive, Limits, Timeouts, Tls
from trio_tcp._pool import DiscardReason, Pool, PoolStatistics, open_pool
from trio_tcp._proxy_header import ProxyHeader
from trio_tcp._proxy_protocol import ProxyProtocol
from trio_tcp._reconnecting import (
    Backoff,
    Connecting,
    Ready,
    SessionState,
    Stopped,
    Waiting,
)
from trio_tcp._redis import RedisBackplane
from trio_tcp._requests import (
    ReconnectingRequester,
    Requester,
    RequesterPool,
    RequesterStatistics,
    RetryBudget,
    open_requester,
    open_requester_pool,
)
from trio_tcp._respond import respond
from trio_tcp._run import run_server
from trio_tcp._serve import serve_listeners, serve_tcp, serve_unix
from trio_tcp._serve_connection import Handler
from trio_tcp._server import Server, ServerState, ServerStatistics
from trio_tcp._session import Break, Session, open_session
from trio_tcp._transport import TlsInfo
from trio_tcp._until_signalled import serve_until_signalled
from trio_tcp._workers import (
    ReloadFailed,
    ReloadFinished,
    ReloadStarted,
    Supervision,
    SupervisorStarted,
    SupervisorStopped,
    SupervisorStopping,
    WorkerEnded,
    WorkerEvent,
    WorkerKilled,
    WorkerReady,
    WorkersEvent,
    WorkersFailed,
    WorkerStarted,
    run_workers,
    serve_with_workers,
)

__all__ = [
    "AcceptPaused",
    "AcceptResumed",
    "Address",
    "Attachment",
    "Backoff",
    "Backplane",
    "BackplaneConnected",
    "BackplaneLost",
    "BackplaneRefused",
    "BackplaneStatistics",
    "BackpressureEnded",
    "BackpressureStarted",
    "Break",
    "CloseNotifyMissingError",
    "CloseReason",
    "Concurrency",
    "ConnectError",
    "Connecting",
    "Connection",
    "ConnectionAccepted",
    "ConnectionBroken",
    "ConnectionClosedError",
    "ConnectionDrained",
    "ConnectionEnded",
    "ConnectionEvent",
    "ConnectionFault",
    "ConnectionLost",
    "ConnectionOpened",
    "ConnectionRejected",
    "ConnectionStatistics",
    "DiscardReason",
    "DrainReport",
    "DrainStarted",
    "Drained",
    "EncodeError",
    "Event",
    "EvictedError",
    "FrameTooLargeError",
    "FramingError",
    "GarbageSkipped",
    "HalfCloseUnsupportedError",
    "Handler",
    "HandlerFailed",
    "HandshakeFailed",
    "Hub",
    "HubClosedError",
    "HubStatistics",
    "InvalidFrameError",
    "KeepAlive",
    "Lagged",
    "LimitReached",
    "Limits",
    "MalformedMessageError",
    "MessageMalformed",
    "MessageTooLargeError",
    "Observer",
    "PeerClosed",
    "PeerTooSlowError",
    "Pool",
    "PoolClosedError",
    "PoolStatistics",
    "Position",
    "ProxyHeader",
    "ProxyHeaderReceived",
    "ProxyProtocol",
    "Publication",
    "Ready",
    "ReconnectingBackplane",
    "ReconnectingRequester",
    "RedisBackplane",
    "ReloadFailed",
    "ReloadFinished",
    "ReloadStarted",
    "RequestIdInUseError",
    "Requester",
    "RequesterPool",
    "RequesterStatistics",
    "RetryBudget",
    "Server",
    "ServerResumed",
    "ServerStarted",
    "ServerState",
    "ServerStatistics",
    "ServerStopped",
    "ServerSuspended",
    "Session",
    "SessionState",
    "SlowSubscriberError",
    "Stopped",
    "Subscription",
    "Supervision",
    "SupervisorStarted",
    "SupervisorStopped",
    "SupervisorStopping",
    "TcpAddress",
    "TimedOut",
    "Timeouts",
    "Tls",
    "TlsEstablished",
    "TlsHandshakeError",
    "TlsInfo",
    "TrioTcpError",
    "TruncatedError",
    "UnexpectedReplyError",
    "UnixAddress",
    "Waiting",
    "WhenFull",
    "WorkerEnded",
    "WorkerEvent",
    "WorkerKilled",
    "WorkerReady",
    "WorkerStarted",
    "WorkersEvent",
    "WorkersFailed",
    "WorkersFailedError",
    "broadcast",
    "broadcast_nowait",
    "connect_tcp",
    "connect_unix",
    "framed",
    "heartbeat",
    "inherited_listeners",
    "listener_from_fd",
    "log_events",
    "open_connection",
    "open_pool",
    "open_requester",
    "open_requester_pool",
    "open_session",
    "open_tcp_listeners",
    "open_unix_listener",
    "respond",
    "run_server",
    "run_workers",
    "serve_listeners",
    "serve_tcp",
    "serve_unix",
    "serve_until_signalled",
    "serve_with_workers",
]
