"""What the numbers of links and faults must be."""

from __future__ import annotations

import attrs

__all__ = ["is_above_zero", "is_count", "is_seconds", "is_share"]


def is_seconds(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    """Check for a duration, zero or more."""
    if not value >= 0:  # so that "not a number" is refused too
        raise ValueError(f"{attribute.name} must be seconds, zero or more, not {value}")


def is_above_zero(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    """Check for an amount of something."""
    if not value > 0:
        raise ValueError(f"{attribute.name} must be above zero, not {value}")


def is_share(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    """Check for a share that is not all."""
    if not 0 <= value < 1:
        raise ValueError(f"{attribute.name} must be in [0, 1), not {value}")


def is_count(_: object, attribute: attrs.Attribute[int], value: int) -> None:
    """Check for a whole number of at least one."""
    if value != int(value) or value < 1:
        raise ValueError(
            f"{attribute.name} must be a whole number, one or more, not {value}"
        )
