"""A server behind proxies: who its clients are, and what becomes of everybody else.

Only a peer with an address can be a proxy, and a stream in memory has none. So most
streams here are pairs of Unix sockets. They need neither a path nor a port, and what
one end has sent the other can read at once, as in memory: virtual time works.
"""

from __future__ import annotations

import ipaddress
import logging
import math
import socket
import ssl
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias, final

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.certificates import HOST, client_context, each_version, server_context
from tests.integration.loopback import Record, receive_all, receive_exactly
from tests.tls.peer import Peer
from trio_tcp import (
    CloseReason,
    Limits,
    ProxyHeader,
    ProxyProtocol,
    TcpAddress,
    Timeouts,
    UnixAddress,
    codecs,
    testing,
)

Text: TypeAlias = trio_tcp.Connection[str, str]

PROXY = UnixAddress("")
CLIENT = TcpAddress("192.0.2.1", 40000)
SERVICE = TcpAddress("198.51.100.2", 443)
TRUST = ProxyProtocol(trusted=["10.0.0.0/8"])
"""Unix sockets are trusted in any case."""


# The headers


def line(host: str = CLIENT.host, port: int = CLIENT.port) -> bytes:
    """Build a header of version 1."""
    family, service = ("TCP6", "2001:db8::2") if ":" in host else ("TCP4", SERVICE.host)
    return f"PROXY {family} {host} {service} {port} {SERVICE.port}\r\n".encode()


SIGNATURE = bytes.fromhex("0D0A0D0A000D0A515549540A")
IPV4_BLOCK = bytes.fromhex("C0000201 C6336402 9C40 01BB")
IPV6_BLOCK = b"".join(
    ipaddress.IPv6Address(host).packed for host in ("2001:db8::1", "2001:db8::2")
) + struct.pack("!HH", 40000, 443)
UNIX_BLOCK = b"/run/a.sock".ljust(108, b"\0") + b"\0abstract".ljust(108, b"\0")
TLVS = struct.pack("!BH", 2, 9) + b"localhost" + struct.pack("!BH", 0xE0, 0)


def version_2(
    block: bytes = IPV4_BLOCK, *, command: int = 0x21, kind: int = 0x11
) -> bytes:
    """Build a header of version 2."""
    return SIGNATURE + struct.pack("!BBH", command, kind, len(block)) + block


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


# The server


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


def one_by_one(data: bytes) -> list[bytes]:
    return [data[n : n + 1] for n in range(len(data))]


# Who the client is


async def test_a_header_is_a_step_that_tells_the_proxy_from_its_client(
    autojump_clock: MockClock,
) -> None:
    async with behind_proxies() as behind:
        stream = await behind.pairs.connect()
        await trio.sleep(2)
        await behind.send(stream, line())
        (opened,) = await behind.record.wait(trio_tcp.ConnectionOpened)
        accepted, received, *_ = behind.record.all(trio_tcp.ConnectionEvent)
    assert isinstance(accepted, trio_tcp.ConnectionAccepted)
    assert accepted.peer == UnixAddress("")
    assert received == trio_tcp.ProxyHeaderReceived(
        id=accepted.id, label="", peer=CLIENT, proxy=UnixAddress(""), seconds=2
    )
    assert (opened.id, opened.peer) == (accepted.id, CLIENT)


async def test_a_header_that_is_late_is_a_timeout(autojump_clock: MockClock) -> None:
    async with behind_proxies() as behind:
        await behind.pairs.connect()
        (failed,) = await behind.record.wait(trio_tcp.HandshakeFailed)
        (late,) = behind.record.all(trio_tcp.TimedOut)
    assert (late.id, late.timeout, late.seconds) == (failed.id, "proxy_protocol", 5)
    assert failed.seconds == 5


