"""What TLS goes over: a Unix socket, a stream that begins with a proxy's header."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import trio
import trio.testing

import trio_tcp
from tests.certificates import HOST, client_context, server_context
from tests.integration.loopback import LOOPBACK, Record, echo
from tests.integration.tls_peers.ours import LINES, SIZES, Text, start
from tests.tls.peer import Peer
from trio_tcp import CloseReason


async def test_unix_sockets_carry_tls_too(
    nursery: trio.Nursery, record: Record, tmp_path: Path
) -> None:
    path = tmp_path / "socket"
    serve = partial(trio_tcp.serve_unix, echo, path, codec=LINES, observer=record)
    await nursery.start(partial(serve, tls=server_context()))
    async with trio_tcp.open_connection(
        await trio.open_unix_socket(path),
        codec=LINES,
        tls=client_context(),
        server_hostname=HOST,
    ) as connection:
        for size in SIZES:
            async with trio.open_nursery() as sending:
                sending.start_soon(connection.send, "x" * size)
                assert await connection.receive() == "x" * size
    (ended,) = await record.wait(trio_tcp.ConnectionEnded)
    assert ended.reason is CloseReason.PEER_CLOSED


async def test_a_proxys_header_comes_before_tls(
    nursery: trio.Nursery, record: Record
) -> None:
    """Also in one piece with the client's hello, or cut anywhere."""
    peers: list[str] = []

    async def tell(connection: Text) -> None:
        peers.append(str(connection.peer))
        await echo(connection)

    server = await start(
        nursery,
        tell,
        LINES,
        record,
        tls=server_context(),
        proxy_protocol=trio_tcp.ProxyProtocol(trusted=[LOOPBACK]),
    )
    header = b"PROXY TCP4 192.0.2.7 198.51.100.2 40000 443\r\n"
    for cut in (0, 1, len(header) - 1, len(header) + 1, len(header) + 100, 10_000):
        async with await trio.open_tcp_stream(LOOPBACK, server.port) as stream:
            peer = Peer(stream, client_context(), server_hostname=HOST)
            first = header + peer.hello()
            await stream.send_all(first[:cut])
            await trio.testing.wait_all_tasks_blocked(0.01)
            await stream.send_all(first[cut:])
            await peer.shake_hands()
            await peer.send(b"hello\n")
            assert await peer.receive_exactly(6) == b"hello\n"
            await peer.end()
            assert await peer.receive_all() == b""
    assert peers == ["192.0.2.7:40000"] * 6
    async with await trio.open_tcp_stream(LOOPBACK, server.port) as stream:
        await stream.send_all(header + b"EHLO plain\r\n")
        assert await receive_reset_or_end(stream) == b""
    (failed,) = await record.wait(trio_tcp.HandshakeFailed)
    assert failed.stage == "TLS"
    assert str(failed.peer) == "192.0.2.7:40000"


async def receive_reset_or_end(stream: trio.SocketStream) -> bytes:
    """Read until the other end closes, in whichever way."""
    received = b""
    try:
        async for chunk in stream:
            received += chunk
    except trio.BrokenResourceError:
        pass
    return received
