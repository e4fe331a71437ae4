"""asyncio talks TLS to us, from the first byte on or from the middle."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import trio

import trio_tcp
from tests.certificates import HOST, client_context, server_context
from tests.integration.loopback import LOOPBACK, Record
from tests.integration.tls_peers.ours import MESSAGES, frame, start
from trio_tcp import CloseReason, codecs


async def asyncio_client(port: int, starts: bool) -> list[bytes]:
    """Send all messages, read the answers, and close."""
    context = client_context()
    reader, writer = await asyncio.open_connection(
        LOOPBACK,
        port,
        ssl=None if starts else context,
        server_hostname=None if starts else HOST,
    )
    if starts:
        writer.write(frame(b"STARTTLS"))
        assert await reader.readexactly(12) == frame(b"go ahead")
        await writer.start_tls(context, server_hostname=HOST)
    answers: list[bytes] = []
    for _ in range(2):
        writer.writelines(map(frame, MESSAGES))
        for _ in MESSAGES:
            size = int.from_bytes(await reader.readexactly(4), "big")
            answers.append(await reader.readexactly(size))
    writer.close()
    await writer.wait_closed()
    return answers


async def echo_over_tls(connection: trio_tcp.Connection[bytes, bytes]) -> None:
    """Go over to TLS when the client wants to."""
    async for message in connection:
        if message == b"STARTTLS":
            await connection.send(b"go ahead")
            await connection.start_tls(server_context())
        else:
            await connection.send(message)


@pytest.mark.parametrize("starts", [False, True], ids=["", "in the middle"])
async def test_an_asyncio_client_talks_to_our_server(
    starts: bool, nursery: trio.Nursery, record: Record
) -> None:
    codec = codecs.LengthPrefixed()
    tls = None if starts else server_context()
    server = await start(nursery, echo_over_tls, codec, record, tls=tls)
    answers = await trio.to_thread.run_sync(
        lambda: asyncio.run(asyncio_client(server.port, starts))
    )
    assert answers == MESSAGES * 2
    (ended,) = await record.wait(trio_tcp.ConnectionEnded)
    assert ended.reason is CloseReason.PEER_CLOSED
    assert ended.error is None


async def asyncio_server(report_port: Callable[[int], None], starts: bool) -> None:
    """Echo bytes, in pieces that are no frames, to one client."""
    done = asyncio.Event()

    async def handle(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if starts:
            assert await reader.readexactly(12) == frame(b"STARTTLS")
            writer.write(frame(b"go ahead"))
            await writer.drain()
            await writer.start_tls(server_context())
        while chunk := await reader.read(777):
            writer.write(chunk)
            await writer.drain()
        writer.close()
        await writer.wait_closed()
        done.set()

    tls = None if starts else server_context()
    async with await asyncio.start_server(handle, LOOPBACK, 0, ssl=tls) as server:
        report_port(server.sockets[0].getsockname()[1])
        await done.wait()


@pytest.mark.parametrize("starts", [False, True], ids=["", "in the middle"])
async def test_our_client_talks_to_an_asyncio_server(
    starts: bool, nursery: trio.Nursery
) -> None:
    """It ends when it is told to; asyncio takes that for the end of both directions."""
    ports, port = trio.open_memory_channel[int](1)

    def report_port(number: int) -> None:
        trio.from_thread.run_sync(ports.send_nowait, number)

    nursery.start_soon(
        trio.to_thread.run_sync,
        lambda: asyncio.run(asyncio_server(report_port, starts)),
    )
    async with trio_tcp.connect_tcp(
        LOOPBACK,
        await port.receive(),
        codec=codecs.LengthPrefixed(),
        tls=None if starts else client_context(),
        server_hostname=None if starts else HOST,
    ) as connection:
        if starts:
            await connection.send(b"STARTTLS")
            assert await connection.receive() == b"go ahead"
            await connection.start_tls(client_context(), server_hostname=HOST)
        async with trio.open_nursery() as sending:
            sending.start_soon(connection.send_many, MESSAGES)
            assert [await connection.receive() for _ in MESSAGES] == MESSAGES
        await connection.send_eof()
        with pytest.raises(trio_tcp.PeerClosed):
            await connection.receive()