@pytest.mark.parametrize("cut", ["in one piece", "apart", "byte by byte"])
@pytest.mark.parametrize(("header", "said"), HEADERS.values(), ids=HEADERS.keys())
async def test_the_peer_is_the_client_that_the_header_names(
    header: bytes, said: ProxyHeader, cut: str
) -> None:
    text = b"one\ntwo\n"
    chunks = {
        "in one piece": [header + text],
        "apart": [header, text],
        "byte by byte": one_by_one(header + text),
    }[cut]
    async with behind_proxies() as behind:
        stream = await behind.connect(*chunks)
        assert await receive_exactly(stream, len(text)) == text
        connection = await behind.connection()
        assert connection.peer == said.source
        assert connection.proxy_header == said
        await stream.send_eof()
        assert await receive_all(stream) == b""
        [opened] = behind.record.all(trio_tcp.ConnectionOpened)
        [ended] = await behind.record.wait(trio_tcp.ConnectionEnded)
        assert opened.peer == ended.peer == said.source
        assert ended.reason is CloseReason.PEER_CLOSED
        assert ended.statistics.messages_received == 2


@pytest.mark.parametrize("header", NOBODY.values(), ids=NOBODY.keys())
async def test_where_the_header_names_nobody_the_peer_is_the_proxy(
    header: bytes,
) -> None:
    async with behind_proxies() as behind:
        stream = await behind.connect(header + b"hello\n")
        assert await receive_exactly(stream, 6) == b"hello\n"
        connection = await behind.connection()
        assert connection.peer == PROXY
        assert connection.proxy_header == ProxyHeader()
        [opened] = behind.record.all(trio_tcp.ConnectionOpened)
        assert opened.peer == PROXY


async def test_a_second_header_is_a_message_and_changes_nothing() -> None:
    """A client can write it; the proxy's own stands before it."""
    async with behind_proxies() as behind:
        spoofed = line("10.1.2.3")
        stream = await behind.connect(line() + spoofed)
        assert await receive_exactly(stream, len(spoofed) - 1) == (
            spoofed.replace(b"\r\n", b"\n")
        )
        connection = await behind.connection()
        assert connection.peer == CLIENT


@pytest.mark.parametrize("in_memory", [False, True])
async def test_without_proxies_a_header_is_the_codecs_bytes(in_memory: bool) -> None:
    """Nobody is believed where nobody asked for it."""
    async with behind_proxies(proxy_protocol=None) as behind:
        listener = behind.memory if in_memory else behind.pairs
        stream = await listener.connect()
        await stream.send_all(line())
        text = line().replace(b"\r\n", b"\n")
        assert await receive_exactly(stream, len(text)) == text
        connection = await behind.connection()
        assert connection.peer == (None if in_memory else PROXY)
        assert connection.proxy_header is None


# TLS behind the header


def cut_before_tls(header: bytes, hello: bytes, cut: str) -> list[bytes]:
    return {
        "in one piece": [header + hello],
        "apart": [header, hello],
        "in the header": [header[:10], header[10:] + hello],
        "in the hello": [header + hello[:10], hello[10:]],
        "byte by byte": one_by_one(header + hello),
    }[cut]


@pytest.mark.parametrize(
    "cut",
    ["in one piece", "apart", "in the header", "in the hello", "byte by byte"],
)
@each_version
async def test_tls_begins_behind_the_header(version: ssl.TLSVersion, cut: str) -> None:
    header, said = HEADERS["version 2, TLVs"]
    async with behind_proxies(tls=server_context()) as behind:
        stream = await behind.pairs.connect()
        peer = Peer(stream, client_context(version=version), server_hostname=HOST)
        await behind.send(stream, *cut_before_tls(header, peer.hello(), cut))
        await peer.shake_hands()
        await peer.send(b"hello\n")
        assert await peer.receive_exactly(6) == b"hello\n"
        connection = await behind.connection()
        assert connection.peer == CLIENT
        assert connection.proxy_header == said
        assert connection.tls is not None
        assert connection.tls.version == version.name.replace("_", ".")
        await peer.end()
        assert await peer.receive_all() == b""


async def test_tls_without_a_header_is_refused_as_a_header() -> None:
    async with behind_proxies(tls=server_context()) as behind:
        stream = await behind.pairs.connect()
        hello = Peer(stream, client_context(), server_hostname=HOST).hello()
        await behind.send(stream, hello)
        assert await until_the_end(stream) == b""
        [failed] = await behind.record.wait(trio_tcp.HandshakeFailed)
        assert (failed.stage, failed.peer) == ("PROXY header", PROXY)
        assert isinstance(failed.error, trio_tcp.InvalidFrameError)


