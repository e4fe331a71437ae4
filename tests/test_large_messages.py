"""Messages longer than one read or write, which are not copied more than needed."""

from __future__ import annotations

import functools
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TypeAlias

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from trio_tcp import codecs, testing

Bytes: TypeAlias = trio_tcp.Connection[bytes, bytes]

CODEC = codecs.LengthPrefixed()
SIZE = 300_000


def message(number: int, size: int = SIZE) -> bytes:
    """Bytes of which each place is different from its neighbours."""
    return (number.to_bytes(4, "big") + bytes(range(251))) * (size // 255)


@asynccontextmanager
async def pair() -> AsyncGenerator[tuple[Bytes, Bytes], None]:
    """Two connections over sockets that take less than one message at once."""
    socks = socket.socketpair()
    for sock in socks:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 20_000)
    one, other = (
        trio.SocketStream(trio.socket.from_stdlib_socket(sock)) for sock in socks
    )
    async with (
        trio_tcp.open_connection(one, codec=CODEC) as sender,
        trio_tcp.open_connection(other, codec=CODEC) as receiver,
    ):
        yield sender, receiver
        sender.abort()
        receiver.abort()


@pytest.mark.parametrize("small", [0, 1, 300])
async def test_large_and_small_messages_keep_their_order(small: int) -> None:
    messages: list[bytes] = []
    for number in range(4):
        messages += [message(number), *([b"small"] * small)]
    async with pair() as (sender, receiver), trio.open_nursery() as nursery:

        async def send() -> None:
            for each in messages:
                await sender.send(each)

        nursery.start_soon(send)
        for expected in messages:
            assert await receiver.receive() == expected
    assert sender.statistics().messages_sent == len(messages)
    assert sender.statistics().bytes_sent == receiver.statistics().bytes_received


async def test_of_many_senders_each_message_arrives_whole() -> None:
    async with pair() as (sender, receiver), trio.open_nursery() as nursery:
        for number in range(8):
            nursery.start_soon(sender.send, message(number))
        came = [await receiver.receive() for _ in range(8)]
    assert sorted(came) == [message(number) for number in range(8)]


async def test_send_nowait_takes_a_large_message_when_nothing_is_queued() -> None:
    async with pair() as (sender, receiver):
        sender.send_nowait(message(1))
        with pytest.raises(trio.WouldBlock):
            sender.send_nowait(message(2))
        assert await receiver.receive() == message(1)


async def test_a_large_reply_follows_the_small_ones_before_it() -> None:
    def answer(request: bytes) -> bytes:
        return message(7) if request == b"large" else request

    requests = [b"one", b"two", b"large", b"three"]
    handler = trio_tcp.respond(answer)
    async with (
        testing.serve_in_memory(handler, CODEC) as served,
        served.connect() as connection,
    ):
        await connection.send_many(requests)
        assert [await connection.receive() for _ in requests] == [
            answer(request) for request in requests
        ]


async def test_a_message_that_is_too_large_is_refused_and_nothing_is_sent() -> None:
    async with pair() as (sender, receiver):
        with pytest.raises(trio_tcp.MessageTooLargeError):
            await sender.send(bytes(CODEC.max_bytes + 1))
        await sender.send(b"next")
        assert await receiver.receive() == b"next"
        assert sender.statistics().messages_sent == 1


async def test_what_has_come_of_a_large_message_is_handed_over() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
    frame = CODEC.encode(message(1))
    with theirs:
        async with trio_tcp.open_connection(stream, codec=CODEC) as connection:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(connection.receive)
                for begin, end in ((0, 20_000), (20_000, 50_000), (50_000, 50_001)):
                    theirs.sendall(frame[begin:end])
                    await wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
            detached, undelivered = await connection.detach()
            assert undelivered == frame[:50_001]
            await detached.aclose()


async def test_pieces_of_a_large_message_are_held_for_the_server_to_count() -> None:
    async def receive(connection: Bytes) -> None:
        async for _ in connection:
            pass

    async with trio.open_nursery() as nursery:
        listener = testing.MemoryListener()
        serve = functools.partial(trio_tcp.serve_listeners, codec=CODEC)
        server = await nursery.start(serve, receive, [listener])
        client = await listener.connect()
        frame = CODEC.encode(message(1))
        for begin, end in ((0, 20_000), (20_000, 200_000)):
            await client.send_all(frame[begin:end])
            await wait_all_tasks_blocked()
            assert server.statistics().bytes_buffered == end
        await client.send_all(frame[200_000:])
        await wait_all_tasks_blocked()
        assert server.statistics().bytes_buffered == 0
        nursery.cancel_scope.cancel()
        await trio.aclose_forcefully(client)
