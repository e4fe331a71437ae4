"""Another protocol on the same connection, from a certain byte on."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.integration.loopback import (
    LOOPBACK,
    Record,
    connect,
    receive_all,
    receive_exactly,
    start_server,
)
from trio_tcp import CloseReason, codecs

LINES = codecs.Lines()
PREFIXED = codecs.LengthPrefixed()


# detach


async def test_a_server_detaches_a_stream_that_works(
    nursery: trio.Nursery, record: Record
) -> None:
    """With the bytes behind the last message, which came in the same segment."""
    streams: list[trio.abc.Stream] = []

    async def take_over(connection: trio_tcp.Connection[str, str]) -> None:
        await connection.send(f"as you wish: {await connection.receive()}")
        stream, unread = await connection.detach()
        streams.append(stream)
        async with stream:
            await stream.send_all(unread.upper())
            async for chunk in stream:
                await stream.send_all(chunk.upper())

    server = await start_server(nursery, take_over, LINES, observer=record)
    async with connect(server.port) as client:
        await client.send_all(b"raw\nunfinished\nbusi")
        answer = b"as you wish: raw\nUNFINISHED\nBUSI"
        assert await receive_exactly(client, len(answer)) == answer
        [ended] = await record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.DETACHED
        assert server.connections == ()
        await client.send_all(b"ness")
        assert await receive_exactly(client, 4) == b"NESS"
        await client.send_eof()
        assert await receive_all(client) == b""
    [stream] = streams
    assert isinstance(stream, trio.SocketStream)


async def test_a_client_detaches_a_stream_that_outlives_its_block(
    nursery: trio.Nursery,
) -> None:
    """It is the caller's to close."""

    async def greet_and_echo(connection: trio_tcp.Connection[str, str]) -> None:
        await connection.send_many(["welcome", "more"])
        async for line in connection:
            await connection.send(line)

    server = await start_server(nursery, greet_and_echo, LINES)
    async with trio_tcp.connect_tcp(LOOPBACK, server.port, codec=LINES) as connection:
        assert await connection.receive() == "welcome"
        stream, unread = await connection.detach()
        with pytest.raises(trio_tcp.ConnectionClosedError):
            await connection.receive()
        with pytest.raises(trio_tcp.ConnectionClosedError):
            await connection.send("hello")
    assert unread == b"more\n"
    assert isinstance(stream, trio.SocketStream)
    assert stream.socket.getpeername() == (LOOPBACK, server.port)
    async with stream:
        await stream.send_all(b"hello\n")
        assert await receive_exactly(stream, 6) == b"hello\n"


async def test_a_cancelled_detach_leaves_the_connection_as_it_was(
    nursery: trio.Nursery,
) -> None:
    """What was to be sent first is sent all the same, and in one piece."""
    answer = bytes(200_000)

    async def try_to_detach(connection: trio_tcp.Connection[bytes, bytes]) -> None:
        await connection.send(answer)
        with trio.move_on_after(0):
            await connection.detach()
        await connection.send(await connection.receive())

    server = await start_server(nursery, try_to_detach, PREFIXED, small_buffers=True)
    async with trio_tcp.connect_tcp(
        LOOPBACK, server.port, codec=PREFIXED
    ) as connection:
        await connection.send(b"are you there?")
        assert await connection.receive() == answer
        assert await connection.receive() == b"are you there?"


async def test_detach_tears_no_message_of_a_sender_in_line(
    nursery: trio.Nursery,
) -> None:
    """It goes out whole before the stream does, or its `send` fails."""
    first, second = b"1" * 200_000, b"2" * 200_000
    accepted: list[bytes] = [first]
    may_read = trio.Event()

    async def send_second(connection: trio_tcp.Connection[bytes, bytes]) -> None:
        try:
            await connection.send(second)
        except trio_tcp.ConnectionClosedError:
            return
        accepted.append(second)

    async def detach_behind_it(connection: trio_tcp.Connection[bytes, bytes]) -> None:
        async with trio.open_nursery() as inner:
            await connection.send(first)
            inner.start_soon(send_second, connection)
            await wait_all_tasks_blocked()
            may_read.set()
            stream, _ = await connection.detach()
        async with stream:
            await stream.send_all(b"raw")

    server = await start_server(nursery, detach_behind_it, PREFIXED, small_buffers=True)
    async with connect(server.port, small_buffers=True) as client:
        await may_read.wait()
        received = await receive_all(client)
    assert received == b"".join(map(PREFIXED.encode, accepted)) + b"raw"


# switch_codec


async def test_codecs_are_switched_in_the_middle_of_a_segment(
    nursery: trio.Nursery,
) -> None:
    """Each begins at the byte behind the last message of the one before."""

    async def switch_twice(connection: trio_tcp.Connection[str, str]) -> None:
        await connection.send(await connection.receive())
        binary = connection.switch_codec(PREFIXED)
        await binary.send(await binary.receive())
        netstrings = binary.switch_codec(codecs.Netstrings())
        async for message in netstrings:
            await netstrings.send(message)

    server = await start_server(nursery, switch_twice, LINES)
    segment = b"line\n" + PREFIXED.encode(b"1:a,\n") + b"5:hello,0:,"
    async with connect(server.port) as client:
        await client.send_all(segment)
        await client.send_eof()
        assert await receive_all(client) == segment


async def test_both_ends_switch_codecs_and_go_on(nursery: trio.Nursery) -> None:
    """As after a greeting that agrees on what to speak."""

    async def agree(connection: trio_tcp.Connection[str, str]) -> None:
        while (wish := await connection.receive()) != "json":
            await connection.send(f"no {wish} here")
        await connection.send("json it is")
        objects = connection.switch_codec(codecs.Json())
        async for thing in objects:
            await objects.send([thing])

    server = await start_server(nursery, agree, LINES)
    async with trio_tcp.connect_tcp(LOOPBACK, server.port, codec=LINES) as connection:
        await connection.send_many(["xml", "json"])
        assert await connection.receive() == "no xml here"
        assert await connection.receive() == "json it is"
        objects = connection.switch_codec(codecs.Json())
        await objects.send({"hello": 1})
        assert await objects.receive() == [{"hello": 1}]
