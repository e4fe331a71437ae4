"""When a worker that has died is replaced."""

from __future__ import annotations

from random import Random

import pytest

from trio_tcp import Backoff
from trio_tcp._workers._restarts import Restarts

PLAIN = Backoff(initial=1, maximum=5, jitter="none", healthy=10, max_attempts=3)


@pytest.fixture
def restarts() -> Restarts:
    """Give a slot in which nobody has died."""
    return Restarts(PLAIN, Random(1))


def test_each_death_in_a_row_is_waited_for_longer(restarts: Restarts) -> None:
    assert [restarts.delay_after(0) for _ in range(5)] == [1, 2, 4, 5, 5]


def test_a_worker_that_was_healthy_is_the_first_in_a_row_again(
    restarts: Restarts,
) -> None:
    restarts.delay_after(0)
    restarts.delay_after(9.9)
    assert restarts.in_a_row == 2
    assert restarts.delay_after(10) == 1
    assert restarts.in_a_row == 1


def test_it_is_exhausted_after_so_many_deaths_in_a_row(restarts: Restarts) -> None:
    seen: list[bool] = []
    for _ in range(3):
        restarts.delay_after(0)
        seen.append(restarts.is_exhausted)
    assert seen == [False, False, True]
    restarts.delay_after(10)
    assert not restarts.is_exhausted
