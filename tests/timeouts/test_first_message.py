"""`first_message`: how long a client may say nothing at all."""

from __future__ import annotations

from typing import final

import trio
from trio.testing import MockClock

from tests.certificates import HOST, client_context
from tests.timeouts.timing_out import (
    A_LONG_TIME,
    LINES,
    Text,
    late,
    only,
    receive_all,
    serve,
    the_end,
)
from tests.tls.peer import Peer, serving
from trio_tcp import testing


async def test_first_message_is_over_with_the_first_byte(
    autojump_clock: MockClock,
) -> None:
    async with serve(receive_all, only(first_message=10)) as (served, _):
        clients = [await served.listener.connect() for _ in range(2)]
        await trio.sleep(9)
        await clients[0].send_all(b"h")
        await clients[1].send_all(b"a line\n")
        await trio.sleep(A_LONG_TIME)
        assert len(served.server.connections) == 2


async def test_waiting_for_a_first_message_does_not_shorten_the_time_for_it(
    autojump_clock: MockClock,
) -> None:
    async def look_up(connection: Text) -> None:
        while True:
            with trio.move_on_after(7):
                await connection.receive()

    async with serve(look_up, only(first_message=60, message=10)) as (served, record):
        client = await served.listener.connect()
        await trio.sleep(59)
        await client.send_all(b"h")
        ended = await the_end(record)
        assert late(ended.error).timeout == "message"
        assert trio.current_time() == 59 + 10 + 1


async def test_a_first_message_may_come_in_one_piece_with_the_tls_handshake(
    autojump_clock: MockClock,
) -> None:
    received: list[float] = []

    async def receive_twice(connection: Text) -> None:
        assert await connection.receive() == "hello"
        received.append(trio.current_time())
        await connection.receive()

    timeouts = only(first_message=10)
    async with serving(receive_twice, LINES, timeouts=timeouts) as served:
        peer = await _peer_with_a_message_in_its_handshake(
            await served.listener.connect(), b"hello\n"
        )
        await trio.sleep(A_LONG_TIME)
        assert received == [0]
        assert len(served.server.connections) == 1
        await peer.stream.aclose()


async def _peer_with_a_message_in_its_handshake(
    stream: testing.MemoryStream, message: bytes
) -> Peer:
    peer = Peer(stream, client_context(), server_hostname=HOST)
    held_back = _HeldBack(stream)
    peer.stream = held_back
    await stream.send_all(peer.hello())
    await peer.shake_hands()
    await stream.send_all(b"".join(held_back.data) + peer.encrypted(message))
    return peer


@final
class _HeldBack(trio.abc.HalfCloseableStream):
    """Keeps what is to be sent."""

    def __init__(self, stream: trio.abc.HalfCloseableStream) -> None:
        self.data: list[bytes] = []
        self._stream = stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self.data.append(bytes(data))

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self._stream.aclose()
