"""A server behind proxies, and what they say of its clients.

Only a peer with an address can be a proxy, and a stream in memory has none. So most
streams here are pairs of Unix sockets. They need neither a path nor a port, and what
one end has sent the other can read at once, as in memory: virtual time works.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, final

import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.integration.loopback import Record, receive_all, receive_exactly
from tests.proxy_protocol.headers import (
    CLIENT,
    IPV4_BLOCK,
    SERVICE,
    UNIX_BLOCK,
    version_2,
)
from trio_tcp import (
    ProxyHeader,
    ProxyProtocol,
    TcpAddress,
    UnixAddress,
    codecs,
    testing,
)

Text: TypeAlias = trio_tcp.Connection[str, str]

PROXY = UnixAddress("")
TRUST = ProxyProtocol(trusted=["10.0.0.0/8"])
"""Unix sockets are trusted in any case."""

# The headers --------------------------------------------------------------------------


def line(host: str = CLIENT.host, port: int = CLIENT.port) -> bytes:
    """Build a header of version 1."""
    family, service = ("TCP6", "2001:db8::2") if ":" in host else ("TCP4", SERVICE.host)
    return f"PROXY {family} {host} {service} {port} {SERVICE.port}\r\n".encode()


IPV6_BLOCK = b"".join(
    ipaddress.IPv6Address(host).packed for host in ("2001:db8::1", "2001:db8::2")
) + struct.pack("!HH", 40000, 443)
TLVS = struct.pack("!BH", 2, 9) + b"localhost" + struct.pack("!BH", 0xE0, 0)

IPV6 = ProxyHeader(
    source=TcpAddress("2001:db8::1", 40000),
    destination=TcpAddress("2001:db8::2", 443),
)
HEADERS = {
    "version 1, IPv4": (line(), ProxyHeader(source=CLIENT, destination=SERVICE)),
    "version 1, IPv6": (line("2001:db8::1"), IPV6),
    "version 2, IPv4": (version_2(), ProxyHeader(source=CLIENT, destination=SERVICE)),
    "version 2, IPv6": (version_2(IPV6_BLOCK, kind=0x21), IPV6),
    "version 2, Unix": (
        version_2(UNIX_BLOCK, kind=0x31),
        ProxyHeader(
            source=UnixAddress("/run/a.sock"), destination=UnixAddress("\0abstract")
        ),
    ),
    "version 2, TLVs": (
        version_2(IPV4_BLOCK + TLVS),
        ProxyHeader(
            source=CLIENT,
            destination=SERVICE,
            tlvs=((2, b"localhost"), (0xE0, b"")),
        ),
    ),
}
NOBODY = {
    "UNKNOWN": b"PROXY UNKNOWN\r\n",
    "UNKNOWN with addresses": b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n",
    "LOCAL": version_2(b"", command=0x20, kind=0),
    "LOCAL with addresses": version_2(command=0x20),
    "UNSPEC": version_2(b"", kind=0),
}

# The server ---------------------------------------------------------------------------


async def echo(connection: Text) -> None:
    async for text in connection:
        await connection.send(text)


@final
class Pairs(trio.abc.Listener[trio.SocketStream]):
    """Accepts one end of a pair of Unix sockets, of which `connect` returns the other.

    All of the other ends are closed with the listener.
    """

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[trio.SocketStream](0)
        self._ours: list[trio.SocketStream] = []

    async def connect(self) -> trio.SocketStream:
        """Open a connection, and wait until the server has accepted it.

        Raises:
            ConnectionRefusedError: the listener is closed.
        """
        ours, theirs = (
            trio.SocketStream(trio.socket.from_stdlib_socket(sock))
            for sock in socket.socketpair()
        )
        self._ours.append(ours)
        try:
            await self._send.send(theirs)
        except trio.BrokenResourceError:
            theirs.socket.close()
            raise ConnectionRefusedError("this listener is closed") from None
        return ours

    async def accept(self) -> trio.SocketStream:
        return await self._receive.receive()

    async def aclose(self) -> None:
        await self._receive.aclose()

    def hang_up(self) -> None:
        """Close what is left."""
        for stream in self._ours:
            stream.socket.close()


@final
class Behind:
    """A server behind proxies, and the way to it. Made by `behind_proxies`."""

    def __init__(
        self,
        server: trio_tcp.Server,
        pairs: Pairs,
        memory: testing.MemoryListener,
        record: Record,
        ended: trio.Event,
    ) -> None:
        self.server = server
        self.pairs = pairs
        self.memory = memory
        self.record = record
        self.ended = ended

    async def connect(self, *chunks: bytes) -> trio.SocketStream:
        """Connect as a proxy does, and send chunks, each of which is read alone."""
        stream = await self.pairs.connect()
        await self.send(stream, *chunks)
        return stream

    async def send(self, stream: trio.SocketStream, *chunks: bytes) -> None:
        """Send chunks, each of which is read alone."""
        for chunk in chunks:
            await stream.send_all(chunk)
            await wait_all_tasks_blocked()

    async def connection(self) -> trio_tcp.Connection[Any, Any]:
        """Wait for the first client's connection, which is the only one."""
        await self.record.wait(trio_tcp.ConnectionOpened)
        [connection] = self.server.connections
        return connection

    async def serves(self, host: str = "203.0.113.9") -> None:
        """See a new client served."""
        stream = await self.connect(line(host) + b"still there?\n")
        assert await receive_exactly(stream, 13) == b"still there?\n"
        await stream.send_eof()
        assert await receive_all(stream) == b""


@asynccontextmanager
async def behind_proxies(
    handler: trio_tcp.Handler[str, str] = echo,
    *,
    proxy_protocol: ProxyProtocol | None = TRUST,
    **options: Any,  # noqa: ANN401 - of `serve_listeners`
) -> AsyncGenerator[Behind, None]:
    """Run a server that listens for proxies, and in memory; cancel it at the end."""
    pairs, memory = Pairs(), testing.MemoryListener()
    record = Record()

    def observe(event: trio_tcp.Event) -> None:
        record(event)
        trio_tcp.log_events(event)

    ended = trio.Event()

    async def serve(*, task_status: trio.TaskStatus[trio_tcp.Server]) -> None:
        await trio_tcp.serve_listeners(
            handler,
            [pairs, memory],
            codec=codecs.Lines(max_bytes=100),
            proxy_protocol=proxy_protocol,
            observer=observe,
            task_status=task_status,
            **options,
        )
        ended.set()

    try:
        async with trio.open_nursery() as nursery:
            server: trio_tcp.Server = await nursery.start(serve)
            yield Behind(server, pairs, memory, record, ended)
            nursery.cancel_scope.cancel()
    finally:
        pairs.hang_up()


async def until_the_end(stream: trio.abc.ReceiveStream) -> bytes:
    """Read until the other end closes, or breaks the connection."""
    received = b""
    try:
        async for chunk in stream:
            received += chunk
    except trio.BrokenResourceError:
        pass
    return received
