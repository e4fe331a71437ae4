"""What an application sees of each fault: on the virtual network, and through a proxy.

Each promise is kept twice: by sockets of a simulation, and by real ones that a proxy is
between. Exact times are for tests/testing/faults; here it is "not before".
"""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Protocol

import pytest
import trio

import trio_tcp
from tests.integration.loopback import LOOPBACK, reset, until
from tests.testing.faults import pairs
from tests.testing.faults.pairs import Pair, receive_all, receive_exactly
from trio_tcp import testing
from trio_tcp.testing import Fault, Injection, Target, VirtualNetwork, faults

MESSAGE = bytes(range(256))
A_MOMENT = 0.05  # seconds in which something would arrive if nothing kept it


class World(Protocol):
    """Where a promise is kept.

    Attributes:
        there: the way from the near end to the far one.
        back: the way back.
        far_host: the host of the far end.
    """

    there: Target
    back: Target
    far_host: Target

    def inject(self, fault: Fault, on: Target | None = None) -> Injection: ...
    async def connect(self) -> Pair: ...
    async def fail_to_connect(self) -> None: ...
    def latest(self) -> Target: ...


class VirtualWorld:
    """Both ends on the virtual network."""

    def __init__(self, net: VirtualNetwork) -> None:
        net.host("a")
        self._net = net
        self.far_host: Target = net.host("b")
        self.there: Target = net.link("a", "b")
        self.back: Target = net.link("b", "a")

    def inject(self, fault: Fault, on: Target | None = None) -> Injection:
        return self._net.inject(fault, on)

    async def connect(self) -> Pair:
        return await pairs.connect(self._net)

    async def fail_to_connect(self) -> None:
        with pytest.raises((OSError, trio.BrokenResourceError)):
            stream = (await self.connect()).near
            raise_at_the_end(await stream.receive_some())

    def latest(self) -> Target:
        return self._net.connections("a", "b")[-1]


class ProxiedWorld:
    """Both ends on real sockets, and a proxy between them."""

    def __init__(self, proxy: testing.FaultProxy, target: trio.SocketListener) -> None:
        self._proxy = proxy
        self._target = target
        self._opened: list[trio.SocketStream] = []
        self.far_host: Target = proxy.server
        self.there: Target = proxy.to_server
        self.back: Target = proxy.to_client

    def inject(self, fault: Fault, on: Target | None = None) -> Injection:
        return self._proxy.inject(fault, on)

    async def connect(self) -> Pair:
        near = await self._connect()
        name = near.socket.getsockname()
        await until(lambda: self._upstream_of(name) is not None)
        while True:  # those that have failed were accepted, too
            sock, peer = await self._target.socket.accept()
            far = trio.SocketStream(sock)
            self._opened.append(far)
            if peer == self._upstream_of(name):
                return Pair(near, far)

    def _upstream_of(self, client: object) -> trio_tcp.Address | None:
        found = [c for c in self._proxy.connections.values() if c.client == client]
        return found[0].upstream if found else None

    async def _connect(self) -> trio.SocketStream:
        stream = await trio.open_tcp_stream(LOOPBACK, self._proxy.port)
        self._opened.append(stream)
        return stream

    async def fail_to_connect(self) -> None:
        near = await self._connect()
        with pytest.raises(trio.BrokenResourceError):
            raise_at_the_end(await near.receive_some())

    def latest(self) -> testing.ProxiedConnection:
        return self._proxy.connections[self._proxy.accepted]

    def close(self) -> None:
        for stream in self._opened:
            stream.socket.close()


def raise_at_the_end(received: bytes) -> None:
    assert not received
    pytest.fail("the connection ended, and nothing broke it")


Promise = Callable[[World], Awaitable[None]]
PROMISES: list[Promise] = []


def promise(function: Promise) -> Promise:
    PROMISES.append(function)
    return function


def on_the_virtual_network(kept: Promise) -> None:
    async def keep(net: VirtualNetwork) -> None:
        await kept(VirtualWorld(net))

    testing.run_simulation(keep)


def through_a_proxy(kept: Promise) -> None:
    async def keep() -> None:
        async with proxied_world() as world:
            await kept(world)

    trio.run(keep)


@contextlib.asynccontextmanager
async def proxied_world() -> AsyncGenerator[ProxiedWorld, None]:
    [target] = await trio.open_tcp_listeners(0, host=LOOPBACK)
    port: int = target.socket.getsockname()[1]
    async with target, testing.open_fault_proxy(LOOPBACK, port) as proxy:
        world = ProxiedWorld(proxy, target)
        try:
            yield world
        finally:
            world.close()


async def nothing_arrives(stream: trio.SocketStream) -> None:
    with trio.move_on_after(A_MOMENT):
        pytest.fail(f"{await stream.receive_some()!r} was read")


