"""Proxies on real sockets: whose word is taken, over TCP and over Unix sockets.

The tests send the headers themselves, as the proxies that they are here. What the
header says is always the same, and what of it reaches the connection is in
``tests/proxy_protocol/test_clients.py``.
"""

from __future__ import annotations

import errno
import logging
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.integration.loopback import (
    LOOPBACK,
    Record,
    connect,
    connect_socket,
    echo,
    receive_all,
    receive_exactly,
    receive_reset,
    reset,
)
from trio_tcp import Limits, ProxyProtocol, TcpAddress, UnixAddress, codecs

AnyCodec: TypeAlias = codecs.Codec[Any, Any]

HEADER = b"PROXY TCP4 192.0.2.1 198.51.100.2 40000 443\r\n"
CLIENT = TcpAddress("192.0.2.1", 40000)
OTHER_LOOPBACK = "127.0.0.2"
LOCAL_PROXIES = ProxyProtocol(trusted=[LOOPBACK])

linux_only = pytest.mark.skipif(
    sys.platform != "linux", reason="only on Linux is all of 127.0.0.0/8 this machine"
)


async def start(
    nursery: trio.Nursery,
    record: Record,
    proxies: ProxyProtocol = LOCAL_PROXIES,
    *,
    codec: AnyCodec | None = None,
    host: str = LOOPBACK,
    limits: Limits | None = None,
) -> trio_tcp.Server:
    """Start an echo server on a free port."""
    serve = partial(
        trio_tcp.serve_tcp,
        echo,
        0,
        host=host,
        codec=codecs.Lines() if codec is None else codec,
        proxy_protocol=proxies,
        limits=Limits() if limits is None else limits,
        observer=log_too(record),
    )
    server: trio_tcp.Server = await nursery.start(serve)
    return server


def log_too(record: Record) -> Callable[[trio_tcp.Event], None]:
    """Make an observer that also writes the log."""

    def observe(event: trio_tcp.Event) -> None:
        record(event)
        trio_tcp.log_events(event)

    return observe


def address_of(stream: trio.SocketStream) -> TcpAddress:
    """Return where this end is."""
    host, port, *_ = stream.socket.getsockname()
    return TcpAddress(host, port)


async def is_served(stream: trio.SocketStream, header: bytes = HEADER) -> None:
    """See the client behind a proxy served."""
    await stream.send_all(header + b"hello\n")
    assert await receive_exactly(stream, 6) == b"hello\n"


async def test_the_peer_is_the_clients_address_and_the_local_one_stays_ours(
    nursery: trio.Nursery, record: Record
) -> None:
    """To what address the client has connected is in the header."""
    server = await start(nursery, record)
    async with connect(server.port) as stream:
        await is_served(stream)
        [connection] = server.connections
        assert connection.peer == CLIENT
        assert connection.local == TcpAddress(LOOPBACK, server.port)
        assert connection.proxy_header is not None
        assert connection.proxy_header.destination == TcpAddress("198.51.100.2", 443)


async def test_a_proxy_on_a_unix_socket_is_trusted(
    nursery: trio.Nursery, record: Record, tmp_path: Path
) -> None:
    """Whatever networks are: the path's permissions say who may connect."""
    path = tmp_path / "socket"
    serve = partial(
        trio_tcp.serve_unix,
        echo,
        path,
        codec=codecs.Lines(),
        proxy_protocol=ProxyProtocol(trusted=["10.0.0.0/8"]),
        observer=record,
    )
    server: trio_tcp.Server = await nursery.start(serve)
    async with await trio.open_unix_socket(path) as stream:
        await is_served(stream)
        [connection] = server.connections
        assert connection.peer == CLIENT
        assert connection.local == UnixAddress(str(path))


async def test_a_long_message_behind_the_header_arrives_whole(
    nursery: trio.Nursery, record: Record
) -> None:
    """Its beginning is read with the header."""
    codec = codecs.LengthPrefixed()
    server = await start(nursery, record, codec=codec)
    frame = codec.encode(bytes(range(256)) * 2000)
    async with connect(server.port) as stream, trio.open_nursery() as clients:
        clients.start_soon(stream.send_all, HEADER + frame)
        assert await receive_exactly(stream, len(frame)) == frame


# Trust


@pytest.mark.parametrize("sent", [b"", HEADER, b"hello\n"])
async def test_who_is_no_proxy_is_reset(
    nursery: trio.Nursery, record: Record, sent: bytes
) -> None:
    """Its own address is named, and not the one that it claims to speak for."""
    elsewhere = ProxyProtocol(trusted=["10.0.0.0/8", "192.0.2.0/24", "::/0"])
    server = await start(nursery, record, elsewhere)
    async with connect(server.port) as stream:
        here = address_of(stream)
        if sent:
            await stream.send_all(sent)
        assert await receive_reset(stream) == b""
    [rejected] = await record.wait(trio_tcp.ConnectionRejected)
    assert (rejected.peer, rejected.limit) == (here, "proxy_protocol")
    assert server.statistics().accepted == 0


