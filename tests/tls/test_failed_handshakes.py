"""A server and handshakes that fail: each says why, and concerns nobody else."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import suppress

import pytest
import trio

import trio_tcp
from tests.certificates import HOST, client_context, server_context
from tests.integration.loopback import echo
from tests.tls.handshakes import (
    Misbehave,
    expect_end,
    hello,
    sends,
    sends_and_closes,
    sends_and_resets,
)
from tests.tls.peer import Peer, serving
from trio_tcp import codecs, testing


def shakes_hands(context: Callable[[], ssl.SSLContext]) -> Misbehave:
    async def misbehave(stream: testing.MemoryStream) -> None:
        peer = Peer(stream, context(), server_hostname=HOST)
        with pytest.raises((ssl.SSLError, trio.BrokenResourceError)):
            await peer.shake_hands()
        with suppress(trio.BrokenResourceError):
            await stream.send_all(peer.alert())
        await expect_end(stream)

    return misbehave


def old_version() -> ssl.SSLContext:
    return client_context(version=ssl.TLSVersion.TLSv1_2)


def trusts_nobody() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


MISBEHAVIOUR = {
    "plain text": (sends(b"GET / HTTP/1.1\r\n\r\n"), "does not speak TLS"),
    "zeros": (sends(bytes(1000)), "does not speak TLS"),
    "half a line, and gone": (sends_and_closes(b"hel"), "does not speak TLS"),
    "garbage like TLS": (
        sends(b"\x16\x03\x01\x00\x20" + b"?" * 32),
        "TLS handshake failed",
    ),
    "a record too large": (
        sends(b"\x16\x03\x01\xff\xff" + b"?" * 70_000),
        "TLS handshake failed",
    ),
    "data before hello": (sends(b"\x17\x03\x03\x00\x02hi"), "does not speak TLS"),
    "an alert": (sends(b"\x15\x03\x01\x00\x02\x02\x28"), "TLS handshake failed"),
    "nothing": (sends_and_closes(b""), "closed in the middle"),
    "half a hello": (sends_and_closes(hello()[:50]), "closed in the middle"),
    "one byte of a hello": (sends_and_closes(hello()[:1]), "closed in the middle"),
    "a reset": (sends_and_resets(b""), "broke during the TLS handshake"),
    "a reset in the middle": (
        sends_and_resets(hello()),
        "broke during the TLS handshake",
    ),
    "the wrong version": (
        shakes_hands(old_version),
        "no TLS version or cipher is common",
    ),
    "no trust": (shakes_hands(trusts_nobody), "alert 'unknown ca'"),
}


@pytest.mark.parametrize(
    ("misbehave", "explanation"), MISBEHAVIOUR.values(), ids=MISBEHAVIOUR.keys()
)
async def test_a_handshake_that_fails_concerns_nobody_else(
    misbehave: Misbehave, explanation: str
) -> None:
    """It is reported, with its reason; its slot is free; the others are served."""
    context = server_context(version=ssl.TLSVersion.TLSv1_3)
    async with serving(
        echo,
        codecs.Lines(),
        tls=context,
        limits=trio_tcp.Limits(max_connections=2),
    ) as served:
        async with served.connect() as other:
            for count in (1, 2):
                await misbehave(await served.listener.connect())
                failed = await served.record.wait(trio_tcp.HandshakeFailed, count)
                assert explanation in str(failed[-1].error)
                assert isinstance(failed[-1].error, trio_tcp.TlsHandshakeError)
                assert failed[-1].stage == "TLS"
                assert failed[-1].peer is None
            await served.works()
            await other.send("hello")
            assert await other.receive() == "hello"
            statistics = served.server.statistics()
            assert statistics.accepted == 2
            assert statistics.handshaking == 0
            assert statistics.open == 1
    assert not served.record.all(trio_tcp.HandlerFailed)
    assert len(served.record.all(trio_tcp.HandshakeFailed)) == 2


async def test_a_server_without_a_certificate_says_what_is_missing() -> None:
    """To whoever runs it, not to its clients."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    async with serving(echo, codecs.Lines(), tls=context) as served:
        with pytest.raises(trio_tcp.TlsHandshakeError):
            async with served.connect():
                pass
        (failed,) = await served.record.wait(trio_tcp.HandshakeFailed)
        assert "a server whose context has no certificate" in str(failed.error)
