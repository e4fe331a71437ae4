"""What `Hub.attach` promises a connection, over streams in memory."""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TypeAlias, final

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from trio_tcp import Lagged, Publication, codecs, testing

Text: TypeAlias = trio_tcp.Connection[str, str]

LINES = codecs.Lines(max_bytes=1 << 20)
BIG = "x" * 50_000
"""Two of them are more than a connection queues."""


@final
class Counting:
    """Lines, and how many of them were encoded."""

    def __init__(self) -> None:
        self.encoded = 0

    def encode(self, message: str, /) -> bytes:
        self.encoded += 1
        return LINES.encode(message)

    def decode(self, buffer: codecs.Buffer, /) -> codecs.Decoding[str]:
        return LINES.decode(buffer)


@asynccontextmanager
async def pair(
    codec: codecs.Codec[str, str] = LINES,
) -> AsyncGenerator[tuple[Text, Text], None]:
    """Two connections to each other, with little room between them."""
    async with testing.connection_pair(codec, capacity=1024) as (here, there):
        try:
            yield here, there
        finally:
            here.abort()
            there.abort()


async def lines(there: Text, count: int) -> list[str]:
    """Receive so many lines."""
    received: list[str] = []
    with trio.fail_after(5):
        while len(received) < count:
            received.append(await there.receive())
    return received


def numbered(*numbers: int) -> list[str]:
    """Make big lines that can be told apart."""
    return [f"{number:04} {BIG}" for number in numbers]


async def test_a_connection_is_sent_what_is_published_while_it_is_attached() -> None:
    """In order, and nothing before or after."""
    hub: trio_tcp.Hub[str] = trio_tcp.Hub()
    async with pair() as (here, there):
        hub.publish_nowait("a", "too early")
        with hub.attach(here, "a", "b.*"):
            for topic in ("a", "b.c", "d", "a"):
                await hub.publish(topic, topic)
        hub.publish_nowait("a", "too late")
        await here.send("end")
        assert await lines(there, 4) == ["a", "b.c", "a", "end"]
        assert hub.statistics().subscribers == 0


async def test_a_publication_is_encoded_once_for_each_codec() -> None:
    """However many connections there are, and also for those that lag behind."""
    hub: trio_tcp.Hub[str] = trio_tcp.Hub(history={"a": 10})
    codec = Counting()
    async with pair(codec) as (one, one_there), pair(codec) as (two, _):
        with hub.attach(one, "a"), hub.attach(two, "a"):
            for line in numbered(*range(5)):
                await hub.publish("a", line)
            assert codec.encoded == 5
            with hub.attach(one, "a", last=5):
                pass
            assert await lines(one_there, 5) == numbered(*range(5))
            assert codec.encoded == 5


async def test_what_is_kept_does_not_grow_with_those_who_come_and_go() -> None:
    """Though each of them has had it encoded for itself."""
    hub: trio_tcp.Hub[str] = trio_tcp.Hub(history={"a": 1})
    hub.publish_nowait("a", "kept")
    renders: list[weakref.ref[object]] = []
    async with pair() as (here, there):
        for number in range(10):

            def render(item: Publication[str] | Lagged, number: int = number) -> str:
                assert isinstance(item, Publication)
                return f"{number} {item.message}"

            with hub.attach(here, "a", render=render, last=1):
                assert await lines(there, 1) == [f"{number} kept"]
            renders.append(weakref.ref(render))
            del render
    assert sum(each() is not None for each in renders) <= 1


async def test_what_cannot_be_encoded_is_published_to_nobody() -> None:
    """Nor is it kept."""
    hub: trio_tcp.Hub[str] = trio_tcp.Hub(history={"a": 10})
    async with pair() as (here, there):
        with hub.subscribe("a") as subscription, hub.attach(here, "a"):
            with pytest.raises(trio_tcp.EncodeError):
                await hub.publish("a", "two\nlines")
            with pytest.raises(trio.WouldBlock):
                subscription.receive_nowait()
            assert hub.statistics().histories == 0
            await hub.publish("a", "one")
        assert await lines(there, 1) == ["one"]
        with hub.subscribe("a", last=10) as later:
            item = later.receive_nowait()
            assert isinstance(item, Publication)
            assert item.message == "one"


