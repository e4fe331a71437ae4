"""What else a connection can do, it can where TLS starts: watch, end, be detached."""

from __future__ import annotations

import trio
from trio.testing import wait_all_tasks_blocked

from tests.certificates import HOST, client_context, server_context
from tests.tls.peer import Peer
from tests.tls.start_tls.starting import as_server, one_end
from trio_tcp import codecs


async def test_another_codec_and_tls_go_together() -> None:
    """The codec is switched before, between the messages and the handshake."""
    async with one_end() as (connection, stream):
        peer = Peer(stream, client_context(), server_hostname=HOST)
        await stream.send_all(b"STARTTLS\n" + peer.hello())
        assert await connection.receive() == "STARTTLS"
        switched = connection.switch_codec(codecs.LengthPrefixed())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(switched.start_tls, server_context())
            await peer.shake_hands()
            await peer.send(b"\0\0\0\5hello")
        assert await switched.receive() == b"hello"
        await switched.send(b"world")
        assert await peer.receive() == b"\0\0\0\5world"


async def test_the_peers_end_is_seen_behind_the_handshake() -> None:
    """A stream that somebody has watched before can be watched again."""
    async with one_end() as (connection, stream):
        peer = Peer(stream, client_context(), server_hostname=HOST)
        with trio.move_on_after(0):
            await connection.wait_disconnected()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.wait_disconnected)
            await wait_all_tasks_blocked()
            await stream.send_all(b"STARTTLS\n" + peer.hello())
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert await connection.receive() == "STARTTLS"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(as_server, connection)
            await peer.shake_hands()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.wait_disconnected)
            await peer.send(b"last\n")
            await peer.end()
        assert [line async for line in connection] == ["last"]


async def test_a_connection_ends_over_tls_as_it_should() -> None:
    async with one_end() as (connection, stream):
        peer = Peer(stream, client_context(), server_hostname=HOST)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(as_server, connection)
            await peer.shake_hands()
        await connection.send("last")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.aclose)
            assert await peer.receive_all() == b"last\n"
            await peer.end()


async def test_a_connection_can_be_detached_over_tls() -> None:
    async with one_end() as (connection, stream):
        peer = Peer(stream, client_context(), server_hostname=HOST)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(as_server, connection)
            await peer.shake_hands()
        await peer.send(b"one\nthe rest")
        assert await connection.receive() == "one"
        detached, rest = await connection.detach()
        assert rest == b"the rest"
        await detached.send_all(b"still secret")
        assert await peer.receive() == b"still secret"
        await peer.send(b"indeed")
        assert await detached.receive_some() == b"indeed"
        await detached.aclose()
        assert await peer.receive_all() == b""