async def test_a_header_without_tls_is_the_failure_of_its_client() -> None:
    """Its slot is free again, and so is its place among those of its address."""
    limits = Limits(max_connections=1, max_per_address=1)
    async with behind_proxies(tls=server_context(), limits=limits) as behind:
        for _ in range(2):
            stream = await behind.connect(line() + b"no TLS at all\n")
            await until_the_end(stream)
        for failed in await behind.record.wait(trio_tcp.HandshakeFailed, 2):
            assert (failed.stage, failed.peer) == ("TLS", CLIENT)
            assert isinstance(failed.error, trio_tcp.TlsHandshakeError)
        assert behind.server.statistics().rejected == {}
        assert behind.server.statistics().accepted == 0


async def test_header_and_tls_have_a_timeout_each(autojump_clock: MockClock) -> None:
    timeouts = Timeouts(handshake=2)
    async with behind_proxies(tls=server_context(), timeouts=timeouts) as behind:
        stream = await behind.pairs.connect()
        await trio.sleep(4)
        await stream.send_all(line())
        assert await until_the_end(stream) == b""
        assert trio.current_time() == 6
        [failed] = await behind.record.wait(trio_tcp.HandshakeFailed)
        assert (failed.stage, failed.peer) == ("TLS", CLIENT)
        assert isinstance(failed.error, trio_tcp.PeerTooSlowError)
        assert (failed.error.timeout, failed.error.seconds) == ("handshake", 2)


# Who is no proxy


@pytest.mark.parametrize("sent", [b"", line(), version_2(), b"hello\n"])
async def test_a_peer_that_is_not_trusted_is_refused(
    sent: bytes, autojump_clock: MockClock
) -> None:
    """Whatever it sends, at once, and it takes nobody's place."""
    async with behind_proxies(limits=Limits(max_connections=1)) as behind:
        stream = await behind.memory.connect()
        with pytest.raises(trio.BrokenResourceError):
            if sent:
                await stream.send_all(sent)
            await stream.receive_some()
        assert trio.current_time() == 0
        assert await behind.record.wait(trio_tcp.ConnectionRejected) == [
            trio_tcp.ConnectionRejected(
                id=1, label="", peer=None, limit="proxy_protocol"
            )
        ]
        assert behind.server.statistics().rejected == {"proxy_protocol": 1}
        assert behind.server.statistics().accepted == 0
        await behind.serves()
        # It is none of the `Limits`.
        reached = behind.record.all(trio_tcp.LimitReached)
        assert {event.limit for event in reached} <= {"max_connections"}
        assert not behind.record.all(trio_tcp.HandshakeFailed)


# What is no header

DAMAGED = {
    "something else": (b"GET / HTTP/1.1\r\n\r\n", trio_tcp.InvalidFrameError),
    "a number too large": (
        line().replace(b"443\r\n", b"65536\r\n"),
        trio_tcp.InvalidFrameError,
    ),
    "half of the fields": (
        b"PROXY TCP4 192.0.2.1\r\n",
        trio_tcp.InvalidFrameError,
    ),
    "a line too long": (
        b"PROXY UNKNOWN ".ljust(107, b"x"),
        trio_tcp.FrameTooLargeError,
    ),
    "version 3": (version_2(command=0x31), trio_tcp.InvalidFrameError),
    "too few addresses": (version_2(bytes(11)), trio_tcp.InvalidFrameError),
    "a block too long": (
        SIGNATURE + b"\x21\x11\xff\xff",
        trio_tcp.FrameTooLargeError,
    ),
    "a TLV too long": (
        version_2(IPV4_BLOCK + b"\x02\0\2x"),
        trio_tcp.InvalidFrameError,
    ),
    "a wrong checksum": (
        version_2(IPV4_BLOCK + b"\x03\0\4" + bytes(4)),
        trio_tcp.InvalidFrameError,
    ),
}


