"""The processes of a run: a server on one core, the load generator on another."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from benchmarks._catalog import ServerProgram
from benchmarks._measurement import Measurement

__all__ = [
    "CannotStart",
    "Cores",
    "RunFailed",
    "last_words",
    "raise_file_limit",
    "run_load",
    "running",
    "started",
]

ROOT: Final = Path(__file__).parents[1]
HOST: Final = "127.0.0.1"
START_SECONDS: Final = 15.0
GRACE_SECONDS: Final = 60.0
"""How much longer than its time a load may take, to connect for example."""
ENOUGH_FILES: Final = 10_240
"""The most that macOS lets a process have, whatever it says itself."""


class CannotStart(Exception):
    """A server does not start; the message is what it says last."""


class RunFailed(Exception):
    """The load generator has found something wrong."""


@dataclass(frozen=True)
class Cores:
    """Which cores are for what; None where this cannot be chosen.

    Attributes:
        server: for the server.
        client: for the load generator.
    """

    server: int | None
    client: int | None

    @classmethod
    def of_this_machine(cls) -> Cores:
        """Take the first two that this process may use."""
        if sys.platform == "linux":
            usable = sorted(os.sched_getaffinity(0))
            if len(usable) > 1:
                return cls(usable[0], usable[1])
        return cls(None, None)


def raise_file_limit() -> None:
    """Let this process and its children have as many open files as they may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, ENOUGH_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


@contextmanager
def started(
    program: ServerProgram, *args: str, core: int | None
) -> Generator[tuple[subprocess.Popen[bytes], IO[bytes]], None, None]:
    """Run a program during the block, which gets it and the file of what it prints.

    Args:
        program: it can import this one, and the examples.
        args: before its own.
        core: where it runs; None for anywhere.
    """
    command = [sys.executable, str(program.path), *args, *program.args]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        try:
            if sys.platform == "linux" and core is not None:
                os.sched_setaffinity(process.pid, {core})
            yield process, output
        finally:
            process.kill()
            process.wait()


@contextmanager
def running(
    server: ServerProgram, cores: Cores = Cores(None, None)
) -> Generator[tuple[int, int], None, None]:
    """Run a server during the block, which gets its port and its process.

    Raises:
        CannotStart: it has ended, or does not listen.
    """
    with (
        _free_port() as port,
        started(server, str(port), core=cores.server) as (process, output),
    ):
        _wait_until_it_listens(process, port, output)
        yield port, process.pid


def run_load(  # noqa: D417 - the rest is as in `benchmarks.load`
    workload: str, port: int, pid: int, *, warm_up: float, seconds: float, cores: Cores
) -> Measurement:
    """Put a server under load from a process of its own.

    Args:
        workload: its name.

    Raises:
        RunFailed: something was wrong with the replies.
    """
    times = [f"--warm-up={warm_up}", f"--seconds={seconds}"]
    core = [] if cores.client is None else [f"--core={cores.client}"]
    arguments = [workload, str(port), str(pid), *times, *core]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.load", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=ROOT,
            text=True,
            check=True,
            timeout=warm_up + seconds + GRACE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise RunFailed("it took far too long") from None
    except subprocess.CalledProcessError as error:
        raise RunFailed(_last_line(str(error.stderr))) from error
    result = json.loads(done.stdout)
    if "error" in result:
        raise RunFailed(result["error"])
    return Measurement(**result)


@contextmanager
def _free_port() -> Generator[int, None, None]:
    """Find a port, and keep others from finding it during the block."""
    with socket.socket() as sock:
        # With this option on both sides, who wants just this port can listen there.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((HOST, 0))
        port: int = sock.getsockname()[1]
        yield port


def _wait_until_it_listens(
    process: subprocess.Popen[bytes], port: int, output: IO[bytes]
) -> None:
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up:
        if process.poll() is not None:
            raise CannotStart(last_words(output))
        try:
            socket.create_connection((HOST, port), 1).close()
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise CannotStart(f"it does not listen after {START_SECONDS:.0f} s")


def last_words(output: IO[bytes]) -> str:
    """Return the last line that a program has printed."""
    output.seek(0)
    return _last_line(output.read().decode(errors="replace"))


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else "it has ended, and says nothing"
