"""What no seed can repeat is refused, and let through by its name."""

from __future__ import annotations

import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import (
    SimulationError,
    SimulationFenceError,
    run_simulation,
)


async def call(net: VirtualNetwork, function: Callable[[], object]) -> object:
    return function()  # the fence names this line


def start_thread() -> threading.Thread:
    thread = threading.Thread(target=int)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (start_thread, "threads"),
        (lambda: subprocess.Popen(["true"]), "processes"),
        (socket.socket, "sockets"),
    ],
)
def test_what_is_not_repeatable_is_refused(
    function: Callable[[], object], name: str
) -> None:
    with pytest.raises(SimulationFenceError) as caught:
        run_simulation(call, function)
    assert f'allow=["{name}"]' in caught.value.advice
    assert Path(__file__).name in caught.value.where


def test_the_error_names_the_line_of_the_program() -> None:
    with pytest.raises(SimulationFenceError) as caught:
        run_simulation(call, socket.socket)
    path, line = caught.value.where.rsplit(":", 1)
    text = Path(path).read_text("utf-8").splitlines()[int(line) - 1]
    assert text.endswith("# the fence names this line")


LIBRARY = "def connect(make):\n    return make()\n"


def test_a_line_in_a_library_is_named_with_that_which_called_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "site-packages" / "library.py"
    library: dict[str, Any] = {}
    exec(compile(LIBRARY, path, "exec"), library)
    function = partial(library["connect"], socket.socket)
    with pytest.raises(SimulationFenceError) as caught:
        run_simulation(call, function)
    inner, outer = caught.value.where.split(", from ")
    assert inner == f"{path}:2"
    name, line = outer.rsplit(":", 1)
    text = Path(name).read_text("utf-8").splitlines()[int(line) - 1]
    assert text.endswith("# the fence names this line")


LIBRARY_PROGRAM = "async def serve(net):\n    import socket\n    socket.socket()\n"


def test_a_program_that_is_all_a_librarys_is_called_from_nowhere(
    tmp_path: Path,
) -> None:
    path = tmp_path / "site-packages" / "library.py"
    library: dict[str, Any] = {}
    exec(compile(LIBRARY_PROGRAM, path, "exec"), library)
    with pytest.raises(SimulationFenceError) as caught:
        run_simulation(library["serve"])
    assert caught.value.where == f"{path}:3"


def test_a_trio_without_the_name_is_fenced_as_far_as_can_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(sys.modules["trio._threads"], "start_thread_soon")
    with pytest.raises(SimulationFenceError, match="a thread"):
        run_simulation(call, start_thread)
    assert run_simulation(call, int).value == 0
    with pytest.raises(SimulationError, match="does not let its threads be run"):
        run_simulation(call, int, allow=["threads"])


def test_a_refusal_that_the_program_catches_ends_the_simulation_all_the_same() -> None:
    def swallow() -> None:
        with pytest.raises(RuntimeError):
            socket.socket()

    with pytest.raises(SimulationFenceError, match="socket"):
        run_simulation(call, swallow)


def test_a_program_that_is_refused_twice_can_clean_up() -> None:
    """It is stopped by the first; that of its cleanup is no reason to break off."""
    ended: list[str] = []

    async def program(net: VirtualNetwork) -> None:
        with pytest.raises(SimulationFenceError):
            socket.socket()
        with trio.CancelScope(shield=True):
            await trio.sleep(1)
            with pytest.raises(SimulationFenceError):
                socket.socket()
            await trio.sleep(1)
        ended.append("in order")

    with pytest.raises(SimulationFenceError) as caught:
        run_simulation(program)
    assert ended == ["in order"]
    assert caught.value.__cause__ is None


def test_work_in_threads_is_refused_also_where_an_idle_thread_would_do() -> None:
    async def program(net: VirtualNetwork) -> None:
        await trio.to_thread.run_sync(int)

    async def leave_an_idle_thread() -> None:
        await trio.to_thread.run_sync(int)

    trio.run(leave_an_idle_thread)
    with pytest.raises(SimulationFenceError, match=r"trio\.to_thread"):
        run_simulation(program)


def test_allowed_threads_run_at_once_in_the_simulation(tmp_path: Path) -> None:
    async def program(net: VirtualNetwork) -> tuple[int, str, str, float]:
        ident = await trio.to_thread.run_sync(threading.get_ident)
        path = trio.Path(tmp_path / "file")
        await path.write_text("by path")
        async with await trio.open_file(path) as file:
            first = await file.read()
        with trio.fail_after(1):
            second = await path.read_text()
        return ident, first, second, trio.current_time()

    value = run_simulation(program, allow=["threads"]).value
    assert value == (threading.get_ident(), "by path", "by path", 0)


def test_an_error_in_an_allowed_thread_comes_out_of_it() -> None:
    async def program(net: VirtualNetwork) -> None:
        await trio.to_thread.run_sync(int, "no number")

    with pytest.raises(ValueError, match="no number"):
        run_simulation(program, allow=["threads"])


def test_threads_are_threads_again_afterwards() -> None:
    async def thread() -> int:
        return await trio.to_thread.run_sync(threading.get_ident)

    with pytest.raises(SimulationFenceError):
        run_simulation(call, start_thread)
    assert trio.run(thread) != threading.get_ident()
    start_thread().join()


def test_a_process_of_trio_is_refused_as_a_process() -> None:
    async def program(net: VirtualNetwork) -> None:
        await trio.run_process(["true"])

    with pytest.raises(SimulationFenceError) as caught:
        run_simulation(program)
    assert 'allow=["processes"]' in caught.value.advice


def test_the_clock_stands_still_for_an_allowed_process() -> None:
    """Else a deadline of a minute would be over before the process has begun."""

    async def program(net: VirtualNetwork) -> tuple[bytes, float]:
        with trio.fail_after(60):
            done = await trio.run_process(
                [sys.executable, "-c", "print(input())"],
                stdin=b"through a pipe",
                capture_stdout=True,
            )
        return done.stdout, trio.current_time()

    value = run_simulation(program, allow=["processes"]).value
    assert value == (b"through a pipe\n", 0)


def test_allowed_sockets_are_real() -> None:
    async def program(net: VirtualNetwork) -> bytes:
        one, other = socket.socketpair()
        with one, trio.socket.from_stdlib_socket(other) as receiver:
            one.send(b"real")
            return await receiver.recv(10)

    assert run_simulation(program, allow=["sockets"]).value == b"real"


def test_other_threads_are_left_alone() -> None:
    made: list[socket.socket] = []

    async def program(net: VirtualNetwork) -> None:
        thread = threading.Thread(target=lambda: made.append(socket.socket()))
        thread.start()
        thread.join()

    run_simulation(program, allow=["threads"])
    made.pop().close()


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    async def nothing(net: VirtualNetwork) -> None:
        pass

    with pytest.raises(ValueError, match="threads, processes, sockets"):
        run_simulation(nothing, allow=["files"])  # type: ignore[list-item]


def test_the_error_survives_pickling() -> None:
    with pytest.raises(SimulationFenceError) as caught:
        run_simulation(call, socket.socket)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
