"""How patient a supervisor is with its workers."""

from __future__ import annotations

from typing import Final

import attrs

from trio_tcp._kinds import of_kind
from trio_tcp._reconnecting import Backoff
from trio_tcp._validators import duration

__all__ = ["DEFAULT_SUPERVISION", "Supervision"]


@attrs.frozen(kw_only=True)
class Supervision:
    """How long a supervisor waits for its workers, and how it replaces those that die.

    Attributes:
        startup: seconds that a worker may take until it is ready, with all that it
            imports. Then it is killed. (Puma: 60.)
        heartbeat: seconds that a worker may be silent when it is asked whether it
            lives. Then it is killed: a loop that has not turned for so long is stuck,
            or stopped. `math.inf` never asks. (gunicorn: 30.)
        restart: how fast a worker that dies is replaced. Its ``healthy`` is how many
            seconds a worker must have been ready for its death to be the first in a
            row. When one has died ``max_attempts`` times in a row and no other worker
            serves, the supervisor gives up; while others serve, it goes on trying.

    Raises:
        ValueError: a duration is no number, or negative.
        TypeError: ``restart`` is no `Backoff`.
    """

    startup: float = attrs.field(default=60.0, validator=duration)
    heartbeat: float = attrs.field(default=30.0, validator=duration)
    restart: Backoff = attrs.field(
        default=Backoff(max_attempts=5), validator=of_kind(Backoff)
    )


DEFAULT_SUPERVISION: Final = Supervision()
"""Where a user says nothing."""
