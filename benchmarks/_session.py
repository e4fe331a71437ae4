"""A session: every server under every workload, in rounds."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks._catalog import ServerProgram
from benchmarks._measurement import Measurement, Sample
from benchmarks._processes import CannotStart, Cores, RunFailed, run_load, running
from benchmarks._requesters import measure_requester
from benchmarks._workloads import Workload

__all__ = ["Results", "Run", "plan", "run_all"]


@dataclass(frozen=True, kw_only=True)
class Run:
    """One workload on one server, once.

    Attributes:
        round: counted from 0.
        workload: what is done.
        server: to whom; or by which client.
    """

    round: int
    workload: Workload
    server: ServerProgram


@dataclass
class Results:
    """What has come of it.

    Attributes:
        samples: in the order in which they were taken.
        failures: by server and workload, why there are none.
    """

    samples: list[Sample] = field(default_factory=list[Sample])
    failures: dict[tuple[str, str], str] = field(
        default_factory=dict[tuple[str, str], str]
    )


def plan(
    workloads: Sequence[Workload], servers: Sequence[ServerProgram], rounds: int
) -> list[Run]:
    """Put the runs in order: those that are to be compared are close to each other.

    In each round each workload has its turn, and in it all servers, in another order
    every time.
    """
    runs: list[Run] = []
    for number in range(rounds):
        for workload in workloads:
            if number >= workload.most_rounds:
                continue
            fitting = [server for server in servers if server.takes(workload)]
            runs += [
                Run(round=number, workload=workload, server=server)
                for server in random.sample(fitting, len(fitting))
            ]
    return runs


def run_all(
    runs: Sequence[Run],
    *,
    warm_up: float,
    seconds: float,
    cores: Cores,
    on_run: Callable[[Run], None] = lambda _: None,
) -> Results:
    """Take the samples.

    A server that does not start, or answers wrongly, is not tried again on the same
    workload, and stops nobody else.

    Args:
        runs: in this order.
        warm_up: seconds before each measurement.
        seconds: how long each is, if the workload does not want more.
        cores: where the processes run.
        on_run: called before each.
    """
    results = Results()

    def measure(run: Run) -> Measurement:
        enough = max(seconds, run.workload.least_seconds)
        if run.workload.traffic == "requester":
            return measure_requester(
                run.server, run.workload, warm_up=warm_up, seconds=seconds, cores=cores
            )
        with running(run.server, cores) as (port, pid):
            return run_load(
                run.workload.name,
                port,
                pid,
                warm_up=warm_up,
                seconds=enough,
                cores=cores,
            )

    for run in runs:
        on_run(run)
        key = run.server.name, run.workload.name
        if key in results.failures:
            continue
        try:
            measurement = measure(run)
        except (CannotStart, RunFailed) as error:
            what = "does not start" if isinstance(error, CannotStart) else "fails"
            results.failures[key] = f"{what}: {error}"
        else:
            results.samples.append(
                Sample(
                    round=run.round,
                    workload=run.workload.name,
                    server=run.server.name,
                    measurement=measurement,
                )
            )
    return results
