"""A server and handshakes that stall: each is given up at its second, or with it."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.integration.loopback import echo
from tests.tls.handshakes import expect_end, hello
from tests.tls.peer import serving
from trio_tcp import codecs


@pytest.mark.parametrize("count", [0, 1, 5, 100], ids="after {} bytes".format)
async def test_a_handshake_that_stalls_is_given_up(
    count: int, autojump_clock: MockClock
) -> None:
    """At the exact time; meanwhile the others are served."""
    async with serving(
        echo,
        codecs.Lines(),
        timeouts=trio_tcp.Timeouts(handshake=12, idle=1000),
        limits=trio_tcp.Limits(max_connections=2),
    ) as served:
        stalled = await served.listener.connect()
        await stalled.send_all(hello()[:count])
        await trio.sleep(11)
        assert served.server.statistics().handshaking == 1
        await served.works()
        await stalled.send_all(hello()[count : count + 1])  # which changes nothing
        await expect_end(stalled)
        assert trio.current_time() == 12
        (failed,) = await served.record.wait(trio_tcp.HandshakeFailed)
        assert isinstance(failed.error, trio_tcp.PeerTooSlowError)
        assert failed.error.timeout == "handshake"
        assert failed.error.seconds == 12
        assert served.server.statistics().handshaking == 0
        await served.works()


async def test_a_handshake_whose_answers_nobody_reads_is_given_up(
    autojump_clock: MockClock,
) -> None:
    async with serving(
        echo,
        codecs.Lines(),
        capacity=100,
        timeouts=trio_tcp.Timeouts(handshake=12),
    ) as served:
        stalled = await served.listener.connect()
        await stalled.send_all(hello())
        await served.record.wait(trio_tcp.HandshakeFailed)
        assert trio.current_time() == 12
        await served.works()


async def test_many_may_stall_at_once(autojump_clock: MockClock) -> None:
    async with serving(
        echo, codecs.Lines(), timeouts=trio_tcp.Timeouts(handshake=12)
    ) as served:
        stalled = [await served.listener.connect() for _ in range(100)]
        await served.works()
        assert served.server.statistics().handshaking == 100
        assert trio.current_time() == 0
        await served.record.wait(trio_tcp.HandshakeFailed, len(stalled))
        assert trio.current_time() == 12


async def test_a_server_that_is_cancelled_closes_those_in_a_handshake() -> None:
    async with serving(echo, codecs.Lines()) as served:
        streams = [await served.listener.connect() for _ in range(3)]
        await streams[0].send_all(hello()[:100])
        await streams[1].send_all(hello())
        await wait_all_tasks_blocked()
        assert served.server.statistics().handshaking == 3
    for stream in streams:
        await expect_end(stream)
    assert served.server.statistics().handshaking == 0
    assert not served.record.all(trio_tcp.HandshakeFailed)
