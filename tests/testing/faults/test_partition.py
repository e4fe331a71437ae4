from __future__ import annotations

import pytest
import trio

from tests.testing.faults.pairs import SEEDS, connect, make_socket, receive_exactly
from trio_tcp.testing import faults
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import simulated


async def is_heard(one: trio.SocketStream, other: trio.SocketStream) -> bool:
    """Say whether what is sent arrives within a tenth of a second."""
    await one.send_all(b"x")
    with trio.move_on_after(0.1):
        await other.receive_some()
        return True
    return False


@simulated(seeds=SEEDS)
async def test_on_a_path_nobody_hears_the_other(net: VirtualNetwork) -> None:
    pair = await connect(net)
    with net.inject(faults.Partition(), on=net.path("a", "b")):
        assert not await is_heard(pair.near, pair.far)
        assert not await is_heard(pair.far, pair.near)


@simulated(seeds=SEEDS)
async def test_on_a_link_one_hears_the_other(net: VirtualNetwork) -> None:
    pair = await connect(net)
    with net.inject(faults.Partition(), on=net.link("a", "b")):
        assert not await is_heard(pair.near, pair.far)
        assert await is_heard(pair.far, pair.near)


@simulated(seeds=SEEDS)
async def test_on_a_host_it_still_hears_itself(net: VirtualNetwork) -> None:
    pair = await connect(net)
    own = await connect(net, a="b", port=81)
    with net.inject(faults.Partition(), on=net.host("b")):
        assert not await is_heard(pair.near, pair.far)
        await own.check()


@simulated(seeds=SEEDS)
async def test_groups_do_not_hear_each_other(net: VirtualNetwork) -> None:
    for name in ("c", "d"):
        net.host(name)
    together = await connect(net, "a", "b")
    apart = await connect(net, "a", "c")
    of_no_group = await connect(net, "c", "d")
    with net.inject(faults.Partition([["a", "b"], ["c"]])):
        await together.check()
        await of_no_group.check()
        assert not await is_heard(apart.near, apart.far)
        assert not await is_heard(apart.far, apart.near)


@simulated(seeds=SEEDS)
async def test_no_byte_is_skipped_when_it_heals(net: VirtualNetwork) -> None:
    pair = await connect(net)
    message = bytes(range(256)) * 100
    with net.inject(faults.Partition(), on=net.path("a", "b")):
        await pair.near.send_all(message)
        await trio.sleep(30)
    assert await receive_exactly(pair.far, len(message)) == message
    await pair.check()


@simulated(seeds=SEEDS)
async def test_a_refusal_does_not_pass_it(net: VirtualNetwork) -> None:
    """The SYN arrives, but not the reset with which the host answers."""
    net.host("b")
    near = await net.host("a").run(make_socket)
    with net.inject(faults.Partition(), on=net.link("b", "a")):
        with pytest.raises(TimeoutError):
            await net.host("a").run(near.connect, ("b", 80))


@pytest.mark.parametrize("groups", [[["a"]], [["a"], ["a", "b"]]])
def test_groups_must_be_apart(groups: list[list[str]]) -> None:
    with pytest.raises(ValueError, match="groups must be two or more, and apart"):
        faults.Partition(groups)
