"""Limits on real sockets: addresses, the kernel's backlog, bytes that are under way.

What the limits do in every case is proven in virtual time, in ``tests/limits/``.
"""

from __future__ import annotations

import random
import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeAlias, final

import attrs
import pytest
import trio

import trio_tcp
from tests.certificates import client_context, server_context
from tests.integration.loopback import (
    LOOPBACK,
    SMALL_BUFFER,
    Record,
    echo,
    receive_all,
    receive_exactly,
    receive_reset,
    reset,
    until,
)
from trio_tcp import CloseReason, Limits, TcpAddress, codecs

Text: TypeAlias = trio_tcp.Connection[str, str]

LINES = codecs.Lines(max_bytes=1 << 20)
NEIGHBOURS = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]


@final
@attrs.frozen
class Serving:
    """A server on some ports of its own. Made by `serve`.

    Attributes:
        server: itself.
        ports: one for each listener.
    """

    server: trio_tcp.Server
    ports: list[int]
    _clients: list[trio.SocketStream] = attrs.field(
        init=False, factory=list[trio.SocketStream]
    )

    def connect(
        self, port: int | None = None, *, host: str = LOOPBACK, deaf: bool = False
    ) -> trio.SocketStream:
        """Connect a client, which is closed at the latest with the server.

        Args:
            port: of the server, by default its first.
            host: the address to come from, one of the loopback interface's many.
            deaf: the kernel takes next to nothing for it.
        """
        sock = socket.socket()
        if deaf:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        client = trio.SocketStream(trio.socket.from_stdlib_socket(sock))
        self._clients.append(client)
        sock.bind((host, 0))
        # It waits for nobody: the kernel accepts.
        sock.setblocking(True)
        sock.connect((LOOPBACK, port or self.ports[0]))
        sock.setblocking(False)
        return client

    def close(self) -> None:
        """Close what is left of the clients."""
        for client in self._clients:
            client.socket.close()


@asynccontextmanager
async def serve(
    record: Record,
    limits: Limits,
    handler: trio_tcp.Handler[str, str] = echo,
    *,
    listeners: int = 1,
    tls: ssl.SSLContext | None = None,
) -> AsyncGenerator[Serving, None]:
    """Run a server. The kernel's buffers are small."""
    sockets = [trio.socket.socket() for _ in range(listeners)]
    for sock in sockets:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
        await sock.bind((LOOPBACK, 0))
        sock.listen(1000)
    run = partial(
        trio_tcp.serve_listeners,
        handler,
        [trio.SocketListener(sock) for sock in sockets],
        codec=LINES,
        limits=limits,
        tls=tls,
        observer=record,
    )
    async with trio.open_nursery() as nursery:
        ports = [sock.getsockname()[1] for sock in sockets]
        serving = Serving(await nursery.start(run), ports)
        try:
            yield serving
        finally:
            serving.close()
        nursery.cancel_scope.cancel()


async def answers(client: trio.abc.Stream) -> bool:
    """See a client's message answered."""
    await client.send_all(b"hello\n")
    return await receive_exactly(client, 6) == b"hello\n"


# max_per_address -------------------------------------------------------------------


async def test_each_address_has_so_many_connections(record: Record) -> None:
    async with serve(record, Limits(max_per_address=2)) as serving:
        clients = {
            host: [serving.connect(host=host) for _ in range(2)] for host in NEIGHBOURS
        }
        for pair in clients.values():
            for client in pair:
                assert await answers(client)
        for count, host in enumerate(NEIGHBOURS, 1):
            third = serving.connect(host=host)
            address = TcpAddress(*third.socket.getsockname())
            assert await receive_reset(third) == b""
            *_, rejected = await record.wait(trio_tcp.ConnectionRejected, count)
            assert rejected.peer == address
            assert rejected.limit == "max_per_address"
        assert serving.server.statistics().rejected == {"max_per_address": 3}
        assert serving.server.statistics().accepted == 6
        (reached,) = record.all(trio_tcp.LimitReached)
        assert (reached.limit, reached.value) == ("max_per_address", 2)
        # One goes, and one of the same address may come.
        await clients[NEIGHBOURS[0]][0].aclose()
        await record.wait(trio_tcp.ConnectionEnded)
        assert await answers(serving.connect(host=NEIGHBOURS[0]))
        assert await receive_reset(serving.connect(host=NEIGHBOURS[0])) == b""


