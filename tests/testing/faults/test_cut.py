from __future__ import annotations

import pytest
import trio

from tests.testing.faults.pairs import SEEDS, Pair, connect, receive_exactly
from trio_tcp.testing import faults
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import simulated
from trio_tcp.testing.traces import Flag


async def bytes_until_reset(stream: trio.SocketStream) -> bytes:
    received = b""
    with pytest.raises(trio.BrokenResourceError):
        while True:
            some = await stream.receive_some()
            assert some
            received += some
    return received


@pytest.mark.parametrize("count", [0, 1, 1459, 1460, 1461, 5000])
@simulated(seeds=SEEDS)
async def test_exactly_so_many_bytes_arrive(net: VirtualNetwork, count: int) -> None:
    pair = await connect(net)
    message = bytes(range(250)) * 20
    with net.inject(faults.Cut(after_bytes=count), on=net.path("a", "b")):
        await pair.near.send_all(message)
        assert await bytes_until_reset(pair.far) == message[:count]
        assert await bytes_until_reset(pair.near) == b""
    assert net.trace.count(sender="a", flags=Flag.RST) == 1
    assert net.trace.count(sender="b", flags=Flag.RST) == 1


@simulated(seeds=SEEDS)
async def test_the_direction_that_gets_there_decides(net: VirtualNetwork) -> None:
    pair = await connect(net)
    with net.inject(faults.Cut(after_bytes=10), on=net.path("a", "b")):
        await pair.near.send_all(b"123456789")
        await pair.far.send_all(b"0123456789")
        assert await bytes_until_reset(pair.near) == b"0123456789"
        assert await bytes_until_reset(pair.far) == b"123456789"


@simulated(seeds=SEEDS)
async def test_each_connection_is_counted_for_itself(net: VirtualNetwork) -> None:
    net.host("b")
    with net.inject(faults.Cut(after_bytes=10), on=net.port("b", 80)):
        for _ in range(2):
            pair = await connect(net)
            await pair.near.send_all(b"123456789")
            assert await receive_exactly(pair.far, 9) == b"123456789"
            await pair.near.send_all(b"0123")
            assert await bytes_until_reset(pair.far) == b"0"
        other = await connect(net, port=81)
        await other.check()


@simulated(seeds=SEEDS)
async def test_a_connection_is_cut_after_some_time(net: VirtualNetwork) -> None:
    pair = await connect(net)
    start = net.now()
    with net.inject(faults.Cut(after_seconds=5)):
        await trio.sleep(2)
        later = await connect(net, port=81)
        assert await bytes_until_reset(pair.near) == b""
        assert net.now() == pytest.approx(start + 5, abs=0.01)
        assert await bytes_until_reset(later.near) == b""
        assert net.now() == pytest.approx(start + 7, abs=0.01)


@simulated(seeds=SEEDS)
async def test_its_end_spares_whose_time_has_not_come(
    net: VirtualNetwork,
) -> None:
    pair = await connect(net)
    with net.inject(faults.Cut(after_seconds=5)):
        await trio.sleep(4)
    await trio.sleep(10)
    await pair.check()


async def cut_silently(net: VirtualNetwork, cut: faults.Cut, count: int) -> Pair:
    """Cut a connection after ten bytes, and see nothing of it but silence."""
    pair = await connect(net)
    with net.inject(cut):
        await pair.near.send_all(bytes(range(count)))
        assert await receive_exactly(pair.far, count) == bytes(range(count))
        await trio.sleep(5)
        await pair.near.send_all(b"more")
        with trio.move_on_after(60):
            pytest.fail(f"{await pair.far.receive_some()!r} was read")
    return pair


@simulated(seeds=SEEDS)
async def test_a_silent_cut_loses_what_follows_and_heals(net: VirtualNetwork) -> None:
    cut = faults.Cut(after_bytes=10, silently=True)
    pair = await cut_silently(net, cut, 10)
    assert await receive_exactly(pair.far, 4) == b"more"
    await pair.check()


@simulated(seeds=SEEDS)
async def test_a_silent_cut_in_time_heals(net: VirtualNetwork) -> None:
    cut = faults.Cut(after_seconds=5, silently=True)
    pair = await cut_silently(net, cut, 10)
    assert await receive_exactly(pair.far, 4) == b"more"
    await pair.check()


@simulated(seeds=SEEDS)
async def test_a_silent_cut_inside_a_segment_heals(net: VirtualNetwork) -> None:
    pair = await connect(net)
    with net.inject(faults.Cut(after_bytes=10, silently=True)):
        await pair.near.send_all(b"0123456789 and more")
        assert await receive_exactly(pair.far, 10) == b"0123456789"
        await trio.sleep(5)
    assert await receive_exactly(pair.far, 9) == b" and more"
    await pair.check()


def test_it_must_be_cut_after_something() -> None:
    with pytest.raises(ValueError, match="after_bytes, after_seconds or both"):
        faults.Cut()
    with pytest.raises(ValueError, match="after_bytes must be a number of bytes"):
        faults.Cut(after_bytes=0.5)
    with pytest.raises(ValueError, match="after_seconds must be a number of seconds"):
        faults.Cut(after_seconds=-1)
