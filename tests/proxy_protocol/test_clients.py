"""A server behind proxies: who its clients are."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

import trio_tcp
from tests.integration.loopback import receive_all, receive_exactly
from tests.proxy_protocol.headers import CLIENT, one_by_one
from tests.proxy_protocol.proxies import HEADERS, NOBODY, PROXY, behind_proxies, line
from trio_tcp import CloseReason, ProxyHeader, UnixAddress


async def test_a_header_is_a_step_that_tells_the_proxy_from_its_client(
    autojump_clock: MockClock,
) -> None:
    async with behind_proxies() as behind:
        stream = await behind.pairs.connect()
        await trio.sleep(2)
        await behind.send(stream, line())
        (opened,) = await behind.record.wait(trio_tcp.ConnectionOpened)
        accepted, received, *_ = behind.record.all(trio_tcp.ConnectionEvent)
    assert isinstance(accepted, trio_tcp.ConnectionAccepted)
    assert accepted.peer == UnixAddress("")
    assert received == trio_tcp.ProxyHeaderReceived(
        id=accepted.id, label="", peer=CLIENT, proxy=UnixAddress(""), seconds=2
    )
    assert (opened.id, opened.peer) == (accepted.id, CLIENT)


@pytest.mark.parametrize("cut", ["in one piece", "apart", "byte by byte"])
@pytest.mark.parametrize(("header", "said"), HEADERS.values(), ids=HEADERS.keys())
async def test_the_peer_is_the_client_that_the_header_names(
    header: bytes, said: ProxyHeader, cut: str
) -> None:
    text = b"one\ntwo\n"
    chunks = {
        "in one piece": [header + text],
        "apart": [header, text],
        "byte by byte": one_by_one(header + text),
    }[cut]
    async with behind_proxies() as behind:
        stream = await behind.connect(*chunks)
        assert await receive_exactly(stream, len(text)) == text
        connection = await behind.connection()
        assert connection.peer == said.source
        assert connection.proxy_header == said
        await stream.send_eof()
        assert await receive_all(stream) == b""
        [opened] = behind.record.all(trio_tcp.ConnectionOpened)
        [ended] = await behind.record.wait(trio_tcp.ConnectionEnded)
        assert opened.peer == ended.peer == said.source
        assert ended.reason is CloseReason.PEER_CLOSED
        assert ended.statistics.messages_received == 2


@pytest.mark.parametrize("header", NOBODY.values(), ids=NOBODY.keys())
async def test_where_the_header_names_nobody_the_peer_is_the_proxy(
    header: bytes,
) -> None:
    async with behind_proxies() as behind:
        stream = await behind.connect(header + b"hello\n")
        assert await receive_exactly(stream, 6) == b"hello\n"
        connection = await behind.connection()
        assert connection.peer == PROXY
        assert connection.proxy_header == ProxyHeader()
        [opened] = behind.record.all(trio_tcp.ConnectionOpened)
        assert opened.peer == PROXY


async def test_a_second_header_is_a_message_and_changes_nothing() -> None:
    """A client can write it; the proxy's own stands before it."""
    async with behind_proxies() as behind:
        spoofed = line("10.1.2.3")
        stream = await behind.connect(line() + spoofed)
        assert await receive_exactly(stream, len(spoofed) - 1) == (
            spoofed.replace(b"\r\n", b"\n")
        )
        connection = await behind.connection()
        assert connection.peer == CLIENT


@pytest.mark.parametrize("in_memory", [False, True])
async def test_without_proxies_a_header_is_the_codecs_bytes(in_memory: bool) -> None:
    """Nobody is believed where nobody asked for it."""
    async with behind_proxies(proxy_protocol=None) as behind:
        listener = behind.memory if in_memory else behind.pairs
        stream = await listener.connect()
        await stream.send_all(line())
        text = line().replace(b"\r\n", b"\n")
        assert await receive_exactly(stream, len(text)) == text
        connection = await behind.connection()
        assert connection.peer == (None if in_memory else PROXY)
        assert connection.proxy_header is None
