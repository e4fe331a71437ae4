"""A server behind proxies: its limits are about the clients."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

import trio_tcp
from tests.certificates import HOST, client_context, server_context
from tests.integration.loopback import receive_all, receive_exactly
from tests.proxy_protocol.headers import CLIENT
from tests.proxy_protocol.proxies import NOBODY, behind_proxies, line, until_the_end
from tests.tls.peer import Peer
from trio_tcp import Limits, TcpAddress


async def test_who_waits_for_a_header_is_counted(autojump_clock: MockClock) -> None:
    """As one that has no connection yet, but has a slot."""
    async with behind_proxies(limits=Limits(max_connections=1)) as behind:
        stream = await behind.connect(line()[:10])
        statistics = behind.server.statistics()
        assert (statistics.handshaking, statistics.open) == (1, 0)
        waiting = await behind.connect(line("192.0.2.2") + b"hello\n")
        # It is not read before there is room: with the end of the first one's header.
        assert await receive_exactly(waiting, 6) == b"hello\n"
        assert trio.current_time() == 5
        assert await until_the_end(stream) == b""
        statistics = behind.server.statistics()
        assert (statistics.handshaking, statistics.open) == (0, 1)


async def test_a_limit_per_address_is_about_the_clients_address() -> None:
    async with behind_proxies(limits=Limits(max_per_address=2)) as behind:
        streams = [
            await behind.connect(line("192.0.2.1", port) + b"hello\n")
            for port in (1, 2, 3)
        ]
        for stream in streams[:2]:
            assert await receive_exactly(stream, 6) == b"hello\n"
        assert await until_the_end(streams[2]) == b""
        assert await behind.record.wait(trio_tcp.ConnectionRejected) == [
            trio_tcp.ConnectionRejected(
                id=3,
                label="",
                peer=TcpAddress("192.0.2.1", 3),
                limit="max_per_address",
            )
        ]
        # The proxy has more connections than that.
        await behind.serves("192.0.2.2")
        await streams[0].send_eof()
        assert await receive_all(streams[0]) == b""
        await behind.serves("192.0.2.1")
        assert behind.server.statistics().rejected == {"max_per_address": 1}


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
    ],
)
async def test_an_address_counts_as_it_would_without_a_proxy(
    first: str, second: str, same: bool
) -> None:
    async with behind_proxies(limits=Limits(max_per_address=1)) as behind:
        await behind.connect(line(first))
        stream = await behind.connect(line(second) + b"hello\n")
        await stream.send_eof()
        assert await until_the_end(stream) == (b"" if same else b"hello\n")


@pytest.mark.parametrize("header", NOBODY.values(), ids=NOBODY.keys())
async def test_a_proxy_that_speaks_for_itself_is_not_its_clients(
    header: bytes,
) -> None:
    """The addresses behind UNKNOWN and LOCAL count for nothing."""
    async with behind_proxies(limits=Limits(max_per_address=1)) as behind:
        for _ in range(2):
            await behind.connect(header)
        await behind.serves("ffff::1")
        await behind.serves(CLIENT.host)
        assert behind.server.statistics().rejected == {}
        assert behind.server.statistics().open == 2


@pytest.mark.parametrize("with_tls", [False, True])
async def test_a_farewell_is_said_behind_the_header(
    with_tls: bool, autojump_clock: MockClock
) -> None:
    limits = Limits(max_connections=1, when_full="reject", farewell=b"full\n")
    tls = server_context() if with_tls else None
    async with behind_proxies(limits=limits, tls=tls) as behind:
        first = await behind.connect(line()[:10])
        stream = await behind.connect(line("192.0.2.2"))
        if with_tls:
            peer = Peer(stream, client_context(), server_hostname=HOST)
            await peer.shake_hands()
            assert await peer.receive_all() == b"full\n"
            await peer.end()
        else:
            assert await receive_all(stream) == b"full\n"
            await stream.send_eof()
        [rejected] = await behind.record.wait(trio_tcp.ConnectionRejected)
        assert rejected.limit == "max_connections"
        assert rejected.peer == TcpAddress("192.0.2.2", CLIENT.port)
        assert trio.current_time() == 0
        await first.aclose()


async def test_a_farewell_is_for_those_who_come_through_proxies_alone(
    autojump_clock: MockClock,
) -> None:
    limits = Limits(max_connections=1, when_full="reject", farewell=b"full\n")
    async with behind_proxies(limits=limits) as behind:
        await behind.connect(line())
        stranger = await behind.memory.connect()
        with pytest.raises(trio.BrokenResourceError):
            await stranger.receive_some()
        damaged = await behind.connect(b"GET / HTTP/1.1\r\n\r\n")
        assert await until_the_end(damaged) == b""
        assert trio.current_time() == 0
        silent = await behind.connect()
        assert await until_the_end(silent) == b""
        assert trio.current_time() == 2
        await behind.record.wait(trio_tcp.ConnectionRejected, 3)
        assert behind.server.statistics().rejected == {"max_connections": 3}
