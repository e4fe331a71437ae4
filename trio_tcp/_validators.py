"""What numbers may be that users give: validators for `attrs`, and for arguments.

A `duration` may be zero or infinite, a `span` neither; a `count` may be infinite, a
`whole` number not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import attrs

__all__ = [
    "amount",
    "check_duration",
    "check_span",
    "check_whole",
    "count",
    "duration",
    "factor",
    "rate",
    "share",
    "span",
    "whole",
]

Check: TypeAlias = Callable[[object, "attrs.Attribute[int]", object], None]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def duration(
    _instance: object, attribute: attrs.Attribute[float], value: object
) -> None:
    """Check for a number of seconds, zero or more."""
    check_duration(attribute.name, value)


def check_duration(name: str, value: object) -> None:
    """Check an argument as `duration` checks an attribute.

    Raises:
        ValueError: it is no such number.
    """
    # Written so that "not a number" is refused too.
    if not (_is_number(value) and value >= 0):  # type: ignore[operator] # is a number
        raise ValueError(
            f"{name} must be a number of seconds, zero or more, not {value!r}"
        )


def span(_instance: object, attribute: attrs.Attribute[float], value: object) -> None:
    """Check for a number of seconds, more than zero, and not infinite."""
    check_span(attribute.name, value)


def check_span(name: str, value: object) -> None:
    """Check an argument as `span` checks an attribute.

    Raises:
        ValueError: it is no such number.
    """
    if not (_is_number(value) and 0 < value < math.inf):  # type: ignore[operator] # as above
        raise ValueError(
            f"{name} must be a number of seconds, above zero and finite, not {value!r}"
        )


def factor(_instance: object, attribute: attrs.Attribute[float], value: object) -> None:
    """Check for a number by which something grows: one or more, and not infinite."""
    if not (_is_number(value) and 1 <= value < math.inf):  # type: ignore[operator] # as above
        raise ValueError(
            f"{attribute.name} must be a number, one or more and finite, not {value!r}"
        )


def rate(_instance: object, attribute: attrs.Attribute[float], value: object) -> None:
    """Check for a number per second, more than zero."""
    if not (_is_number(value) and value > 0):  # type: ignore[operator] # as above
        raise ValueError(
            f"{attribute.name} must be a number per second, above zero, not {value!r}"
        )


def amount(_instance: object, attribute: attrs.Attribute[float], value: object) -> None:
    """Check for a number, zero or more."""
    if not (_is_number(value) and value >= 0):  # type: ignore[operator] # as above
        raise ValueError(
            f"{attribute.name} must be a number, zero or more, not {value!r}"
        )


def share(_instance: object, attribute: attrs.Attribute[float], value: object) -> None:
    """Check for a share of something that is not all of it: zero or more, below one."""
    if not (_is_number(value) and 0 <= value < 1):  # type: ignore[operator] # as above
        raise ValueError(
            f"{attribute.name} must be a number, zero or more and below one, "
            f"not {value!r}"
        )


def count(_instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Check for a whole number of at least one, or infinity."""
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if not whole and value != math.inf:
        raise ValueError(
            f"{attribute.name} must be a whole number, one or more, "
            f"or math.inf, not {value!r}"
        )


def whole(least: int, most: int | None = None) -> Check:
    """Make a check for a whole number in a range; without ``most`` it has no end."""

    def check(
        _instance: object, attribute: attrs.Attribute[int], value: object
    ) -> None:
        check_whole(attribute.name, value, least, most)

    return check


def check_whole(name: str, value: object, least: int, most: int | None = None) -> None:
    """Check an argument as `whole` checks an attribute.

    Raises:
        ValueError: it is no whole number, or outside the range.
    """
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    fits = is_whole and least <= value and (most is None or value <= most)  # type: ignore[operator] # is a number
    if not fits:
        limits = f"{least} or more" if most is None else f"{least} to {most}"
        raise ValueError(f"{name} must be a whole number, {limits}, not {value!r}")