async def bytes_until_reset(stream: trio.SocketStream) -> bytes:
    received = b""
    with pytest.raises(trio.BrokenResourceError) as caught:
        while some := await stream.receive_some():
            received += some
    assert isinstance(caught.value.__cause__, ConnectionResetError)
    return received


# --- without a fault


@promise
async def both_directions_carry_bytes_and_end_each_for_itself(world: World) -> None:
    pair = await world.connect()
    await pair.check()
    await pair.near.send_eof()
    assert await receive_all(pair.far) == b""
    await pair.far.send_all(MESSAGE)
    assert await receive_exactly(pair.near, len(MESSAGE)) == MESSAGE
    await pair.far.send_eof()
    assert await receive_all(pair.near) == b""


@promise
async def a_reset_arrives_as_a_reset(world: World) -> None:
    pair = await world.connect()
    await pair.check()
    reset(pair.near)
    assert await bytes_until_reset(pair.far) == b""


@promise
async def a_reset_arrives_at_a_half_closed_connection(world: World) -> None:
    pair = await world.connect()
    await pair.near.send_eof()
    assert await receive_all(pair.far) == b""
    reset(pair.near)
    while not error_of(pair.far):  # noqa: ASYNC110 - no call waits for that
        await trio.sleep(0.001)
    with pytest.raises(trio.BrokenResourceError):
        await pair.far.send_all(b"x")


def error_of(stream: trio.SocketStream) -> int:
    error: int = stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return error


@promise
async def who_sends_to_a_closed_end_is_reset(world: World) -> None:
    pair = await world.connect()
    await pair.near.aclose()
    assert await receive_all(pair.far) == b""
    with pytest.raises(trio.BrokenResourceError):
        while True:
            await pair.far.send_all(MESSAGE)


# --- what delays


async def stay_whole(world: World, fault: Fault) -> None:
    with world.inject(fault):
        pair = await world.connect()
        for sender, receiver in ((pair.near, pair.far), (pair.far, pair.near)):
            await sender.send_all(MESSAGE)
            await sender.send_eof()
            assert await receive_all(receiver) == MESSAGE


@promise
async def with_latency_streams_stay_whole(world: World) -> None:
    await stay_whole(world, faults.Latency(0.01, jitter=0.05))


@promise
async def with_little_bandwidth_streams_stay_whole(world: World) -> None:
    await stay_whole(world, faults.Bandwidth(10_000))


@promise
async def with_losses_streams_stay_whole(world: World) -> None:
    await stay_whole(world, faults.Loss(0.3))


@promise
async def in_slices_streams_stay_whole(world: World) -> None:
    await stay_whole(world, faults.Slice(1, 9))


@promise
async def cut_at_places_streams_stay_whole(world: World) -> None:
    await stay_whole(world, faults.SliceAt([1, 100, 255]))


@promise
async def coalesced_streams_stay_whole(world: World) -> None:
    await stay_whole(world, faults.Coalesce(0.02))


async def arrives_not_before(world: World, seconds: float) -> None:
    pair = await world.connect()
    start = trio.current_time()
    await pair.near.send_all(MESSAGE)
    assert await receive_exactly(pair.far, len(MESSAGE)) == MESSAGE
    assert trio.current_time() - start >= seconds


@promise
async def latency_lets_nothing_arrive_before_its_time(world: World) -> None:
    with world.inject(faults.Latency(0.1)):
        await arrives_not_before(world, 0.1)


@promise
async def two_latencies_add_up(world: World) -> None:
    with world.inject(faults.Latency(0.1)), world.inject(faults.Latency(0.05)):
        await arrives_not_before(world, 0.15)


@promise
async def bandwidth_is_not_exceeded(world: World) -> None:
    with world.inject(faults.Bandwidth(len(MESSAGE) * 10), on=world.there):
        await arrives_not_before(world, 0.1)


@promise
async def a_slice_of_one_byte_is_one_byte_to_each_read(world: World) -> None:
    pair = await world.connect()
    with world.inject(faults.Slice(1), on=world.there):
        await pair.near.send_all(b"abc")
        await trio.sleep(A_MOMENT)  # busy with something else, while bytes gather
        reads = [await pair.far.receive_some() for _ in range(3)]
    assert reads == [b"a", b"b", b"c"]


@promise
async def no_read_goes_past_the_places_of_slice_at(world: World) -> None:
    pair = await world.connect()
    with world.inject(faults.SliceAt([3, 7]), on=world.there):
        await pair.near.send_all(b"0123456789")
        reads = [await pair.far.receive_some() for _ in range(3)]
    assert reads == [b"012", b"3456", b"789"]


# --- what holds up


async def arrives_after_the_end(world: World, fault: Fault, on: Target) -> None:
    pair = await world.connect()
    await pair.check()
    with world.inject(fault, on=on):
        await pair.near.send_all(MESSAGE)
        await nothing_arrives(pair.far)
    assert await receive_exactly(pair.far, len(MESSAGE)) == MESSAGE
    await pair.check()


