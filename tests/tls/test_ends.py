"""An end over TLS is close_notify, for each direction by itself; to abort is none."""

from __future__ import annotations

import ssl

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.certificates import each_version, server_context
from tests.integration.loopback import echo
from tests.tls.peer import Bytes, Text, serving
from trio_tcp import CloseReason, codecs


@each_version
async def test_all_that_was_sent_arrives_before_the_end(
    version: ssl.TLSVersion,
) -> None:
    """Although the server never reads what the client says meanwhile."""

    async def send(connection: Bytes) -> None:
        for number in range(10):
            await connection.send(bytes([number]) * 30_000)

    context = server_context(version=version)
    async with serving(
        send, codecs.LengthPrefixed(), tls=context, capacity=1000
    ) as served:
        async with served.connect() as client:
            await client.send(bytes(500))
            await wait_all_tasks_blocked()
            received = [message async for message in client]
            assert received == [bytes([number]) * 30_000 for number in range(10)]
            assert client.close_reason is CloseReason.PEER_CLOSED
        (ended,) = await served.record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.CLOSED


@each_version
async def test_a_client_that_half_closes_gets_all_answers(
    version: ssl.TLSVersion,
) -> None:
    context = server_context(version=version)
    async with serving(echo, codecs.Lines(), tls=context) as served:
        peer = await served.connect_peer()
        request = peer.encrypted(b"one\ntwo\n") + peer.close_notify()
        await peer.stream.send_all(request)
        await peer.stream.send_eof()
        assert await peer.receive_all() == b"one\ntwo\n"
        async with served.connect() as client:
            await client.send_many(["one", "two"])
            await client.send_eof()
            with pytest.raises(trio_tcp.ConnectionClosedError, match="send_eof"):
                await client.send("three")
            assert [line async for line in client] == ["one", "two"]


@each_version
async def test_a_peer_that_closed_first_gets_the_end_too(
    version: ssl.TLSVersion,
) -> None:
    """Also when nothing was to be sent any more."""
    context = server_context(version=version)
    async with serving(echo, codecs.Lines(), tls=context) as served:
        peer = await served.connect_peer()
        await wait_all_tasks_blocked()
        await peer.end()
        assert await peer.receive_all() == b""
        async with served.connect() as client:
            await wait_all_tasks_blocked()
            await client.send_eof()
            with pytest.raises(trio_tcp.PeerClosed):
                await client.receive()
            assert client.close_reason is CloseReason.PEER_CLOSED


@each_version
async def test_a_server_that_half_closes_goes_on_receiving(
    version: ssl.TLSVersion,
) -> None:
    heard: list[str] = []

    async def greet(connection: Text) -> None:
        await connection.send("hello")
        await connection.send_eof()
        heard.extend([line async for line in connection])

    context = server_context(version=version)
    async with serving(greet, codecs.Lines(), tls=context) as served:
        async with served.connect() as client:
            assert [line async for line in client] == ["hello"]
            await client.send("thank you")
            await client.send("goodbye")
        (ended,) = await served.record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.PEER_CLOSED
    assert heard == ["thank you", "goodbye"]


@each_version
async def test_what_comes_behind_the_end_is_ignored(version: ssl.TLSVersion) -> None:
    context = server_context(version=version)
    async with serving(echo, codecs.Lines(), tls=context) as served:
        peer = await served.connect_peer()
        end = peer.encrypted(b"last\n") + peer.close_notify()
        await peer.stream.send_all(end + b"whatever")
        assert await peer.receive_all() == b"last\n"
        await peer.stream.send_eof()
        (ended,) = await served.record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.PEER_CLOSED


async def test_abort_is_no_end() -> None:
    async def give_up(connection: Text) -> None:
        await connection.send("forgotten")
        connection.abort()
        with pytest.raises(trio_tcp.ConnectionClosedError):
            await connection.receive()

    async with serving(give_up, codecs.Lines()) as served:
        async with served.connect() as client:
            with pytest.raises(trio_tcp.ConnectionBroken):
                await client.receive()
        (ended,) = await served.record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.CLOSED


async def test_a_block_that_is_cancelled_closes_at_once(
    autojump_clock: MockClock,
) -> None:
    """Nobody reads, and nobody is waited for."""

    async def flood(connection: Bytes) -> None:
        while True:
            await connection.send(bytes(1000))

    async with serving(flood, codecs.LengthPrefixed(), capacity=100) as served:
        clients: list[Bytes] = []
        with trio.move_on_after(7):
            async with served.connect() as client:
                clients.append(client)
                await client.send(bytes(100_000))
                await trio.sleep_forever()
        assert trio.current_time() == 7
        assert clients[0].close_reason is CloseReason.CLOSED
        (ended,) = await served.record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.BROKEN
        assert trio.current_time() == 7


@each_version
async def test_a_peer_that_closes_and_is_gone_has_closed_in_order(
    version: ssl.TLSVersion,
) -> None:
    """It waits for no close_notify from this side, as TLS 1.2 allows, and most do."""
    context = server_context(version=version)
    async with serving(echo, codecs.Lines(), tls=context) as served:
        peer = await served.connect_peer()
        await peer.send(b"one\n")
        assert await peer.receive_exactly(4) == b"one\n"
        await peer.stream.send_all(peer.close_notify())
        await peer.stream.aclose()
        (ended,) = await served.record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.PEER_CLOSED
        assert ended.error is None
