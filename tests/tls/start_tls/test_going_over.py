"""A connection goes over to TLS between two messages, and loses none of either kind."""

from __future__ import annotations

import ssl
from typing import final

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.certificates import HOST, client_context, each_version, server_context
from tests.tls.peer import Peer
from tests.tls.start_tls.starting import (
    Side,
    as_client,
    as_server,
    each_side,
    one_end,
    other_side,
)
from trio_tcp import CloseReason, codecs, testing


@final
class Tap(trio.abc.HalfCloseableStream):
    """A stream that keeps what goes through it.

    Attributes:
        sent: all that was sent on it.
    """

    def __init__(self, stream: testing.MemoryStream) -> None:
        self._stream = stream
        self.sent = bytearray()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += data
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return await self._stream.receive_some(max_bytes)

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()

    def reset(self) -> None:
        self._stream.reset()


@each_version
@pytest.mark.parametrize("capacity", [1, 100, 64 << 10])
async def test_both_sides_go_over_to_tls(
    version: ssl.TLSVersion, capacity: int
) -> None:
    """What was said before is in the clear, and nothing behind it."""
    ours, theirs = testing.memory_stream_pair(capacity)
    here, there = Tap(ours), Tap(theirs)
    answers: list[str] = []

    async def serve() -> None:
        async with trio_tcp.open_connection(there, codec=codecs.Lines()) as connection:
            assert connection.tls is None
            assert await connection.receive() == "STARTTLS"
            await connection.send("go ahead")
            await connection.start_tls(server_context(version=version))
            async for line in connection:
                await connection.send(f"secret {line}")
            assert connection.close_reason is CloseReason.PEER_CLOSED

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with trio_tcp.open_connection(here, codec=codecs.Lines()) as connection:
            await connection.send("STARTTLS")
            assert await connection.receive() == "go ahead"
            await connection.start_tls(client_context(), server_hostname=HOST)
            assert connection.tls is not None
            assert connection.tls.version == version.name.replace("_", ".")
            await connection.send_many(["a secret", "x" * 3000])
            answers.extend([await connection.receive(), await connection.receive()])
            assert connection.statistics().messages_sent == 3
            assert connection.statistics().messages_received == 3
            sent = len("STARTTLS\na secret\n") + 3001
            assert connection.statistics().bytes_sent == sent
            assert connection.statistics().bytes_queued == 0
    assert answers == ["secret a secret", "secret " + "x" * 3000]
    assert here.sent.startswith(b"STARTTLS\n\x16\x03")
    assert there.sent.startswith(b"go ahead\n\x16\x03")
    assert b"secret" not in here.sent + there.sent
    assert b"xxxxxxxxxx" not in here.sent + there.sent


@each_version
@pytest.mark.parametrize("cut", [1, 5, 100, 10_000])
async def test_tls_begins_at_the_first_byte_that_is_not_delivered(
    version: ssl.TLSVersion, cut: int
) -> None:
    """Of a client that does not wait: its hello, or a part, comes with the command."""
    async with one_end() as (connection, stream):
        peer = Peer(stream, client_context(version=version), server_hostname=HOST)
        hello = peer.hello()
        await stream.send_all(b"STARTTLS\n" + hello[:cut])
        assert await connection.receive() == "STARTTLS"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(as_server, connection)
            await wait_all_tasks_blocked()
            await stream.send_all(hello[cut:])
            await peer.shake_hands()
            await peer.send(b"hello\n")
        assert await connection.receive() == "hello"
        await connection.send("world")
        assert await peer.receive() == b"world\n"


async def test_messages_behind_the_handshake_are_delivered() -> None:
    """Also where they come in one piece with its end, and the end of TLS behind."""
    async with one_end() as (connection, stream):
        peer = Peer(stream, client_context(), server_hostname=HOST)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(as_server, connection)
            await stream.send_all(peer.hello())
            await wait_all_tasks_blocked()
            finished = peer.finish(await stream.receive_some())
            messages = peer.encrypted(b"one\ntwo\nthr") + peer.encrypted(b"ee\n")
            await stream.send_all(finished + messages + peer.close_notify())
            await stream.send_eof()
        assert [line async for line in connection] == ["one", "two", "three"]
        assert connection.close_reason is CloseReason.PEER_CLOSED


@each_side
async def test_what_others_send_meanwhile_goes_out_behind_the_handshake(
    side: Side,
) -> None:
    """Encrypted, in the order of the calls, and none of it in the clear."""
    lines = [f"line {number} {'x' * 40_000}" for number in range(5)]
    async with one_end() as (connection, stream):
        peer = other_side(side, stream)
        await connection.send("in the clear")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(side, connection)
            assert await stream.receive_some(13) == b"in the clear\n"
            await wait_all_tasks_blocked()
            connection.send_nowait(lines[0])
            nursery.start_soon(connection.send, lines[1])
            await wait_all_tasks_blocked()
            with pytest.raises(trio.WouldBlock):
                connection.send_nowait("too much")
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as senders:
                    # These wait in line; the last one is cancelled there.
                    senders.start_soon(connection.send, "cancelled")
                    await wait_all_tasks_blocked()
                    scope.cancel()
            for line in lines[2:]:
                nursery.start_soon(connection.send, line)
                await wait_all_tasks_blocked()
            assert connection.statistics().bytes_sent == 13
            await peer.shake_hands()
            everything = "".join(f"{line}\n" for line in lines).encode()
            assert await peer.receive_exactly(len(everything)) == everything
        await connection.send("last")
        assert await peer.receive_exactly(5) == b"last\n"


@pytest.mark.parametrize("first", ["in the clear", "over TLS"])
async def test_tls_goes_over_tls(first: str) -> None:
    """As it has to where both a hop and what is behind it are protected."""
    ours, theirs = testing.memory_stream_pair(1000)
    clear = first == "in the clear"

    async def serve() -> None:
        async with trio_tcp.open_connection(
            theirs, codec=codecs.Lines(), tls=None if clear else server_context()
        ) as connection:
            for _ in range(2):
                assert await connection.receive() == "STARTTLS"
                await connection.send("go ahead")
                await as_server(connection)
            async for line in connection:
                await connection.send(line)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with trio_tcp.open_connection(
            ours,
            codec=codecs.Lines(),
            tls=None if clear else client_context(),
            server_hostname=None if clear else HOST,
        ) as connection:
            for _ in range(2):
                await connection.send("STARTTLS")
                assert await connection.receive() == "go ahead"
                await as_client(connection)
            for size in (1, 1000, 60_000):
                await connection.send("x" * size)
                assert await connection.receive() == "x" * size
            await connection.send_many(["one", "two"])
            await connection.send_eof()
            assert [line async for line in connection] == ["one", "two"]
            assert connection.close_reason is CloseReason.PEER_CLOSED


async def test_there_is_nothing_to_tell_of_tls_before_it_is_agreed_on() -> None:
    async with one_end() as (connection, stream):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(as_server, connection)
            await wait_all_tasks_blocked()
            assert connection.tls is None
            assert not connection.draining.is_set()
            assert "open" in repr(connection)
            await Peer(stream, client_context(), server_hostname=HOST).shake_hands()
        assert connection.tls is not None
