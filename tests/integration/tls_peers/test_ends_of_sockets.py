"""Plain sockets end TLS in ways of their own, and each is told from the others."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress

import pytest
import trio

import trio_tcp
from tests.certificates import HOST, client_context, each_version, server_context
from tests.integration.loopback import LOOPBACK, Record, echo, receive_reset
from tests.integration.tls_peers.ours import LINES, SIZES, Text, connect, frame, start
from tests.tls.peer import Peer
from trio_tcp import CloseReason, codecs


def blocking_client(port: int, how: str, version: ssl.TLSVersion) -> bytes:
    """Send a message, and end in one of several ways; return what is read."""
    with socket.create_connection((LOOPBACK, port)) as sock:
        context = client_context(version=version)
        with context.wrap_socket(sock, server_hostname=HOST) as tls:
            tls.sendall(frame(b"hello") + frame(b"x" * 100_000))
            received = b""
            while len(received) < 9 + 100_004:
                received += tls.recv(1 << 16)
            match how:
                case "closes":
                    pass  # with neither close_notify nor shutdown
                case "shuts down":
                    tls.shutdown(socket.SHUT_WR)  # of TCP alone; no TLS after that
                    with suppress(ConnectionResetError):
                        while tls.recv(1 << 16):
                            pass
                case "unwraps":
                    tls.unwrap()  # sends close_notify, and waits for ours
                case _:
                    raise AssertionError(how)
    return received


@each_version
@pytest.mark.parametrize("allowed", [False, True], ids=["", "which is allowed"])
@pytest.mark.parametrize("how", ["closes", "shuts down", "unwraps"])
async def test_a_blocking_socket_ends_in_its_way(
    version: ssl.TLSVersion,
    how: str,
    allowed: bool,
    nursery: trio.Nursery,
    record: Record,
) -> None:
    """Python's sockets leave out close_notify, unless they are unwrapped."""
    tls = trio_tcp.Tls(server_context(), allow_ragged_eof=allowed)
    server = await start(nursery, echo, codecs.LengthPrefixed(), record, tls=tls)
    received = await trio.to_thread.run_sync(blocking_client, server.port, how, version)
    assert received == frame(b"hello") + frame(b"x" * 100_000)
    (ended,) = await record.wait(trio_tcp.ConnectionEnded)
    if how == "unwraps" or allowed:
        assert ended.reason is CloseReason.PEER_CLOSED
        assert ended.error is None
    else:
        assert ended.reason is CloseReason.TRUNCATED
        assert isinstance(ended.error, trio_tcp.CloseNotifyMissingError)


@contextmanager
def blocking_server(
    serve: Callable[[ssl.SSLSocket], None], context: ssl.SSLContext
) -> Generator[int, None, None]:
    """Serve one client in a thread; tell the port."""

    def run() -> None:
        sock, _ = listener.accept()
        with sock, context.wrap_socket(sock, server_side=True) as tls:
            serve(tls)

    with socket.create_server((LOOPBACK, 0)) as listener:
        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            thread.join()


@each_version
@pytest.mark.parametrize("allowed", [False, True], ids=["", "which is allowed"])
async def test_a_blocking_server_leaves_out_close_notify(
    version: ssl.TLSVersion, allowed: bool
) -> None:
    def serve(tls: ssl.SSLSocket) -> None:
        while tls.recv(1 << 16) != b"last\n":
            pass
        tls.sendall(b"one\ntwo\n")

    tls = trio_tcp.Tls(client_context(), allow_ragged_eof=allowed)
    with blocking_server(serve, server_context(version=version)) as port:
        async with connect(port, LINES, context=tls) as connection:
            await connection.send("last")
            assert await connection.receive() == "one"
            assert await connection.receive() == "two"
            kind = trio_tcp.PeerClosed if allowed else trio_tcp.CloseNotifyMissingError
            with pytest.raises(kind):
                await connection.receive()


@each_version
async def test_a_client_that_half_closes_at_once_gets_its_answer(
    version: ssl.TLSVersion, nursery: trio.Nursery, record: Record
) -> None:
    """Request, close_notify and FIN in one: `printf ... | ncat --ssl`, and the like."""
    tls = server_context(version=version)
    server = await start(nursery, echo, LINES, record, tls=tls)
    for size in SIZES:
        async with await trio.open_tcp_stream(LOOPBACK, server.port) as stream:
            peer = Peer(stream, client_context(), server_hostname=HOST)
            await peer.shake_hands()
            line = b"x" * size + b"\n"
            async with trio.open_nursery() as sending:
                end = peer.encrypted(line) + peer.close_notify()

                async def send(data: bytes = end) -> None:
                    await stream.send_all(data)
                    await stream.send_eof()

                sending.start_soon(send)
                assert await peer.receive_all() == line
    ends = await record.wait(trio_tcp.ConnectionEnded, len(SIZES))
    assert {ended.reason for ended in ends} == {CloseReason.PEER_CLOSED}


@each_version
async def test_a_client_that_is_gone_after_its_close_notify_has_closed(
    version: ssl.TLSVersion, nursery: trio.Nursery, record: Record
) -> None:
    """Its kernel answers our close_notify with a reset. That is no fault of its."""
    tls = server_context(version=version)
    server = await start(nursery, echo, LINES, record, tls=tls)
    for _ in range(20):
        async with await trio.open_tcp_stream(LOOPBACK, server.port) as stream:
            peer = Peer(stream, client_context(), server_hostname=HOST)
            await peer.shake_hands()
            await peer.send(b"hello\n")
            assert await peer.receive_exactly(6) == b"hello\n"
            await stream.send_all(peer.close_notify())
    ends = await record.wait(trio_tcp.ConnectionEnded, 20)
    assert {ended.reason for ended in ends} == {CloseReason.PEER_CLOSED}


async def test_a_reset_is_a_reset(nursery: trio.Nursery, record: Record) -> None:
    """Over TLS as without."""

    async def give_up(connection: Text) -> None:
        assert await connection.receive() == "abort"
        connection.abort()

    server = await start(nursery, give_up, LINES, record, tls=server_context())
    async with await trio.open_tcp_stream(LOOPBACK, server.port) as stream:
        peer = Peer(stream, client_context(), server_hostname=HOST)
        await peer.shake_hands()
        await peer.send(b"abort\n")
        await receive_reset(stream)
