from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from examples.chat.token_bucket import TokenBucket

BURST, RATE = 5, 2.0


class Clock:
    """Tells the time that a test has set."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@given(st.lists(st.floats(0, 3), max_size=50))
def test_never_more_than_the_burst_and_the_rate_allow(gaps: list[float]) -> None:
    """From any take to any other: what the bucket held, and what came since."""
    clock = Clock()
    bucket = TokenBucket(BURST, RATE, clock)
    taken_at: list[float] = []
    for gap in gaps:
        clock.seconds += gap
        if not bucket.take():
            taken_at.append(clock.seconds)
    for first, start in enumerate(taken_at):
        for count, end in enumerate(taken_at[first:], start=1):
            assert count <= BURST + RATE * (end - start) + 1e-6


@given(st.lists(st.floats(0, 3), max_size=50))
def test_who_waits_as_long_as_told_gets_a_token(gaps: list[float]) -> None:
    clock = Clock()
    bucket = TokenBucket(BURST, RATE, clock)
    for gap in gaps:
        clock.seconds += gap
        if seconds := bucket.take():
            assert seconds <= 1 / RATE
            clock.seconds += seconds + 1e-9
            assert bucket.take() == 0