async def test_a_history_that_cannot_be_encoded_attaches_nobody() -> None:
    """It was published before this codec was among them."""
    hub: trio_tcp.Hub[str] = trio_tcp.Hub(history={"a": 10})
    hub.publish_nowait("a", "two\nlines")
    async with pair() as (here, _):
        with pytest.raises(trio_tcp.EncodeError):
            hub.attach(here, "a", last=1)
        assert hub.statistics().subscribers == 0


async def test_a_message_is_rendered_for_who_wants_more_than_the_message() -> None:
    """Its topic and position; and what is missing; or nothing at all."""

    def render(item: Publication[int] | Lagged) -> str | None:
        if isinstance(item, Lagged):
            return f"you missed {item.missed}"
        return f"{item.topic}={item.message}" if item.message % 2 else None

    hub: trio_tcp.Hub[int] = trio_tcp.Hub(history={"a": 1})
    position = hub.publish_nowait("a", 1).position
    for number in range(2, 6):
        hub.publish_nowait("a", number)
    assert position is not None
    async with pair() as (here, there):
        with hub.attach(here, "a", render=render, after={"a": position}):
            await hub.publish("a", 6)
            await hub.publish("a", 7)
        assert await lines(there, 3) == ["you missed 3", "a=5", "a=7"]


async def test_a_function_that_renders_cannot_publish() -> None:
    """What it published would have the position of what it is called for."""
    hub: trio_tcp.Hub[str] = trio_tcp.Hub(history={"a": 10})

    def render(item: Publication[str] | Lagged) -> str | None:
        if isinstance(item, Lagged):
            return None
        if item.message == "publish":
            hub.publish_nowait("a", "another")
        return f"{item.position} {item.message}"

    async with pair() as (here, there):
        with hub.attach(here, "a", render=render):
            with pytest.raises(RuntimeError, match="must not publish"):
                await hub.publish("a", "publish")
            published = hub.publish_nowait("a", "later")
        assert await lines(there, 1) == [f"{published.position} later"]
    assert hub.statistics().published == 1


async def fill(hub: trio_tcp.Hub[str], *numbers: int) -> None:
    """Publish big lines."""
    for line in numbered(*numbers):
        await hub.publish("a", line)


def heads(received: list[str]) -> list[str]:
    """Return what big lines begin with."""
    return [line.split()[0] for line in received]


async def test_a_peer_that_does_not_read_costs_the_others_nothing() -> None:
    """They have everything before it reads anything."""
    hub: trio_tcp.Hub[str] = trio_tcp.Hub()
    async with pair() as (slow, slow_there), pair() as (fast, fast_there):
        with hub.attach(slow, "a"), hub.attach(fast, "a") as attachment:
            for number in range(20):
                await fill(hub, number)
                assert await lines(fast_there, 1) == numbered(number)
            assert attachment.missed == 0
            assert await lines(slow_there, 20) == numbered(*range(20))


async def test_the_oldest_of_what_waits_for_a_slow_peer_is_left_out() -> None:
    """What its connection has accepted already comes before that."""
    hub: trio_tcp.Hub[str] = trio_tcp.Hub()
    async with pair() as (here, there):
        with hub.attach(here, "a", capacity=2, render=tell) as attachment:
            await fill(hub, *range(10))
            assert attachment.waiting == 3  # what is missing is one of them
            assert attachment.missed == 6
            got = heads(await lines(there, 5))
            assert got == ["0000", "0001", "missed", "0008", "0009"]
            assert hub.statistics().left_out == 6


def tell(item: Publication[str] | Lagged) -> str:
    """Make a line of either."""
    return "missed some" if isinstance(item, Lagged) else item.message


