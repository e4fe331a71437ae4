"""`Requester` held to a simple model, whatever is done in whatever order.

The model is two lists, of requests in line and of requests in flight. After each step
everything that can be seen must be as in the model: what has become of each request,
what the peer has received, and the statistics.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, TypeAlias, final

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.requester.requesting import CODEC, PATIENT, Asked, Text, first_word, is_news
from trio_tcp import testing

Step: TypeAlias = tuple[str, int]

REPLY_TIMEOUT = 10

STEPS = st.lists(
    st.tuples(
        # One that ends everything is rare.
        st.sampled_from(
            [*("ask",) * 5, *("reply",) * 4, *("cancel", "news", "sleep") * 2, "break"]
        ),
        st.integers(0, 20),
    ),
    max_size=40,
)


@final
class Model:
    """What a requester is, without tasks, bytes and time."""

    def __init__(self, max_in_flight: int, *, by_id: bool) -> None:
        self.max_in_flight = max_in_flight
        self.by_id = by_id
        self.line: list[int] = []
        self.window: list[int] = []
        self.received: list[int] = []  # by the peer
        self.cancelled: set[int] = set()
        self.outcomes: dict[int, str] = {}
        self.replies = self.late = self.news = 0
        self.is_lost = False
        self.silence = 0.0  # since the window moved

    def ask(self, number: int) -> None:
        if self.is_lost:
            self.outcomes[number] = "lost, not sent"
        else:
            self.line.append(number)
            self._send()

    def _send(self) -> None:
        while not self.is_lost and self.line and len(self.window) < self.max_in_flight:
            if not self.window:
                self.silence = 0
            self.window.append(self.line[0])
            self.received.append(self.line.pop(0))

    def cancel(self, number: int) -> None:
        self.outcomes[number] = "cancelled"
        if number in self.line:
            self.line.remove(number)

    def reply(self, choice: int) -> int | None:
        """Take a request that the peer answers now; None if there is none."""
        if self.is_lost or not self.window:
            return None
        number = self.window.pop(choice % len(self.window) if self.by_id else 0)
        if number in self.outcomes:
            self.late += 1
        else:
            self.outcomes[number] = f"{number} ok"
            self.replies += 1
        self.silence = 0
        self._send()
        return number

    def sleep(self, seconds: float) -> None:
        self.silence += seconds
        if self.window and self.silence >= REPLY_TIMEOUT:
            self.lose()

    def lose(self) -> None:
        for number in self.window:
            self.outcomes.setdefault(number, "lost, sent")
        for number in self.line:
            self.outcomes[number] = "lost, not sent"
        self.window, self.line = [], []
        self.is_lost = True


def outcome(asked: Asked) -> str | None:
    """Say what has become of a request, in the model's words."""
    if isinstance(asked.error, trio_tcp.ConnectionLost):
        was_sent = asked.error.may_have_been_processed
        return "lost, sent" if was_sent else "lost, not sent"
    assert asked.error is None
    if asked.is_done and asked.reply is None:
        return "cancelled"
    return asked.reply


@final
class Run:
    """A requester, its peer, and the model that both are compared to."""

    def __init__(
        self, model: Model, requester: trio_tcp.Requester[str, str], there: Text
    ) -> None:
        self.model = model
        self.requester = requester
        self.there = there
        self.asked: list[Asked] = []
        self.received: list[str] = []

    async def step(self, nursery: trio.Nursery, name: str, choice: int) -> None:
        model = self.model
        waiting = [
            number for number, asked in enumerate(self.asked) if not asked.is_done
        ]
        if name == "ask":
            self.asked.append(Asked(self.requester, str(len(self.asked))))
            nursery.start_soon(self.asked[-1].run)
            model.ask(len(self.asked) - 1)
        elif name == "reply" and (number := model.reply(choice)) is not None:
            await self.there.send(f"{number} ok")
        elif name == "cancel" and waiting:
            number = waiting[choice % len(waiting)]
            self.asked[number].scope.cancel()
            model.cancel(number)
        elif name == "news" and not model.is_lost:
            await self.there.send("news")
            model.news += 1
        elif name == "sleep":
            # Never up to the very moment.
            await trio.sleep(choice / 4 + 0.001)
            model.sleep(choice / 4 + 0.001)
        elif name == "break" and not model.is_lost:
            self.there.abort()
            model.lose()
        await wait_all_tasks_blocked()
        self.check()

    def check(self) -> None:
        model = self.model
        for number, asked in enumerate(self.asked):
            assert outcome(asked) == model.outcomes.get(number)
        statistics = self.requester.statistics()
        assert statistics.in_flight == len(model.window)
        assert statistics.waiting == len(model.line)
        assert statistics.replies == model.replies
        assert statistics.late_replies == model.late
        assert self.received == list(map(str, model.received))

    async def receive(self) -> None:
        with suppress(trio_tcp.ConnectionFault):
            async for message in self.there:
                self.received.append(message)


async def follow(steps: list[Step], max_in_flight: int, *, by_id: bool) -> None:
    options: dict[str, Any] = {
        "correlate": first_word if by_id else None,
        "is_unsolicited": None if by_id else is_news,
        "max_in_flight": max_in_flight,
        "reply_timeout": REPLY_TIMEOUT,
    }
    async with (
        testing.connection_pair(CODEC, timeouts=PATIENT) as (here, there),
        trio_tcp.Requester(here, **options) as requester,
        trio.open_nursery() as nursery,
    ):
        run = Run(Model(max_in_flight, by_id=by_id), requester, there)
        nursery.start_soon(run.receive)
        for name, choice in steps:
            await run.step(nursery, name, choice)
        if not run.model.is_lost:
            for _ in range(run.model.news):
                assert requester.unsolicited.receive_nowait() == "news"
        there.abort()


@pytest.mark.parametrize("by_id", [False, True], ids=["in order", "by id"])
@given(steps=STEPS, max_in_flight=st.integers(1, 4))
def test_a_requester_is_as_its_model(
    by_id: bool, steps: list[Step], max_in_flight: int
) -> None:
    async def main() -> None:
        await follow(steps, max_in_flight, by_id=by_id)

    trio.run(main, clock=MockClock(autojump_threshold=0))
