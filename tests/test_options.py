"""Options are frozen, and refuse what makes no sense."""

from __future__ import annotations

import math

import attrs
import pytest

import trio_tcp


@pytest.mark.parametrize("value", [0, 0.5, 30, math.inf])
def test_a_duration_is_a_number_of_seconds(value: float) -> None:
    assert trio_tcp.Timeouts(linger=value).linger == value


@pytest.mark.parametrize("value", [-1, -0.001, math.nan, "5", None, True])
def test_anything_else_is_refused_by_name(value: float) -> None:
    with pytest.raises(ValueError, match=r"linger must be a number of seconds"):
        trio_tcp.Timeouts(linger=value)


def test_options_cannot_be_changed_in_place() -> None:
    timeouts = trio_tcp.Timeouts()
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        timeouts.linger = 1  # type: ignore[misc]  # the error is the point
    assert attrs.evolve(timeouts, linger=1).linger == 1