async def test_the_newest_of_what_comes_for_a_slow_peer_is_left_out() -> None:
    """And where it would have been, it is said."""
    hub: trio_tcp.Hub[str] = trio_tcp.Hub()
    async with pair() as (here, there):
        with hub.attach(here, "a", capacity=2, when_full="drop_newest", render=tell):
            await fill(hub, *range(10))
            got = heads(await lines(there, 4))
            await fill(hub, 10)
            got += heads(await lines(there, 2))
            assert got == ["0000", "0001", "0002", "0003", "missed", "0010"]


async def test_a_slow_peer_gets_the_latest_of_each_key() -> None:
    """As soon as it cannot take more, and not only when much is queued."""
    hub: trio_tcp.Hub[str] = trio_tcp.Hub()
    async with pair() as (here, there):
        with hub.attach(here, "*", when_full="keep_latest") as attachment:
            await fill(hub, 0)
            await wait_all_tasks_blocked()
            for number in range(100):
                await hub.publish("a", f"a {number}")
                await hub.publish("b", f"b {number}")
            assert attachment.waiting == 2
            assert heads(await lines(there, 1)) == ["0000"]
            assert await lines(there, 2) == ["a 99", "b 99"]


async def test_a_slow_peer_that_takes_some_still_gets_the_latest_of_the_rest() -> None:
    """There was room for one of those that waited, and not for the other."""
    hub: trio_tcp.Hub[str] = trio_tcp.Hub()
    async with pair() as (here, there):
        with hub.attach(here, "*", when_full="keep_latest"):
            await fill(hub, 0)
            await wait_all_tasks_blocked()
            await hub.publish("b", numbered(1)[0])
            await hub.publish("c", "c old")
            assert heads(await lines(there, 1)) == ["0000"]
            await wait_all_tasks_blocked()
            await hub.publish("c", "c new")
            assert heads(await lines(there, 1)) == ["0001"]
            assert await lines(there, 1) == ["c new"]


async def test_a_slow_peer_is_disconnected_where_that_was_asked_for() -> None:
    """Its handler sees why."""
    hub: trio_tcp.Hub[str] = trio_tcp.Hub()
    async with pair() as (here, _):
        with hub.attach(here, "a", when_full="disconnect", capacity=2):
            await fill(hub, *range(5))
            with pytest.raises(trio_tcp.SlowSubscriberError):
                await here.receive()
            assert here.close_reason is trio_tcp.CloseReason.EVICTED
            assert hub.statistics().subscribers == 0
            assert hub.statistics().disconnected == 1


async def test_publishers_wait_for_a_slow_peer_where_that_was_asked_for() -> None:
    """Nothing is left out, and nothing changes places."""
    hub: trio_tcp.Hub[str] = trio_tcp.Hub()
    async with trio.open_nursery() as nursery, pair() as (here, there):
        with hub.attach(here, "a", when_full="wait", capacity=1):
            for number in range(8):
                nursery.start_soon(fill, hub, number)
                await wait_all_tasks_blocked()
            with pytest.raises(trio.WouldBlock):
                hub.publish_nowait("a", "more")
            assert await lines(there, 8) == numbered(*range(8))


@pytest.mark.parametrize("how", ["detach", "abort", "peer"])
async def test_publishers_go_on_when_a_slow_peer_is_gone(how: str) -> None:
    """However it goes."""
    hub: trio_tcp.Hub[str] = trio_tcp.Hub()
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery, pair() as (here, there):
            with hub.attach(here, "a", when_full="wait", capacity=1) as attachment:
                for number in range(8):
                    nursery.start_soon(fill, hub, number)
                await wait_all_tasks_blocked()
                if how == "detach":
                    attachment.__exit__(None, None, None)
                elif how == "abort":
                    here.abort()
                else:
                    there.abort()


def only_the_message(item: Publication[str] | Lagged) -> str:
    """Render, by somebody who has forgotten that something may be missing."""
    assert isinstance(item, Publication)
    return item.message