@pytest.mark.parametrize("behind_it", [b"", b"hello\n"])
@pytest.mark.parametrize(("header", "error"), DAMAGED.values(), ids=DAMAGED.keys())
async def test_a_damaged_header_is_the_end_of_its_connection_alone(
    header: bytes,
    error: type[Exception],
    behind_it: bytes,
    autojump_clock: MockClock,
) -> None:
    """At once: what is missing behind the damage is not waited for."""
    async with behind_proxies(limits=Limits(max_connections=2)) as behind:
        other = await behind.connect(line("192.0.2.2"))
        stream = await behind.connect(header + behind_it)
        assert await until_the_end(stream) == b""
        assert trio.current_time() == 0
        [failed] = await behind.record.wait(trio_tcp.HandshakeFailed)
        assert (failed.peer, failed.stage) == (PROXY, "PROXY header")
        assert type(failed.error) is error
        await other.send_all(b"hello\n")
        assert await receive_exactly(other, 6) == b"hello\n"
        await behind.serves()
        assert behind.server.statistics().accepted == 2
        assert behind.server.statistics().open == 1


@pytest.mark.parametrize("size", [0, 1, 20, len(line()) - 1])
async def test_an_end_before_the_header_is_whole_is_a_failure(size: int) -> None:
    """So proxies look whether a server is there; it is no failure of a handler."""
    async with behind_proxies(limits=Limits(max_connections=1)) as behind:
        stream = await behind.connect(*[line()[:size]] if size else [])
        await stream.send_eof()
        assert await until_the_end(stream) == b""
        [failed] = await behind.record.wait(trio_tcp.HandshakeFailed)
        assert (failed.peer, failed.stage) == (PROXY, "PROXY header")
        assert isinstance(failed.error, trio_tcp.TruncatedError)
        assert failed.error.received == size
        await behind.serves()
        assert behind.server.statistics().accepted == 1


# What does not come


@pytest.mark.parametrize("sent", [b"", b"PROXY TCP4 192.0.2.1 ", SIGNATURE])
@pytest.mark.parametrize("seconds", [3.0, 5.0])
async def test_a_header_that_does_not_come_is_given_up_in_its_own_time(
    sent: bytes, seconds: float, autojump_clock: MockClock
) -> None:
    """Those of the connection are longer, or shorter, and do not count yet."""
    trust = attrs.evolve(TRUST, timeout=seconds)
    timeouts = Timeouts(handshake=100, first_message=1, idle=1, message=1, lifetime=1)
    limits = Limits(max_connections=1)
    async with behind_proxies(
        proxy_protocol=trust, timeouts=timeouts, limits=limits
    ) as behind:
        stream = await behind.connect(*[sent] if sent else [])
        assert await until_the_end(stream) == b""
        assert trio.current_time() == seconds
        [failed] = await behind.record.wait(trio_tcp.HandshakeFailed)
        assert (failed.peer, failed.stage) == (PROXY, "PROXY header")
        assert isinstance(failed.error, trio_tcp.PeerTooSlowError)
        assert failed.error.timeout == "proxy_protocol"
        assert failed.error.seconds == seconds
        await behind.serves()


async def test_a_header_that_trickles_is_given_up_as_well(
    autojump_clock: MockClock,
) -> None:
    async with behind_proxies() as behind:
        stream = await behind.pairs.connect()

        async def trickle() -> None:
            for byte in one_by_one(line()):
                await stream.send_all(byte)
                await trio.sleep(0.3)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(trickle)
            assert await until_the_end(stream) == b""
            nursery.cancel_scope.cancel()
        assert trio.current_time() == 5
        [failed] = await behind.record.wait(trio_tcp.HandshakeFailed)
        assert isinstance(failed.error, trio_tcp.PeerTooSlowError)


async def test_a_header_at_the_last_moment_is_in_time(
    autojump_clock: MockClock,
) -> None:
    async with behind_proxies() as behind:
        stream = await behind.connect(line()[:-1])
        await trio.sleep(4.99)
        await stream.send_all(b"\nhello\n")
        assert await receive_exactly(stream, 6) == b"hello\n"


