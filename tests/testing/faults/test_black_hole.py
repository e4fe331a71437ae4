from __future__ import annotations

import errno

import pytest
import trio

from tests.testing.faults.pairs import SEEDS, connect, receive_exactly
from trio_tcp.testing import faults
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import simulated
from trio_tcp.testing.traces import Flag


@simulated(seeds=SEEDS)
async def test_a_connection_attempt_times_out(net: VirtualNetwork) -> None:
    """Six SYNs more, and a last wait: 1 + 2 + 4 + 8 + 16 + 32 + 64 seconds."""
    start = net.now()
    with net.inject(faults.BlackHole(), on=net.host("b")):
        with pytest.raises(TimeoutError):
            await connect(net)
        assert round(net.now() - start, 6) == 127
    assert net.trace.count(flags=Flag.SYN) == 7
    assert {segment.fate for segment in net.trace} == {"swallowed by a black hole"}
    pair = await connect(net)
    await pair.check()


@simulated(seeds=SEEDS)
async def test_an_open_connection_goes_on_afterwards(net: VirtualNetwork) -> None:
    pair = await connect(net)
    with net.inject(faults.BlackHole(), on=net.path("a", "b")):
        await pair.near.send_all(b"there")
        await pair.far.send_all(b"back")
        await trio.sleep(60)
    assert await receive_exactly(pair.far, 5) == b"there"
    assert await receive_exactly(pair.near, 4) == b"back"
    await pair.check()


@simulated(seeds=SEEDS)
async def test_an_open_connection_gives_up_at_last(net: VirtualNetwork) -> None:
    """After 15 retransmissions: Linux's tcp_retries2, 924.6 seconds."""
    pair = await connect(net)
    start = net.now()
    with net.inject(faults.BlackHole(), on=net.link("a", "b")):
        await pair.near.send_all(b"there")
        with pytest.raises(OSError, match="timed out") as caught:
            await pair.near.socket.recv(1)
        assert caught.value.errno == errno.ETIMEDOUT
        assert round(net.now() - start, 6) == 924.6


@simulated(seeds=SEEDS)
async def test_a_lost_acknowledgment_doubles_no_byte(
    net: VirtualNetwork,
) -> None:
    pair = await connect(net)
    with net.inject(faults.BlackHole(), on=net.link("b", "a")):
        await pair.near.send_all(b"there")
        assert await receive_exactly(pair.far, 5) == b"there"
        await trio.sleep(10)
        await pair.near.send_all(b"!")
        await trio.sleep(10)
    assert await receive_exactly(pair.far, 1) == b"!"
    await pair.check()


@simulated(seeds=SEEDS)
async def test_a_window_that_opens_unheard_is_asked_for(net: VirtualNetwork) -> None:
    """The sender had nothing to send when the word was lost, and has more later."""
    pair = await connect(net)
    size = net.host("b").receive_buffer
    await pair.near.send_all(bytes(size))
    await trio.sleep(1)
    with net.inject(faults.BlackHole(), on=net.link("b", "a")):
        await receive_exactly(pair.far, size)
        await trio.sleep(1)
    await pair.check()
