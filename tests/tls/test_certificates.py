"""Who is there: certificates of a server's names and of clients, and new ones."""

from __future__ import annotations

import ssl

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

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
from tests.tls.peer import Peer, Text, serving
from trio_tcp import codecs


async def test_a_server_may_have_a_certificate_for_each_of_its_names() -> None:
    contexts = {name: server_context(name) for name in ("one.example", "two.example")}
    asked: list[str | None] = []

    def choose(
        tls: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext
    ) -> int | None:
        asked.append(name)
        if name is not None and name not in contexts:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        tls.context = contexts[name or "one.example"]
        return None

    context = server_context("one.example")
    context.sni_callback = choose
    async with serving(echo, codecs.Lines(), tls=context) as served:
        for name in contexts:
            async with served.connect(host=name) as client:
                await client.send(name)
                assert await client.receive() == name
                assert client.tls is not None
                assert client.tls.peer_certificate_der == der(certificate(name))
        with pytest.raises(trio_tcp.TlsHandshakeError):
            async with served.connect(host="three.example"):
                pass
        (failed,) = await served.record.wait(trio_tcp.HandshakeFailed)
        assert failed.stage == "TLS"
        assert isinstance(failed.error, trio_tcp.TlsHandshakeError)
    assert asked == ["one.example", "two.example", "three.example"]


@each_version
async def test_a_client_can_show_who_it_is(version: ssl.TLSVersion) -> None:
    infos: list[trio_tcp.TlsInfo | None] = []

    async def look(connection: Text) -> None:
        infos.append(connection.tls)
        await connection.send("welcome")

    identity = certificate("device-7.example")
    context = server_context(version=version, asks_clients=True)
    async with serving(look, codecs.Lines(), tls=context) as served:
        async with served.connect(client_context(identity=identity)) as client:
            assert await client.receive() == "welcome"
    (info,) = infos
    assert info is not None
    assert info.peer_certificate is not None
    assert info.peer_certificate["subjectAltName"] == (("DNS", "device-7.example"),)
    assert info.peer_certificate_der == der(identity)


@each_version
@pytest.mark.parametrize(
    ("name", "reason"),
    [("", "the peer has sent no certificate"), ("device-7", "certificate was refused")],
    ids=["without a certificate", "with a strange one"],
)
async def test_a_client_that_does_not_show_who_it_is_stays_outside(
    version: ssl.TLSVersion, name: str, reason: str
) -> None:
    """In TLS 1.3 it does not know until it reads: its handshake was over before."""
    identity = strange_certificate(name) if name else None
    context = server_context(version=version, asks_clients=True)
    async with serving(echo, codecs.Lines(), tls=context) as served:
        with pytest.raises(trio.BrokenResourceError) as caught:
            async with served.connect(client_context(identity=identity)) as client:
                await client.receive()
        assert isinstance(caught.value, trio_tcp.ConnectionFault)
        (failed,) = await served.record.wait(trio_tcp.HandshakeFailed)
        assert isinstance(failed.error, trio_tcp.TlsHandshakeError)
        assert reason in str(failed.error)
        assert isinstance(failed.error.__cause__, ssl.SSLError)
        assert served.server.statistics().accepted == 0
        assert not served.record.all(trio_tcp.ConnectionOpened)
        identity = certificate("device-7.example")
        async with served.connect(client_context(identity=identity)) as client:
            await client.send("hello")
            assert await client.receive() == "hello"


async def test_new_certificates_are_for_those_who_come_from_now_on() -> None:
    async with serving(echo, codecs.Lines()) as served:
        first, second = served.server.tls, server_context(HOST)
        assert isinstance(first, ssl.SSLContext)
        async with served.connect() as before:
            # One is in the middle of its handshake.
            stream = await served.listener.connect()
            between = Peer(stream, client_context(), server_hostname=HOST)
            await stream.send_all(between.hello())
            await wait_all_tasks_blocked()
            served.server.tls = second
            assert served.server.tls is second
            await between.shake_hands()
            async with served.connect() as after:
                for client in (before, after):
                    await client.send("hello")
                    assert await client.receive() == "hello"
                assert before.tls is not None
                assert after.tls is not None
                old = der(certificate(HOST, "127.0.0.1"))
                assert before.tls.peer_certificate_der == old
                assert between.tls.getpeercert(binary_form=True) == old
                assert after.tls.peer_certificate_der == der(certificate(HOST))
        await between.send(b"old\n")
        assert await between.receive_exactly(4) == b"old\n"
