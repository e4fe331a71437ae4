"""What was read ahead, handed over with the stream: to a codec, a new owner, TLS."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.certificates import HOST, client_context, server_context
from tests.disconnecting.pairs import LINES, Open, set_when_gone
from tests.tls.peer import Peer
from trio_tcp import codecs, testing


async def test_another_codec_begins_behind_the_last_message(open_text: Open) -> None:
    async with open_text() as (connection, peer):
        await peer.send(b"switch\n5:hello,5:wor")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.wait_disconnected)
            await wait_all_tasks_blocked()
            assert await connection.receive() == "switch"
            switched = connection.switch_codec(codecs.Netstrings())
            await peer.send(b"ld,")
            await wait_all_tasks_blocked()
            assert await switched.receive() == b"hello"
            assert await switched.receive() == b"world"
            nursery.cancel_scope.cancel()


async def test_detach_hands_over_what_was_read_ahead(open_text: Open) -> None:
    async with open_text() as (connection, peer):
        await peer.send(b"first\nsecond")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.wait_disconnected)
            await wait_all_tasks_blocked()
            assert await connection.receive() == "first"
            await peer.send(b"third")
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        stream, unread = await connection.detach()
        assert unread == b"secondthird"
        await peer.send(b"fourth")
        assert await stream.receive_some() == b"fourth"
        await trio.aclose_forcefully(stream)


async def test_detach_is_refused_while_somebody_watches(open_text: Open) -> None:
    async with open_text() as (connection, peer):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.wait_disconnected)
            await wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await connection.detach()
            await peer.send(b"unharmed\n")
            assert await connection.receive() == "unharmed"
            await peer.end()


async def test_tls_begins_with_what_was_read_ahead() -> None:
    """The request for TLS, and TLS's own first bytes, in one piece."""
    ours, theirs = testing.memory_stream_pair()
    peer = Peer(theirs, client_context(), server_hostname=HOST)
    async with trio_tcp.open_connection(ours, codec=LINES) as connection:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.wait_disconnected)
            await theirs.send_all(b"STARTTLS\n" + peer.hello())
            await wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await connection.start_tls(server_context())
            nursery.cancel_scope.cancel()
        assert await connection.receive() == "STARTTLS"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.shake_hands)
            await connection.start_tls(server_context())
        await peer.send(b"secret\n")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.wait_disconnected)
            await wait_all_tasks_blocked()
            assert await connection.receive() == "secret"
            await peer.end()
        with pytest.raises(trio_tcp.PeerClosed):
            await connection.receive()


async def test_it_may_begin_during_a_tls_handshake() -> None:
    ours, theirs = testing.memory_stream_pair()
    peer = Peer(theirs, client_context(), server_hostname=HOST)
    async with trio_tcp.open_connection(ours, codec=LINES) as connection:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.start_tls, server_context())
            await wait_all_tasks_blocked()
            gone = trio.Event()
            nursery.start_soon(set_when_gone, connection, gone)
            await wait_all_tasks_blocked()
            await peer.shake_hands()
            await peer.send(b"secret\n")
            await wait_all_tasks_blocked()
            assert not gone.is_set()
            await peer.end()
            await gone.wait()
        assert [text async for text in connection] == ["secret"]
