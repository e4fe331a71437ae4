"""What TLS has agreed on, which both sides can tell, after the end too."""

from __future__ import annotations

import ssl

import pytest

import trio_tcp
from tests.certificates import (
    HOST,
    certificate,
    client_context,
    der,
    each_version,
    server_context,
    strange_certificate,
)
from tests.integration.loopback import echo
from tests.tls.peer import Text, serving
from trio_tcp import codecs, testing


@each_version
async def test_both_sides_can_tell_what_tls_has_agreed_on(
    version: ssl.TLSVersion,
) -> None:
    infos: list[trio_tcp.TlsInfo | None] = []

    async def look(connection: Text) -> None:
        infos.append(connection.tls)

    context = server_context(version=version)
    async with serving(look, codecs.Lines(), tls=context) as served:
        async with served.connect() as client:
            here = client.tls
            with pytest.raises(trio_tcp.PeerClosed):
                await client.receive()
    (there,) = infos
    assert here is not None
    assert there is not None
    for info in (here, there):
        assert info.version == version.name.replace("_", ".")
        assert info.cipher == there.cipher
        assert info.alpn is None
    assert "AES" in here.cipher or "CHACHA" in here.cipher
    assert here.peer_certificate is not None
    assert ("DNS", HOST) in here.peer_certificate["subjectAltName"]
    assert here.peer_certificate_der == der(certificate(HOST, "127.0.0.1"))
    assert there.peer_certificate is None
    assert there.peer_certificate_der is None


async def test_what_tls_has_agreed_on_can_be_told_after_the_end() -> None:
    """However it has ended: who wants to know most is who writes it into a log."""

    async def listen(connection: Text) -> None:
        with pytest.raises(trio_tcp.ConnectionBroken):
            await connection.receive()
        infos.append(connection.tls)
        raise ValueError("a failure")

    infos: list[trio_tcp.TlsInfo | None] = []
    context = server_context(asks_clients=True)
    identity = certificate("device-7.example")
    async with serving(listen, codecs.Lines(), tls=context) as served:
        async with served.connect(client_context(identity=identity)) as client:
            before = client.tls
        assert before is not None
        assert client.tls == before
        peer = await served.connect_peer(client_context(identity=identity))
        await served.record.wait(trio_tcp.ConnectionOpened, 2)
        connection = served.server.connections[-1]
        before = connection.tls
        assert before is not None
        assert before.peer_certificate is not None
        await peer.stream.send_all(b"this is no TLS at all")
        await served.record.wait(trio_tcp.ConnectionEnded, 2)
        assert infos[-1] == before
        assert connection.tls == before


async def test_a_certificate_that_is_not_verified_is_not_decoded() -> None:
    """Nothing in it is to be believed; but it can be pinned, by its bytes."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    strange = server_context(certificate_from=strange_certificate(HOST))
    async with serving(echo, codecs.Lines(), tls=strange) as served:
        async with served.connect(context) as client:
            assert client.tls is not None
            assert client.tls.peer_certificate is None
            assert client.tls.peer_certificate_der == der(strange_certificate(HOST))


async def test_without_tls_there_is_none_to_tell_of() -> None:
    async with testing.connection_pair(codecs.Lines()) as (here, there):
        assert here.tls is None
        assert there.tls is None


@each_version
async def test_alpn_chooses_what_both_speak(version: ssl.TLSVersion) -> None:
    infos: list[trio_tcp.TlsInfo | None] = []

    async def look(connection: Text) -> None:
        infos.append(connection.tls)

    context = server_context(version=version)
    context.set_alpn_protocols(["chat/2", "chat/1"])
    async with serving(look, codecs.Lines(), tls=context) as served:
        for offered, chosen in [
            (["chat/1", "chat/2"], "chat/2"),
            (["chat/1", "h2"], "chat/1"),
            (["h2"], None),
            ([], None),
        ]:
            context = client_context()
            context.set_alpn_protocols(offered)
            async with served.connect(context) as client:
                assert client.tls is not None
                assert client.tls.alpn == chosen
                with pytest.raises(trio_tcp.PeerClosed):
                    await client.receive()
            there = infos[-1]
            assert there is not None
            assert there.alpn == chosen
