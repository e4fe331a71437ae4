"""`max_connections`, replaced: who is there stays, who waits gets in or is refused."""

from __future__ import annotations

import math

import attrs
import pytest
import trio
from trio.testing import MockClock

from tests.limits.limiting import answers, is_reset, serve
from trio_tcp import Limits


async def test_a_lower_limit_evicts_nobody(autojump_clock: MockClock) -> None:
    async with serve(Limits(max_connections=3)) as serving:
        server = serving.server
        clients = [await serving.connect() for _ in range(3)]
        await trio.sleep(1)
        server.limits = attrs.evolve(server.limits, max_connections=1)
        for _ in range(3):
            for client in clients:
                assert await answers(client)
            assert len(server.connections) == len(clients)
            # There is no place until all but none are gone.
            assert not await serving.is_served()
            await clients.pop().aclose()
            await trio.sleep(1)
        assert await serving.is_served()


@pytest.mark.parametrize(("limit", "admitted"), [(2, 2), (4, 4), (math.inf, 6)])
async def test_a_higher_limit_admits_those_who_wait(
    limit: float, admitted: int, autojump_clock: MockClock
) -> None:
    async with serve(Limits(max_connections=1), listeners=2) as serving:
        server = serving.server
        async with trio.open_nursery() as nursery:
            for number in range(6):
                nursery.start_soon(serving.connect, number % 2)
            await trio.sleep(1)
            assert len(server.connections) == 1
            server.limits = attrs.evolve(server.limits, max_connections=limit)
            await trio.sleep(1)
            assert len(server.connections) == admitted
            nursery.cancel_scope.cancel()


async def test_those_who_wait_are_refused_when_that_becomes_the_policy(
    autojump_clock: MockClock,
) -> None:
    async with serve(Limits(max_connections=1)) as serving:
        server = serving.server
        first = await serving.connect()
        async with trio.open_nursery() as nursery:

            async def wait_in_vain() -> None:
                assert await is_reset(await serving.connect())
                assert trio.current_time() == 5

            nursery.start_soon(wait_in_vain)
            nursery.start_soon(wait_in_vain)
            await trio.sleep(5)
            server.limits = attrs.evolve(server.limits, when_full="reject")
        assert await serving.rejected() == {"max_connections": 2}
        # And back.
        server.limits = attrs.evolve(server.limits, when_full="wait")
        await first.aclose()
        assert await serving.is_served()


async def test_limits_that_make_no_sense_leave_the_server_as_it_is() -> None:
    async with serve(Limits(max_connections=7)) as serving:
        with pytest.raises(ValueError, match="max_connections"):
            serving.server.limits = attrs.evolve(
                serving.server.limits, max_connections=0
            )
        assert serving.server.limits == Limits(max_connections=7)
