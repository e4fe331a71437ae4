"""Many seeds in several processes: which of them fail?"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Awaitable, Callable, Collection, Generator, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing, contextmanager
from functools import partial
from typing import Final, Protocol, TypeAlias, final

import attrs

from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation._fences import Allowed
from trio_tcp.testing.simulation._progress import progress_bar
from trio_tcp.testing.simulation._run_simulation import run_simulation
from trio_tcp.testing.simulation._schedule import Schedule

__all__ = ["Exploration", "FailedSeed", "explore"]

_LARGEST_BATCH: Final = 50
_BATCHES_PER_JOB: Final = 8
_SHOWN: Final = 10

_Seeds: TypeAlias = list[int]


class _Run(Protocol):
    def __call__(self, *, seed: int) -> object: ...


@final
@attrs.frozen(kw_only=True)
class FailedSeed:
    """A seed under which the program failed.

    Attributes:
        seed: Which one.
        error: The exception's type, and the first line of its message.
        traceback: All of it, as text.
    """

    seed: int
    error: str
    traceback: str


@final
@attrs.frozen(kw_only=True)
class Exploration:
    """What a search through seeds has found. ``str()`` is a report.

    Attributes:
        seeds: How many were run.
        failures: Those that failed, in the order in which the seeds were given.
        interrupted: Ctrl-C ended it: not all seeds were run.
    """

    seeds: int
    failures: tuple[FailedSeed, ...]
    interrupted: bool

    def __str__(self) -> str:
        ended = ", then interrupted" if self.interrupted else ""
        lines = [f"{len(self.failures)} of {self.seeds} seeds failed{ended}"]
        lines += [f"seed {f.seed}: {f.error}" for f in self.failures[:_SHOWN]]
        if len(self.failures) > _SHOWN:
            lines.append(f"and {len(self.failures) - _SHOWN} more")
        if self.failures:
            lines += ["The first in full:", self.failures[0].traceback]
        return "\n".join(lines)

    def check(self) -> None:
        """Accept only a search that was finished and has found nothing.

        Raises:
            AssertionError: A seed failed, or not all were run; it has the report.
        """
        if self.failures or self.interrupted:
            raise AssertionError(str(self))


def explore(
    fn: Callable[[VirtualNetwork], Awaitable[object]],
    seeds: Iterable[int] = range(1000),
    jobs: int | None = None,
    *,
    time_limit: float = 3600.0,
    schedule: Schedule = "shuffle",
    allow: Collection[Allowed] = (),
) -> Exploration:
    """Run a program under many seeds, in several processes.

    What it returns does not depend on which process was faster. Ctrl-C ends it with
    what was found until then. A bar shows the progress, if rich is installed and
    stderr is a terminal.

    Args:
        fn: As for `run_simulation`; `functools.partial` gives it more arguments. The
            processes import it: it stands at the top of a module.
        seeds: Which to run.
        jobs: How many processes, by default one for each processor. 1 runs everything
            in this process: then the function may be any.
        time_limit: For each seed, in virtual seconds.
        schedule: As for `run_simulation`.
        allow: As for `run_simulation`.

    Raises:
        TypeError: Other processes cannot import the function.
        concurrent.futures.process.BrokenProcessPool: A process died.
    """
    run = partial(
        run_simulation, fn, time_limit=time_limit, schedule=schedule, allow=tuple(allow)
    )
    jobs = jobs or os.cpu_count() or 1
    seeds = list(seeds)
    outcomes = _in_this_process if jobs == 1 else partial(_in_processes, jobs)
    order = {seed: position for position, seed in enumerate(seeds)}
    done, failures, interrupted = 0, list[FailedSeed](), False
    with progress_bar(len(seeds)) as show:
        try:
            with closing(outcomes(run, seeds)) as batches:
                for count, failed in batches:
                    done += count
                    failures += failed
                    show(count, len(failures))
        except KeyboardInterrupt:
            interrupted = True
    failures.sort(key=lambda failure: order[failure.seed])
    return Exploration(seeds=done, failures=tuple(failures), interrupted=interrupted)


_Results: TypeAlias = Generator[tuple[int, list[FailedSeed]], None, None]


def _in_this_process(run: _Run, seeds: _Seeds) -> _Results:
    for seed in seeds:
        yield 1, _run_batch(run, [seed])


def _in_processes(jobs: int, run: _Run, seeds: _Seeds) -> _Results:
    program = _as_bytes(run)
    size = len(seeds) // (jobs * _BATCHES_PER_JOB)
    size = max(1, min(size, _LARGEST_BATCH))
    with _pool(jobs) as pool:
        batches = {
            pool.submit(_run_batch_of, program, batch): len(batch)
            for start in range(0, len(seeds), size)
            if (batch := seeds[start : start + size])
        }
        for future in as_completed(batches):
            yield batches[future], future.result()


def _run_batch(run: _Run, seeds: _Seeds) -> list[FailedSeed]:
    failures: list[FailedSeed] = []
    for seed in seeds:
        try:
            run(seed=seed)
        except (KeyboardInterrupt, SystemExit):
            raise
        # Not only Exception: pytest.fail() raises none. No task is cancelled here.
        except BaseException as error:  # noqa: ASYNC103, BLE001 - see above
            failures.append(
                FailedSeed(
                    seed=seed,
                    error=_in_one_line(error),
                    traceback="".join(traceback.format_exception(error)),
                )
            )
    return failures


def _in_one_line(error: BaseException) -> str:
    told = traceback.TracebackException.from_exception(error)
    told.__notes__ = None
    *_, last = told.format_exception_only()
    return last.strip().splitlines()[0]


def _run_batch_of(program: bytes, seeds: _Seeds) -> list[FailedSeed]:
    try:
        run = pickle.loads(program)
    except (AttributeError, ImportError) as error:
        raise _not_importable(error) from error
    return _run_batch(run, seeds)


def _as_bytes(run: _Run) -> bytes:
    try:
        return pickle.dumps(run)
    except (AttributeError, TypeError, pickle.PicklingError) as error:
        raise _not_importable(error) from error


def _not_importable(error: Exception) -> TypeError:
    return TypeError(
        "explore() runs the function in other processes, which import it by its name: "
        "it must stand at the top of a module that can be imported, and a "
        "functools.partial may give it arguments that can be pickled. "
        f"jobs=1 takes any function. ({error})"
    )


@contextmanager
def _pool(jobs: int) -> Generator[ProcessPoolExecutor, None, None]:
    """Open a pool whose processes end at once when the block is left early."""
    before = multiprocessing.active_children()
    # Not forked: a fork has whatever threads and locks this process holds.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, context, initializer=_belong_to_parent)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            if process not in before:
                process.terminate()
        raise
    pool.shutdown()


def _belong_to_parent() -> None:
    """Leave Ctrl-C to the parent process, and end with it, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)  # there is nobody to tell anything
