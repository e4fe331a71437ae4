"""How a simulation itself fails: it stands still, never ends, or reaches outside."""

from __future__ import annotations

from trio_tcp._errors import TrioTcpError

__all__ = [
    "NotDeterministicError",
    "ScheduleUnavailableError",
    "ScheduleWarning",
    "SimulationDeadlock",
    "SimulationError",
    "SimulationFenceError",
    "SimulationLivelock",
    "SimulationStopped",
    "SimulationTimeout",
]


class SimulationError(TrioTcpError):
    """Something is wrong with a simulation, and not with a connection in it."""


class SimulationStopped(SimulationError):
    """The simulation was ended from outside, since it would not have ended by itself.

    Attributes:
        reason: in one sentence.
        report: what the tasks were doing, and what was sent last.
    """

    def __init__(self, reason: str, report: str) -> None:
        super().__init__(reason, report)
        self.reason = reason
        self.report = report

    def __str__(self) -> str:
        return f"{self.reason}\n{self.report}"


class SimulationDeadlock(SimulationStopped):
    """Every task waits, and nothing is under way that could wake one of them."""


class SimulationLivelock(SimulationStopped):
    """Tasks run and run, and no time passes.

    They are cancelled. Tasks that are shielded from that, or swallow it and run on, are
    not stopped by anything, as by Trio.
    """


class SimulationTimeout(SimulationStopped):
    """The virtual time that the simulation was given is over."""


class SimulationFenceError(SimulationError, RuntimeError):
    """The program reached for something that no seed can repeat.

    Attributes:
        what: it reached for.
        where: in the program, as file and line; in a library, also from where in the
            program it was called.
        advice: how to do without, and what lets it through.
    """

    def __init__(self, what: str, where: str, advice: str) -> None:
        super().__init__(what, where, advice)
        self.what = what
        self.where = where
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.what} in a simulation, at {self.where}. {self.advice}"


class NotDeterministicError(SimulationError):
    """Two runs with one seed went different ways.

    Attributes:
        seed: of both runs.
        report: where they part.
    """

    def __init__(self, seed: int, report: str) -> None:
        super().__init__(seed, report)
        self.seed = seed
        self.report = report

    def __str__(self) -> str:
        return f"two runs with seed {self.seed} went different ways:\n{self.report}"


class ScheduleUnavailableError(SimulationError, RuntimeError):
    """This version of Trio does not let its schedule be seeded."""


class ScheduleWarning(UserWarning):
    """Simulations run, but one seed may give more than one order of the tasks."""