async def test_a_header_may_be_waited_for_without_end(
    autojump_clock: MockClock,
) -> None:
    trust = attrs.evolve(TRUST, timeout=math.inf)
    async with behind_proxies(proxy_protocol=trust) as behind:
        stream = await behind.pairs.connect()
        await trio.sleep(10_000)
        await stream.send_all(line() + b"hello\n")
        assert await receive_exactly(stream, 6) == b"hello\n"


async def test_the_first_message_has_its_time_from_the_header_on(
    autojump_clock: MockClock,
) -> None:
    async with behind_proxies(timeouts=Timeouts(first_message=2)) as behind:
        stream = await behind.pairs.connect()
        await trio.sleep(4)
        await stream.send_all(line())
        [ended] = await behind.record.wait(trio_tcp.ConnectionEnded)
        assert trio.current_time() == 6
        assert ended.peer == CLIENT
        assert isinstance(ended.error, trio_tcp.PeerTooSlowError)
        assert ended.error.timeout == "first_message"


async def test_a_message_that_came_with_the_header_has_begun(
    autojump_clock: MockClock,
) -> None:
    """The time for a first message to begin does not run any more."""
    timeouts = Timeouts(first_message=2, message=10, message_rate=1)
    async with behind_proxies(timeouts=timeouts) as behind:
        stream = await behind.connect(line() + b"hel")
        await trio.sleep(9)
        await stream.send_all(b"lo\n")
        assert await receive_exactly(stream, 6) == b"hello\n"


async def test_a_message_that_came_with_the_header_was_the_first(
    autojump_clock: MockClock,
) -> None:
    """The time for a first message does not run for the second one."""
    async with behind_proxies(timeouts=Timeouts(first_message=2)) as behind:
        stream = await behind.connect(line() + b"hello\n")
        await trio.sleep(9)
        await stream.send_all(b"again\n")
        assert await receive_exactly(stream, 12) == b"hello\nagain\n"


async def test_an_error_about_the_time_names_the_option_that_sets_it(
    autojump_clock: MockClock,
) -> None:
    async with behind_proxies() as behind:
        await behind.pairs.connect()
        [failed] = await behind.record.wait(trio_tcp.HandshakeFailed)
        assert str(failed.error) == (
            "the PROXY header was not finished for 5 s (ProxyProtocol.timeout)"
        )


async def test_who_waits_for_a_header_is_counted(autojump_clock: MockClock) -> None:
    """As one that has no connection yet, but has a slot."""
    async with behind_proxies(limits=Limits(max_connections=1)) as behind:
        stream = await behind.connect(line()[:10])
        statistics = behind.server.statistics()
        assert (statistics.handshaking, statistics.open) == (1, 0)
        waiting = await behind.connect(line("192.0.2.2") + b"hello\n")
        # It is not read before there is room: with the end of the first one's header.
        assert await receive_exactly(waiting, 6) == b"hello\n"
        assert trio.current_time() == 5
        assert await until_the_end(stream) == b""
        statistics = behind.server.statistics()
        assert (statistics.handshaking, statistics.open) == (0, 1)


# Limits


async def test_a_limit_per_address_is_about_the_clients_address() -> None:
    async with behind_proxies(limits=Limits(max_per_address=2)) as behind:
        streams = [
            await behind.connect(line("192.0.2.1", port) + b"hello\n")
            for port in (1, 2, 3)
        ]
        for stream in streams[:2]:
            assert await receive_exactly(stream, 6) == b"hello\n"
        assert await until_the_end(streams[2]) == b""
        assert await behind.record.wait(trio_tcp.ConnectionRejected) == [
            trio_tcp.ConnectionRejected(
                id=3,
                label="",
                peer=TcpAddress("192.0.2.1", 3),
                limit="max_per_address",
            )
        ]
        # The proxy has more connections than that.
        await behind.serves("192.0.2.2")
        await streams[0].send_eof()
        assert await receive_all(streams[0]) == b""
        await behind.serves("192.0.2.1")
        assert behind.server.statistics().rejected == {"max_per_address": 1}


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
    ],
)
async def test_an_address_counts_as_it_would_without_a_proxy(
    first: str, second: str, same: bool
) -> None:
    async with behind_proxies(limits=Limits(max_per_address=1)) as behind:
        await behind.connect(line(first))
        stream = await behind.connect(line(second) + b"hello\n")
        await stream.send_eof()
        assert await until_the_end(stream) == (b"" if same else b"hello\n")


