"""What a user may configure, as frozen and validated records.

Durations are seconds; `math.inf` switches one off. Every default is bounded.
"""

from __future__ import annotations

import attrs

__all__ = ["Timeouts"]


def _duration(
    _instance: object, attribute: attrs.Attribute[float], value: object
) -> None:
    """Check for a number of seconds, zero or more."""
    if (
        not isinstance(value, int | float)
        or isinstance(value, bool)
        or not value >= 0  # so that "not a number" is refused too
    ):
        raise ValueError(
            f"{attribute.name} must be a number of seconds, zero or more, not {value!r}"
        )


@attrs.frozen(kw_only=True)
class Timeouts:
    """How long a connection waits for its peer, where nobody else says so.

    Around a single call, use Trio's own `trio.fail_after` and `trio.move_on_after`.

    Attributes:
        linger: when a connection is closed, how long in seconds its peer may take to
            read the next part of what was already sent, and after that to close as
            well. (nginx: 5, its ``lingering_timeout``; Apache: 2.)

    Example::

        patient = Timeouts(linger=30)
    """

    linger: float = attrs.field(default=5.0, validator=_duration)
