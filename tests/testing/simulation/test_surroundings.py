"""Randomness, the time of day and garbage, as a simulation sees them."""

from __future__ import annotations

import gc
import logging
import os
import random
import secrets
import threading
import time
import uuid
import weakref

import pytest
import trio

from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import run_simulation

Y2K = 946_684_800


async def draw(net: VirtualNetwork) -> list[object]:
    await trio.sleep(random.uniform(1, 2))
    return [
        random.random(),
        random.Random().random(),
        random.SystemRandom().random(),
        os.urandom(8),
        secrets.token_hex(),
        uuid.uuid4(),
        trio.current_time(),
    ]


def test_all_of_pythons_randomness_repeats_with_the_seed() -> None:
    first, again, other = (run_simulation(draw, seed=seed).value for seed in (1, 1, 2))
    assert first == again
    assert all(mine != others for mine, others in zip(first, other, strict=True))


def test_randomness_goes_on_afterwards_as_if_nothing_had_been() -> None:
    urandom = os.urandom
    random.seed(5)
    expected = [random.random(), random.random()]
    random.seed(5)
    seen = [random.random()]
    run_simulation(draw)
    assert [*seen, random.random()] == expected
    assert os.urandom is urandom
    assert random.Random().random() != random.Random().random()


def test_randomness_is_given_back_after_a_failure_too() -> None:
    async def fail(net: VirtualNetwork) -> None:
        raise KeyError

    before = (os.urandom, random.Random.seed, time.time, time.monotonic)
    with pytest.raises(KeyError):
        run_simulation(fail)
    assert before == (os.urandom, random.Random.seed, time.time, time.monotonic)


def test_a_draw_of_the_program_does_not_shift_the_schedule() -> None:
    async def program(net: VirtualNetwork, draws: int) -> list[int]:
        order: list[int] = []

        async def take_turn(number: int) -> None:
            await trio.lowlevel.checkpoint()
            order.append(number)

        for _ in range(draws):
            random.random()
        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(take_turn, number)
        return order

    assert run_simulation(program, 0).value == run_simulation(program, 100).value


def test_the_time_of_day_is_virtual_and_begins_with_the_year_2000() -> None:
    async def program(net: VirtualNetwork) -> list[object]:
        await trio.sleep(1.5)
        return [time.time(), time.time_ns(), time.monotonic(), time.monotonic_ns()]

    assert run_simulation(program).value == [
        Y2K + 1.5,
        Y2K * 10**9 + 1_500_000_000,
        1.5,
        1_500_000_000,
    ]


def test_functions_that_mean_now_without_a_moment_follow_too() -> None:
    async def program(net: VirtualNetwork) -> list[object]:
        await trio.sleep(61)
        return [
            tuple(time.gmtime())[:6],
            tuple(time.gmtime(None))[:6],
            time.localtime() == time.localtime(time.time()),
            time.ctime() == time.ctime(time.time()),
            time.asctime() == time.asctime(time.localtime()),
            time.strftime("%s") == str(Y2K + 61),
            time.strftime("%M", time.gmtime(0)),
            tuple(time.gmtime(5))[:6],
        ]

    moment = (2000, 1, 1, 0, 1, 1)
    real = time.localtime
    then = (1970, 1, 1, 0, 0, 5)
    assert run_simulation(program).value == [moment, moment, *[True] * 4, "00", then]
    assert time.localtime is real


def test_a_class_may_keep_a_function_of_the_clock() -> None:
    async def program(net: VirtualNetwork) -> str:
        formatter: logging.Formatter = type(
            "Utc", (logging.Formatter,), {"converter": time.gmtime}
        )()
        return formatter.formatTime(logging.makeLogRecord({"created": 5.0}), "%S")

    assert run_simulation(program).value == "05"


def test_other_threads_keep_the_real_time_and_randomness() -> None:
    seen: list[tuple[bytes, float, int]] = []

    async def program(net: VirtualNetwork) -> bytes:
        thread = threading.Thread(
            target=lambda: seen.append(
                (os.urandom(16), time.time(), time.gmtime().tm_year)
            )
        )
        thread.start()
        thread.join()
        return os.urandom(16)

    values = {run_simulation(program, allow=["threads"]).value for _ in range(2)}
    (one, early, year), (two, _, _) = seen
    assert len(values) == 1
    assert one != two
    assert early > Y2K + 10 * 365 * 86_400
    assert year > 2010


def test_what_lay_in_memory_before_is_not_finalized_during_the_run() -> None:
    class Cycle:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            finalized.append("before")

    finalized: list[str] = []

    async def program(net: VirtualNetwork) -> int:
        gc.collect()
        [[] for _ in range(10_000)]
        return len(finalized)

    gc.collect()
    frozen = gc.get_freeze_count()
    gc.disable()
    try:
        Cycle()
        assert run_simulation(program).value == 0
        assert not gc.isenabled()
    finally:
        gc.enable()
    gc.collect()
    assert finalized == ["before"]
    assert gc.get_freeze_count() == frozen


def test_garbage_of_a_run_is_finalized_at_the_same_moment_in_each_run() -> None:
    class Cycle:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            moments.append(time.time())

    moments: list[float] = []

    async def program(net: VirtualNetwork, ballast: int) -> None:
        moments.clear()
        kept = [[] for _ in range(ballast)]  # type: ignore[var-annotated]
        for _ in range(10):
            Cycle()
        for _ in range(10_000):
            await trio.sleep(0.1)
        kept.clear()

    runs: list[list[float]] = []
    for ballast in (0, 5_000):
        run_simulation(program, ballast)
        runs.append(list(moments))
    assert runs[0] == runs[1]
    assert len(runs[0]) == 10


def test_a_simulation_leaves_nothing_behind_in_memory() -> None:
    """Thousands of seeds are run in one process, and each has a network and a trace."""

    async def make_hosts(net: VirtualNetwork) -> weakref.ref[VirtualNetwork]:
        net.host("a").start(trio.sleep_forever)
        await net.settle()
        return weakref.ref(net)

    result = run_simulation(make_hosts)
    trace = weakref.ref(result.trace)
    assert trace() is not None
    assert result.value() is None
    del result
    assert trace() is None
