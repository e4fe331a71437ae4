from __future__ import annotations

import pytest
import trio

from tests.testing.faults.pairs import SEEDS, connect, receive_all
from trio_tcp.testing import faults
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import simulated


@simulated(seeds=SEEDS)
async def test_the_reader_gets_nothing_until_it_ends(net: VirtualNetwork) -> None:
    pair = await connect(net)
    stall = net.inject(faults.Stall(), on=net.link("a", "b"))
    await pair.near.send_all(b"there")
    await pair.far.send_all(b"back")
    assert await pair.near.receive_some() == b"back"
    with trio.move_on_after(60):
        pytest.fail(f"{await pair.far.receive_some()!r} was read")
    stall.end()
    assert await pair.far.receive_some() == b"there"


@simulated(seeds=SEEDS)
async def test_the_window_shuts_and_the_writer_waits(net: VirtualNetwork) -> None:
    pair = await connect(net)
    message = bytes(range(256)) * 2000
    sent = 0
    stall = net.inject(faults.Stall(), on=net.link("a", "b"))
    with trio.move_on_after(60):
        while True:
            sent += await pair.near.socket.send(message[sent:])
    # All that both buffers hold, beside a little that the windows' steps leave over.
    buffers = net.host("a").send_buffer + net.host("b").receive_buffer
    assert buffers - 1460 <= sent <= buffers
    assert [s.window for s in net.trace if s.sender == "b"][-1] == 0
    received = bytearray()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            received.extend(await receive_all(pair.far))

        await trio.sleep(10)
        assert not received
        stall.end()
        await pair.near.send_all(message[sent:])
        await pair.near.send_eof()
    assert received == message


@simulated(seeds=SEEDS)
async def test_a_reader_wakes_whose_connection_is_gone(
    net: VirtualNetwork,
) -> None:
    """Also where the network has forgotten it, since both ends were acknowledged."""
    pair = await connect(net)
    stall = net.inject(faults.Stall(), on=net.link("a", "b"))
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            assert await receive_all(pair.far) == b"last"

        await pair.far.send_eof()
        await pair.near.send_all(b"last")
        await pair.near.aclose()
        await trio.sleep(100)
        assert net.netstat() == ""
        stall.end()
