"""What happens to workers, as frozen records for an observer."""

from __future__ import annotations

import logging
import signal
from typing import Literal, TypeAlias

import attrs

from trio_tcp._address import Address
from trio_tcp._events import DescribedEvent, DrainReport

__all__ = [
    "KillReason",
    "ReloadFailed",
    "ReloadFinished",
    "ReloadStarted",
    "SupervisorStarted",
    "SupervisorStopped",
    "SupervisorStopping",
    "WorkerEnded",
    "WorkerEvent",
    "WorkerKilled",
    "WorkerReady",
    "WorkerStarted",
    "WorkersEvent",
    "WorkersFailed",
]

KillReason: TypeAlias = Literal["startup", "heartbeat", "grace", "exit"]


@attrs.frozen(kw_only=True)
class WorkersEvent(DescribedEvent):
    """The base of records of a supervisor."""


@attrs.frozen(kw_only=True)
class SupervisorStarted(WorkersEvent):
    """All workers of the first generation are ready.

    Attributes:
        addresses: where they listen.
        workers: how many there are.
    """

    addresses: tuple[Address, ...]
    workers: int

    def describe(self) -> str:
        """Return a line for the log."""
        where = ", ".join(map(str, self.addresses))
        workers = "1 worker" if self.workers == 1 else f"{self.workers} workers"
        return f"{workers} listening on {where}"


@attrs.frozen(kw_only=True)
class SupervisorStopping(WorkersEvent):
    """The service ends: all workers are told to drain.

    Attributes:
        signal: by which; None where it has given up.
    """

    signal: int | None

    def describe(self) -> str:
        """Return a line for the log."""
        why = "" if self.signal is None else f" after {_name_of(self.signal)}"
        return f"stopping all workers{why}"


@attrs.frozen(kw_only=True)
class SupervisorStopped(WorkersEvent):
    """The service has ended; no worker is left."""

    def describe(self) -> str:
        """Return a line for the log."""
        return "all workers have ended"


@attrs.frozen(kw_only=True)
class WorkersFailed(WorkersEvent):
    """The supervisor gives up.

    Attributes:
        reason: why, in a sentence.
    """

    @property
    def level(self) -> int:
        """As `logging` has it."""
        return logging.CRITICAL

    reason: str

    def describe(self) -> str:
        """Return a line for the log."""
        return f"giving up: {self.reason}"


@attrs.frozen(kw_only=True)
class ReloadStarted(WorkersEvent):
    """New workers are started; the old ones go on serving.

    Attributes:
        generation: of the new ones, as in `WorkerEvent`.
    """

    generation: int

    def describe(self) -> str:
        """Return a line for the log."""
        return f"reloading: starting generation {self.generation}"


@attrs.frozen(kw_only=True)
class ReloadFinished(WorkersEvent):
    """The new workers are ready; the old ones are told to drain.

    Attributes:
        generation: of the new ones, as in `WorkerEvent`.
        seconds: since `ReloadStarted`.
    """

    generation: int
    seconds: float

    def describe(self) -> str:
        """Return a line for the log."""
        return f"reloaded in {self.seconds:.1f} s: generation {self.generation} serves"


@attrs.frozen(kw_only=True)
class ReloadFailed(WorkersEvent):
    """The new workers did not become ready; the old ones go on serving.

    Attributes:
        generation: of the new ones, as in `WorkerEvent`.
        reason: why, in a sentence.
    """

    @property
    def level(self) -> int:
        """As `logging` has it."""
        return logging.ERROR

    generation: int
    reason: str

    def describe(self) -> str:
        """Return a line for the log."""
        return f"reload failed, the old workers stay: {self.reason}"


@attrs.frozen(kw_only=True)
class WorkerEvent(WorkersEvent):
    """The base of records about one worker.

    Attributes:
        slot: which of the workers it is, from 0.
        generation: how many times the workers have been replaced, from 1.
        pid: its process.
    """

    slot: int
    generation: int
    pid: int

    @property
    def name(self) -> str:
        """The worker in a few words, for people."""
        return f"worker {self.slot} (pid {self.pid})"


@attrs.frozen(kw_only=True)
class WorkerStarted(WorkerEvent):
    """A worker's process runs, and imports."""

    @property
    def level(self) -> int:
        """As `logging` has it."""
        return logging.DEBUG

    def describe(self) -> str:
        """Return a line for the log."""
        return f"{self.name} started, generation {self.generation}"


@attrs.frozen(kw_only=True)
class WorkerReady(WorkerEvent):
    """A worker listens.

    Attributes:
        seconds: since it was started.
    """

    seconds: float

    def describe(self) -> str:
        """Return a line for the log."""
        return f"{self.name} ready after {self.seconds:.1f} s"


@attrs.frozen(kw_only=True)
class WorkerKilled(WorkerEvent):
    """A worker was too slow in something, and is killed.

    Attributes:
        reason: ``"startup"``, ``"heartbeat"``: the field of `Supervision`; ``"grace"``:
            it was told to drain; ``"exit"``: it had drained, and its process did not
            end.
        seconds: how long it was waited for.
    """

    @property
    def level(self) -> int:
        """As `logging` has it."""
        return logging.ERROR

    reason: KillReason
    seconds: float

    def describe(self) -> str:
        """Return a line for the log."""
        return f"{self.name} killed: {self.reason} took more than {self.seconds:g} s"


@attrs.frozen(kw_only=True)
class WorkerEnded(WorkerEvent):
    """A worker's process has ended.

    Attributes:
        returncode: its exit status, or the negative number of the signal that it died
            of, as `subprocess.Popen.returncode` has it.
        expected: it had been told to end.
        report: how its drain went, if it said so.
        seconds: how long it was there.
    """

    returncode: int
    expected: bool
    report: DrainReport | None
    seconds: float

    def describe(self) -> str:
        """Return a line for the log."""
        return f"{self.name} ended, {how(self.returncode)}, after {self.seconds:.1f} s"


def how(returncode: int) -> str:
    """Say how a process has ended."""
    if returncode >= 0:
        return f"exit status {returncode}"
    return f"killed by {_name_of(-returncode)}"


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # one of the real-time signals has no name
        return f"signal {number}"