async def test_what_rendering_raises_for_what_is_missing_is_the_handlers_fault() -> (
    None
):
    """No publisher is there to get it, and the peer has done nothing wrong."""
    hub: trio_tcp.Hub[str] = trio_tcp.Hub()
    events: list[trio_tcp.Event] = []

    async def handler(connection: Text) -> None:
        with hub.attach(connection, "a", capacity=2, render=only_the_message):
            async for _ in connection:
                pass

    async with (
        testing.serve_in_memory(handler, LINES, observer=events.append) as served,
        served.connect() as client,
    ):
        await wait_all_tasks_blocked()
        await fill(hub, *range(20))
        with trio.fail_after(5), pytest.raises(trio_tcp.ConnectionBroken):
            while True:
                await client.receive()
        await wait_all_tasks_blocked()
        assert hub.statistics().subscribers == 0
    [failed] = [it for it in events if isinstance(it, trio_tcp.HandlerFailed)]
    assert isinstance(failed.error, AssertionError)
    [ended] = [it for it in events if isinstance(it, trio_tcp.ConnectionEnded)]
    assert ended.reason is trio_tcp.CloseReason.HANDLER_FAILED


async def test_a_key_that_fails_ends_its_connection_and_no_other_is_touched() -> None:
    """Neither the publisher nor who comes after it."""
    hub: trio_tcp.Hub[str] = trio_tcp.Hub()

    def key(_: Publication[str]) -> str:
        raise KeyError("no key")

    async with pair() as (here, _), pair() as (other, there):
        with (
            hub.attach(here, "a", when_full="keep_latest", key=key),
            hub.attach(other, "a"),
        ):
            await fill(hub, 1)
            await wait_all_tasks_blocked()
            await fill(hub, 2)
            assert await lines(there, 2) == numbered(1, 2)
            assert here.close_reason is trio_tcp.CloseReason.HANDLER_FAILED
            assert hub.statistics().subscribers == 1


@pytest.mark.parametrize("how", ["here", "there", "close"])
async def test_a_connection_that_ends_disturbs_nobody(how: str) -> None:
    """It is simply no subscriber any more."""
    hub: trio_tcp.Hub[str] = trio_tcp.Hub()
    async with pair() as (gone, there), pair() as (here, other_there):
        with hub.attach(gone, "a"), hub.attach(here, "a"):
            await fill(hub, 1)
            if how == "here":
                gone.abort()
            elif how == "there":
                there.abort()
            else:
                hub.close()
                with pytest.raises(trio_tcp.HubClosedError):
                    await fill(hub, 2)
                return
            for number in range(2, 5):
                await fill(hub, number)
                assert len(await lines(other_there, 1)) == 1


async def test_a_handler_that_is_attached_drains_like_any_other() -> None:
    """It waits in `receive`, and there it is told."""
    hub: trio_tcp.Hub[str] = trio_tcp.Hub()

    async def handler(connection: Text) -> None:
        with hub.attach(connection, "a"):
            async for _ in connection:
                pass

    reports: list[trio_tcp.DrainReport] = []
    async with testing.serve_in_memory(handler, codecs.Lines()) as served:

        async def drain() -> None:
            reports.append(await served.server.drain(100))

        async with trio.open_nursery() as nursery:
            async with served.connect() as client:
                await wait_all_tasks_blocked()
                await hub.publish("a", "hello")
                assert await client.receive() == "hello"
                nursery.start_soon(drain)
                with trio.fail_after(5), pytest.raises(trio_tcp.PeerClosed):
                    await client.receive()
    assert [(r.finished, r.cancelled) for r in reports] == [(1, 0)]
    assert hub.statistics().subscribers == 0


async def test_others_run_while_a_task_publishes_on_and_on() -> None:
    """Not after each: what is published until then leaves together."""
    hub: trio_tcp.Hub[str] = trio_tcp.Hub()

    async def set_it(turn: trio.Event) -> None:
        turn.set()

    async with pair() as (here, there), trio.open_nursery() as nursery:
        with hub.attach(here, "a"):
            for _ in range(3):
                turn = trio.Event()
                nursery.start_soon(set_it, turn)
                for _ in range(63):
                    await hub.publish("a", "x")
                assert not turn.is_set()
                for _ in range(65):  # two schedule points: it may be after the first
                    await hub.publish("a", "x")
                assert turn.is_set()
            assert await lines(there, 3 * 128) == ["x"] * 3 * 128
