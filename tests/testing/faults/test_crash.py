from __future__ import annotations

import pytest
import trio

from tests.testing.faults.pairs import SEEDS, connect
from trio_tcp.testing import faults
from trio_tcp.testing.network import HostCrashedError, VirtualNetwork
from trio_tcp.testing.simulation import simulated
from trio_tcp.testing.traces import Flag


async def echo(stream: trio.SocketStream) -> None:
    async for some in stream:
        await stream.send_all(some)


async def ask(net: VirtualNetwork) -> bytes:
    async def client() -> bytes:
        async with await trio.open_tcp_stream("b", 80) as stream:
            await stream.send_all(b"hello")
            return bytes(await stream.receive_some())

    return await net.host("a").run(client)


@simulated(seeds=SEEDS)
async def test_programs_stop_and_start_again(net: VirtualNetwork) -> None:
    net.host("b").start(trio.serve_tcp, echo, 80)
    await net.settle()
    assert await ask(net) == b"hello"
    with net.inject(faults.Crash(), on=net.host("b")):
        await trio.sleep(1)
        assert not net.host("b").is_up
        with trio.move_on_after(60):
            pytest.fail(f"{await ask(net)!r} was answered")
    await net.settle()
    assert await ask(net) == b"hello"


@simulated(seeds=SEEDS)
async def test_a_crash_of_no_time_at_all_restarts(net: VirtualNetwork) -> None:
    net.host("b").start(trio.serve_tcp, echo, 80)
    await net.settle()
    with net.inject(faults.Crash(), on=net.host("b")):
        pass
    await net.settle()
    assert await ask(net) == b"hello"


@simulated(seeds=SEEDS)
async def test_a_peer_learns_by_a_reset_after_the_restart(net: VirtualNetwork) -> None:
    pair = await connect(net)
    with net.inject(faults.Crash(), on=net.host("b")):
        await pair.near.send_all(b"hello?")
        await trio.sleep(10)
        assert net.trace.count(flags=Flag.RST) == 0
    with pytest.raises(ConnectionResetError):
        await pair.near.socket.recv(1)
    assert net.trace.count(sender="b", flags=Flag.RST) == 1


@simulated(seeds=SEEDS)
async def test_what_ran_there_is_told(net: VirtualNetwork) -> None:
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            with pytest.raises(HostCrashedError):
                await net.host("b").run(trio.sleep_forever)

        await trio.testing.wait_all_tasks_blocked()
        with net.inject(faults.Crash(), on=net.host("b")):
            pass


@simulated(seeds=SEEDS)
async def test_the_first_of_two_decides_when_it_ends(net: VirtualNetwork) -> None:
    first = net.inject(faults.Crash(), on=net.host("b"))
    second = net.inject(faults.Crash(), on=net.host("b"))
    second.end()
    assert not net.host("b").is_up
    first.end()
    assert net.host("b").is_up


@simulated(seeds=SEEDS)
async def test_only_a_host_can_crash(net: VirtualNetwork) -> None:
    with pytest.raises(TypeError, match=r"Crash\(\) is for a host, not for everything"):
        net.inject(faults.Crash())


@simulated(seeds=SEEDS)
async def test_who_waits_for_a_window_learns_of_it(net: VirtualNetwork) -> None:
    """Nothing is in flight that could be answered: it asks for the window."""
    pair = await connect(net)
    with trio.move_on_after(1):
        await pair.near.send_all(bytes(1_000_000))
    with net.inject(faults.Crash(), on=net.host("b")):
        pass
    with trio.fail_after(1), pytest.raises(ConnectionResetError):
        while True:
            await pair.near.socket.send(b"x")
