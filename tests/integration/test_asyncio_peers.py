"""asyncio's streams at the other end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import trio

import trio_tcp
from tests.integration.loopback import LOOPBACK, echo, start_server
from trio_tcp import codecs

MESSAGES = [b"one", b"", b"\0\xff" * 50_000, b"four"]


def frame(message: bytes) -> bytes:
    """Do what `LengthPrefixed` does, in asyncio's place."""
    return len(message).to_bytes(4, "big") + message


async def asyncio_client(port: int) -> list[bytes]:
    """Send all messages at once, half-close, and read the answers."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.writelines(map(frame, MESSAGES))
    writer.write_eof()
    answers: list[bytes] = []
    while not reader.at_eof():
        size = int.from_bytes(await reader.readexactly(4), "big")
        answers.append(await reader.readexactly(size))
        if len(answers) == len(MESSAGES):
            assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    return answers


async def asyncio_server(report_port: Callable[[int], None]) -> None:
    """Echo bytes, in pieces that are no frames, to one client."""
    done = asyncio.Event()

    async def handle(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while chunk := await reader.read(777):
            writer.write(chunk)
            await writer.drain()
        writer.close()
        await writer.wait_closed()
        done.set()

    async with await asyncio.start_server(handle, LOOPBACK, 0) as server:
        report_port(server.sockets[0].getsockname()[1])
        await done.wait()


async def test_an_asyncio_client_talks_to_our_server(nursery: trio.Nursery) -> None:
    """It half-closes behind its messages, and still gets all answers, and the end."""
    server = await start_server(nursery, echo, codecs.LengthPrefixed())
    answers = await trio.to_thread.run_sync(
        lambda: asyncio.run(asyncio_client(server.port))
    )
    assert answers == MESSAGES


async def test_our_client_talks_to_an_asyncio_server(nursery: trio.Nursery) -> None:
    """The pieces in which the answers come make no difference."""
    ports, port = trio.open_memory_channel[int](1)

    def report_port(number: int) -> None:
        trio.from_thread.run_sync(ports.send_nowait, number)

    nursery.start_soon(
        trio.to_thread.run_sync, lambda: asyncio.run(asyncio_server(report_port))
    )
    async with trio_tcp.connect_tcp(
        LOOPBACK, await port.receive(), codec=codecs.LengthPrefixed()
    ) as connection:
        await connection.send_many(MESSAGES)
        await connection.send_eof()
        assert [message async for message in connection] == MESSAGES
