from __future__ import annotations

import pytest
import trio

from tests.testing.faults.pairs import SEEDS, connect
from trio_tcp.testing import faults
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import simulated


async def fail_to_connect(net: VirtualNetwork) -> OSError:
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the caller looks at it
        await connect(net)
    return caught.value


@simulated(seeds=SEEDS)
async def test_so_many_are_refused_and_then_none(net: VirtualNetwork) -> None:
    net.host("b")
    with net.inject(faults.FailNext(2), on=net.port("b", 80)):
        other = await connect(net, port=81)
        await other.check()
        for _ in range(2):
            assert isinstance(await fail_to_connect(net), ConnectionRefusedError)
        pair = await connect(net)
        await pair.check()


@simulated(seeds=SEEDS)
async def test_its_end_lets_the_next_one_through(net: VirtualNetwork) -> None:
    with net.inject(faults.FailNext(2)):
        await fail_to_connect(net)
    pair = await connect(net)
    await pair.check()


@simulated(seeds=SEEDS)
async def test_a_timeout_counts_once_for_all_its_tries(net: VirtualNetwork) -> None:
    with net.inject(faults.FailNext(error="timeout")):
        assert isinstance(await fail_to_connect(net), TimeoutError)
        assert round(net.now(), 6) == 127
        pair = await connect(net)
        await pair.check()


@simulated(seeds=SEEDS)
async def test_a_connection_is_made_and_reset_at_once(net: VirtualNetwork) -> None:
    with net.inject(faults.FailNext(error="reset")):
        pair = await connect(net)
        for stream in (pair.near, pair.far):
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some()
        again = await connect(net)
        await again.check()


@simulated(seeds=SEEDS)
async def test_each_beginning_counts_anew(net: VirtualNetwork) -> None:
    fault = faults.FailNext()
    for _ in range(2):
        with net.inject(fault):
            await fail_to_connect(net)
            pair = await connect(net)
            await pair.check()


def test_it_must_fail_in_a_way_that_it_knows() -> None:
    with pytest.raises(ValueError, match="error"):
        faults.FailNext(error="nonsense")  # type: ignore[arg-type] # that is the test
    with pytest.raises(ValueError, match="count must be a whole number"):
        faults.FailNext(0)
