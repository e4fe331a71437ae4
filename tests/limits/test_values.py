"""What limits and timeouts may be, and that anything else is refused by name."""

from __future__ import annotations

import math
from collections.abc import Callable

import attrs
import pytest

from trio_tcp import Limits, Timeouts


def option(options: Callable[..., object], name: str, value: object) -> object:
    """Make options, and return one of them."""
    return getattr(options(**{name: value}), name)


COUNTS = ["max_connections", "max_per_address", "max_buffered_bytes"]


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [1, 10_000, math.inf])
def test_a_count_is_a_whole_number_or_infinity(name: str, value: float) -> None:
    assert option(Limits, name, value) == value


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize(
    "value", [0, -1, 0.5, 10.0, math.nan, -math.inf, "10", None, True]
)
def test_any_other_count_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be a whole number"):
        option(Limits, name, value)


RATES = [(Limits, "max_accept_rate"), (Timeouts, "message_rate")]


@pytest.mark.parametrize(("options", "name"), RATES)
@pytest.mark.parametrize("value", [0.01, 1, 240, math.inf])
def test_a_rate_is_a_number_above_zero(
    options: type[Limits | Timeouts], name: str, value: float
) -> None:
    assert option(options, name, value) == value


@pytest.mark.parametrize(("options", "name"), RATES)
@pytest.mark.parametrize("value", [0, -1, math.nan, -math.inf, "10", None, True])
def test_any_other_rate_is_refused_by_name(
    options: type[Limits | Timeouts], name: str, value: float
) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be a number per second"):
        option(options, name, value)


DURATIONS = [
    field.name for field in attrs.fields(Timeouts) if field.name != "message_rate"
]


@pytest.mark.parametrize("name", DURATIONS)
@pytest.mark.parametrize("value", [0, 0.001, 60, math.inf])
def test_every_timeout_is_a_number_of_seconds(name: str, value: float) -> None:
    assert option(Timeouts, name, value) == value


@pytest.mark.parametrize("name", DURATIONS)
@pytest.mark.parametrize("value", [-1, math.nan, -math.inf, "10", None, False])
def test_any_other_timeout_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be a number of seconds"):
        option(Timeouts, name, value)


def test_by_default_everything_ends_some_time_and_honest_clients_get_in() -> None:
    timeouts = attrs.asdict(Timeouts())
    assert all(0 < seconds < math.inf for seconds in timeouts.values())
    limits = Limits()
    assert limits.max_connections < math.inf
    assert limits.max_buffered_bytes < math.inf
    assert limits.when_full == "wait"
    # Many honest clients may come at once, and from one address.
    assert limits.max_per_address == limits.max_accept_rate == math.inf


@pytest.mark.parametrize("value", ["sometimes", "", None, True])
def test_a_policy_for_a_full_server_is_one_of_two(value: str) -> None:
    with pytest.raises(ValueError, match="when_full"):
        Limits(when_full=value)  # type: ignore[arg-type]  # the error is the point


@pytest.mark.parametrize("value", ["text", None, 5])
def test_a_farewell_is_bytes(value: bytes) -> None:
    with pytest.raises((TypeError, ValueError), match="farewell"):
        Limits(farewell=value)