@pytest.mark.parametrize("header", NOBODY.values(), ids=NOBODY.keys())
async def test_a_proxy_that_speaks_for_itself_is_not_its_clients(
    header: bytes,
) -> None:
    """The addresses behind UNKNOWN and LOCAL count for nothing."""
    async with behind_proxies(limits=Limits(max_per_address=1)) as behind:
        for _ in range(2):
            await behind.connect(header)
        await behind.serves("ffff::1")
        await behind.serves(CLIENT.host)
        assert behind.server.statistics().rejected == {}
        assert behind.server.statistics().open == 2


@pytest.mark.parametrize("with_tls", [False, True])
async def test_a_farewell_is_said_behind_the_header(
    with_tls: bool, autojump_clock: MockClock
) -> None:
    limits = Limits(max_connections=1, when_full="reject", farewell=b"full\n")
    tls = server_context() if with_tls else None
    async with behind_proxies(limits=limits, tls=tls) as behind:
        first = await behind.connect(line()[:10])
        stream = await behind.connect(line("192.0.2.2"))
        if with_tls:
            peer = Peer(stream, client_context(), server_hostname=HOST)
            await peer.shake_hands()
            assert await peer.receive_all() == b"full\n"
            await peer.end()
        else:
            assert await receive_all(stream) == b"full\n"
            await stream.send_eof()
        [rejected] = await behind.record.wait(trio_tcp.ConnectionRejected)
        assert rejected.limit == "max_connections"
        assert rejected.peer == TcpAddress("192.0.2.2", CLIENT.port)
        assert trio.current_time() == 0
        await first.aclose()


async def test_a_farewell_is_for_those_who_come_through_proxies_alone(
    autojump_clock: MockClock,
) -> None:
    limits = Limits(max_connections=1, when_full="reject", farewell=b"full\n")
    async with behind_proxies(limits=limits) as behind:
        await behind.connect(line())
        stranger = await behind.memory.connect()
        with pytest.raises(trio.BrokenResourceError):
            await stranger.receive_some()
        damaged = await behind.connect(b"GET / HTTP/1.1\r\n\r\n")
        assert await until_the_end(damaged) == b""
        assert trio.current_time() == 0
        silent = await behind.connect()
        assert await until_the_end(silent) == b""
        assert trio.current_time() == 2
        await behind.record.wait(trio_tcp.ConnectionRejected, 3)
        assert behind.server.statistics().rejected == {"max_connections": 3}


# The log


async def fail(connection: Text) -> None:
    raise LookupError(await connection.receive())


@attrs.frozen
class Story:
    """What a client does, and what is said of it."""

    sent: bytes
    level: int
    text: str
    handler: trio_tcp.Handler[str, str] = echo
    tls: bool = False


