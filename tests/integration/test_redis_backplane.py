"""Hubs joined by a real Redis, which is killed, paused, restarted, and cut off."""

from __future__ import annotations

import gc
import shutil
import signal
import warnings
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

import trio_tcp
from tests.integration.loopback import LOOPBACK, Record, run_program
from tests.integration.relay import Relay, start_relay
from tests.integration.test_real_redis import free_port
from trio_tcp import (
    BackplaneConnected,
    BackplaneLost,
    BackplaneRefused,
    Lagged,
    Position,
    codecs,
    testing,
)

pytestmark = pytest.mark.skipif(
    shutil.which("redis-server") is None,
    reason="the program redis-server is not installed",
)

BACKOFF = trio_tcp.Backoff(initial=0.05, maximum=0.2)
TIMEOUT = 0.5
KEPT = 10
HISTORY = {"room.*": KEPT}


@attrs.define(eq=False)
class Redis:
    """A Redis that can be ended and started again, on one port.

    Attributes:
        folder: where it keeps its file.
        port: of it.
    """

    folder: Path
    port: int = attrs.field(factory=free_port)
    _stack: AsyncExitStack = attrs.field(factory=AsyncExitStack)
    _process: trio.Process | None = None

    async def start(self) -> None:
        """Start it; it remembers what `save` has written."""
        options = ["--bind", LOOPBACK, "--port", str(self.port), "--save", ""]
        program = await self._stack.enter_async_context(
            run_program("redis-server", *options, "--dir", str(self.folder))
        )
        while "Ready to accept connections" not in (line := await program.line()):
            assert line
        self._process = program.process

    async def kill(self) -> None:
        """End it with SIGKILL."""
        await self._stack.aclose()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    async def command(self, *words: str) -> str:
        """Run redis-cli."""
        done = await trio.run_process(
            ["redis-cli", "-p", str(self.port), *words], capture_stdout=True
        )
        return str(done.stdout.decode())


@asynccontextmanager
async def redis_in(folder: Path) -> AsyncGenerator[Redis, None]:
    """Run a Redis."""
    redis = Redis(folder)
    await redis.start()
    try:
        yield redis
    finally:
        with trio.CancelScope(shield=True):
            await redis.kill()


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncGenerator[Redis, None]:
    """Run a Redis."""
    async with redis_in(tmp_path) as redis:
        yield redis


@attrs.define(eq=False)
class Node:
    """A machine.

    Attributes:
        hub: of it.
        backplane: of the hub.
        record: what happened to it.
        relay: its way to Redis.
    """

    hub: trio_tcp.Hub[str]
    backplane: trio_tcp.ReconnectingBackplane[str]
    record: Record
    relay: Relay

    async def lost(self) -> None:
        """Wait until it knows that Redis is away."""
        while self.backplane.statistics().is_connected:
            await self.record.news()

    async def connected(self, times: int) -> BackplaneConnected:
        """Wait until it has connected so often; return the last time."""
        return (await self.record.wait(BackplaneConnected, times))[-1]


@asynccontextmanager
async def node(redis: Redis) -> AsyncGenerator[Node, None]:
    """Run a hub that is joined by Redis, through a relay."""
    record = Record()
    async with trio.open_nursery() as nursery:
        relay = await start_relay(nursery, redis.port)
        async with trio_tcp.RedisBackplane(
            f"redis://{LOOPBACK}:{relay.port}",
            codec=codecs.Lines(),
            timeout=TIMEOUT,
            backoff=BACKOFF,
            observer=record,
        ) as backplane:
            hub: trio_tcp.Hub[str] = trio_tcp.Hub(history=HISTORY, backplane=backplane)
            yield Node(hub, backplane, record, relay)
        nursery.cancel_scope.cancel()


async def receive(subscription: trio_tcp.Subscription[str], count: int) -> list[Any]:
    """Receive so many: messages, and `Lagged` as it is."""
    items = [await subscription.receive() for _ in range(count)]
    return [item if isinstance(item, Lagged) else item.message for item in items]


