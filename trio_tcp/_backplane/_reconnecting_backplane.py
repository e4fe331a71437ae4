"""A backplane over links that break, each followed by the next."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar, final

import attrs
import trio

from trio_tcp._backplane._delivering import Delivering
from trio_tcp._backplane._feed import Feed
from trio_tcp._backplane._link import (
    Link,
    LinkLost,
    LinkRefused,
    Numbered,
    OpenLink,
)
from trio_tcp._backplane._linked import Linked
from trio_tcp._backplane._statistics import BackplaneStatistics, Counters
from trio_tcp._backplane._unanswered import Pending
from trio_tcp._backplane_events import (
    BackplaneConnected,
    BackplaneLost,
    BackplaneRefused,
)
from trio_tcp._errors import ConnectError
from trio_tcp._events import Observer, notify
from trio_tcp._hub import Answer, Lagged, Position, Receiver, Sent
from trio_tcp._kinds import check_codec, check_function, check_kind
from trio_tcp._nursery import leaves, open_quiet_nursery
from trio_tcp._reconnecting import Backoff, seeded
from trio_tcp._validators import check_span
from trio_tcp.codecs import Codec

__all__ = ["ReconnectingBackplane", "connected"]

T = TypeVar("T")


@attrs.define(eq=False)
class _Expected:
    """A publication of this hub that is on its way.

    Attributes:
        topic: of it.
        delivered: is set when it was delivered here.
        position: of it, then.
    """

    topic: str
    delivered: trio.Event = attrs.field(factory=trio.Event)
    position: Position | None = None


@final
class ReconnectingBackplane(Generic[T]):
    """A `Backplane` that goes on when its connection breaks: `RedisBackplane` opens it.

    While there is no connection the hub goes on alone. When there is one again, what
    others have published meanwhile to topics with a history is delivered, or announced
    as `Lagged`; to topics without one, that it may have been missed is announced.

    Args:
        open_link: opens the next link.
        codec: makes payloads of messages.
        name: of what the links lead to, for events.
        timeout: seconds that an answer may take.
        backoff: when to try again.
        observer: is told when it is connected and lost.
    """

    def __init__(
        self,
        open_link: OpenLink,
        codec: Codec[T, T],
        *,
        name: str,
        timeout: float,
        backoff: Backoff,
        observer: Observer,
    ) -> None:
        check_codec("codec", codec)
        check_span("timeout", timeout)
        check_kind("backoff", backoff, Backoff)
        check_function("observer", observer)
        self._open_link = open_link
        self._codec = codec
        self._name = name
        self._timeout = timeout
        self._backoff = backoff
        self._observer = observer
        self._feed = Feed()
        self._counters = Counters()
        self._delivering = Delivering(
            self._feed, codec, self._counters, self._on_delivered
        )
        self._linked: Linked | None = None
        self._expected: dict[str, _Expected] = {}
        self._is_refused = False
        self._is_settled = trio.Event()
        self._linked_at: float | None = None
        self._lost_at = 0.0

    # For the hub: a `Backplane` ------------------------------------------------------

    def bind(self, receiver: Receiver, /) -> None:
        """Deliver to this hub: `Backplane.bind`."""
        if self._delivering.receiver is not None:
            raise ValueError("this backplane has a hub already: open one for each hub")
        self._delivering.receiver = receiver

    def want(self, pattern: str, /) -> None:
        """Bring what is published under a pattern: `Backplane.want`."""
        self._feed.want(pattern)
        if self._linked is not None:
            self._linked.want(pattern)

    def unwant(self, pattern: str, /) -> None:
        """Bring it no longer: `Backplane.unwant`."""
        self._feed.unwant(pattern)
        if self._linked is not None:
            self._linked.unwant(pattern)
        for expected in self._expected.values():
            if not self._feed.is_wanted(expected.topic):
                expected.delivered.set()  # it may not come any more

    def send(self, topic: str, message: T, /, *, key: str) -> Sent | None:
        """Take a message to the other hubs: `Backplane.send`."""
        payload = self._codec.encode(message)
        pending: Pending[object] | None = None
        if self._linked is not None:
            pending = self._linked.send(topic, payload, key)
        if pending is None:
            self._counters.not_replicated += 1
            return None
        sent = pending

        async def wait() -> bool:
            with trio.move_on_after(self._timeout):
                await sent.wait()
            return self._count(sent, is_published=sent.is_answered)

        return wait

    async def append(
        self, topic: str, message: T, /, *, keep: int, key: str
    ) -> Position | None:
        """Number a message, and bring it to all hubs: `Backplane.append`."""
        payload = self._codec.encode(message)
        pending: Pending[Position] | None = None
        if self._linked is not None:
            pending = self._linked.append(topic, payload, keep, key)
        if pending is None:
            self._counters.not_replicated += 1
            await trio.lowlevel.cancel_shielded_checkpoint()
            return None
        comes_here = self._feed.is_wanted(topic)
        expected = self._expected[key] = _Expected(topic)
        position: Position | None = None
        try:
            with trio.move_on_after(self._timeout):
                position = await pending.wait()
                if position is not None and comes_here:
                    await expected.delivered.wait()
        finally:
            del self._expected[key]
        position = position or expected.position
        self._count(pending, is_published=position is not None)
        return position

    def _count(self, pending: Pending[Any], *, is_published: bool) -> bool:
        self._counters.published += is_published
        self._counters.not_replicated += not is_published
        if pending.refusal is not None and not self._is_refused:
            error = pending.refusal
            notify(self._observer, BackplaneRefused(name=self._name, error=error))
        self._is_refused = pending.refusal is not None
        return is_published

    def _on_delivered(self, item: Numbered) -> None:
        expected = self._expected.get(item.key)
        if expected is not None:
            expected.position = item.position
            expected.delivered.set()

    def recall(
        self,
        patterns: Sequence[str],
        answer: Answer,
        /,
        *,
        last: int,
        after: Mapping[str, Position],
    ) -> None:
        """Find what is still kept of topics: `Backplane.recall`."""
        if self._linked is None:
            answer([Lagged(None)])
        else:
            self._linked.recall(patterns, answer, last, after)

    # For the user --------------------------------------------------------------------

    def statistics(self) -> BackplaneStatistics:
        """Return the counters as they are now."""
        linked = self._linked
        return BackplaneStatistics(
            is_connected=linked is not None,
            topics=len(self._feed.patterns),
            unanswered_bytes=0 if linked is None else linked.unanswered.bytes,
            **attrs.asdict(self._counters),
        )

    # Its task ------------------------------------------------------------------------

    async def run(self) -> ConnectError:
        """Open one link after the other; return why the `Backoff` has given up."""
        failures, delays = 0, self._backoff.delays(seeded())
        attempts = 0
        self._lost_at = trio.current_time()
        while True:
            failure = await self._stay_linked()
            now = trio.current_time()
            attempts += 1
            if self._linked_at is not None:
                self._lost_at, attempts = now, 1
                if now - self._linked_at >= self._backoff.healthy:
                    failures, delays = 0, self._backoff.delays(seeded())
            failures += 1
            if failures >= self._backoff.max_attempts:
                return ConnectError(self._name, (failure,))
            delay = next(delays)
            lost = BackplaneLost(
                name=self._name, error=failure, attempts=attempts, retry_seconds=delay
            )
            notify(self._observer, lost)
            self._is_settled.set()
            await trio.sleep(delay)

    async def _stay_linked(self) -> Exception:
        failure: BaseException = LinkLost("the link has ended")
        self._linked_at = None
        try:
            async with self._open_link() as link, trio.open_nursery() as nursery:
                await self._stay_in(nursery, link)
        except* trio.TooSlowError:
            failure = LinkLost(f"no answer within {self._timeout:g} s")
        except* (LinkLost, LinkRefused) as group:
            failure = next(leaves(group))
        assert isinstance(failure, Exception)
        return failure

    async def _stay_in(self, nursery: trio.Nursery, link: Link) -> None:
        """Use a link as long as the nursery takes tasks, until one of them fails."""
        linked = Linked(link, nursery, self._delivering, self._timeout)
        self._linked = linked
        try:
            self._on_linked(has_forgotten=await linked.begin())
            await trio.sleep_forever()
        finally:
            self._linked = None

    def _on_linked(self, *, has_forgotten: bool) -> None:
        self._linked_at = trio.current_time()
        self._counters.connected += 1
        event = BackplaneConnected(
            name=self._name,
            lost_seconds=self._linked_at - self._lost_at,
            has_forgotten=has_forgotten,
        )
        notify(self._observer, event)
        self._is_settled.set()

    async def wait_settled(self) -> None:
        """Wait until the first attempt has succeeded, or not."""
        await self._is_settled.wait()


@asynccontextmanager
async def connected(
    backplane: ReconnectingBackplane[T],
) -> AsyncGenerator[ReconnectingBackplane[T], None]:
    """Connect a backplane, again and again, until the end of the block.

    The block begins when the first attempt has succeeded, or not.

    Raises:
        ConnectError: its `Backoff` has given up. The block is cancelled then.
    """
    failure: ConnectError | None = None
    async with open_quiet_nursery() as nursery:

        async def run() -> None:
            nonlocal failure
            failure = await backplane.run()
            nursery.cancel_scope.cancel()

        nursery.start_soon(run)
        await backplane.wait_settled()
        yield backplane
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
