"""openssl and we see each other's ends, and that close_notify is missing."""

from __future__ import annotations

import ssl

import pytest
import trio

import trio_tcp
from tests.certificates import client_context, each_version, server_context
from tests.integration.loopback import Record, echo
from tests.integration.tls_peers.openssl import (
    Files,
    needs_openssl,
    option_for,
    s_client,
    s_server,
)
from tests.integration.tls_peers.ours import LINES, Text, connect, start
from trio_tcp import CloseReason


@needs_openssl
@each_version
async def test_openssl_sees_our_servers_end(
    version: ssl.TLSVersion, files: Files, nursery: trio.Nursery, record: Record
) -> None:
    async def say(connection: Text) -> None:
        await connection.send("x" * 300_000)

    tls = server_context(version=version)
    server = await start(nursery, say, LINES, record, tls=tls)
    async with s_client(server.port, files, "-quiet") as client:
        output = await client.ends()
        assert client.process.returncode == 0
        assert "x" * 300_000 in output
        assert "rror" not in output
    (ended,) = await record.wait(trio_tcp.ConnectionEnded)
    assert ended.reason is CloseReason.CLOSED


@needs_openssl
@each_version
@pytest.mark.parametrize("allowed", [False, True], ids=["", "which is allowed"])
async def test_openssls_server_ends_without_close_notify(
    version: ssl.TLSVersion, allowed: bool, files: Files
) -> None:
    """What both have said arrives before."""
    tls = trio_tcp.Tls(client_context(), allow_ragged_eof=allowed)
    async with s_server(files, option_for(version)) as (server, port):
        async with connect(port, LINES, context=tls) as connection:
            await connection.send("hello from here")
            await server.prints("hello from here\n")
            await server.types("hello from there\n")
            assert await connection.receive() == "hello from there"
            await server.types("Q\n")
            if allowed:
                with pytest.raises(trio_tcp.PeerClosed):
                    await connection.receive()
            else:
                with pytest.raises(trio_tcp.CloseNotifyMissingError):
                    await connection.receive()


@needs_openssl
@each_version
async def test_an_openssl_that_is_killed_has_not_closed(
    version: ssl.TLSVersion, files: Files, nursery: trio.Nursery, record: Record
) -> None:
    """The kernel ends its stream; nobody says close_notify for it."""
    tls = server_context(version=version)
    server = await start(nursery, echo, LINES, record, tls=tls)
    async with s_client(server.port, files, "-quiet") as client:
        await client.types("hello\n")
        await client.prints("hello\n")
        client.process.kill()
        (ended,) = await record.wait(trio_tcp.ConnectionEnded)
    assert ended.reason is CloseReason.TRUNCATED
    assert isinstance(ended.error, trio_tcp.CloseNotifyMissingError)