async def receive_until(
    subscription: trio_tcp.Subscription[str], last: str
) -> list[Any]:
    """Receive up to and including a message."""
    got: list[Any] = []
    while not got or got[-1] != last:
        got += await receive(subscription, 1)
    return got


async def listening(node: Node, *topics: str) -> trio_tcp.Subscription[str]:
    """Subscribe, and wait until Redis knows it: it answers in order."""
    asked = {"room.none": Position("none", 0)}
    subscription = node.hub.subscribe(*topics, "room.none", after=asked)
    assert await receive(subscription, 1) == [Lagged(None)]
    return subscription


async def publish(node: Node, topic: str, *messages: str) -> list[int | None]:
    """Publish; return the sequence numbers, and None where nobody else gets it."""
    numbers: list[int | None] = []
    for message in messages:
        publication = await node.hub.publish(topic, message)
        position = publication.position
        assert publication.is_replicated is (position is not None)
        numbers.append(position.sequence if position is not None else None)
    return numbers


@asynccontextmanager
async def two_nodes(redis: Redis) -> AsyncGenerator[tuple[Node, Node], None]:
    """Run two of them."""
    async with node(redis) as here, node(redis) as there:
        yield here, there


async def test_it_keeps_the_promises_of_a_backplane(redis: Redis) -> None:
    """All of them, over a real Redis."""
    url = f"redis://{LOOPBACK}:{redis.port}"
    await testing.check_backplane(
        partial(trio_tcp.RedisBackplane[str], url, codec=codecs.Lines())
    )


async def test_without_redis_a_hub_goes_on_alone(redis: Redis) -> None:
    """And what it publishes then is sent to nobody later."""
    async with two_nodes(redis) as (here, there):
        at_here, at_there = await listening(here, "room.a"), await listening(there, ">")
        assert await publish(here, "room.a", "one") == [1]
        await redis.kill()
        for node in here, there:
            await node.record.wait(BackplaneLost)
        assert await publish(here, "room.a", "two") == [None]
        assert not (await here.hub.publish("plain", "two")).is_replicated
        assert not here.hub.publish_nowait("plain", "three").is_replicated
        await redis.start()
        for node in here, there:
            assert (await node.connected(2)).has_forgotten
        assert await publish(here, "room.a", "four") == [1]
        assert await receive(at_here, 4) == ["one", "two", Lagged(None), "four"]
        assert await receive(at_there, 3) == ["one", Lagged(None), "four"]


async def test_a_redis_that_comes_later_is_joined(tmp_path: Path) -> None:
    """A hub begins alone."""
    async with redis_in(tmp_path) as redis:
        await redis.kill()
        async with two_nodes(redis) as (here, there):
            at_there = there.hub.subscribe("room.a")
            assert await publish(here, "room.a", "alone") == [None]
            await redis.start()
            for node in here, there:
                assert not (await node.connected(1)).has_forgotten
            assert await publish(here, "room.a", "together") == [1]
            assert await receive(at_there, 1) == ["together"]


async def test_a_redis_that_remembers_is_gone_on_with(redis: Redis) -> None:
    """In mid-stream: nothing is missing, and nothing comes twice."""
    async with two_nodes(redis) as (here, there):
        at_there = await listening(there, "room.*")
        assert await publish(here, "room.a", "one", "two") == [1, 2]
        await redis.command("SAVE")
        await redis.kill()
        await redis.start()
        for node in here, there:
            assert not (await node.connected(2)).has_forgotten
        assert await publish(here, "room.a", "three") == [3]
        assert await receive(at_there, 3) == ["one", "two", "three"]


async def test_a_redis_that_has_gone_back_in_time_is_noticed(redis: Redis) -> None:
    """What it remembers is older than what was seen: positions are counted anew."""
    async with two_nodes(redis) as (here, there):
        at_there = await listening(there, "room.*")
        first = await here.hub.publish("room.a", "one")
        await redis.command("SAVE")
        await publish(here, "room.a", "two")
        assert await receive(at_there, 2) == ["one", "two"]
        await redis.kill()
        await redis.start()
        assert any([(await node.connected(2)).has_forgotten for node in (here, there)])
        again = await here.hub.publish("room.a", "three")
        assert first.position is not None
        assert again.position is not None
        assert again.position.epoch != first.position.epoch
        assert await receive(at_there, 2) == [Lagged(None), "three"]


