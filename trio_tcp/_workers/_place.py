"""What a worker is told when it starts: by one variable of its environment.

The variable also says *that* a process is a worker: any program can be one, whatever
its arguments. What a worker starts itself is none, so the variable is taken out when
the worker takes its place.
"""

from __future__ import annotations

import json
import os
from typing import Any, Final

import attrs

__all__ = ["Place", "is_worker"]

VARIABLE: Final = "TRIO_TCP_WORKER"


@attrs.frozen(kw_only=True)
class Place:
    """One worker's place among the others, and what it inherits.

    Attributes:
        slot: which of the workers it is, from 0.
        generation: how many times the workers have been replaced, from 1.
        grace: how long in seconds its drain lets connections finish.
        control: the descriptor of its end of the control channel.
        listeners: the descriptors of the sockets to listen on.
    """

    slot: int
    generation: int
    grace: float
    control: int
    listeners: tuple[int, ...]

    def environment(self) -> dict[str, str]:
        """Return the environment of this process, and the variable."""
        return {**os.environ, VARIABLE: json.dumps(attrs.asdict(self))}

    @classmethod
    def take(cls) -> Place:
        """Read the variable, and take it out of the environment.

        Raises:
            RuntimeError: this process is no worker.
        """
        text = os.environ.pop(VARIABLE, None)
        if text is None:
            raise RuntimeError(f"this process is no worker: {VARIABLE} is not set")
        fields: dict[str, Any] = json.loads(text)
        listeners = tuple(fields.pop("listeners"))
        return cls(listeners=listeners, **fields)


def is_worker() -> bool:
    """Say whether a supervisor has started this process, and `work` is still to come.

    From `work` on it is False, as it is in the processes that a worker starts.
    """
    return VARIABLE in os.environ