async def test_a_limit_per_address_may_be_replaced(record: Record) -> None:
    async with serve(record, Limits()) as serving:
        clients = [serving.connect(host=NEIGHBOURS[0]) for _ in range(3)]
        assert all([await answers(client) for client in clients])
        serving.server.limits = attrs.evolve(serving.server.limits, max_per_address=1)
        assert await receive_reset(serving.connect(host=NEIGHBOURS[0])) == b""
        assert await answers(serving.connect(host=NEIGHBOURS[1]))
        # Nobody is sent away.
        assert all([await answers(client) for client in clients])
        serving.server.limits = attrs.evolve(serving.server.limits, max_per_address=4)
        assert await answers(serving.connect(host=NEIGHBOURS[0]))
        assert await receive_reset(serving.connect(host=NEIGHBOURS[0])) == b""


async def misbehave(connection: Text) -> None:
    """Echo, or do what a client says."""
    async for line in connection:
        if line == "abort":
            connection.abort()
        if line == "fail":
            raise LookupError
        await connection.send(line)


async def misbehave_on_a_side(client: trio.SocketStream, how: str) -> None:
    """End a connection in one of many ways."""
    match how:
        case "close":
            assert await answers(client)
            await client.aclose()
        case "reset":
            assert await answers(client)
            reset(client)
        case "close at once":
            await client.aclose()
        case order:
            await client.send_all(order.encode() + b"\n")
            assert await receive_reset(client) == b""


async def test_however_they_go_their_addresses_are_counted_no_more(
    record: Record,
) -> None:
    dice = random.Random(1)
    ways = ["close", "close at once", "reset", "fail", "abort"]
    limits = Limits(max_per_address=3)
    async with serve(record, limits, misbehave) as serving:
        for count in range(1, 101):
            client = serving.connect(host=dice.choice(NEIGHBOURS))
            await misbehave_on_a_side(client, dice.choice(ways))
            await record.wait(trio_tcp.ConnectionEnded, count)
        for host in NEIGHBOURS:
            clients = [serving.connect(host=host) for _ in range(3)]
            assert all([await answers(client) for client in clients])
            assert await receive_reset(serving.connect(host=host)) == b""


async def test_a_handshake_that_fails_leaves_no_count_behind(record: Record) -> None:
    limits = Limits(max_per_address=2, max_connections=2)
    async with serve(record, limits, tls=server_context()) as serving:
        for count in range(1, 6):
            client = serving.connect(host=NEIGHBOURS[0])
            await client.send_all(b"this is no TLS, and long enough to be seen\n")
            await record.wait(trio_tcp.HandshakeFailed, count)
            await client.aclose()
        assert record.all(trio_tcp.ConnectionRejected) == []
        clients = [
            trio.SSLStream(
                serving.connect(host=NEIGHBOURS[0]),
                client_context(),
                server_hostname="localhost",
            )
            for _ in range(2)
        ]
        assert all([await answers(client) for client in clients])


# max_connections -------------------------------------------------------------------


async def test_those_who_wait_do_so_in_the_kernels_backlog(record: Record) -> None:
    async with serve(record, Limits(max_connections=1)) as serving:
        first = serving.connect()
        assert await answers(first)
        # They are connected, and can send already, but nobody reads it.
        others = [serving.connect() for _ in range(3)]
        for other in others:
            await other.send_all(b"hello\n")
        (reached,) = await record.wait(trio_tcp.LimitReached)
        assert (reached.limit, reached.value) == ("max_connections", 1)
        assert serving.server.statistics().accepted == 1
        assert await answers(first)
        leaving = first
        for count, other in enumerate(others, 2):
            await leaving.aclose()
            assert await receive_exactly(other, 6) == b"hello\n"
            assert serving.server.statistics().accepted == count
            assert serving.server.statistics().open == 1
            leaving = other


async def test_a_free_slot_is_for_whichever_listener_has_a_client(
    record: Record,
) -> None:
    """As with a server on IPv4 and IPv6, of which nobody uses one."""
    limits = Limits(max_connections=2)
    async with serve(record, limits, listeners=2) as serving:
        clients = [serving.connect(port) for port in serving.ports]
        assert all([await answers(client) for client in clients])
        for port in serving.ports * 2:
            waiting = serving.connect(port)
            await waiting.send_all(b"hello\n")
            await clients.pop(0).aclose()
            assert await receive_exactly(waiting, 6) == b"hello\n"
            clients.append(waiting)


