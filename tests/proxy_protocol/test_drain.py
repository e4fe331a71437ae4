"""A server behind proxies that ends: who has sent no header is closed at once."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock

import trio_tcp
from tests.integration.loopback import receive_all, receive_exactly
from tests.proxy_protocol.proxies import (
    Behind,
    Text,
    behind_proxies,
    echo,
    line,
    until_the_end,
)


async def test_a_drain_closes_those_who_have_sent_no_header(
    autojump_clock: MockClock,
) -> None:
    async with behind_proxies() as behind:
        silent = await behind.connect()
        slow = await behind.connect(line()[:10])
        client = await behind.connect(line() + b"hello\n")
        assert await receive_exactly(client, 6) == b"hello\n"
        await client.send_eof()
        assert await receive_all(client) == b""
        report = await behind.server.drain()
        assert report.handshakes == 2
        assert await until_the_end(silent) == b""
        assert await until_the_end(slow) == b""
        await behind.ended.wait()
        assert trio.current_time() == 0
        assert not behind.record.all(trio_tcp.HandshakeFailed)
        assert not behind.record.all(trio_tcp.ConnectionRejected)
        assert behind.server.statistics().handshaking == 0


async def busy_echo(connection: Text) -> None:
    with connection.busy():
        await echo(connection)


async def let_pass(passes: int) -> None:
    """Wait for a few passes of the scheduler."""
    for _ in range(passes):
        await trio.lowlevel.checkpoint()


PASSES = 8
"""Of the scheduler: in some of them a drain and a client can overtake each other."""

DRAIN_AFTER = 2
"""Passes."""

REPETITIONS = 30
"""In one pass, tasks run in random order."""


@pytest.mark.parametrize("header_after", range(PASSES))
async def test_no_client_slips_through_a_drain_behind_its_header(
    header_after: int, autojump_clock: MockClock
) -> None:
    """A header that comes just then makes a connection that is drained, or none."""

    async def finish(stream: trio.SocketStream) -> None:
        await let_pass(header_after)
        with suppress(trio.BrokenResourceError):
            await stream.send_all(b"\n")
        await until_the_end(stream)
        await stream.aclose()

    for _ in range(REPETITIONS):
        async with behind_proxies(busy_echo) as behind:
            stream = await behind.connect(line()[:-1])
            async with trio.open_nursery() as nursery:
                nursery.start_soon(finish, stream)
                await let_pass(DRAIN_AFTER)
                await behind.server.drain(grace=1)
                assert behind.server.connections == ()
            await behind.ended.wait()


@pytest.mark.parametrize("client_after", range(PASSES))
async def test_no_client_slips_through_a_drain_while_it_is_accepted(
    client_after: int, autojump_clock: MockClock
) -> None:
    """It is closed at once, like all the others that have sent no header."""

    async def connect(behind: Behind) -> None:
        await let_pass(client_after)
        with suppress(ConnectionRefusedError):
            await behind.pairs.connect()

    for _ in range(REPETITIONS):
        async with behind_proxies() as behind:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(connect, behind)
                await let_pass(DRAIN_AFTER)
                await behind.server.drain()
            await behind.ended.wait()
            assert trio.current_time() == 0


async def test_a_server_that_is_cancelled_waits_for_no_header(
    autojump_clock: MockClock,
) -> None:
    async with behind_proxies() as behind:
        await behind.connect(line()[:10])
    assert trio.current_time() == 0
    assert behind.server.statistics().handshaking == 0
    assert not behind.record.all(trio_tcp.HandshakeFailed)
    assert not behind.record.all(trio_tcp.ConnectionRejected)