STORIES = {
    "a protocol error": Story(
        bytes(101), logging.INFO, "(192.0.2.1:40000) ended, protocol error"
    ),
    "a handler's failure": Story(
        b"hello\n", logging.ERROR, "(192.0.2.1:40000): handler failed", handler=fail
    ),
    "a malformed message": Story(
        b"\xff\n", logging.INFO, "(192.0.2.1:40000): malformed message"
    ),
    "no TLS": Story(
        b"hello\n",
        logging.INFO,
        "(192.0.2.1:40000): TLS failed: ",
        tls=True,
    ),
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
async def test_the_log_names_the_client_and_not_the_proxy(
    story: Story, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "trio_tcp")
    tls = server_context() if story.tls else None
    async with behind_proxies(story.handler, tls=tls) as behind:
        caplog.clear()
        stream = await behind.connect(line() + story.sent)
        await until_the_end(stream)
        await wait_all_tasks_blocked()
        records = list(caplog.records)
    assert records
    assert any(
        story.text in record.getMessage() and record.levelno == story.level
        for record in records
    )
    assert all("192.0.2.1:40000" in record.getMessage() for record in records)
    assert not any("unix:" in record.getMessage() for record in records)


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\n\r\n"])
async def test_a_proxys_own_fault_is_one_line_that_names_it(
    sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "trio_tcp")
    async with behind_proxies() as behind:
        caplog.clear()
        stream = await behind.connect(*[sent] if sent else [])
        if not sent:
            await stream.send_eof()
        await until_the_end(stream)
        await behind.record.wait(trio_tcp.HandshakeFailed)
        [record] = caplog.records
    assert record.levelno == logging.INFO
    assert "(unix:): PROXY header failed: " in record.getMessage()


# The server's end


async def test_a_drain_closes_those_who_have_sent_no_header(
    autojump_clock: MockClock,
) -> None:
    async with behind_proxies() as behind:
        silent = await behind.connect()
        slow = await behind.connect(line()[:10])
        client = await behind.connect(line() + b"hello\n")
        assert await receive_exactly(client, 6) == b"hello\n"
        await client.send_eof()
        assert await receive_all(client) == b""
        report = await behind.server.drain()
        assert report.handshakes == 2
        assert await until_the_end(silent) == b""
        assert await until_the_end(slow) == b""
        await behind.ended.wait()
        assert trio.current_time() == 0
        assert not behind.record.all(trio_tcp.HandshakeFailed)
        assert not behind.record.all(trio_tcp.ConnectionRejected)
        assert behind.server.statistics().handshaking == 0


async def busy_echo(connection: Text) -> None:
    with connection.busy():
        await echo(connection)


async def let_pass(passes: int) -> None:
    """Wait for a few passes of the scheduler."""
    for _ in range(passes):
        await trio.lowlevel.checkpoint()


PASSES = 8
"""Of the scheduler: in some of them a drain and a client can overtake each other."""

DRAIN_AFTER = 2
"""Passes."""

REPETITIONS = 30
"""In one pass, tasks run in random order."""


@pytest.mark.parametrize("header_after", range(PASSES))
async def test_no_client_slips_through_a_drain_behind_its_header(
    header_after: int, autojump_clock: MockClock
) -> None:
    """A header that comes just then makes a connection that is drained, or none."""

    async def finish(stream: trio.SocketStream) -> None:
        await let_pass(header_after)
        with suppress(trio.BrokenResourceError):
            await stream.send_all(b"\n")
        await until_the_end(stream)
        await stream.aclose()

    for _ in range(REPETITIONS):
        async with behind_proxies(busy_echo) as behind:
            stream = await behind.connect(line()[:-1])
            async with trio.open_nursery() as nursery:
                nursery.start_soon(finish, stream)
                await let_pass(DRAIN_AFTER)
                await behind.server.drain(grace=1)
                assert behind.server.connections == ()
            await behind.ended.wait()


@pytest.mark.parametrize("client_after", range(PASSES))
async def test_no_client_slips_through_a_drain_while_it_is_accepted(
    client_after: int, autojump_clock: MockClock
) -> None:
    """It is closed at once, like all the others that have sent no header."""

    async def connect(behind: Behind) -> None:
        await let_pass(client_after)
        with suppress(ConnectionRefusedError):
            await behind.pairs.connect()

    for _ in range(REPETITIONS):
        async with behind_proxies() as behind:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(connect, behind)
                await let_pass(DRAIN_AFTER)
                await behind.server.drain()
            await behind.ended.wait()
            assert trio.current_time() == 0


async def test_a_server_that_is_cancelled_waits_for_no_header(
    autojump_clock: MockClock,
) -> None:
    async with behind_proxies() as behind:
        await behind.connect(line()[:10])
    assert trio.current_time() == 0
    assert behind.server.statistics().handshaking == 0
    assert not behind.record.all(trio_tcp.HandshakeFailed)
    assert not behind.record.all(trio_tcp.ConnectionRejected)
