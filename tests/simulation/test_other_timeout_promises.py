"""Writing, lingering, living, connecting: as long as it may take, and no longer."""

from __future__ import annotations

import random
import ssl

import attrs
import pytest
import trio

import trio_tcp
from tests.certificates import server_context
from tests.simulation.numbered import CODEC, Bytes
from tests.simulation.service import PORT, ignore, serving
from tests.simulation.timing import (
    NEVER,
    exactly,
    read,
    stream_to_server,
    timed_out,
)
from trio_tcp import CloseReason
from trio_tcp.testing import faults
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import simulated
from trio_tcp.testing.traces import Flag

TLS: ssl.SSLContext = server_context()


class Pour:
    """A handler that sends without end, and sees when some of it was taken."""

    def __init__(self, look: float) -> None:
        self.grown: list[float] = []
        self._look = look

    async def __call__(self, connection: Bytes) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch, connection)
            while True:
                await connection.send(bytes(10_000))

    async def _watch(self, connection: Bytes) -> None:
        before = 0
        while True:
            now = connection.statistics().bytes_sent
            if now > before:
                self.grown.append(trio.current_time())
            before = now
            await trio.sleep(self._look)


@simulated(seeds=200)
async def test_who_takes_nothing_ends_when_it_has_done_so_for_long_enough(
    net: VirtualNetwork,
) -> None:
    """Reading slowly is progress; then it stops."""
    seconds, look = random.uniform(1, 2), 0.2
    pour = Pour(look)
    for name in ("server", "test"):
        net.host(name).receive_buffer = net.host(name).send_buffer = 20_000
    async with serving(
        net, pour, timeouts=attrs.evolve(NEVER, write=seconds)
    ) as service:
        async with stream_to_server(net) as stream:
            for _ in range(random.randrange(6)):
                rest = 9_000
                while rest:
                    rest -= len(await stream.receive_some(rest))
                await trio.sleep(seconds / 3)
            what, _, ended = await timed_out(service)
        assert what == "write"
        assert ended - seconds - look <= pour.grown[-1] - look <= ended - seconds + 1e-6


@simulated(seeds=200)
async def test_a_lifetime_ends_whatever_goes_on(net: VirtualNetwork) -> None:
    seconds = random.uniform(1, 3)

    async def echo(connection: Bytes) -> None:
        async for each in connection:
            await connection.send(each)

    async with serving(
        net, echo, timeouts=attrs.evolve(NEVER, lifetime=seconds)
    ) as service:
        async with stream_to_server(net) as stream:
            while not service.ended:
                await stream.send_all(CODEC.encode(b"w"))
                await trio.sleep(random.random() / 2)
        what, began, ended = await timed_out(service)
        assert (what, ended - began) == ("lifetime", exactly(seconds))


@simulated(seeds=200)
async def test_a_close_lingers_until_the_peer_has_closed_but_not_longer(
    net: VirtualNetwork,
) -> None:
    seconds = random.uniform(0.5, 3)

    async def say(connection: Bytes) -> None:
        await connection.send(b"goodbye")

    async with serving(
        net, say, timeouts=attrs.evolve(NEVER, linger=seconds)
    ) as service:
        async with stream_to_server(net) as stream:
            await stream.send_all(b"what nobody reads")
            await trio.sleep(random.random() * 2 * seconds)
            await stream.send_eof()
            await trio.sleep(2 * seconds)
        ((number, (event, at)),) = service.ended.items()
        (fin,) = [s for s in net.trace.select(receiver="server") if s.flags & Flag.FIN]
        assert fin.arrived is not None
        began = service.opened[number]
        assert at == exactly(max(began, min(fin.arrived, began + seconds)))
        assert event.reason is CloseReason.CLOSED


@simulated(seeds=200)
async def test_a_handshake_and_a_connection_take_as_long_as_they_may(
    net: VirtualNetwork,
) -> None:
    seconds = random.uniform(1, 5)
    failed: list[tuple[trio_tcp.Event, float]] = []

    def observe(event: trio_tcp.Event) -> None:
        if isinstance(event, trio_tcp.HandshakeFailed):
            failed.append((event, trio.current_time()))

    async with serving(
        net,
        read,
        tls=TLS,
        timeouts=attrs.evolve(NEVER, handshake=seconds),
        observer=observe,
    ):
        async with stream_to_server(net) as stream:
            await stream.send_all(b"\x16")  # a record of the handshake begins
            assert await stream.receive_some() == b""
        ((event, at),) = failed
        assert isinstance(event, trio_tcp.HandshakeFailed)
        assert isinstance(event.error, trio_tcp.PeerTooSlowError)
        acks = net.trace.select(receiver="server")
        assert acks[1].arrived is not None
        assert at - acks[1].arrived == exactly(seconds)
        with net.inject(faults.BlackHole()):
            began = trio.current_time()
            with pytest.raises(trio_tcp.ConnectError):
                async with trio_tcp.connect_tcp(
                    "server",
                    PORT,
                    codec=CODEC,
                    timeouts=attrs.evolve(NEVER, connect=seconds),
                    observer=ignore,
                ):
                    pass
            assert trio.current_time() - began == exactly(seconds)
