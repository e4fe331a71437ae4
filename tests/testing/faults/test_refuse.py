from __future__ import annotations

import pytest

from tests.testing.faults.pairs import SEEDS, connect
from trio_tcp.testing import faults
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import simulated


@simulated(seeds=SEEDS)
async def test_new_connections_are_refused_at_once(net: VirtualNetwork) -> None:
    pair = await connect(net)
    start = net.now()
    with net.inject(faults.Refuse(), on=net.port("b", 80)):
        with pytest.raises(ConnectionRefusedError):
            await connect(net)
        assert round(net.now() - start, 9) == 0.001
        await pair.check()
        other = await connect(net, port=81)
        await other.check()
    again = await connect(net)
    await again.check()
