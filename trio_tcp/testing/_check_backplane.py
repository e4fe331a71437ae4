"""Holds a backplane to what all backplanes promise, with a hub at each end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, TypeAlias, final

import attrs
import trio

from trio_tcp._errors import EncodeError
from trio_tcp._hub import Backplane, Hub, Lagged, Position, Publication, Subscription

__all__ = ["check_backplane"]

Make: TypeAlias = Callable[[], AbstractAsyncContextManager[Backplane[str]]]

SECONDS: Final = 30.0
"""For one promise. It is for a backplane that hangs: a good one needs a moment."""

KEPT: Final = 3
HISTORY: Final = {"check.kept.>": KEPT}


@final
@attrs.frozen
class _Nodes:
    """Two hubs on two machines."""

    here: Hub[str]
    there: Hub[str]


@asynccontextmanager
async def _nodes(make: Make) -> AsyncGenerator[_Nodes, None]:
    async with make() as one, make() as other:
        here: Hub[str] = Hub(history=HISTORY, backplane=one)
        there: Hub[str] = Hub(history=HISTORY, backplane=other)
        yield _Nodes(here, there)


async def _messages(subscription: Subscription[str], count: int) -> list[Any]:
    """Receive so many: messages, and a `Lagged` as it is."""
    items = [await subscription.receive() for _ in range(count)]
    return [item if isinstance(item, Lagged) else item.message for item in items]


async def _listens(nodes: _Nodes, subscription: Subscription[str], topic: str) -> None:
    """Wait until what is published on the other side comes to a new subscriber."""
    number = 0
    while True:
        number += 1
        await nodes.here.publish(topic, f"are you there {number}")
        with trio.move_on_after(0.05 * number):
            await subscription.receive()
            break
    await nodes.here.publish(topic, "begin")
    item: object = None
    while not (isinstance(item, Publication) and item.message == "begin"):
        item = await subscription.receive()


async def _without_history(nodes: _Nodes) -> None:
    """Comes to all, in order, once: also to who subscribes to it several times."""
    topics = "check.plain.a", "check.plain.*", "check.>"
    with (
        nodes.there.subscribe(*topics) as there,
        nodes.here.subscribe(*topics) as here,
    ):
        await _listens(nodes, there, "check.plain.a")
        while await _messages(here, 1) != ["begin"]:
            pass
        for number in range(5):
            publication = await nodes.here.publish("check.plain.a", str(number))
            assert publication.is_replicated, f"{number} is not replicated"
            assert publication.position is None
        for subscription in there, here:
            assert await _messages(subscription, 5) == ["0", "1", "2", "3", "4"]


async def _with_history(nodes: _Nodes) -> None:
    """Is numbered, and has one order for all."""
    topic = "check.kept.order"
    with nodes.there.subscribe(topic) as there, nodes.here.subscribe(topic) as here:
        await _listens(nodes, there, topic)
        while await _messages(here, 1) != ["begin"]:
            pass

        async def publish(hub: Hub[str], name: str) -> None:
            for number in range(10):
                await hub.publish(topic, f"{name} {number}")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(publish, nodes.here, "here")
            nursery.start_soon(publish, nodes.there, "there")
        got = [await here.receive() for _ in range(20)]
        assert got == [await there.receive() for _ in range(20)], "two orders"
        positions = [it.position for it in got if isinstance(it, Publication)]
        first = positions[0]
        assert first is not None
        assert positions == [
            Position(first.epoch, first.sequence + number) for number in range(20)
        ], f"not one after the other: {positions}"
        for name in "here", "there":
            own = [it.message for it in got if isinstance(it, Publication)]
            own = [message for message in own if message.startswith(f"{name} ")]
            assert own == [f"{name} {number}" for number in range(10)]


async def _own_is_delivered(nodes: _Nodes) -> None:
    """Before publishing it returns."""
    with nodes.here.subscribe("check.kept.own", "check.kept.*") as here:
        for number in range(5):
            publication = await nodes.here.publish("check.kept.own", str(number))
            assert publication.position is not None
            assert here.receive_nowait() == publication


async def _recalled(nodes: _Nodes) -> None:
    """What is kept comes to who asks for it, and what is not is announced."""
    topic = "check.kept.recall"
    published = [await nodes.here.publish(topic, str(number)) for number in range(6)]
    positions = {number: it.position for number, it in enumerate(published)}
    epoch, sequence = attrs.astuple(published[0].position or Position("", 0))

    async def recalled(position: Position, count: int) -> list[Any]:
        with nodes.there.subscribe(topic, after={topic: position}) as subscription:
            return await _messages(subscription, count)

    assert positions[4] is not None
    assert await recalled(positions[4], 1) == ["5"]
    assert await recalled(Position(epoch, sequence), 4) == [Lagged(2), "3", "4", "5"]
    assert await recalled(Position("other", 1), 4) == [Lagged(None), "3", "4", "5"]
    with nodes.there.subscribe("check.*.recall", topic, last=2) as subscription:
        assert await _messages(subscription, 2) == ["4", "5"]
    with nodes.there.subscribe(topic, last=2) as subscription:
        assert await _messages(subscription, 2) == ["4", "5"]
        await nodes.here.publish(topic, "6")
        assert await _messages(subscription, 1) == ["6"]


async def _unwanted(nodes: _Nodes) -> None:
    """Does not come any more, and what is wanted still does."""
    with nodes.there.subscribe("check.plain.end") as end:
        with nodes.there.subscribe("check.kept.end") as subscription:
            await _listens(nodes, subscription, "check.kept.end")
        await _listens(nodes, end, "check.plain.end")
        await nodes.here.publish("check.kept.end", "unwanted")
        with nodes.there.subscribe("check.kept.end") as again:
            await _listens(nodes, again, "check.kept.end")
        await nodes.here.publish("check.plain.end", "wanted")
        assert await _messages(end, 1) == ["wanted"]


async def _refused(nodes: _Nodes) -> None:
    """A message that the codec refuses comes to nobody."""
    for topic in "check.plain.bad", "check.kept.bad":
        with nodes.here.subscribe(topic) as here:
            try:
                await nodes.here.publish(topic, "no line:\n")
            except EncodeError:
                pass
            else:
                raise AssertionError("a message that the codec refuses was published")
            await nodes.here.publish(topic, "a line")
            assert await _messages(here, 1) == ["a line"]


PROMISES: Final[tuple[Callable[[_Nodes], Awaitable[None]], ...]] = (
    _without_history,
    _with_history,
    _own_is_delivered,
    _recalled,
    _unwanted,
    _refused,
)


async def check_backplane(make: Make) -> None:
    """Check that a backplane keeps the promises of `Backplane`, while all is well.

    Two hubs are joined, and publish to each other: what has no history comes to all in
    order, and once; what has one is numbered without gaps, in one order for all, comes
    to the publisher before `Hub.publish` returns, and is found again by who comes back,
    with `Lagged` where something is no longer kept; what nobody wants does not come; a
    message that the codec refuses comes to nobody.

    Args:
        make: opens one node's backplane, each time it is called, with a codec for lines
            of text, such as `codecs.Lines`. All of them are joined, and what their
            topics that begin with ``check.`` have kept before is in the way.

    Raises:
        AssertionError: a promise is broken.
        trio.TooSlowError: something did not come.

    Cancellation:
        Ends it; the backplanes are closed.

    Example::

        broker = testing.MemoryBroker()
        await testing.check_backplane(
            lambda: testing.MemoryBackplane(broker, codec=codecs.Lines())
        )
    """
    for promise in PROMISES:
        async with _nodes(make) as nodes:
            with trio.fail_after(SECONDS):
                await promise(nodes)
    async with make() as backplane:
        Hub[str](backplane=backplane)
        try:
            Hub[str](backplane=backplane)
        except ValueError:
            return
        raise AssertionError("a backplane delivers to two hubs")