@linux_only
async def test_trust_goes_by_address_for_each_connection(
    nursery: trio.Nursery, record: Record
) -> None:
    """From one address of this machine it is granted, and from another it is not."""
    trusted = ProxyProtocol(trusted=[OTHER_LOOPBACK])
    server = await start(nursery, record, trusted)
    async with await trio.open_tcp_stream(
        LOOPBACK, server.port, local_address=OTHER_LOOPBACK
    ) as proxy:
        await is_served(proxy)
        async with connect(server.port) as stranger:
            await stranger.send_all(HEADER)
            await receive_reset(stranger)
        await proxy.send_all(b"again\n")
        assert await receive_exactly(proxy, 6) == b"again\n"
    [rejected] = record.all(trio_tcp.ConnectionRejected)
    assert rejected.limit == "proxy_protocol"


async def test_a_proxy_may_come_over_ipv6(
    nursery: trio.Nursery, record: Record
) -> None:
    """Its clients' addresses are of either kind all the same."""
    trusted = ProxyProtocol(trusted=["::1"])
    server = await start(nursery, record, trusted, host="::1")
    async with await trio.open_tcp_stream("::1", server.port) as stream:
        await is_served(stream)
        [connection] = server.connections
        assert connection.peer == CLIENT
        assert connection.local == TcpAddress("::1", server.port)


async def test_an_ipv4_proxy_is_trusted_on_a_socket_for_both(
    nursery: trio.Nursery, record: Record
) -> None:
    """Such a socket shows its address as one of IPv6."""
    sock = socket.socket(socket.AF_INET6)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.bind((f"::ffff:{LOOPBACK}", 0))
    sock.listen()
    serve = partial(
        trio_tcp.serve_listeners,
        echo,
        [trio.SocketListener(trio.socket.from_stdlib_socket(sock))],
        codec=codecs.Lines(),
        proxy_protocol=LOCAL_PROXIES,
        observer=record,
    )
    server: trio_tcp.Server = await nursery.start(serve)
    async with connect(server.port) as stream:
        await is_served(stream)
    async with connect(server.port) as stream:
        await is_served(stream, b"PROXY UNKNOWN\r\n")
        [connection] = server.connections
        here = address_of(stream)
        assert connection.peer == TcpAddress(f"::ffff:{LOOPBACK}", here.port)


# The proxy itself


async def test_a_proxy_that_speaks_for_itself_has_its_own_address(
    nursery: trio.Nursery, record: Record
) -> None:
    """By which it is counted, too; its clients are not counted with it."""
    server = await start(nursery, record, limits=Limits(max_per_address=1))
    async with connect(server.port) as first:
        await is_served(first, b"PROXY UNKNOWN\r\n")
        [connection] = server.connections
        assert connection.peer == address_of(first)
        async with connect(server.port) as second:
            here = address_of(second)
            await second.send_all(b"PROXY UNKNOWN\r\n")
            await receive_reset(second)
        [rejected] = await record.wait(trio_tcp.ConnectionRejected)
        assert (rejected.peer, rejected.limit) == (here, "max_per_address")
        async with connect(server.port) as client:
            await is_served(client)


async def test_a_proxy_that_is_gone_behind_its_header_is_still_named(
    nursery: trio.Nursery, record: Record
) -> None:
    """The system knows its address no more when the connection begins."""
    server = await start(nursery, record)
    client = connect_socket(server.port)
    here = TcpAddress(*client.getsockname())
    await wait_all_tasks_blocked()  # it is accepted, and its header waited for
    client.sendall(b"PROXY UNKNOWN\r\n")
    reset(client)
    [ended] = await record.wait(trio_tcp.ConnectionEnded)
    assert ended.peer == here
    assert ended.reason is trio_tcp.CloseReason.BROKEN


@pytest.mark.parametrize("sent", [b"", HEADER[:10]])
async def test_a_reset_before_the_header_is_whole_is_a_failure_and_no_more(
    nursery: trio.Nursery, record: Record, sent: bytes
) -> None:
    """Its slot is free again."""
    server = await start(nursery, record, limits=Limits(max_connections=1))
    client = connect_socket(server.port)
    here = TcpAddress(*client.getsockname())
    client.sendall(sent)
    await wait_all_tasks_blocked()
    reset(client)
    [failed] = await record.wait(trio_tcp.HandshakeFailed)
    assert (failed.peer, failed.stage) == (here, "PROXY header")
    assert isinstance(failed.error, trio.BrokenResourceError)
    cause = failed.error.__cause__
    assert isinstance(cause, OSError)
    assert cause.errno == errno.ECONNRESET
    async with connect(server.port) as stream:
        await is_served(stream)


@pytest.mark.parametrize("sent", [b"", b"PROXY UNKNOWN\r\n", HEADER + b"hello\n"])
async def test_a_proxy_that_is_gone_before_it_is_accepted_makes_no_noise(
    nursery: trio.Nursery,
    record: Record,
    sent: bytes,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As those that only look whether a port is open; and none keeps its slot."""
    server = await start(nursery, record, limits=Limits(max_connections=2))
    with caplog.at_level(logging.DEBUG, "trio_tcp"):
        for _ in range(10):
            client = connect_socket(server.port)
            client.sendall(sent)
            reset(client)
            await wait_all_tasks_blocked()
        assert server.statistics().open == server.statistics().handshaking == 0
        async with connect(server.port) as stream:
            await is_served(stream)
            await stream.send_eof()
            assert await receive_all(stream) == b""
    assert caplog.records
    assert all(each.levelno <= logging.INFO for each in caplog.records)
