"""Hubs of two machines, joined in memory: what their subscribers and publishers see."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

import trio_tcp
from trio_tcp import Lagged, Position, Publication, codecs, testing

LINES = codecs.Lines()
HISTORY = {"room.*": 3}


@attrs.define(eq=False)
class Joined:
    """Two hubs.

    Attributes:
        broker: what joins them.
        here: a hub.
        there: another.
        backplanes: of both.
        events: what happened to either.
    """

    broker: testing.MemoryBroker
    here: trio_tcp.Hub[str]
    there: trio_tcp.Hub[str]
    backplanes: list[trio_tcp.ReconnectingBackplane[str]]
    events: list[trio_tcp.Event]

    async def settle(self) -> None:
        """Wait until all that was caused has happened."""
        await trio.sleep(10 * self.broker.delay + 5)


@asynccontextmanager
async def joined(
    there: codecs.Codec[str, str] = LINES, delay: float = 0.0
) -> AsyncGenerator[Joined, None]:
    """Join two hubs."""
    broker = testing.MemoryBroker(delay=delay)
    events: list[trio_tcp.Event] = []
    async with AsyncExitStack() as stack:
        backplanes = [
            await stack.enter_async_context(
                testing.MemoryBackplane(broker, codec=codec, observer=events.append)
            )
            for codec in (LINES, there)
        ]
        at_here, at_there = (
            trio_tcp.Hub[str](history=HISTORY, backplane=backplane)
            for backplane in backplanes
        )
        yield Joined(broker, at_here, at_there, backplanes, events)


def everything(subscription: trio_tcp.Subscription[str]) -> list[Any]:
    """Return what is there: messages, and `Lagged` as it is."""
    got: list[Any] = []
    while True:
        try:
            item = subscription.receive_nowait()
        except trio.WouldBlock:
            return got
        got.append(item if isinstance(item, Lagged) else item.message)


async def test_it_keeps_the_promises_of_a_backplane(autojump_clock: MockClock) -> None:
    """The one in memory, with nothing between and with a network."""
    for delay in (0.0, 0.1):
        broker = testing.MemoryBroker(delay=delay)
        make = partial(testing.MemoryBackplane[str], broker, codec=LINES)
        await testing.check_backplane(make)


async def test_a_position_has_to_be_waited_for(autojump_clock: MockClock) -> None:
    """So what has a history cannot be published without waiting; the rest can."""
    async with joined() as both:
        with pytest.raises(trio.WouldBlock):
            both.here.publish_nowait("room.a", "one")
        assert both.here.publish_nowait("plain", "one").is_replicated
        assert both.here.statistics().published == 1


async def test_publishers_elsewhere_cannot_be_made_to_wait(
    autojump_clock: MockClock,
) -> None:
    """Who asks for that learns it at once."""
    async with joined() as both:
        with pytest.raises(ValueError, match="not possible with a backplane"):
            both.here.subscribe("room.a", when_full="wait")
        assert both.here.statistics().subscribers == 0


async def test_without_a_backplane_everybody_gets_it(autojump_clock: MockClock) -> None:
    """There is nobody else."""
    hub: trio_tcp.Hub[str] = trio_tcp.Hub()
    assert (await hub.publish("a", "b")).is_replicated


async def test_the_present_waits_for_the_past_and_nothing_comes_twice(
    autojump_clock: MockClock,
) -> None:
    """Whatever is published while the history is on its way."""
    async with joined(delay=1) as both:
        await both.here.publish("room.a", "one")
        two = await both.here.publish("room.a", "two")
        assert two.position is not None
        after = {"room.a": Position(two.position.epoch, 1)}
        resumed = both.there.subscribe("room.a", after=after)
        greeted = both.there.subscribe("room.*", "plain", last=2)
        both.there.publish_nowait("plain", "at once")
        await trio.lowlevel.checkpoint()
        assert everything(greeted) == []
        async with trio.open_nursery() as nursery:
            for message in ("three", "four"):
                nursery.start_soon(both.here.publish, "room.a", message)
                await trio.sleep(0.4)
        await both.settle()
        got = everything(resumed)
        assert got[0] == "two"
        assert sorted(got[1:]) == ["four", "three"]
        last = [item for item in everything(greeted) if item != "at once"]
        assert len(last) >= 2
        assert last == got[-len(last) :]


async def test_a_connection_begins_with_what_is_kept_elsewhere(
    autojump_clock: MockClock,
) -> None:
    """Rendered with its position, which is the same on all machines."""

    def render(item: Publication[str] | Lagged) -> str:
        if isinstance(item, Lagged):
            return f"missed {item.missed}"
        return f"{item.position} {item.message}"

    async with joined() as both, testing.connection_pair(LINES) as (at, peer):
        one, *_, last = [await both.here.publish("room.a", str(n)) for n in range(5)]
        assert one.position is not None
        after = {"room.a": one.position}
        with both.there.attach(at, "room.a", render=render, after=after):
            assert await peer.receive() == "missed 1"
            lines = [await peer.receive() for _ in range(3)]
            assert lines[-1] == f"{last.position} 4"
            await both.here.publish("room.a", "5")
            assert (await peer.receive()).endswith(" 5")
            both.broker.forget()
            assert await peer.receive() == "missed None"


async def test_what_rendering_raises_ends_its_connection_and_not_the_backplane(
    autojump_clock: MockClock,
) -> None:
    """For what comes from elsewhere, and for what says that something is missing."""

    def render(item: Publication[str] | Lagged) -> str:
        assert isinstance(item, Publication)
        return str(int(item.message))

    async with (
        joined() as both,
        testing.connection_pair(LINES) as (one, _),
        testing.connection_pair(LINES) as (two, _),
    ):
        subscription = both.there.subscribe("room.a")
        both.there.attach(one, "room.a", render=render)
        await both.settle()
        await both.here.publish("room.a", "no number")
        await both.settle()
        assert one.close_reason is trio_tcp.CloseReason.HANDLER_FAILED
        both.there.attach(two, "room.a", render=render)
        both.broker.forget()
        await both.settle()
        assert two.close_reason is trio_tcp.CloseReason.HANDLER_FAILED
        await both.here.publish("room.a", "1")
        await both.settle()
        assert everything(subscription) == ["no number", Lagged(None), "1"]
        assert both.there.statistics().subscribers == 1


async def test_alone_a_hub_delivers_to_its_own(autojump_clock: MockClock) -> None:
    """With no position; and the publisher learns that others do not get it."""
    async with joined() as both:
        here, there = both.here.subscribe("room.a"), both.there.subscribe("room.a")
        await both.settle()
        both.broker.go_away()
        alone = await both.here.publish("room.a", "alone")
        assert (alone.is_replicated, alone.position) == (False, None)
        assert not (await both.here.publish("plain", "alone")).is_replicated
        assert not both.here.publish_nowait("plain", "alone").is_replicated
        await trio.sleep(3)
        both.broker.come_back()
        await both.settle()
        lost = [it for it in both.events if isinstance(it, trio_tcp.BackplaneLost)]
        assert [it.attempts for it in lost][:2] == [1, 1], "of both"
        assert lost[-1].attempts > 1
        assert (await both.here.publish("room.a", "together")).is_replicated
        await both.settle()
        assert everything(here) == ["alone", "together"]
        assert everything(there) == ["together"]
        statistics = both.backplanes[0].statistics()
        assert (statistics.published, statistics.not_replicated) == (1, 3)
        assert (statistics.connected, statistics.is_connected) == (2, True)


async def test_an_answer_that_does_not_come_is_not_waited_for(
    autojump_clock: MockClock,
) -> None:
    """And if the publication comes after all, nobody gets it twice."""
    async with joined() as both:
        here, there = both.here.subscribe("room.a"), both.there.subscribe("room.a")
        await trio.sleep(7)  # so that it is not yet noticed that the broker hangs
        both.broker.is_paused = True
        before = trio.current_time()
        assert not (await both.here.publish("room.a", "slow")).is_replicated
        assert trio.current_time() - before == pytest.approx(5)
        assert everything(here) == ["slow"]
        late = both.here.subscribe("room.a")
        both.broker.is_paused = False
        await both.settle()
        assert everything(here) == []
        assert everything(there) == ["slow"]
        assert everything(late) == ["slow"], "it was not there"


async def test_after_an_interruption_what_was_missed_is_delivered(
    autojump_clock: MockClock,
) -> None:
    """Of topics with a history; of others, it is announced to who listens to them."""
    async with joined() as both:
        kept = both.there.subscribe("room.a", "room.*")
        other = both.there.subscribe("room.a", "plain")
        await both.settle()
        await both.here.publish("room.a", "one")
        await both.settle()
        both.broker.break_links()
        await both.settle()
        await both.here.publish("room.a", "two")
        await both.settle()
        assert everything(kept) == ["one", "two"]
        assert everything(other) == ["one", Lagged(None), "two"]


async def test_a_hub_can_be_subscribed_to_at_any_moment_of_an_interruption(
    autojump_clock: MockClock,
) -> None:
    """Also while the connection is being closed: what is missed is announced."""
    async with joined() as both:
        for passes in range(20):
            both.broker.break_links()
            for _ in range(passes):
                await trio.lowlevel.checkpoint()
            with both.here.subscribe("room.a", last=1) as subscription:
                assert await subscription.receive() == Lagged(None)
            await both.settle()


async def test_a_memory_that_is_lost_is_announced_to_all(
    autojump_clock: MockClock,
) -> None:
    """And what is published from then on comes."""
    async with joined() as both:
        seen, unseen = both.there.subscribe("room.a"), both.there.subscribe("room.*")
        await both.here.publish("room.a", "one")
        both.broker.forget()
        await both.settle()
        publication = await both.here.publish("room.a", "two")
        await both.settle()
        assert publication.position is not None
        assert publication.position.sequence == 1
        assert everything(seen)[-2:] == [Lagged(None), "two"]
        assert everything(unseen)[-2:] == [Lagged(None), "two"]
        connected = [
            event
            for event in both.events
            if isinstance(event, trio_tcp.BackplaneConnected)
        ]
        assert [event.has_forgotten for event in connected] == [False] * 2 + [True] * 2


async def test_what_was_published_before_does_not_come_after_an_interruption(
    autojump_clock: MockClock,
) -> None:
    """To who did not ask for it: also if the topic was never seen."""
    async with joined() as both:
        await both.here.publish("room.a", "before")
        subscription = both.there.subscribe("room.*")
        await both.settle()
        both.broker.break_links()
        await both.settle()
        await both.here.publish("room.a", "after")
        await both.settle()
        assert everything(subscription) == ["after"]


async def test_positions_may_change_after_they_were_given(
    autojump_clock: MockClock,
) -> None:
    """What counts is what they were then."""
    async with joined(delay=1) as both:
        published = [await both.here.publish("room.a", text) for text in "123"]
        assert published[0].position is not None
        positions = {"room.a": published[0].position}
        subscription = both.there.subscribe("room.a", after=positions)
        positions.clear()
        await both.settle()
        assert everything(subscription) == ["2", "3"]


async def test_while_the_others_are_away_the_past_is_unknown(
    autojump_clock: MockClock,
) -> None:
    """A subscriber that asks for it is not kept waiting."""
    async with joined() as both:
        await both.here.publish("room.a", "one")
        both.broker.go_away()
        await trio.sleep(1)
        subscription = both.here.subscribe("room.a", last=1)
        await both.here.publish("room.a", "two")
        assert everything(subscription) == [Lagged(None), "two"]


async def test_a_message_that_is_none_here_is_missed(autojump_clock: MockClock) -> None:
    """Where another machine has another codec."""
    async with joined(there=codecs.Lines(max_bytes=10)) as both:
        subscription = both.there.subscribe("room.a", "plain")
        await both.settle()
        for topic in ("room.a", "plain"):
            for message in ("1", "much too long", "3"):
                await both.here.publish(topic, message)
            await both.settle()
            assert everything(subscription) == ["1", Lagged(1), "3"]
        assert both.backplanes[1].statistics().malformed == 2


async def test_a_connection_misses_what_it_cannot_carry(
    autojump_clock: MockClock,
) -> None:
    """Other subscribers get it: it is published already."""
    short = codecs.Lines(max_bytes=5)

    def render(item: Publication[str] | Lagged) -> str:
        return "lag" if isinstance(item, Lagged) else item.message

    async with joined() as both, testing.connection_pair(short) as (at, peer):
        with both.there.attach(at, "room.a", render=render):
            subscription = both.there.subscribe("room.a")
            await both.settle()
            for message in ("one", "too long", "two"):
                await both.here.publish("room.a", message)
            assert [await peer.receive() for _ in range(3)] == ["one", "lag", "two"]
            assert everything(subscription) == ["one", "too long", "two"]


async def test_what_nobody_takes_is_limited(autojump_clock: MockClock) -> None:
    """A broker that answers slower than is published does not fill the memory."""
    async with joined() as both:
        both.broker.is_paused = True
        message = "x" * 60_000
        sent = [both.here.publish_nowait("a", message) for _ in range(1000)]
        replicated = [publication.is_replicated for publication in sent]
        assert replicated[0]
        assert not replicated[-1]
        held = both.backplanes[0].statistics().unanswered_bytes
        assert 16 << 20 <= held < 17 << 20
        both.broker.is_paused = False
        await both.settle()
        assert both.backplanes[0].statistics().unanswered_bytes == 0
        assert both.here.publish_nowait("a", message).is_replicated


async def test_after_the_block_a_hub_goes_on_alone(autojump_clock: MockClock) -> None:
    """As if the others were away."""
    async with joined() as both:
        subscription = both.here.subscribe("room.a")
    assert not (await both.here.publish("room.a", "one")).is_replicated
    assert everything(subscription) == ["one"]
    both.here.close()
    with pytest.raises(trio_tcp.HubClosedError):
        await both.here.publish("room.a", "two")


async def test_a_subscriber_that_leaves_while_it_waits_is_forgotten(
    autojump_clock: MockClock,
) -> None:
    """What is found for it goes nowhere."""
    async with joined(delay=1) as both:
        await both.here.publish("room.a", "one")
        subscription = both.there.subscribe("room.a", last=1)
        subscription.close()
        await both.settle()
        assert both.there.statistics().subscribers == 0
        with pytest.raises(trio.ClosedResourceError):
            subscription.receive_nowait()


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), "1"])
async def test_a_time_limit_has_to_be_one(seconds: object) -> None:
    """Seconds, above zero."""
    with pytest.raises(ValueError, match="timeout must be"):
        testing.MemoryBackplane(testing.MemoryBroker(), codec=LINES, timeout=seconds)  # type: ignore[arg-type] # that is the point
