"""trio_tcp: a structured-concurrency TCP toolkit for Trio.

Messages instead of bytes, for servers and clients of your own protocols::

    import trio_tcp
    from trio_tcp import codecs

    async def echo(connection: trio_tcp.Connection[str, str]) -> None:
        async for line in connection:
            await connection.send(line)

    trio_tcp.run_server(echo, 8888, codec=codecs.Lines())

The layers, each of which imports only from those below it::

    cli                     the command, one file per subcommand
    testing                 memory streams, conformance checks
    _server _client _run    who accepts, who connects
    _framed
    _serve_connection       a handler's failure stays with its connection
    _accept                 which accept errors mean what
    _connection             messages over a transport
    _incoming _outgoing     its two halves, and its graceful end
    _closing
    _writers _transport     tasks that write; one byte pipe below
    _journal                who a connection is, and why it ended
    codecs                  bytes to messages and back; no I/O
    _events                 what happened, as records
    _options _address
    _errors _nursery        one tree of exceptions; groups of them taken apart
"""

from trio_tcp._address import Address, TcpAddress, UnixAddress
from trio_tcp._client import connect_tcp, connect_unix, open_connection
from trio_tcp._connection import Connection
from trio_tcp._errors import (
    ConnectError,
    ConnectionBroken,
    ConnectionClosedError,
    ConnectionFault,
    EncodeError,
    FrameTooLargeError,
    FramingError,
    HalfCloseUnsupportedError,
    InvalidFrameError,
    MalformedMessageError,
    MessageTooLargeError,
    PeerClosed,
    TrioTcpError,
    TruncatedError,
)
from trio_tcp._events import (
    AcceptPaused,
    AcceptResumed,
    CloseReason,
    ConnectionEnded,
    ConnectionEvent,
    ConnectionOpened,
    ConnectionStatistics,
    Event,
    GarbageSkipped,
    HandlerFailed,
    MessageMalformed,
    Observer,
    ServerStarted,
    ServerStopped,
    log_events,
)
from trio_tcp._framed import framed
from trio_tcp._options import Timeouts
from trio_tcp._run import run_server
from trio_tcp._serve_connection import Handler
from trio_tcp._server import (
    Server,
    ServerStatistics,
    serve_listeners,
    serve_tcp,
    serve_unix,
)

__all__ = [
    "AcceptPaused",
    "AcceptResumed",
    "Address",
    "CloseReason",
    "ConnectError",
    "Connection",
    "ConnectionBroken",
    "ConnectionClosedError",
    "ConnectionEnded",
    "ConnectionEvent",
    "ConnectionFault",
    "ConnectionOpened",
    "ConnectionStatistics",
    "EncodeError",
    "Event",
    "FrameTooLargeError",
    "FramingError",
    "GarbageSkipped",
    "HalfCloseUnsupportedError",
    "Handler",
    "HandlerFailed",
    "InvalidFrameError",
    "MalformedMessageError",
    "MessageMalformed",
    "MessageTooLargeError",
    "Observer",
    "PeerClosed",
    "Server",
    "ServerStarted",
    "ServerStatistics",
    "ServerStopped",
    "TcpAddress",
    "Timeouts",
    "TrioTcpError",
    "TruncatedError",
    "UnixAddress",
    "connect_tcp",
    "connect_unix",
    "framed",
    "log_events",
    "open_connection",
    "run_server",
    "serve_listeners",
    "serve_tcp",
    "serve_unix",
]
