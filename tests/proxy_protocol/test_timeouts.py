"""A server behind proxies: how long a header is waited for, and what is behind it."""

from __future__ import annotations

import math

import attrs
import pytest
import trio
from trio.testing import MockClock

import trio_tcp
from tests.integration.loopback import receive_exactly
from tests.proxy_protocol.headers import CLIENT, SIGNATURE, one_by_one
from tests.proxy_protocol.proxies import (
    PROXY,
    TRUST,
    behind_proxies,
    line,
    until_the_end,
)
from trio_tcp import Limits, Timeouts


async def test_a_header_that_is_late_is_a_timeout(autojump_clock: MockClock) -> None:
    async with behind_proxies() as behind:
        await behind.pairs.connect()
        (failed,) = await behind.record.wait(trio_tcp.HandshakeFailed)
        (late,) = behind.record.all(trio_tcp.TimedOut)
    assert (late.id, late.timeout, late.seconds) == (failed.id, "proxy_protocol", 5)
    assert failed.seconds == 5


@pytest.mark.parametrize("sent", [b"", b"PROXY TCP4 192.0.2.1 ", SIGNATURE])
@pytest.mark.parametrize("seconds", [3.0, 5.0])
async def test_a_header_that_does_not_come_is_given_up_in_its_own_time(
    sent: bytes, seconds: float, autojump_clock: MockClock
) -> None:
    """Those of the connection are longer, or shorter, and do not count yet."""
    trust = attrs.evolve(TRUST, timeout=seconds)
    timeouts = Timeouts(handshake=100, first_message=1, idle=1, message=1, lifetime=1)
    limits = Limits(max_connections=1)
    async with behind_proxies(
        proxy_protocol=trust, timeouts=timeouts, limits=limits
    ) as behind:
        stream = await behind.connect(*[sent] if sent else [])
        assert await until_the_end(stream) == b""
        assert trio.current_time() == seconds
        [failed] = await behind.record.wait(trio_tcp.HandshakeFailed)
        assert (failed.peer, failed.stage) == (PROXY, "PROXY header")
        assert isinstance(failed.error, trio_tcp.PeerTooSlowError)
        assert failed.error.timeout == "proxy_protocol"
        assert failed.error.seconds == seconds
        await behind.serves()


async def test_a_header_that_trickles_is_given_up_as_well(
    autojump_clock: MockClock,
) -> None:
    async with behind_proxies() as behind:
        stream = await behind.pairs.connect()

        async def trickle() -> None:
            for byte in one_by_one(line()):
                await stream.send_all(byte)
                await trio.sleep(0.3)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(trickle)
            assert await until_the_end(stream) == b""
            nursery.cancel_scope.cancel()
        assert trio.current_time() == 5
        [failed] = await behind.record.wait(trio_tcp.HandshakeFailed)
        assert isinstance(failed.error, trio_tcp.PeerTooSlowError)


async def test_a_header_at_the_last_moment_is_in_time(
    autojump_clock: MockClock,
) -> None:
    async with behind_proxies() as behind:
        stream = await behind.connect(line()[:-1])
        await trio.sleep(4.99)
        await stream.send_all(b"\nhello\n")
        assert await receive_exactly(stream, 6) == b"hello\n"


async def test_a_header_may_be_waited_for_without_end(
    autojump_clock: MockClock,
) -> None:
    trust = attrs.evolve(TRUST, timeout=math.inf)
    async with behind_proxies(proxy_protocol=trust) as behind:
        stream = await behind.pairs.connect()
        await trio.sleep(10_000)
        await stream.send_all(line() + b"hello\n")
        assert await receive_exactly(stream, 6) == b"hello\n"


async def test_the_first_message_has_its_time_from_the_header_on(
    autojump_clock: MockClock,
) -> None:
    async with behind_proxies(timeouts=Timeouts(first_message=2)) as behind:
        stream = await behind.pairs.connect()
        await trio.sleep(4)
        await stream.send_all(line())
        [ended] = await behind.record.wait(trio_tcp.ConnectionEnded)
        assert trio.current_time() == 6
        assert ended.peer == CLIENT
        assert isinstance(ended.error, trio_tcp.PeerTooSlowError)
        assert ended.error.timeout == "first_message"


async def test_a_message_that_came_with_the_header_has_begun(
    autojump_clock: MockClock,
) -> None:
    """The time for a first message to begin does not run any more."""
    timeouts = Timeouts(first_message=2, message=10, message_rate=1)
    async with behind_proxies(timeouts=timeouts) as behind:
        stream = await behind.connect(line() + b"hel")
        await trio.sleep(9)
        await stream.send_all(b"lo\n")
        assert await receive_exactly(stream, 6) == b"hello\n"


async def test_a_message_that_came_with_the_header_was_the_first(
    autojump_clock: MockClock,
) -> None:
    """The time for a first message does not run for the second one."""
    async with behind_proxies(timeouts=Timeouts(first_message=2)) as behind:
        stream = await behind.connect(line() + b"hello\n")
        await trio.sleep(9)
        await stream.send_all(b"again\n")
        assert await receive_exactly(stream, 12) == b"hello\nagain\n"


async def test_an_error_about_the_time_names_the_option_that_sets_it(
    autojump_clock: MockClock,
) -> None:
    async with behind_proxies() as behind:
        await behind.pairs.connect()
        [failed] = await behind.record.wait(trio_tcp.HandshakeFailed)
        assert str(failed.error) == (
            "the PROXY header was not finished for 5 s (ProxyProtocol.timeout)"
        )
