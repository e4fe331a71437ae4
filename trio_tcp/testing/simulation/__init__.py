"""Whole Trio programs on one seed: the network, the clock and the order of tasks.

`run_simulation` runs one seed, `simulated` makes a test of many, `explore` searches
through thousands, and `check_deterministic` asks whether one seed is one run.

What the seed has to decide, each in its own file: time (``_driver``, ``_wall_clock``),
the order of tasks (``_schedule``), randomness (``_entropy``), garbage (``_garbage``).
What it cannot is behind ``_fences``.
"""

from trio_tcp.testing.simulation._check_deterministic import check_deterministic
from trio_tcp.testing.simulation._errors import (
    NotDeterministicError,
    ScheduleUnavailableError,
    ScheduleWarning,
    SimulationDeadlock,
    SimulationError,
    SimulationFenceError,
    SimulationLivelock,
    SimulationStopped,
    SimulationTimeout,
)
from trio_tcp.testing.simulation._explore import Exploration, FailedSeed, explore
from trio_tcp.testing.simulation._last_failure import FailedRun, last_failure
from trio_tcp.testing.simulation._run_simulation import (
    SimulationResult,
    run_simulation,
)
from trio_tcp.testing.simulation._simulated import simulated

__all__ = [
    "Exploration",
    "FailedRun",
    "FailedSeed",
    "NotDeterministicError",
    "ScheduleUnavailableError",
    "ScheduleWarning",
    "SimulationDeadlock",
    "SimulationError",
    "SimulationFenceError",
    "SimulationLivelock",
    "SimulationResult",
    "SimulationStopped",
    "SimulationTimeout",
    "check_deterministic",
    "explore",
    "last_failure",
    "run_simulation",
    "simulated",
]
