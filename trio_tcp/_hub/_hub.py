"""Publish under a topic; whoever subscribes to it gets it, each at its own pace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Generic, TypeVar, final, overload

import trio

from trio_tcp._connection import Connection
from trio_tcp._errors import HubClosedError
from trio_tcp._hub._attachment import Attachment
from trio_tcp._hub._audience import Audience, Subscriber, checked
from trio_tcp._hub._backlog import Key, WhenFull, make_backlog
from trio_tcp._hub._backplane import Backplane
from trio_tcp._hub._format import Formats, Render, message_of
from trio_tcp._hub._history import Histories
from trio_tcp._hub._publication import Lagged, Position, Publication
from trio_tcp._hub._replica import Replica
from trio_tcp._hub._statistics import HubStatistics
from trio_tcp._hub._subscription import Subscription
from trio_tcp._hub._topics import check_topic
from trio_tcp._kinds import check_function, check_kind
from trio_tcp._nursery import open_quiet_nursery
from trio_tcp._turns import Turns
from trio_tcp._validators import check_whole

__all__ = ["Hub"]

T = TypeVar("T")
Out = TypeVar("Out")

CAPACITY: Final = 1000
"""Publications that wait for one subscriber. They are shared by all that wait, so this
bounds how far behind one may be, more than memory."""

NO_POSITIONS: Final[Mapping[str, Position]] = {}


@final
class Hub(Generic[T]):
    """Brings what is published to all who subscribe, here or on other machines.

    It has no task and holds nothing open: make one wherever all can reach it.

    Args:
        history: how many publications to keep, by topic or pattern of topics. Who comes
            back can then go on where it was; and with 1, the last one greets whoever
            comes. At most 10,000 topics are remembered.
        backplane: joins it with the hubs of other machines, which keep the same
            histories: `RedisBackplane`. It numbers and keeps what has a history, so
            that positions are the same everywhere. By default there is none.

    Raises:
        ValueError: a bad pattern or size; or the backplane has a hub already.

    Example::

        hub: trio_tcp.Hub[str] = trio_tcp.Hub(history={"room.*": 100})

        async def chat(connection: trio_tcp.Connection[str, str]) -> None:
            with hub.attach(connection, "room.lobby", last=10):
                async for line in connection:
                    await hub.publish("room.lobby", line)
    """

    def __init__(
        self,
        *,
        history: Mapping[str, int] | None = None,
        backplane: Backplane[T] | None = None,
    ) -> None:
        self._histories: Histories[T] = Histories(history or {})
        self._audience = Audience()
        self._replica: Replica[T] | None = None
        if backplane is not None:
            self._replica = Replica(
                backplane, self._audience, is_kept=self._histories.covers
            )
        self._formats = Formats()
        self._published = 0
        self._turns = Turns()
        self._left_out = 0
        self._disconnected = 0
        self._is_closed = False

    # Subscribing ---------------------------------------------------------------------

    def subscribe(
        self,
        *topics: str,
        capacity: int = CAPACITY,
        when_full: WhenFull = "drop_oldest",
        key: Key | None = None,
        last: int = 0,
        after: Mapping[str, Position] = NO_POSITIONS,
    ) -> Subscription[T]:
        """Subscribe a task, from now on and until the subscription is closed.

        Args:
            topics: topics, and patterns: ``room.*``, ``prices.>``. What several of
                them match comes once.
            capacity: publications that may wait for it.
            when_full: what becomes of more. ``"drop_oldest"`` and ``"drop_newest"``
                leave out some, and a `Lagged` says how many and where.
                ``"keep_latest"`` keeps only the newest of each key, where what is newer
                makes what is older worthless: prices, positions. ``"disconnect"`` ends
                the subscription. ``"wait"`` makes publishers wait; only that costs
                others anything. There is no ``"wait"`` with a backplane: publishers on
                other machines cannot be made to.
            key: for ``"keep_latest"``: what of a publication says whose place it takes;
                by default its topic. What it raises ends the subscription.
            last: how many publications that are kept come first, of each topic.
            after: positions, by topic, of the last publications that it has had: what
                came after them comes first, and `Lagged` where that is not all. With
                a backplane it takes a moment until that is there; what is published
                meanwhile waits.

        Raises:
            ValueError: no topics, or something that is none; a bad policy.
            HubClosedError: the hub is closed.

        Example::

            with hub.subscribe("prices.*", when_full="keep_latest") as prices:
                async for item in prices:
                    if isinstance(item, trio_tcp.Publication):
                        print(item.topic, item.message)
        """
        patterns = self._check(topics, last, after, when_full)
        subscription: Subscription[T] = Subscription(
            make_backlog(when_full, capacity, key),
            may_wait=when_full == "wait",
            leave=self._leave,
        )
        first = self._recall(patterns, last, after)
        self._join(subscription, patterns, first, last=last, after=after)
        return subscription

    @overload
    def attach(
        self,
        connection: Connection[Any, T],
        *topics: str,
        capacity: int = ...,
        when_full: WhenFull = ...,
        key: Key | None = ...,
        last: int = ...,
        after: Mapping[str, Position] = ...,
    ) -> Attachment: ...

    @overload
    def attach(
        self,
        connection: Connection[Any, Out],
        *topics: str,
        render: Callable[[Publication[T] | Lagged], Out | None],
        capacity: int = ...,
        when_full: WhenFull = ...,
        key: Key | None = ...,
        last: int = ...,
        after: Mapping[str, Position] = ...,
    ) -> Attachment: ...

    def attach(
        self,
        connection: Connection[Any, Any],
        *topics: str,
        render: Render = message_of,
        capacity: int = CAPACITY,
        when_full: WhenFull = "drop_oldest",
        key: Key | None = None,
        last: int = 0,
        after: Mapping[str, Position] = NO_POSITIONS,
    ) -> Attachment:
        """Subscribe a connection: what is published is sent on it.

        Until the ``with`` block ends, or the connection does. It costs no task: what is
        published is accepted by the connection at once, as by `broadcast`, while less
        than 64 KiB are queued there. After that ``capacity`` and ``when_full`` hold.

        Args:
            connection: its messages are what ``render`` makes. One that switches its
                codec is to be attached anew: these are encoded with the one before.
            topics: as `subscribe`.
            render: makes the message of a publication, and perhaps one of a `Lagged`;
                plain, and always the same function for all: what it makes is encoded
                once for each codec. None sends nothing. By default the message is sent
                as it is, and `Lagged` is not. It must not publish. What it raises for
                one that is being published, the publisher gets; otherwise the
                connection is aborted, and that reported, as with a failed handler.
            capacity: as `subscribe`; beside what the connection itself has queued.
            when_full: as `subscribe`. ``"disconnect"`` breaks the connection, with
                `SlowSubscriberError`.
            key: as `subscribe`.
            last: as `subscribe`.
            after: as `subscribe`.

        Raises:
            EncodeError: something of the history cannot be sent on it.
            Exception: as `subscribe`.
        """
        check_kind("connection", connection, Connection)
        check_function("render", render)
        patterns = self._check(topics, last, after, when_full)
        backlog = make_backlog(when_full, capacity, key)
        first = self._recall(patterns, last, after)
        codec = connection._codec  # noqa: SLF001 - as `broadcast`
        format_ = self._formats.take(codec, render)
        try:
            for item in first:
                format_.encode(item)
        except BaseException:
            self._formats.give_back(format_)
            raise
        attachment = Attachment(
            connection,
            format_,
            backlog,
            may_wait=when_full == "wait",
            keeps_latest=when_full == "keep_latest",
            leave=self._detach,
        )
        self._join(attachment, patterns, first, last=last, after=after)
        return attachment

    def _check(
        self,
        topics: tuple[str, ...],
        last: int,
        after: Mapping[str, Position],
        when_full: WhenFull,
    ) -> tuple[str, ...]:
        if self._is_closed:
            raise HubClosedError
        check_whole("last", last, 0)
        check_kind("after", after, Mapping)
        for topic, position in after.items():
            check_kind(f"after[{topic!r}]", position, Position)
        if self._replica is not None and when_full == "wait":
            raise ValueError(
                "when_full='wait' is not possible with a backplane: publishers on "
                "other machines cannot be made to wait"
            )
        return checked(topics)

    def _recall(
        self, patterns: tuple[str, ...], last: int, after: Mapping[str, Position]
    ) -> list[Publication[T] | Lagged]:
        if self._replica is not None:
            return []  # the backplane keeps it
        return self._histories.recall(patterns, last, after)

    def _join(
        self,
        subscriber: Subscriber,
        patterns: tuple[str, ...],
        first: list[Publication[T] | Lagged],
        *,
        last: int,
        after: Mapping[str, Position],
    ) -> None:
        new = self._audience.join(subscriber, patterns)
        if self._replica is not None:
            self._replica.join(subscriber, new)
            if last or after:
                self._replica.recall(subscriber, patterns, last=last, after=after)
                return
        subscriber.begin(first)

    def _leave(self, subscriber: Subscriber) -> None:
        unwanted = self._audience.leave(subscriber)
        if self._replica is not None:
            self._replica.leave(subscriber, unwanted)
        self._left_out += subscriber.missed
        self._disconnected += subscriber.was_too_slow

    def _detach(self, attachment: Attachment) -> None:
        self._formats.give_back(attachment.format)
        self._leave(attachment)

    # Publishing ----------------------------------------------------------------------

    async def publish(self, topic: str, message: T) -> Publication[T]:
        """Publish a message under a topic.

        All who subscribe to it here have it when this returns, or have it waiting for
        them; except those that chose to leave something out. Two publications of one
        task, or under one topic, come to each subscriber in their order.

        With a backplane, this waits until that has it. Where it is away, or does not
        answer in time, those who subscribe here still get it, without a position;
        nothing is sent again later.

        Returns:
            What the subscribers get; with a backplane, `Publication.is_replicated` says
            whether those on other machines do.

        Raises:
            ValueError: ``topic`` is none.
            EncodeError: a connection, or the backplane, cannot carry this message.
                Nobody gets it. With a backplane and a history it can be too late for
                that, and a connection that cannot carry it misses it, as `Lagged` says.
            HubClosedError: the hub is closed.

        Cancellation:
            While this waits for subscribers with ``"wait"``, those do not get it. While
            it waits for the backplane, it may be published, or not.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        self._check_topic(topic)
        if self._replica is not None:
            keep = self._histories.size(topic)
            publication = await self._replica.publish(topic, message, keep)
            self._published += 1
            return publication
        publication = self._histories.make(topic, message)
        subscribers, with_tasks = self._audience.encode(publication)
        waiting = self._offer(publication, subscribers)
        if with_tasks:
            await self._turns.give_way()  # a task makes room by running
        else:
            await self._turns.took(len(subscribers))
        if waiting:
            async with open_quiet_nursery() as nursery:
                for subscriber in waiting:
                    nursery.start_soon(subscriber.wait_to_take, publication)
        return publication

    def publish_nowait(self, topic: str, message: T) -> Publication[T]:
        """Publish a message, if no subscriber holds it up.

        With a backplane, this hands the message over, and `Publication.is_replicated`
        says whether there was somebody to hand it to.

        Raises:
            trio.WouldBlock: one with ``"wait"`` has no room; or there is a backplane
                and the topic has a history, so that its position has to be waited for.
                Nobody gets it.
            Exception: as `publish`.
        """
        self._check_topic(topic)
        if self._replica is not None:
            if self._histories.size(topic):
                raise trio.WouldBlock
            publication = self._replica.publish_nowait(topic, message)
            self._published += 1
            return publication
        if any(subscriber.holds_up for subscriber in self._audience.of(topic)):
            raise trio.WouldBlock
        publication = self._histories.make(topic, message)
        subscribers, _ = self._audience.encode(publication)
        self._offer(publication, subscribers)
        return publication

    def _check_topic(self, topic: str) -> None:
        check_topic(topic)
        if self._is_closed:
            raise HubClosedError
        if self._audience.is_encoding:
            raise RuntimeError(
                "render and encode must not publish: another publication is under way"
            )

    def _offer(
        self, publication: Publication[T], subscribers: Iterable[Subscriber]
    ) -> list[Subscriber]:
        """Offer it to all of them; return who makes the publisher wait."""
        self._published += 1
        self._histories.keep(publication)
        return [
            subscriber
            for subscriber in subscribers
            if not subscriber.offer(publication)
        ]

    # The whole -----------------------------------------------------------------------

    def close(self) -> None:
        """Take no more publications. Tasks get what waits for them, then the end."""
        self._is_closed = True
        for subscriber in self._audience.members:
            subscriber.end()

    def statistics(self) -> HubStatistics:
        """Return the counters as they are now."""
        members = self._audience.members
        return HubStatistics(
            subscribers=len(members),
            topics=self._audience.topics,
            histories=len(self._histories),
            published=self._published,
            left_out=self._left_out + sum(member.missed for member in members),
            disconnected=self._disconnected,
        )