async def test_who_is_refused_can_read_the_farewell_whatever_it_has_sent(
    record: Record,
) -> None:
    """A server that closed with unread bytes would make the kernel take it back."""
    farewell = b"BUSY\r\n"
    limits = Limits(max_connections=1, when_full="reject", farewell=farewell)
    async with serve(record, limits) as serving:
        first = serving.connect()
        assert await answers(first)
        for count in range(1, 6):
            client = serving.connect()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.send_all, b"x" * 300_000)
                assert await receive_all(client) == farewell
            await client.aclose()
            await record.wait(trio_tcp.ConnectionRejected, count)
        assert serving.server.statistics().rejected == {"max_connections": 5}
        assert await answers(first)


async def test_the_farewell_comes_through_tls(record: Record) -> None:
    farewell = b"BUSY\r\n"
    limits = Limits(max_connections=1, when_full="reject", farewell=farewell)
    async with serve(record, limits, tls=server_context()) as serving:
        tls = partial(trio.SSLStream[trio.SocketStream], ssl_context=client_context())
        first = tls(serving.connect(), server_hostname="localhost")
        assert await answers(first)
        second = tls(serving.connect(), server_hostname="localhost")
        # Trio takes only a proper end of TLS for one.
        assert await receive_all(second) == farewell
        await second.aclose()
        assert await answers(first)


async def test_who_is_refused_without_a_farewell_is_reset(record: Record) -> None:
    limits = Limits(max_connections=1, when_full="reject")
    async with serve(record, limits) as serving:
        first = serving.connect()
        assert await answers(first)
        for _ in range(10):
            assert await receive_reset(serving.connect()) == b""
        await first.aclose()
        await record.wait(trio_tcp.ConnectionEnded)
        assert await answers(serving.connect())


# Suspended -------------------------------------------------------------------------


async def test_a_suspended_server_leaves_clients_in_the_backlog(
    record: Record,
) -> None:
    async with serve(record, Limits(), listeners=2) as serving:
        first = serving.connect()
        assert await answers(first)
        serving.server.suspend()
        others = [serving.connect(port) for port in serving.ports * 5]
        for other in others:
            await other.send_all(b"hello\n")
        assert await answers(first)
        assert serving.server.statistics().accepted == 1
        serving.server.resume()
        for other in others:
            assert await receive_exactly(other, 6) == b"hello\n"
        assert serving.server.statistics().accepted == 11


# max_buffered_bytes ----------------------------------------------------------------


async def test_clients_that_do_not_read_take_no_more_than_there_is(
    record: Record,
) -> None:
    async def pour(connection: Text) -> None:
        async for line in connection:
            for _ in range(int(line)):
                await connection.send("x" * 999)

    limits = Limits(max_buffered_bytes=200_000)
    async with serve(record, limits, pour) as serving:
        deaf = [serving.connect(deaf=True) for _ in range(20)]
        for client in deaf:
            await client.send_all(b"1000000\n")
        await until(lambda: serving.server.statistics().bytes_buffered > 190_000)
        # An honest one is served all the same.
        honest = serving.connect()
        await honest.send_all(b"500\n")
        assert len(await receive_exactly(honest, 500_000)) == 500_000
        assert serving.server.statistics().bytes_buffered <= 200_000
        assert len(serving.server.connections) == 21
        for client in deaf:
            reset(client)
        await record.wait(trio_tcp.ConnectionEnded, 20)
        assert serving.server.statistics().bytes_buffered == 0
        await honest.send_all(b"1\n")
        assert len(await receive_exactly(honest, 1000)) == 1000


async def test_the_largest_of_many_unfinished_messages_goes(record: Record) -> None:
    async with serve(record, Limits(max_buffered_bytes=200_000)) as serving:
        honest = [serving.connect() for _ in range(30)]
        for client in honest:
            await client.send_all(b"x" * 6000)
        await until(lambda: serving.server.statistics().bytes_buffered == 180_000)
        greedy = serving.connect()
        assert await answers(greedy)
        with pytest.raises(trio.BrokenResourceError):
            while True:
                await greedy.send_all(b"x" * 10_000)
        (ended,) = await record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.EVICTED
        for client in honest:
            await client.send_all(b"\n")
            assert await receive_exactly(client, 6001) == b"x" * 6000 + b"\n"
        # A handler may not yet have come back to receive when its reply is there.
        await until(lambda: serving.server.statistics().bytes_buffered == 0)
        assert serving.server.statistics().ended == {CloseReason.EVICTED: 1}