async def test_a_redis_that_hangs_is_not_waited_for(redis: Redis) -> None:
    """What it does when it wakes up comes to all, and to nobody twice."""
    async with two_nodes(redis) as (here, there):
        at_here, at_there = await listening(here, ">"), await listening(there, "room.a")
        redis.signal(signal.SIGSTOP)
        assert await publish(here, "room.a", "asleep") == [None]
        redis.signal(signal.SIGCONT)
        for node in here, there:
            while not node.backplane.statistics().is_connected:
                await node.record.news()
        while await publish(here, "room.a", "awake") == [None]:
            pass  # it is not lost yet
        got = await receive(at_there, 2)
        assert got == ["asleep", "awake"]
        got = [item for item in await receive(at_here, 2) if item != Lagged(None)]
        assert got[0] == "asleep"
        assert "asleep" not in got[1:]


@pytest.mark.parametrize("kept", [5, 15])
async def test_who_was_cut_off_gets_what_it_missed(redis: Redis, kept: int) -> None:
    """Or learns how much is not kept any more: each node in turn."""
    async with two_nodes(redis) as nodes:
        for here, there in nodes, nodes[::-1]:
            topic = f"room.{there.relay.port}"
            at_there = await listening(there, "room.*")
            await publish(here, topic, "before")
            assert await receive(at_there, 1) == ["before"]
            there.relay.cut()
            await there.lost()
            messages = [str(number) for number in range(kept)]
            assert None not in await publish(here, topic, *messages)
            there.relay.mend()
            await publish(here, topic, "after")
            got = await receive_until(at_there, "after")
            all_there_is = [*messages, "after"]
            if len(all_there_is) > KEPT:
                assert isinstance(got[0], Lagged)
                assert got[0].missed is not None
                assert got[1:] == all_there_is[got[0].missed :]
            else:
                assert got == all_there_is
            at_there.close()


async def test_a_node_whose_network_is_silent_notices(redis: Redis) -> None:
    """Nothing breaks, nothing comes: an answer that does not come is enough."""
    async with two_nodes(redis) as (here, there):
        at_there = await listening(there, "room.a")
        there.relay.hold()
        assert await publish(here, "room.a", "one") == [1]
        await there.record.wait(BackplaneLost)
        assert await publish(there, "room.a", "alone") == [None]
        there.relay.let_go()
        await there.connected(2)
        assert await receive(at_there, 2) == ["alone", "one"]


async def test_scripts_that_were_flushed_are_loaded_again(redis: Redis) -> None:
    """By connecting anew."""
    async with two_nodes(redis) as (here, there):
        at_there = await listening(there, "room.a")
        await redis.command("SCRIPT", "FLUSH")
        assert await publish(here, "room.a", "one") == [None]
        await here.connected(2)
        assert await publish(here, "room.a", "two") == [1]
        assert await receive(at_there, 1) == ["two"]


async def test_a_redis_that_takes_nothing_is_reported_once(redis: Redis) -> None:
    """It is full: publications stay here until it takes them again."""
    async with two_nodes(redis) as (here, there):
        at_here, at_there = await listening(here, ">"), await listening(there, ">")
        await redis.command("CONFIG", "SET", "maxmemory", "1")
        assert await publish(here, "room.a", "one", "two") == [None, None]
        assert len(here.record.all(BackplaneRefused)) == 1
        await redis.command("CONFIG", "SET", "maxmemory", "0")
        assert await publish(here, "room.a", "three") == [1]
        assert await receive(at_here, 3) == ["one", "two", "three"]
        assert await receive(at_there, 1) == ["three"]
        assert here.backplane.statistics().not_replicated == 2


