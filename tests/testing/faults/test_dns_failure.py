from __future__ import annotations

import socket

import pytest
import trio

from tests.testing.faults.pairs import SEEDS, connect
from trio_tcp.testing import faults
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import simulated


async def look_up(net: VirtualNetwork, on: str, name: str) -> str:
    found = await net.host(on).run(trio.socket.getaddrinfo, name, 80)
    return str(found[0][4][0])


def address(net: VirtualNetwork, host: str) -> str:
    return net.host(host).addresses[0]


@simulated(seeds=SEEDS)
async def test_a_name_cannot_be_looked_up(net: VirtualNetwork) -> None:
    pair = await connect(net)
    with net.inject(faults.DnsFailure()):
        with pytest.raises(socket.gaierror) as caught:
            await look_up(net, "a", "b")
        assert caught.value.errno == socket.EAI_AGAIN
        with pytest.raises(socket.gaierror):
            await connect(net)
        assert await look_up(net, "a", address(net, "b")) == address(net, "b")
        assert await look_up(net, "a", "localhost") == "::1"
        await pair.check()
    assert await look_up(net, "a", "b") == address(net, "b")


@simulated(seeds=SEEDS)
async def test_one_name_is_unknown(net: VirtualNetwork) -> None:
    net.host("b")
    fault = faults.DnsFailure("b", error=socket.EAI_NONAME)
    with net.inject(fault):
        with pytest.raises(socket.gaierror) as caught:
            await look_up(net, "a", "b")
        assert caught.value.errno == socket.EAI_NONAME
        assert await look_up(net, "b", "a") == address(net, "a")


@simulated(seeds=SEEDS)
async def test_it_fails_for_programs_on_its_host(net: VirtualNetwork) -> None:
    net.host("b")
    with net.inject(faults.DnsFailure(), on=net.host("a")):
        with pytest.raises(socket.gaierror):
            await look_up(net, "a", "b")
        assert await look_up(net, "b", "a") == address(net, "a")


def test_the_error_must_be_one_of_lookups() -> None:
    with pytest.raises(ValueError, match="error"):
        faults.DnsFailure(error=1)
