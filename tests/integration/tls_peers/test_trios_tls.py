"""Trio's own TLS, strict and compatible with HTTPS, on either side of ours."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import pytest
import trio

import trio_tcp
from tests.certificates import HOST, client_context, server_context
from tests.integration.loopback import LOOPBACK, Record, echo
from tests.integration.tls_peers.ours import (
    LINES,
    MESSAGES,
    SIZES,
    Text,
    connect,
    start,
    tls_of,
)
from trio_tcp import CloseReason, codecs


@pytest.mark.parametrize("https", [False, True], ids=["strict", "https_compatible"])
async def test_trios_client_talks_to_our_server(
    https: bool, nursery: trio.Nursery, record: Record
) -> None:
    """Compatible with HTTPS, it leaves out close_notify, and expects none."""
    server = await start(nursery, echo, LINES, record, tls=server_context())
    stream = await trio.open_ssl_over_tcp_stream(
        HOST, server.port, ssl_context=client_context(), https_compatible=https
    )
    for size in SIZES:
        line = b"x" * size + b"\n"
        received = b""
        async with trio.open_nursery() as sending:
            sending.start_soon(stream.send_all, line)
            while len(received) < len(line):
                received += await stream.receive_some()
        assert received == line
    await stream.aclose()
    (ended,) = await record.wait(trio_tcp.ConnectionEnded)
    assert ended.reason is (CloseReason.TRUNCATED if https else CloseReason.PEER_CLOSED)


@pytest.mark.parametrize("https", [False, True], ids=["strict", "https_compatible"])
async def test_trios_client_sees_our_servers_end(
    https: bool, nursery: trio.Nursery, record: Record
) -> None:
    async def say(connection: Text) -> None:
        await connection.send("x" * 300_000)

    server = await start(nursery, say, LINES, record, tls=server_context())
    stream = await trio.open_ssl_over_tcp_stream(
        HOST, server.port, ssl_context=client_context(), https_compatible=https
    )
    received = b"".join([chunk async for chunk in stream])
    assert received == b"x" * 300_000 + b"\n"
    await stream.aclose()
    (ended,) = await record.wait(trio_tcp.ConnectionEnded)
    assert ended.reason is CloseReason.CLOSED


async def serve_ssl(
    handler: Callable[[trio.abc.Stream], Awaitable[None]],
    nursery: trio.Nursery,
    https: bool,
) -> int:
    """Serve with Trio's own TLS; return the port."""
    listeners = await nursery.start(
        partial(
            trio.serve_ssl_over_tcp,
            handler,
            0,
            server_context(),
            host=LOOPBACK,
            https_compatible=https,
        )
    )
    port: int = listeners[0].transport_listener.socket.getsockname()[1]
    return port


@pytest.mark.parametrize("https", [False, True], ids=["strict", "https_compatible"])
async def test_our_client_talks_to_trios_server(
    https: bool, nursery: trio.Nursery
) -> None:
    async def echo_bytes(stream: trio.abc.Stream) -> None:
        async for chunk in stream:
            await stream.send_all(chunk)
        await stream.aclose()

    port = await serve_ssl(echo_bytes, nursery, https)
    async with connect(port, codecs.LengthPrefixed()) as connection:
        async with trio.open_nursery() as sending:
            sending.start_soon(connection.send_many, MESSAGES)
            assert [await connection.receive() for _ in MESSAGES] == MESSAGES
        await connection.send_eof()
        kind = trio_tcp.CloseNotifyMissingError if https else trio_tcp.PeerClosed
        with pytest.raises(kind):
            await connection.receive()


async def test_our_handler_runs_on_trios_server(
    nursery: trio.Nursery, record: Record
) -> None:
    """`framed` has its policies there, too; TLS is Trio's."""
    serve = trio_tcp.framed(echo, codec=codecs.LengthPrefixed(), observer=record)
    port = await serve_ssl(serve, nursery, https=False)
    async with connect(port, codecs.LengthPrefixed()) as connection:
        assert tls_of(connection).version == "TLSv1.3"
        async with trio.open_nursery() as sending:
            sending.start_soon(connection.send_many, MESSAGES)
            assert [await connection.receive() for _ in MESSAGES] == MESSAGES
        await connection.send_eof()
        with pytest.raises(trio_tcp.PeerClosed):
            await connection.receive()
    (ended,) = await record.wait(trio_tcp.ConnectionEnded)
    assert ended.reason is CloseReason.PEER_CLOSED
    assert ended.statistics.messages_received == len(MESSAGES)
