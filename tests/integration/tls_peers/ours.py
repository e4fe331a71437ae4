"""Our side of TLS with peers that are not ours: a server, a client, what they say."""

from __future__ import annotations

import ssl
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, TypeAlias, TypeVar

import trio

import trio_tcp
from tests.certificates import HOST, client_context
from tests.integration.loopback import LOOPBACK, Record
from trio_tcp import codecs

In = TypeVar("In")
Out = TypeVar("Out")
Text: TypeAlias = trio_tcp.Connection[str, str]
Context: TypeAlias = ssl.SSLContext | trio_tcp.Tls

LINES = codecs.Lines(max_bytes=4 << 20)
SIZES = [1, 1000, 16_384, 100_000, 1_000_000]
MESSAGES = [b"one", b"", b"\0\xff" * 50_000, b"four"]


async def start(
    nursery: trio.Nursery,
    handler: trio_tcp.Handler[In, Out],
    codec: codecs.Codec[In, Out],
    record: Record,
    *,
    tls: Context | None = None,
    proxy_protocol: trio_tcp.ProxyProtocol | None = None,
    limits: trio_tcp.Limits | None = None,
) -> trio_tcp.Server:
    """Start a server on a free port."""
    server: trio_tcp.Server = await nursery.start(
        partial(
            trio_tcp.serve_tcp,
            handler,
            0,
            host=LOOPBACK,
            codec=codec,
            observer=record,
            tls=tls,
            proxy_protocol=proxy_protocol,
            limits=limits or trio_tcp.Limits(),
        )
    )
    return server


def connect(
    port: int,
    codec: codecs.Codec[In, Out],
    *,
    host: str = HOST,
    context: Context | None = None,
    timeouts: trio_tcp.Timeouts | None = None,
) -> AbstractAsyncContextManager[trio_tcp.Connection[In, Out]]:
    """Connect a client of ours, which expects a name."""
    return trio_tcp.connect_tcp(
        LOOPBACK,
        port,
        codec=codec,
        tls=context or client_context(),
        server_hostname=host,
        timeouts=timeouts or trio_tcp.Timeouts(),
    )


def tls_of(connection: trio_tcp.Connection[Any, Any]) -> trio_tcp.TlsInfo:
    """Return what TLS has agreed on: there is TLS."""
    assert connection.tls is not None
    return connection.tls


def name_of(version: ssl.TLSVersion) -> str:
    """Return the name of a version as `TlsInfo` has it."""
    return version.name.replace("_", ".")


def frame(message: bytes) -> bytes:
    """Do what `LengthPrefixed` does, in somebody else's place."""
    return len(message).to_bytes(4, "big") + message
