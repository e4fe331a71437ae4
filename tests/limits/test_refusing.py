"""`max_connections`: who comes to a server that rejects is reset, or told why."""

from __future__ import annotations

import math
import ssl
from collections import Counter

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.certificates import HOST, client_context, each_version, server_context
from tests.limits.limiting import (
    CAPACITY,
    FAREWELL,
    answers,
    everything,
    is_reset,
    serve,
)
from tests.tls.peer import Peer
from trio_tcp import Limits, Timeouts

REJECT = Limits(max_connections=1, when_full="reject")


async def test_who_is_refused_is_reset_at_once(autojump_clock: MockClock) -> None:
    async with serve(REJECT) as serving:
        first = await serving.connect()
        assert await answers(first)
        for _ in range(20):
            assert await is_reset(await serving.connect())
        assert trio.current_time() == 0
        assert await answers(first)
        statistics = serving.server.statistics()
        assert (statistics.accepted, statistics.open) == (1, 1)
        assert await serving.rejected() == {"max_connections": 20}
        assert serving.reached() == [("max_connections", 1)]
        await first.aclose()
        await trio.sleep(1)
        assert await serving.is_served()
        assert await serving.rejected() == {"max_connections": 20}


async def test_two_listeners_refuse_at_the_same_limit(
    autojump_clock: MockClock,
) -> None:
    limits = attrs.evolve(REJECT, max_connections=3)
    async with serve(limits, listeners=2) as serving:
        outcome = Counter[bool]()

        async def come(listener: int) -> None:
            outcome[await answers(await serving.connect(listener))] += 1

        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(come, number % 2)
        assert outcome == {True: 3, False: 7}
        assert await serving.rejected() == {"max_connections": 7}


FULL = attrs.evolve(REJECT, farewell=FAREWELL)


@pytest.mark.parametrize("capacity", [1, 10, 1000])
async def test_who_is_refused_can_read_the_farewell(
    capacity: int, autojump_clock: MockClock
) -> None:
    async with serve(FULL, capacity=capacity) as serving:
        await serving.connect()
        for _ in range(20):
            client = await serving.connect()
            assert await everything(client) == FAREWELL
            await client.aclose()
        await wait_all_tasks_blocked()
        assert trio.current_time() == 0
        assert await serving.rejected() == {"max_connections": 20}


async def test_the_farewell_arrives_though_the_client_speaks_first(
    autojump_clock: MockClock,
) -> None:
    """What it says is read, as far as it goes: unread it would make a reset."""
    async with serve(FULL) as serving:
        await serving.connect()
        client = await serving.connect()
        await client.send_all(b"x" * 10 * CAPACITY)
        assert await everything(client) == FAREWELL


@each_version
async def test_the_farewell_comes_after_the_handshake(
    version: ssl.TLSVersion, autojump_clock: MockClock
) -> None:
    async with serve(FULL, tls=server_context(version=version)) as serving:
        first = await serving.connect()
        await Peer(first, client_context(), server_hostname=HOST).shake_hands()
        for _ in range(3):
            client = await serving.connect()
            peer = Peer(client, client_context(), server_hostname=HOST)
            await peer.shake_hands()
            assert await peer.receive_all() == FAREWELL
            await client.aclose()
        await wait_all_tasks_blocked()
        assert trio.current_time() == 0
        assert await serving.rejected() == {"max_connections": 3}


@pytest.mark.parametrize("tls", [False, True])
async def test_a_refused_client_that_does_not_read_is_not_waited_for(
    tls: bool, autojump_clock: MockClock
) -> None:
    """Neither is one that does not close, or does not even begin its handshake."""
    context = server_context() if tls else None
    timeouts = Timeouts(handshake=math.inf)
    async with serve(FULL, tls=context, capacity=1, timeouts=timeouts) as serving:
        await serving.connect()
        client = await serving.connect()
        await serving.record.wait(trio_tcp.ConnectionRejected)
        assert trio.current_time() == 2
        assert await is_reset(client)


async def test_only_so_many_refused_clients_are_told_at_a_time(
    autojump_clock: MockClock,
) -> None:
    """The others are reset at once."""

    async def refused() -> int:
        return (await serving.rejected()).get("max_connections", 0)

    async with serve(FULL, capacity=1) as serving:
        await serving.connect()
        for thousands in range(3):
            for _ in range(1000):
                await serving.connect()  # and read nothing
            at_once = await refused() - 1000 * thousands
            assert 1 <= 1000 - at_once <= 128
            assert len(serving.server.connections) == 1
            await trio.sleep(2)
            assert await refused() == 1000 * (thousands + 1)
        client = await serving.connect()
        assert await everything(client) == FAREWELL


async def test_a_refused_client_that_is_gone_at_once_harms_nobody(
    autojump_clock: MockClock,
) -> None:
    async with serve(FULL, capacity=1) as serving:
        first = await serving.connect()
        for end in ("reset", "aclose"):
            client = await serving.connect()
            if end == "reset":
                client.reset()
            await client.aclose()
        await trio.sleep(1)
        assert await serving.rejected() == {"max_connections": 2}
        assert await answers(first)