@promise
async def a_stalled_reader_reads_it_later(world: World) -> None:
    await arrives_after_the_end(world, faults.Stall(), world.there)


@promise
async def what_is_held_arrives_later(world: World) -> None:
    await arrives_after_the_end(world, faults.Hold(), world.there)


@promise
async def a_host_that_was_paused_goes_on(world: World) -> None:
    await arrives_after_the_end(world, faults.Pause(), world.far_host)


@promise
async def a_partition_heals(world: World) -> None:
    await arrives_after_the_end(world, faults.Partition(), world.far_host)


@promise
async def what_a_black_hole_swallows_is_sent_again(world: World) -> None:
    await arrives_after_the_end(world, faults.BlackHole(), world.there)


@promise
async def one_direction_is_held_and_the_other_is_not(world: World) -> None:
    pair = await world.connect()
    with world.inject(faults.Hold(), on=world.there):
        await pair.near.send_all(MESSAGE)
        await pair.far.send_all(MESSAGE)
        assert await receive_exactly(pair.near, len(MESSAGE)) == MESSAGE
        await nothing_arrives(pair.far)
    assert await receive_exactly(pair.far, len(MESSAGE)) == MESSAGE


@promise
async def one_connection_is_stalled_and_the_other_is_not(world: World) -> None:
    stalled = await world.connect()
    with world.inject(faults.Stall(), on=world.latest()):
        other = await world.connect()
        await stalled.near.send_all(MESSAGE)
        await other.check()
        await nothing_arrives(stalled.far)
    assert await receive_exactly(stalled.far, len(MESSAGE)) == MESSAGE


@promise
async def a_full_backlog_lets_new_connections_wait(world: World) -> None:
    start = trio.current_time()
    full = world.inject(faults.FullBacklog())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connect_and_check, world)
        await trio.sleep(A_MOMENT)
        full.end()
    assert trio.current_time() - start >= 1  # when its SYN is sent again


async def connect_and_check(world: World) -> None:
    await (await world.connect()).check()


# --- what breaks


@promise
async def after_a_reset_both_ends_know(world: World) -> None:
    pair = await world.connect()
    await pair.check()
    world.inject(faults.Reset())
    assert await bytes_until_reset(pair.near) == b""
    assert await bytes_until_reset(pair.far) == b""
    await (await world.connect()).check()


@promise
async def a_cut_lets_exactly_so_many_bytes_arrive(world: World) -> None:
    pair = await world.connect()
    with world.inject(faults.Cut(after_bytes=10), on=world.there):
        await pair.near.send_all(MESSAGE)
        assert await bytes_until_reset(pair.far) == MESSAGE[:10]
        assert await bytes_until_reset(pair.near) == b""


@promise
async def a_cut_in_time_does_not_come_before(world: World) -> None:
    pair = await world.connect()
    start = trio.current_time()
    with world.inject(faults.Cut(after_seconds=0.1)):
        assert await bytes_until_reset(pair.near) == b""
        assert await bytes_until_reset(pair.far) == b""
    assert trio.current_time() - start >= 0.1


@promise
async def a_silent_cut_heals(world: World) -> None:
    pair = await world.connect()
    cut = faults.Cut(after_bytes=10, silently=True)
    with world.inject(cut, on=world.there):
        await pair.near.send_all(MESSAGE)
        assert await receive_exactly(pair.far, 10) == MESSAGE[:10]
        await nothing_arrives(pair.far)
    rest = MESSAGE[10:]
    assert await receive_exactly(pair.far, len(rest)) == rest


@promise
async def refused_connections_fail_and_open_ones_go_on(world: World) -> None:
    pair = await world.connect()
    with world.inject(faults.Refuse()):
        await world.fail_to_connect()
        await pair.check()
    await (await world.connect()).check()


async def fail_twice(world: World, error: faults.FailNext) -> None:
    with world.inject(error, on=world.there):
        await world.fail_to_connect()
        await world.fail_to_connect()
        await (await world.connect()).check()


@promise
async def the_next_are_refused_and_then_none(world: World) -> None:
    await fail_twice(world, faults.FailNext(2, error="refused"))


@promise
async def the_next_are_reset_and_then_none(world: World) -> None:
    await fail_twice(world, faults.FailNext(2, error="reset"))


# --- all of them

ASKS_LINUX = {
    a_reset_arrives_at_a_half_closed_connection,
    a_slice_of_one_byte_is_one_byte_to_each_read,
    no_read_goes_past_the_places_of_slice_at,
}


@pytest.mark.parametrize("kept", PROMISES, ids=lambda kept: kept.__name__)
@pytest.mark.parametrize("where", [on_the_virtual_network, through_a_proxy])
def test_a_promise_is_kept(where: Callable[[Promise], None], kept: Promise) -> None:
    if where is through_a_proxy and kept in ASKS_LINUX and sys.platform != "linux":
        pytest.skip("only Linux tells what a proxy must know for that")
    where(kept)
