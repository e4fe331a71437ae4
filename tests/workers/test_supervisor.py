"""What is refused before any process is started, and how events read in a log."""

from __future__ import annotations

import logging
import math
import signal
from typing import Any

import pytest
import trio

import trio_tcp
from trio_tcp._workers import Supervisor, is_worker, work


async def test_listeners_are_closed_also_when_an_argument_makes_no_sense() -> None:
    [listener] = await trio_tcp.open_tcp_listeners(0, host="127.0.0.1")
    with pytest.raises(ValueError, match="1 or more, not 0"):
        await trio_tcp.serve_with_workers("service:serve", [listener], workers=0)
    assert listener.socket.fileno() < 0


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("serve", len, TypeError, "serve must be of type str, not <built-in"),
        ("grace", -1, ValueError, "grace must be a number of seconds, zero or more"),
        ("grace", math.nan, ValueError, "grace must be a number of seconds"),
        ("supervision", 30, TypeError, "supervision must be of type Supervision"),
        ("observer", "log", TypeError, "observer must be a function, not 'log'"),
    ],
)
async def test_what_would_fail_in_the_workers_is_refused_before_they_start(
    name: str, value: object, error: type[Exception], message: str
) -> None:
    [listener] = await trio_tcp.open_tcp_listeners(0, host="127.0.0.1")
    arguments: dict[str, Any] = {"serve": "service:serve", "workers": 1, name: value}
    with trio.fail_after(5), pytest.raises(error, match=f"^{message}"):
        await trio_tcp.serve_with_workers(listeners=[listener], **arguments)
    assert listener.socket.fileno() < 0


@pytest.mark.parametrize("workers", [0, -1])
def test_there_is_at_least_one_worker(workers: int) -> None:
    with pytest.raises(ValueError, match=f"1 or more, not {workers}"):
        Supervisor(["true"], [], workers=workers)


def test_half_a_worker_is_refused_before_anything_listens() -> None:
    with pytest.raises(ValueError, match="workers must be a whole number"):
        trio_tcp.run_workers("service:serve", -1, workers=2.5)  # type: ignore[arg-type] # that is the point


def test_what_to_serve_is_checked_before_anything_listens() -> None:
    with pytest.raises(ValueError, match="'module:object', not 'service'"):
        trio_tcp.run_workers("service", 0, workers=1)


async def test_only_a_supervisors_child_is_a_worker() -> None:
    async def serve(
        listeners: object, /, *, task_status: trio.TaskStatus[trio_tcp.Server]
    ) -> None:
        raise AssertionError("nobody has asked for it")

    assert not is_worker()
    with pytest.raises(RuntimeError, match="this process is no worker"):
        await work(serve)


def test_the_patience_of_a_supervisor_is_a_number_of_seconds() -> None:
    with pytest.raises(ValueError, match="startup must be a number of seconds"):
        trio_tcp.Supervision(startup=-1)
    with pytest.raises(ValueError, match="heartbeat must be a number of seconds"):
        trio_tcp.Supervision(heartbeat=math.nan)


async def test_each_worker_has_listeners_of_its_own_or_none_has() -> None:
    with pytest.raises(ValueError, match="1 own_listeners, 2 workers"):
        Supervisor(["true"], [], workers=2, own_listeners=[[]])


WHO = {"slot": 1, "generation": 2, "pid": 300}


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            trio_tcp.WorkerEnded(
                returncode=-signal.SIGKILL,
                expected=False,
                report=None,
                seconds=1.25,
                **WHO,
            ),
            "worker 1 (pid 300) ended, killed by SIGKILL, after 1.2 s",
        ),
        (
            trio_tcp.WorkerEnded(
                returncode=3, expected=False, report=None, seconds=1, **WHO
            ),
            "worker 1 (pid 300) ended, exit status 3, after 1.0 s",
        ),
        (
            trio_tcp.WorkerEnded(
                returncode=-40, expected=False, report=None, seconds=1, **WHO
            ),
            "worker 1 (pid 300) ended, killed by signal 40, after 1.0 s",
        ),
        (
            trio_tcp.WorkerKilled(reason="heartbeat", seconds=30, **WHO),
            "worker 1 (pid 300) killed: heartbeat took more than 30 s",
        ),
        (
            trio_tcp.SupervisorStopping(signal=signal.SIGTERM),
            "stopping all workers after SIGTERM",
        ),
        (trio_tcp.SupervisorStopping(signal=None), "stopping all workers"),
        (
            trio_tcp.SupervisorStarted(
                addresses=(trio_tcp.TcpAddress("::1", 80),), workers=4
            ),
            "4 workers listening on [::1]:80",
        ),
    ],
)
def test_an_event_reads_as_a_line(event: trio_tcp.WorkersEvent, line: str) -> None:
    assert event.describe() == line


def test_what_matters_is_seen_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """As an error, where old code goes on because the new does not start."""
    failed = trio_tcp.ReloadFailed(generation=2, reason="worker 0 ended")
    trio_tcp.log_events(failed)
    assert caplog.record_tuples == [
        (
            "trio_tcp",
            logging.ERROR,
            "reload failed, the old workers stay: worker 0 ended",
        )
    ]