async def test_everything_in_redis_expires(redis: Redis) -> None:
    """Under the prefix, and the payload is the codec's bytes."""
    async with two_nodes(redis) as (here, _):
        await publish(here, "room.a", "one")
        keys = (await redis.command("KEYS", "*")).split()
        assert sorted(keys) == [
            "trio_tcp:history:room.a",
            "trio_tcp:memory",
            "trio_tcp:topics",
        ]
        for key in keys:
            assert 0 < int(await redis.command("PTTL", key)) <= 86_400_000
        entries = await redis.command("XRANGE", "trio_tcp:history:room.a", "-", "+")
        assert entries.endswith("payload\none\n\n")


async def test_names_that_mean_something_to_redis_mean_nothing(redis: Redis) -> None:
    """In a topic; and prefixes keep what is published apart."""
    async with two_nodes(redis) as (here, there):
        at_there = await listening(there, "room.[a-z]?\\.*", "x[ab].*")
        await here.hub.publish("xa.1", "no")
        await here.hub.publish("room.b.1", "no")
        await here.hub.publish("x[ab].1", "yes")
        await here.hub.publish("room.[a-z]?\\.1", "yes, too")
        await here.hub.publish("x[ab].1.2", "no")
        await here.hub.publish("x[ab].1", "end")
        assert await receive(at_there, 3) == ["yes", "yes, too", "end"]


async def test_what_somebody_else_has_put_there_is_left_alone(redis: Redis) -> None:
    """Names that are no text in UTF-8, and messages that are no publications."""
    async with two_nodes(redis) as (here, there):
        everything = await listening(there, "room.*")
        await publish(here, "room.a", "one")
        stream = await trio.open_tcp_stream(LOOPBACK, redis.port)
        async with stream:
            await stream.send_all(
                b"PUBLISH trio_tcp:topic:room.\xff hello\r\n"
                b"PUBLISH trio_tcp:topic:room.a hello\r\n"
                b"ZADD trio_tcp:topics 9 room.\xff\r\n"
            )
            answer = b""
            while answer.count(b"\r\n") < 3:
                answer += await stream.receive_some()
        with there.hub.subscribe("room.*", last=1) as late:
            assert await receive(late, 1) == ["one"]
        there.relay.cut()
        await there.lost()
        there.relay.mend()
        await there.connected(2)
        await publish(here, "room.a", "two")
        assert await receive(everything, 2) == ["one", "two"]


async def test_one_that_is_not_let_in_tries_on(redis: Redis) -> None:
    """And says why."""
    await redis.command("CONFIG", "SET", "requirepass", "secret")
    async with two_nodes(redis) as (here, _):
        (lost, *_) = await here.record.wait(BackplaneLost)
        assert "authenticate" in str(lost.error)
        assert lost.name == f"{LOOPBACK}:{here.relay.port}"
    url = f"redis://:secret@{LOOPBACK}:{redis.port}"
    async with trio_tcp.RedisBackplane(url, codec=codecs.Lines()) as backplane:
        assert backplane.statistics().is_connected


async def test_attempts_can_be_limited(tmp_path: Path) -> None:
    """The block is cancelled then."""
    url = f"redis://{LOOPBACK}:{Redis(tmp_path).port}"
    backoff = trio_tcp.Backoff(initial=0.01, max_attempts=2)
    with pytest.raises(trio_tcp.ConnectError, match="could not connect"):
        async with trio_tcp.RedisBackplane(url, codec=codecs.Lines(), backoff=backoff):
            await trio.sleep_forever()


async def test_one_that_goes_while_it_is_asked_leaves_nothing_open() -> None:
    """It lets one connection in; those that follow find nobody."""
    [listener] = await trio.open_tcp_listeners(0, host=LOOPBACK)
    url = f"redis://{LOOPBACK}:{listener.socket.getsockname()[1]}"
    backoff = trio_tcp.Backoff(initial=0.01, max_attempts=2)

    async def let_one_in() -> None:
        async with listener:
            await (await listener.accept()).aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(let_one_in)
        with pytest.raises(trio_tcp.ConnectError):
            async with trio_tcp.RedisBackplane(
                url, codec=codecs.Lines(), backoff=backoff
            ):
                await trio.sleep_forever()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gc.collect()
    assert caught == []
