"""Clients that do not get in are told why, and count no more."""

from __future__ import annotations

import ssl

import pytest
import trio

import trio_tcp
from tests.certificates import (
    ADDRESS,
    HOST,
    client_context,
    each_version,
    server_context,
    strange_certificate,
)
from tests.integration.loopback import LOOPBACK, Record, echo
from tests.integration.tls_peers.ours import LINES, connect, start


async def test_a_client_is_told_what_it_could_not_agree_on(
    nursery: trio.Nursery, record: Record
) -> None:
    """Among the attempts of its `ConnectError`."""
    tls = server_context(version=ssl.TLSVersion.TLSv1_3)
    strange = server_context(certificate_from=strange_certificate(HOST))
    plain = await start(nursery, echo, LINES, Record())
    modern = await start(nursery, echo, LINES, record, tls=tls)
    unknown = await start(nursery, echo, LINES, record, tls=strange)
    for port, host, context, words in [
        (modern.port, "other.example", client_context(), "ostname mismatch"),
        (
            modern.port,
            HOST,
            client_context(version=ssl.TLSVersion.TLSv1_2),
            "alert 'protocol version'",
        ),
        (unknown.port, HOST, client_context(), "certificate was refused"),
    ]:
        with pytest.raises(trio_tcp.ConnectError) as caught:
            async with connect(port, LINES, host=host, context=context):
                pass
        (attempt,) = caught.value.attempts
        assert isinstance(attempt, trio_tcp.TlsHandshakeError)
        assert isinstance(attempt.__cause__, ssl.SSLError)
        assert words in str(attempt)
        assert words in str(caught.value)
        assert f"{LOOPBACK} port {port}" in str(caught.value)
        assert caught.value.errno is None
    events = await record.wait(trio_tcp.HandshakeFailed, 3)
    failures = [str(failed.error) for failed in events]
    assert "bad certificate" in failures[0]  # the alert for a wrong name
    assert "no TLS version or cipher is common" in failures[1]
    assert "unknown ca" in failures[2]
    with pytest.raises(trio_tcp.ConnectError) as caught:
        async with connect(
            plain.port, LINES, timeouts=trio_tcp.Timeouts(handshake=0.1)
        ):
            pass
    (attempt,) = caught.value.attempts
    assert isinstance(attempt, trio_tcp.PeerTooSlowError | trio_tcp.TlsHandshakeError)


async def test_a_handshake_that_fails_counts_for_its_address_no_more(
    nursery: trio.Nursery, record: Record
) -> None:
    limits = trio_tcp.Limits(max_per_address=1)
    server = await start(
        nursery, echo, LINES, record, tls=server_context(), limits=limits
    )
    for count in range(1, 4):
        async with await trio.open_tcp_stream(LOOPBACK, server.port) as stream:
            await stream.send_all(b"EHLO plain\r\n")
            await record.wait(trio_tcp.HandshakeFailed, count)
    async with connect(server.port, LINES) as connection:
        await connection.send("hello")
        assert await connection.receive() == "hello"
    assert not record.all(trio_tcp.ConnectionRejected)


async def test_the_name_to_expect_is_the_one_that_was_asked_for(
    nursery: trio.Nursery, record: Record
) -> None:
    """The host, or its address, which then must be in the certificate."""
    tls = server_context(HOST, ADDRESS)
    server = await start(nursery, echo, LINES, record, tls=tls)
    only_name = await start(nursery, echo, LINES, record, tls=server_context(HOST))
    for host, port in [
        ("localhost", server.port),
        ("127.0.0.1", server.port),
        ("localhost", only_name.port),
    ]:
        async with trio_tcp.connect_tcp(
            host, port, codec=LINES, tls=client_context()
        ) as connection:
            await connection.send("hello")
            assert await connection.receive() == "hello"
    with pytest.raises(trio_tcp.ConnectError, match="IP address mismatch"):
        async with trio_tcp.connect_tcp(
            LOOPBACK, only_name.port, codec=LINES, tls=client_context()
        ):
            pass


@each_version
async def test_a_client_without_a_certificate_is_told_so(
    version: ssl.TLSVersion, nursery: trio.Nursery, record: Record
) -> None:
    """In TLS 1.3 behind its handshake, by the first call that meets the alert."""
    tls = server_context(version=version, asks_clients=True)
    server = await start(nursery, echo, LINES, record, tls=tls)
    for _ in range(20):
        kinds = trio_tcp.ConnectError, trio_tcp.ConnectionBroken
        with pytest.raises(kinds) as caught:
            async with connect(server.port, LINES) as connection:
                await connection.receive()
        alert = "handshake failure" if version.name == "TLSv1_2" else "certificate req"
        assert f"alert '{alert}" in str(caught.value)
    failures = await record.wait(trio_tcp.HandshakeFailed, 20)
    for failed in failures:
        assert "the peer has sent no certificate" in str(failed.error)
