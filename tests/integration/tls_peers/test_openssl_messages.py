"""openssl and we exchange messages of all sizes, and nothing that is not encrypted."""

from __future__ import annotations

import ssl

import pytest
import trio

import trio_tcp
from tests.certificates import each_version, server_context
from tests.integration.loopback import Record, echo
from tests.integration.tls_peers.openssl import (
    COMMANDS,
    Files,
    needs_openssl,
    option_for,
    s_client,
    s_server,
)
from tests.integration.tls_peers.ours import (
    LINES,
    SIZES,
    Text,
    connect,
    name_of,
    start,
    tls_of,
)
from trio_tcp import CloseReason, codecs


@needs_openssl
@each_version
async def test_openssl_talks_to_our_server(
    version: ssl.TLSVersion, files: Files, nursery: trio.Nursery, record: Record
) -> None:
    """Lines of all sizes, and the end from its side."""
    tls = server_context(version=version)
    server = await start(nursery, echo, LINES, record, tls=tls)
    async with s_client(server.port, files, *COMMANDS) as client:
        for size in SIZES:
            line = "x" * size + "\n"
            async with trio.open_nursery() as typing:
                typing.start_soon(client.types, line)
                await client.prints(line)
        await client.types_end()
        await client.ends()
        assert client.process.returncode == 0
    (ended,) = await record.wait(trio_tcp.ConnectionEnded)
    assert ended.reason is CloseReason.PEER_CLOSED
    assert ended.statistics.messages_received == len(SIZES)


@needs_openssl
@each_version
async def test_our_client_talks_to_openssl(
    version: ssl.TLSVersion, files: Files
) -> None:
    """It sends each line back from its end to its beginning."""
    async with s_server(files, "-rev", option_for(version)) as (server, port):
        async with connect(port, LINES) as connection:
            assert tls_of(connection).version == name_of(version)
            for size in (1, 1000, 10_000):
                await connection.send("a" + "b" * size)
                assert await connection.receive() == "b" * size + "a"
        await server.ends()


@needs_openssl
@each_version
async def test_openssl_can_start_tls_by_smtp(
    version: ssl.TLSVersion, files: Files, nursery: trio.Nursery, record: Record
) -> None:
    """As a mail server does it (RFC 3207)."""

    async def receive_mail(connection: Text) -> None:
        await connection.send("220 mail.example ESMTP")
        async for line in connection:
            match line.split()[0].upper():
                case "EHLO" if connection.tls is None:
                    await connection.send_many(["250-mail.example", "250 STARTTLS"])
                case "EHLO":
                    await connection.send("250 mail.example, over TLS")
                case "STARTTLS":
                    await connection.send("220 go ahead")
                    await connection.start_tls(server_context(version=version))
                case "QUIT":
                    await connection.send("221 goodbye")
                    return
                case _:
                    await connection.send("500 what?")

    codec = codecs.Lines(newline="\r\n")
    server = await start(nursery, receive_mail, codec, record)
    async with s_client(server.port, files, "-starttls", "smtp", "-quiet") as client:
        await client.prints("250 STARTTLS\r\n")
        await client.types("EHLO me.example\r\n")
        await client.prints("250 mail.example, over TLS\r\n")
        await client.types("quit\r\n")
        assert "221 goodbye\r\n" in await client.ends()
    (ended,) = await record.wait(trio_tcp.ConnectionEnded)
    assert ended.reason is CloseReason.CLOSED


@needs_openssl
async def test_openssl_may_ask_for_small_records(
    files: Files, nursery: trio.Nursery, record: Record
) -> None:
    """Of 512 bytes each (RFC 6066, 4), which a message fills many of."""
    server = await start(nursery, echo, LINES, record, tls=server_context())
    small = ("-maxfraglen", 512)
    async with s_client(server.port, files, "-quiet", *small) as client:
        line = "x" * 200_000 + "\n"
        async with trio.open_nursery() as typing:
            typing.start_soon(client.types, line)
            await client.prints(line)


@needs_openssl
async def test_plain_text_from_openssl_is_no_message(files: Files) -> None:
    """It can be told to send some past its own encryption."""
    async with s_server(files) as (server, port):
        async with connect(port, LINES) as connection:
            await server.types("hello\n")
            assert await connection.receive() == "hello"
            await server.types("P\n")
            with pytest.raises(trio_tcp.ConnectionBroken, match="no valid TLS"):
                await connection.receive()
