"""A test that is run under many seeds."""

from __future__ import annotations

import functools
import inspect
import os
import re
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final

from trio_tcp._validators import check_whole
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation._fences import Allowed
from trio_tcp.testing.simulation._run_simulation import run_simulation
from trio_tcp.testing.simulation._schedule import Schedule

__all__ = ["chosen_seeds", "simulated"]

_VARIABLE: Final = "TRIO_TCP_SEED"

_Test = Callable[..., Awaitable[None]]


def simulated(
    *,
    seeds: int = 100,
    time_limit: float = 3600.0,
    schedule: Schedule = "shuffle",
    allow: Collection[Allowed] = (),
) -> Callable[[_Test], Callable[..., None]]:
    """Make a plain test of an async function, run as a simulation under many seeds.

    The function's first argument is the `VirtualNetwork`; the others are the test's:
    fixtures and parameters, made once for all seeds. The first seed that fails ends the
    test, and notes at its exception have the line that replays it. The environment
    variable ``TRIO_TCP_SEED`` runs one seed alone (``17``), or those of a range
    (``0-4999``).

    Args:
        seeds: How many, at least 1; they are 0, 1, 2 and so on.
        time_limit: As in `run_simulation`, for each seed.
        schedule: As in `run_simulation`.
        allow: As in `run_simulation`.

    Raises:
        TypeError: The function is not async, or takes no network.
        ValueError: There is no seed to run, and the test would find nothing.
        BaseException: When the test runs: what `run_simulation` raises.

    Example::

        @testing.simulated(seeds=20)
        async def test_a_slow_network_loses_nothing(net):
            lines = codecs.Lines()
            serve = partial(trio_tcp.serve_tcp, echo, 80, codec=lines)
            net.host("server").start(serve)
            await net.settle()
            net.inject(faults.Latency(0.2, jitter=0.1))
            async with trio_tcp.connect_tcp("server", 80, codec=lines) as client:
                await client.send("hello")
                assert await client.receive() == "hello"
    """
    check_whole("seeds", seeds, 1)

    def decorate(test: _Test) -> Callable[..., None]:
        signature, position = _without_network(test)

        @functools.wraps(test)
        def run_all(*args: Any, **fixtures: Any) -> None:  # noqa: ANN401 - the test's
            async def run_one(net: VirtualNetwork) -> None:
                # A method's self comes before the network.
                await test(*args[:position], net, *args[position:], **fixtures)

            run_one.__qualname__ = test.__qualname__  # for reports

            for seed in chosen_seeds(seeds):
                try:
                    run_simulation(
                        run_one,
                        seed=seed,
                        time_limit=time_limit,
                        schedule=schedule,
                        allow=allow,
                    )
                except BaseException as error:
                    error.add_note(_replay_line(seed))
                    raise

        # What pytest sees: the network is no fixture.
        run_all.__signature__ = signature  # type: ignore[attr-defined]
        return run_all

    return decorate


def _without_network(test: _Test) -> tuple[inspect.Signature, int]:
    """Return what the test takes besides the network, and where that stands."""
    signature = inspect.signature(test)
    parameters = list(signature.parameters.values())
    position = 1 if parameters and parameters[0].name == "self" else 0
    if not inspect.iscoroutinefunction(test) or len(parameters) <= position:
        raise TypeError(
            "@simulated takes an async function whose first argument is the network, "
            f"not {test!r}"
        )
    del parameters[position]
    without = signature.replace(parameters=parameters, return_annotation=None)
    return without, position


def chosen_seeds(seeds: int) -> range:
    """Return the seeds that the environment asks for, or else the first ones.

    Raises:
        ValueError: It asks for what is neither a seed nor a range of seeds.
    """
    wanted = os.environ.get(_VARIABLE)
    if wanted is None:
        return range(seeds)
    found = re.fullmatch(r"(-?\d+)(?:-(\d+))?", wanted.strip())
    first = int(found[1]) if found else 0
    last = int(found[2]) if found and found[2] else first
    if not found or last < first:
        raise ValueError(
            f"{_VARIABLE}={wanted!r} is neither a seed, as 17, nor a range, as 0-4999"
        )
    return range(first, last + 1)


def _replay_line(seed: int) -> str:
    line = f"{_VARIABLE}={seed}"
    # pytest sets it, to the node's id and the stage: "tests/test_x.py::test_y (call)".
    test = os.environ.get("PYTEST_CURRENT_TEST")
    if test is not None:
        line += f' python -m pytest "{test.rsplit(" (", 1)[0]}"'
    return f"Replay it alone: {line}"
