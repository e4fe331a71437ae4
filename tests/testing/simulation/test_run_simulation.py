"""One program, one seed, one run."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
from typing import Any

import pytest
import trio

from tests.testing.simulation.programs import chat
from trio_tcp.testing import last_failure
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import SimulationError, run_simulation

DIGEST = """
from tests.testing.simulation.programs import chat
from trio_tcp.testing.simulation import run_simulation
garbage = [object() for _ in range({salt})]
print(run_simulation(chat, seed=7).trace.digest())
"""


def test_the_result_has_value_trace_seed_and_virtual_seconds() -> None:
    async def program(net: VirtualNetwork, word: str, count: int) -> str:
        await trio.sleep(12.5)
        return word * count

    result = run_simulation(program, "ab", 2, seed=3)
    assert (result.value, result.seed, result.seconds) == ("abab", 3, 12.5)
    assert len(result.trace) == 0


def test_programs_on_hosts_talk_by_name() -> None:
    result = run_simulation(chat)
    assert len(result.value) == 6 * 4
    assert result.trace.count(receiver="server") > 24


def test_the_function_is_on_a_host_that_knows_localhost() -> None:
    async def program(net: VirtualNetwork) -> bytes:
        async def serve(stream: trio.SocketStream) -> None:
            await stream.send_all(b"here")

        async with trio.open_nursery() as nursery:
            await nursery.start(trio.serve_tcp, serve, 8000)
            stream = await trio.open_tcp_stream("localhost", 8000)
            async with stream:
                data = await stream.receive_some()
            nursery.cancel_scope.cancel()
        return bytes(data)

    result = run_simulation(program)
    assert result.value == b"here"
    assert {segment.sender for segment in result.trace} == {"test"}


def test_hosts_are_cancelled_when_the_function_returns() -> None:
    ended: list[float] = []

    async def run_for_ever() -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.append(trio.current_time())

    async def program(net: VirtualNetwork) -> None:
        net.host("a").start(run_for_ever)
        await trio.sleep(3)

    run_simulation(program)
    assert ended == [3]


def test_one_seed_is_one_run_and_another_seed_another() -> None:
    first, again = run_simulation(chat, seed=1), run_simulation(chat, seed=1)
    assert first.trace.digest() == again.trace.digest()
    assert (first.value, first.seconds) == (again.value, again.seconds)
    others = {run_simulation(chat, seed=seed).trace.digest() for seed in range(2, 12)}
    assert len(others | {first.trace.digest()}) == 11


def test_a_seed_is_the_same_run_in_every_process() -> None:
    """Whatever the hashes of strings are, and wherever objects lie in memory."""
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST.format(salt=salt)],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": "."},
            check=True,
            capture_output=True,
        ).stdout
        for salt, hash_seed in enumerate(["0", "1", "random"])
    }
    assert digests == {f"{run_simulation(chat, seed=7).trace.digest()}\n".encode()}


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ({"schedule": "FIFO"}, "schedule must be one of .*'fifo'.*, not 'FIFO'"),
        ({"time_limit": math.nan}, "time_limit must be a number of seconds"),
        ({"time_limit": -1}, "time_limit must be a number of seconds"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(
    option: dict[str, Any], says: str
) -> None:
    async def program(_net: VirtualNetwork) -> None:
        raise AssertionError("it was not to begin")

    with pytest.raises(ValueError, match=says):
        run_simulation(program, **option)


def test_fifo_runs_tasks_in_the_order_in_which_they_were_started() -> None:
    async def program(net: VirtualNetwork) -> list[int]:
        order: list[int] = []

        async def take_turn(number: int) -> None:
            await trio.lowlevel.checkpoint()
            order.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(take_turn, number)
        return order

    assert run_simulation(program, schedule="fifo").value == list(range(20))
    shuffled = run_simulation(program).value
    assert shuffled != list(range(20))
    assert sorted(shuffled) == list(range(20))


def test_fifo_runs_first_who_got_ready_first() -> None:
    """Who was started first comes first only among those who got ready together."""

    async def program(net: VirtualNetwork) -> list[int]:
        order: list[int] = []
        events = [trio.Event() for _ in range(4)]

        async def take_turn(number: int) -> None:
            await events[number].wait()
            order.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(4):
                nursery.start_soon(take_turn, number)
            await net.settle()
            events[3].set()
            await trio.lowlevel.checkpoint()
            for number in (2, 0, 1):
                events[number].set()
        return order

    assert run_simulation(program, schedule="fifo").value == [3, 0, 1, 2]


def test_an_exception_of_the_function_leaves_as_itself_with_the_seed() -> None:
    async def program(net: VirtualNetwork) -> None:
        net.host("a").start(trio.sleep_forever)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine") as caught:
        run_simulation(program, seed=41)
    assert any("seed=41" in note for note in caught.value.__notes__)


def test_an_exception_of_a_host_ends_the_simulation_and_leaves_as_itself() -> None:
    async def fail() -> None:
        await trio.sleep(1)
        raise KeyError("the host's")

    async def program(net: VirtualNetwork) -> None:
        net.host("a").start(fail)
        await trio.sleep_forever()

    with pytest.raises(KeyError, match="the host's"):
        run_simulation(program)


def test_several_exceptions_leave_as_a_group_with_the_seed() -> None:
    async def fail() -> None:
        raise KeyError("the host's")

    async def program(net: VirtualNetwork) -> None:
        net.host("a").start(fail)
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("the function's")

    with pytest.RaisesGroup(KeyError, ValueError, flatten_subgroups=True) as caught:
        run_simulation(program, seed=5)
    assert any("seed=5" in note for note in caught.value.__notes__)


def test_the_trace_of_a_failure_is_kept() -> None:
    async def program(net: VirtualNetwork) -> None:
        await chat(net)
        raise KeyError

    with pytest.raises(KeyError):
        run_simulation(program, seed=8)
    failed = last_failure()
    assert failed is not None
    assert failed.seed == 8
    assert failed.trace.digest() == run_simulation(chat, seed=8).trace.digest()


def test_two_simulations_at_once_are_refused() -> None:
    raised: list[BaseException] = []

    async def nothing(net: VirtualNetwork) -> None:
        pass

    async def program(net: VirtualNetwork) -> None:
        def run_another() -> None:
            try:
                run_simulation(nothing)
            except SimulationError as error:
                raised.append(error)

        thread = threading.Thread(target=run_another)
        thread.start()
        thread.join()

    run_simulation(program, allow=["threads"])
    assert "already" in str(raised[0])
    run_simulation(nothing)


async def test_a_simulation_inside_a_trio_program_is_refused() -> None:
    async def nothing(net: VirtualNetwork) -> None:
        pass

    with pytest.raises(RuntimeError, match="inside"):
        run_simulation(nothing)
