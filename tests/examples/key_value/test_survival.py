"""The small Redis and its client on a network on which all sorts of things go wrong."""

from __future__ import annotations

from functools import partial
from typing import final

import trio

import trio_tcp
from examples.key_value.client import Pool, Requester, ask, load
from examples.key_value.resp import CLIENT, RESP2
from examples.key_value.server import handle
from examples.key_value.store import Store
from trio_tcp import testing
from trio_tcp.testing import faults

PORT = 6379
PATIENCE = 5.0  # seconds, of the virtual clock, as all here
TASKS = 5
STEPS = 30
BATCHES = 20
LINES = 20


class Site:
    """A store on one host, whose keys outlive connections, and how to connect to it."""

    def __init__(self, net: testing.VirtualNetwork) -> None:
        self.store = Store(trio.current_time)
        net.set_links(latency=0.1, jitter=0.1)
        net.host("store").start(self._serve)
        self.client = net.host("client")
        self.connect = partial(
            trio_tcp.connect_tcp,
            "store",
            PORT,
            codec=CLIENT,
            timeouts=trio_tcp.Timeouts(connect=PATIENCE),
        )

    async def _serve(self) -> None:
        handler = partial(handle, self.store)
        await trio_tcp.serve_tcp(handler, PORT, codec=RESP2)


@final
class Tally:
    """Counts in the store, and keeps books about it.

    Attributes:
        acknowledged: what has been counted for certain.
        unknown: what may have been counted.
    """

    def __init__(self) -> None:
        self.acknowledged = 0
        self.unknown = 0

    async def count(self, requester: Requester) -> None:
        """Count up, again and again, whatever becomes of it."""
        for _ in range(STEPS):
            try:
                with trio.fail_after(PATIENCE):
                    await ask(requester, b"INCR", b"n")
            except trio_tcp.ConnectionLost as error:
                self.unknown += error.may_have_been_processed
            except trio.TooSlowError:
                self.unknown += 1
            else:
                self.acknowledged += 1

    async def count_in_many_tasks(self, site: Site) -> None:
        """Share one requester among them."""
        async with trio_tcp.open_requester(
            site.connect, reply_timeout=PATIENCE
        ) as requester:
            async with trio.open_nursery() as nursery:
                for _ in range(TASKS):
                    nursery.start_soon(self.count, requester)


@testing.simulated(seeds=30)
async def test_no_count_is_lost_and_none_counted_twice(
    net: testing.VirtualNetwork,
) -> None:
    """What was acknowledged is in the store, and besides only what nobody can know."""
    site, tally = Site(net), Tally()
    async with faults.Chaos(seconds=10).running(net):
        await site.client.run(tally.count_in_many_tasks, site)
    counted = int(site.store.get(b"n") or 0)
    assert tally.acknowledged <= counted <= tally.acknowledged + tally.unknown
    again = Tally()
    await site.client.run(again.count_in_many_tasks, site)
    assert again.acknowledged == TASKS * STEPS


@testing.simulated(seeds=30)
async def test_reading_is_answered_as_soon_as_there_is_a_connection(
    net: testing.VirtualNetwork,
) -> None:
    """A request that does no harm is sent again until it has a reply, and its own."""
    site = Site(net)
    for number in range(STEPS):
        site.store.put(b"%d" % number, b"value %d" % number)

    async def read(requester: Requester) -> None:
        for number in range(STEPS):
            reply = await ask(requester, b"GET", b"%d" % number)
            assert reply == b"value %d" % number

    async def read_in_many_tasks() -> None:
        async with trio_tcp.open_requester(
            site.connect, reply_timeout=PATIENCE
        ) as requester:
            async with trio.open_nursery() as nursery:
                for _ in range(TASKS):
                    nursery.start_soon(read, requester)

    async with faults.Chaos(seconds=10).running(net):
        await site.client.run(read_in_many_tasks)


@testing.simulated(seeds=30)
async def test_what_the_pool_has_loaded_is_there(net: testing.VirtualNetwork) -> None:
    """A batch that failed may be there in part; nothing is under another's key."""
    site = Site(net)
    loaded: set[int] = set()

    async def load_one(pool: Pool, number: int) -> None:
        lines = [b"%d:%d %d\n" % (number, line, number) for line in range(LINES)]
        await trio.sleep(0.5 * number)
        with trio.move_on_after(PATIENCE):
            try:
                await load(pool, lines)
            except trio_tcp.ConnectionFault:
                return
            loaded.add(number)

    async def load_all() -> None:
        async with trio_tcp.open_pool(site.connect, size=3) as pool:
            async with trio.open_nursery() as nursery:
                for number in range(BATCHES):
                    nursery.start_soon(load_one, pool, number)

    async with faults.Chaos(seconds=10).running(net):
        await site.client.run(load_all)
    for number in range(BATCHES):
        values = {site.store.get(b"%d:%d" % (number, line)) for line in range(LINES)}
        assert values <= {b"%d" % number, None}
        assert number not in loaded or None not in values
