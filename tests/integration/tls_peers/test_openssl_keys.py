"""openssl asks for new keys in the middle, as often as it likes, or to renegotiate."""

from __future__ import annotations

import ssl

import trio

import trio_tcp
from tests.certificates import server_context
from tests.integration.loopback import Record, echo
from tests.integration.tls_peers.openssl import (
    COMMANDS,
    Files,
    needs_openssl,
    s_client,
    s_server,
)
from tests.integration.tls_peers.ours import LINES, Text, connect, start
from trio_tcp import CloseReason


@needs_openssl
async def test_openssl_changes_its_keys_and_asks_for_ours(
    files: Files, nursery: trio.Nursery, record: Record
) -> None:
    """As often as it likes, from either side, while messages go to and fro."""
    tls = server_context(version=ssl.TLSVersion.TLSv1_3)
    server = await start(nursery, echo, LINES, record, tls=tls)
    async with s_client(server.port, files, *COMMANDS) as client:
        for number, command in enumerate("KkKkKKkk"):
            await client.types(f"{command}\n")
            await client.prints("KEYUPDATE")
            line = f"number {number}: " + "x" * 20_000 + "\n"
            await client.types(line)
            await client.prints(line)
        for _ in range(20):
            await client.types("K\n")
            await client.prints("KEYUPDATE")
        await client.types("last\n")
        await client.prints("last\n")
        await client.types("Q\n")
        await client.ends()
    (ended,) = await record.wait(trio_tcp.ConnectionEnded)
    assert ended.reason is CloseReason.PEER_CLOSED
    assert ended.statistics.messages_received == 9
    async with s_server(files) as (peer, port):
        async with connect(port, LINES) as connection:
            await connection.send("hello")
            await peer.prints("hello")
            for number, command in enumerate("KkKkKKkk"):
                await peer.types(f"{command}\n")
                await peer.types(f"number {number}\n")
                assert await connection.receive() == f"number {number}"
                # One record: it prints other things between two.
                await connection.send(f"answer {number} " + "x" * 10_000)
                await peer.prints(f"answer {number} " + "x" * 10_000)


@needs_openssl
async def test_keys_change_while_much_is_being_sent(
    files: Files, nursery: trio.Nursery, record: Record
) -> None:
    """The answer to a KeyUpdate finds its place between the records."""

    async def flood(connection: Text) -> None:
        for number in range(200):
            await connection.send(f"number {number} " + "x" * 20_000)
        assert await connection.receive() == "thank you"

    tls = server_context(version=ssl.TLSVersion.TLSv1_3)
    server = await start(nursery, flood, LINES, record, tls=tls)
    async with s_client(server.port, files, *COMMANDS) as client:
        await client.prints("number 0 ")

        async def read() -> None:
            for number in range(1, 200):
                await client.prints(f"\nnumber {number} ")
            await client.prints("x" * 20_000 + "\n")

        async with trio.open_nursery() as reading:
            reading.start_soon(read)
            for _ in range(10):
                await client.types("K\n")
        await client.types("thank you\n")
        await client.ends()
    (ended,) = await record.wait(trio_tcp.ConnectionEnded)
    assert ended.reason is CloseReason.CLOSED


@needs_openssl
async def test_openssl_may_not_renegotiate_with_our_server(
    files: Files, nursery: trio.Nursery, record: Record
) -> None:
    """It gives up; the others are not concerned."""
    tls = server_context(version=ssl.TLSVersion.TLSv1_2)
    server = await start(nursery, echo, LINES, record, tls=tls)
    async with connect(server.port, LINES) as other:
        async with s_client(server.port, files, *COMMANDS) as client:
            await client.types("hello\n")
            await client.prints("hello\n")
            await client.types("R\n")
            assert "no renegotiation" in await client.ends()
        await record.wait(trio_tcp.ConnectionEnded)
        await other.send("hello")
        assert await other.receive() == "hello"
    assert not record.all(trio_tcp.HandlerFailed)


@needs_openssl
async def test_openssl_may_renegotiate_while_nothing_is_sent(files: Files) -> None:
    """TLS 1.2 lets a server do that, and it needs somebody who reads."""
    async with s_server(files, "-tls1_2", "-msg") as (server, port):
        async with connect(port, LINES) as connection:
            for _ in range(2):
                await server.prints(", Finished")  # theirs, and ours
            async with trio.open_nursery() as nursery:
                nursery.start_soon(connection.wait_disconnected)
                await server.types("r\n")
                for _ in range(2):
                    await server.prints(", Finished")
                nursery.cancel_scope.cancel()
            await connection.send("hello from here")
            await server.prints("hello from here")
            await server.types("hello from there\n")
            assert await connection.receive() == "hello from there"
