"""openssl and we agree on who is who, on a protocol, and on a session known before."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trio

import trio_tcp
from tests.certificates import (
    ADDRESS,
    HOST,
    certificate,
    client_context,
    der,
    each_version,
    server_context,
    write_files,
)
from tests.integration.loopback import LOOPBACK, Record, echo
from tests.integration.tls_peers.openssl import (
    Files,
    needs_openssl,
    openssl,
    option_for,
    s_client,
    s_server,
)
from tests.integration.tls_peers.ours import (
    LINES,
    Text,
    connect,
    name_of,
    start,
    tls_of,
)
from trio_tcp import CloseReason


@needs_openssl
@each_version
async def test_openssl_shows_our_server_who_it_is(
    version: ssl.TLSVersion,
    files: Files,
    tmp_path: Path,
    nursery: trio.Nursery,
    record: Record,
) -> None:
    """With a certificate it is in; without one both sides say why it is not."""

    async def greet(connection: Text) -> None:
        identity = tls_of(connection).peer_certificate
        assert identity is not None
        ((_, name),) = identity["subjectAltName"]
        await connection.send(f"hello, {name}")

    tls = server_context(version=version, asks_clients=True)
    server = await start(nursery, greet, LINES, record, tls=tls)
    folder = tmp_path / "identity"
    folder.mkdir()
    chain, key, _ = write_files(certificate("device-7.example"), folder)
    shown = ("-cert", chain, "-key", key)
    async with s_client(server.port, files, "-quiet", *shown) as client:
        assert "hello, device-7.example\n" in await client.ends()
    async with s_client(server.port, files, "-quiet") as client:
        alert = "handshake failure" if version.name == "TLSv1_2" else "certificate req"
        assert f"alert {alert}" in await client.ends()
    (failed,) = await record.wait(trio_tcp.HandshakeFailed)
    assert "the peer has sent no certificate" in str(failed.error)
    assert isinstance(failed.peer, trio_tcp.TcpAddress)


@needs_openssl
@each_version
async def test_our_client_shows_openssl_who_it_is(
    version: ssl.TLSVersion, files: Files
) -> None:
    ask = ("-Verify", 1, "-CAfile", files[2], "-verify_return_error")
    async with s_server(files, "-rev", option_for(version), *ask) as (server, port):
        context = client_context(identity=certificate("device-7.example"))
        async with connect(port, LINES, context=context) as connection:
            await connection.send("hello")
            assert await connection.receive() == "olleh"
        assert "verify return:1" in await server.ends()
    async with s_server(files, "-rev", option_for(version), *ask) as (_, port):
        # In TLS 1.3 this side is told only behind its handshake.
        with pytest.raises(
            (trio_tcp.ConnectError, trio_tcp.ConnectionBroken)
        ) as caught:
            async with connect(port, LINES) as connection:
                await connection.receive()
        alert = "handshake failure" if version.name == "TLSv1_2" else "certificate req"
        assert f"alert '{alert}" in str(caught.value)


@needs_openssl
async def test_openssl_and_we_agree_on_a_protocol(
    files: Files, nursery: trio.Nursery, record: Record
) -> None:
    async def tell(connection: Text) -> None:
        await connection.send(f"we speak {tls_of(connection).alpn}")

    tls = server_context()
    tls.set_alpn_protocols(["chat/2", "chat/1"])
    server = await start(nursery, tell, LINES, record, tls=tls)
    async with s_client(server.port, files, "-alpn", "chat/1,chat/2") as client:
        await client.prints("ALPN protocol: chat/2\n")
        await client.prints("we speak chat/2\n")
    async with s_server(files, "-rev", "-alpn", "chat/1") as (_, port):
        context = client_context()
        context.set_alpn_protocols(["chat/2", "chat/1"])
        async with connect(port, LINES, context=context) as connection:
            assert tls_of(connection).alpn == "chat/1"


@needs_openssl
async def test_openssl_and_we_choose_a_certificate_by_name(
    files: Files, tmp_path: Path, nursery: trio.Nursery, record: Record
) -> None:
    def choose(tls: ssl.SSLObject | ssl.SSLSocket, name: str, _: object) -> None:
        tls.context = server_context(name)

    tls = server_context("none.example")
    tls.sni_callback = choose
    server = await start(nursery, echo, LINES, record, tls=tls)
    where = ("-connect", f"{LOOPBACK}:{server.port}", "-CAfile", files[2])
    for name in ("one.example", "two.example"):
        expect = ("-servername", name, "-verify_hostname", name, "-verify_return_error")
        async with openssl("s_client", *where, *expect, "-quiet") as client:
            await client.types(f"{name}\n")
            await client.prints(f"{name}\n")
    folder = tmp_path / "second"
    folder.mkdir()
    chain, key, _ = write_files(certificate("two.example"), folder)
    second = ("-servername", "two.example", "-cert2", chain, "-key2", key)
    for host, expected in [
        ("two.example", certificate("two.example")),
        (HOST, certificate(HOST, ADDRESS)),
    ]:
        async with s_server(files, "-rev", *second) as (_, port):
            async with connect(port, LINES, host=host) as connection:
                assert tls_of(connection).peer_certificate_der == der(expected)


@needs_openssl
@each_version
@pytest.mark.parametrize("asks", [False, True], ids=["", "with a certificate"])
async def test_openssl_resumes_a_session(
    version: ssl.TLSVersion,
    asks: bool,
    files: Files,
    nursery: trio.Nursery,
    record: Record,
) -> None:
    """With a ticket of ours; and who it is, is known again."""

    async def tell(connection: Text) -> None:
        known = tls_of(connection).peer_certificate is not None
        async for line in connection:
            await connection.send(f"{line}: {known}")

    tls = server_context(version=version, asks_clients=asks)
    server = await start(nursery, tell, LINES, record, tls=tls)
    session = files[0].with_name("session")
    identity = ("-cert", files[0], "-key", files[1])
    for options, seen in [("-sess_out", "New, "), ("-sess_in", "Reused, ")]:
        async with s_client(server.port, files, options, session, *identity) as client:
            await client.prints(seen + name_of(version))
            await client.types("hello\n")
            await client.prints(f"hello: {asks}\n")
            await client.types("Q\n")
            await client.ends()
    ends = await record.wait(trio_tcp.ConnectionEnded, 2)
    assert {ended.reason for ended in ends} == {CloseReason.PEER_CLOSED}
