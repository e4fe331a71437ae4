"""The clocks of receiving agree with a reckoning by hand, whatever happens."""

from __future__ import annotations

import math
from contextlib import suppress
from itertools import pairwise
from typing import final

import attrs
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from tests.timeouts.timing_out import Text, only, receive_all, serve, the_end
from trio_tcp import PeerTooSlowError, Timeouts, testing


@final
@attrs.define
class Reckoning:
    """The clocks of receiving, kept as one would by hand: a second opinion.

    Attributes:
        waiting: the handler is in `receive`.
        begun: something has been received.
        unread: bytes that have come while the handler was busy.
        held: bytes of a message that is not whole.
        idle: seconds for which that clock has run; and so the others.
    """

    timeouts: Timeouts
    waiting: bool = False
    begun: bool = False
    unread: bytes = b""
    held: int = 0
    idle: float = 0
    message: float = 0
    first_message: float = 0

    def note(self, what: str, data: bytes) -> None:
        """Something happens: "wait" or "busy", "sent", or "data" arrives."""
        self.unread += data
        if what == "sent":
            self.idle = 0
        elif what != "data":
            self.waiting = what == "wait"
        if self.waiting and self.unread:
            self._receive()

    def _receive(self) -> None:
        self.begun, self.idle = True, 0
        *lines, rest = self.unread.split(b"\n")
        if lines or not self.held:
            self.held, self.message = 0, 0
        self.held += len(rest)
        self.unread = b""

    def first_end(self) -> tuple[float, str]:
        """Say in how many seconds which timeout is over, if nothing happens."""
        if not self.waiting:
            return math.inf, ""
        ends = [(self.timeouts.idle - self.idle, "idle")]
        if self.held:
            grace = self.timeouts.message + self.held / self.timeouts.message_rate
            ends.append((grace - self.message, "message"))
        elif not self.begun:
            end = self.timeouts.first_message - self.first_message
            ends.append((end, "first_message"))
        return min(ends)

    def let_pass(self, seconds: float) -> None:
        """Nothing happens for a while."""
        if self.waiting:
            self.idle += seconds
            self.message += seconds
            self.first_message += seconds


@final
@attrs.frozen
class Course:
    """What happens to a connection; with seconds between one thing and the next.

    Each kind at a fraction of a second of its own, so that no two happen at once.
    """

    handler: list[tuple[str, int]]
    data: list[tuple[int, bytes]]
    sends: list[int]

    def events(self) -> list[tuple[float, str, bytes]]:
        """Return all, in order."""
        events = [(0.0, what, b"") for what, _ in self.handler[:1]]
        now = 0.0
        for (_, seconds), (what, _) in pairwise([*self.handler, ("wait", 0)]):
            now += seconds
            events.append((now, what, b""))
        events = events or [(0.0, "wait", b"")]
        now = 1 / 8
        for seconds, data in self.data:
            now += seconds
            events.append((now, "data", data))
        now = 1 / 16
        for seconds in self.sends:
            now += seconds
            events.append((now, "sent", b""))
        return sorted(events, key=lambda event: event[0])

    def expected_end(self, timeouts: Timeouts) -> tuple[str, float]:
        """Say which timeout is over first, and when."""
        clocks = Reckoning(timeouts)
        events = [*self.events(), (math.inf, "", b"")]
        for (now, what, data), (then, _, _) in pairwise(events):
            clocks.note(what, data)
            seconds, name = clocks.first_end()
            if now + seconds < then:
                return name, now + seconds
            clocks.let_pass(then - now)
        raise AssertionError("a handler that waits at last meets a timeout")

    def true_end(self, timeouts: Timeouts) -> tuple[str, float]:
        """Find it out."""
        ends: list[tuple[str, float]] = []

        async def handler(connection: Text) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._send, connection)
                try:
                    await self._handle(connection)
                except PeerTooSlowError as error:
                    ends.append((error.timeout, trio.current_time()))
                nursery.cancel_scope.cancel()

        async def main() -> None:
            async with serve(handler, timeouts) as (served, record):
                client = await served.listener.connect()
                with suppress(trio.BrokenResourceError):
                    await self._send_data(client)
                await the_end(record)

        trio.run(main, clock=MockClock(autojump_threshold=0))
        (end,) = ends
        return end

    async def _handle(self, connection: Text) -> None:
        for what, seconds in [*self.handler, ("wait", math.inf)]:
            with trio.move_on_after(seconds):
                if what == "wait":
                    await receive_all(connection)
                await trio.sleep_forever()

    async def _send(self, connection: Text) -> None:
        await trio.sleep(1 / 16)
        for seconds in self.sends:
            await trio.sleep(seconds)
            await connection.send("x")

    async def _send_data(self, client: testing.MemoryStream) -> None:
        await trio.sleep(1 / 8)
        for seconds, data in self.data:
            await trio.sleep(seconds)
            await client.send_all(data)


PIECES = [b"a", b"bcd", b"\n", b"e\n", b"f\ng", b"\n\nh"]
COURSES = st.builds(
    Course,
    st.lists(st.tuples(st.sampled_from(["wait", "busy"]), st.integers(1, 9))),
    st.lists(st.tuples(st.integers(0, 6), st.sampled_from(PIECES))),
    st.lists(st.integers(0, 9)),
)


@given(COURSES)
def test_whatever_happens_each_clock_counts_what_it_is_there_for(
    course: Course,
) -> None:
    timeouts = only(idle=8.5, first_message=6.75, message=5.25, message_rate=2)
    assert course.true_end(timeouts) == course.expected_end(timeouts)
