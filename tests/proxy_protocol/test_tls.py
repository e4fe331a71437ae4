"""A server behind proxies, with TLS: it begins behind the header."""

from __future__ import annotations

import ssl

import pytest
import trio
from trio.testing import MockClock

import trio_tcp
from tests.certificates import HOST, client_context, each_version, server_context
from tests.proxy_protocol.headers import CLIENT, one_by_one
from tests.proxy_protocol.proxies import (
    HEADERS,
    PROXY,
    behind_proxies,
    line,
    until_the_end,
)
from tests.tls.peer import Peer
from trio_tcp import Limits, Timeouts


def cut_before_tls(header: bytes, hello: bytes, cut: str) -> list[bytes]:
    return {
        "in one piece": [header + hello],
        "apart": [header, hello],
        "in the header": [header[:10], header[10:] + hello],
        "in the hello": [header + hello[:10], hello[10:]],
        "byte by byte": one_by_one(header + hello),
    }[cut]


@pytest.mark.parametrize(
    "cut",
    ["in one piece", "apart", "in the header", "in the hello", "byte by byte"],
)
@each_version
async def test_tls_begins_behind_the_header(version: ssl.TLSVersion, cut: str) -> None:
    header, said = HEADERS["version 2, TLVs"]
    async with behind_proxies(tls=server_context()) as behind:
        stream = await behind.pairs.connect()
        peer = Peer(stream, client_context(version=version), server_hostname=HOST)
        await behind.send(stream, *cut_before_tls(header, peer.hello(), cut))
        await peer.shake_hands()
        await peer.send(b"hello\n")
        assert await peer.receive_exactly(6) == b"hello\n"
        connection = await behind.connection()
        assert connection.peer == CLIENT
        assert connection.proxy_header == said
        assert connection.tls is not None
        assert connection.tls.version == version.name.replace("_", ".")
        await peer.end()
        assert await peer.receive_all() == b""


async def test_tls_without_a_header_is_refused_as_a_header() -> None:
    async with behind_proxies(tls=server_context()) as behind:
        stream = await behind.pairs.connect()
        hello = Peer(stream, client_context(), server_hostname=HOST).hello()
        await behind.send(stream, hello)
        assert await until_the_end(stream) == b""
        [failed] = await behind.record.wait(trio_tcp.HandshakeFailed)
        assert (failed.stage, failed.peer) == ("PROXY header", PROXY)
        assert isinstance(failed.error, trio_tcp.InvalidFrameError)


async def test_a_header_without_tls_is_the_failure_of_its_client() -> None:
    """Its slot is free again, and so is its place among those of its address."""
    limits = Limits(max_connections=1, max_per_address=1)
    async with behind_proxies(tls=server_context(), limits=limits) as behind:
        for _ in range(2):
            stream = await behind.connect(line() + b"no TLS at all\n")
            await until_the_end(stream)
        for failed in await behind.record.wait(trio_tcp.HandshakeFailed, 2):
            assert (failed.stage, failed.peer) == ("TLS", CLIENT)
            assert isinstance(failed.error, trio_tcp.TlsHandshakeError)
        assert behind.server.statistics().rejected == {}
        assert behind.server.statistics().accepted == 0


async def test_header_and_tls_have_a_timeout_each(autojump_clock: MockClock) -> None:
    timeouts = Timeouts(handshake=2)
    async with behind_proxies(tls=server_context(), timeouts=timeouts) as behind:
        stream = await behind.pairs.connect()
        await trio.sleep(4)
        await stream.send_all(line())
        assert await until_the_end(stream) == b""
        assert trio.current_time() == 6
        [failed] = await behind.record.wait(trio_tcp.HandshakeFailed)
        assert (failed.stage, failed.peer) == ("TLS", CLIENT)
        assert isinstance(failed.error, trio_tcp.PeerTooSlowError)
        assert (failed.error.timeout, failed.error.seconds) == ("handshake", 2)
