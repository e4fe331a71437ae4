from __future__ import annotations

import pytest
import trio

from tests.testing.faults.pairs import SEEDS, Pair, connect
from trio_tcp.testing import faults
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import simulated


@simulated(seeds=SEEDS)
async def test_a_connection_waits_for_its_end(net: VirtualNetwork) -> None:
    """SYNs go out after 0, 1 and 3 seconds; the third finds room."""
    start = net.now()
    pair = await connect(net, port=81)
    fault = net.inject(faults.FullBacklog(), on=net.host("b"))
    made: list[Pair] = []
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            made.append(await connect(net))

        await pair.check()
        await trio.sleep(2)
        assert not made
        fault.end()
    assert 3 < net.now() - start < 3.1
    await made[0].check()


@simulated(seeds=SEEDS)
async def test_it_times_out_at_last(net: VirtualNetwork) -> None:
    with net.inject(faults.FullBacklog()):
        with pytest.raises(TimeoutError):
            await connect(net)
    assert round(net.now(), 6) == 127
