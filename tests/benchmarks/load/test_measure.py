from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks._measurement import Measurement
from benchmarks._processes import running
from benchmarks._workloads import WORKLOADS, Workload
from benchmarks.load import _broadcast, _connect
from benchmarks.load._churn import start_churn
from benchmarks.load._errors import LoadError
from benchmarks.load._loop import Loop
from benchmarks.load._measure import measure, within_limit
from benchmarks.load._ping_pong import start_ping_pong
from tests.benchmarks.programs import named, program, running_simple

FEW = 3


def small(name: str) -> Workload:
    workload = WORKLOADS[name]
    return replace(
        workload,
        connections=min(workload.connections, FEW),
        stalled=min(workload.stalled, 1),
    )


def put_under_load(workload: Workload, port: int, pid: int) -> Measurement:
    return measure(workload, port=port, pid=pid, warm_up=0.01, seconds=0.2)


@pytest.mark.parametrize(
    "workload",
    [
        name
        for name, workload in WORKLOADS.items()
        if not workload.less_is_better and not workload.is_of_requests
    ],
)
def test_it_measures_each_workload(workload: str) -> None:
    with running(named("trio_plain", WORKLOADS[workload].kind)) as (port, pid):
        result = put_under_load(small(workload), port, pid)
    assert result.per_second is not None
    assert result.server_busy is not None
    assert result.value * result.server_busy == pytest.approx(result.per_second)
    assert result.client_busy is not None
    assert result.client_busy > 0
    timed = WORKLOADS[workload].traffic == "broadcast"
    assert (result.p99_seconds is not None) == timed


def test_it_measures_memory() -> None:
    workload = replace(WORKLOADS["idle"], connections=200)
    with running(named("trio_plain")) as (port, pid):
        result = put_under_load(workload, port, pid)
    assert result.value > 0
    assert result.per_second is None


def test_it_measures_what_memory_grows_by() -> None:
    """Under load, with one that reads nothing; to a page, and not for each client."""
    with running(named("trio_tcp", "hub")) as (port, pid):
        result = put_under_load(small("hub_memory"), port, pid)
    assert result.value < 32 << 10  # KiB
    assert result.per_second is None


def test_a_latency_is_that_of_the_slowest_of_a_hundred(tmp_path: Path) -> None:
    """A server that tells one listener all the time late is late."""
    with running(program(tmp_path, LATE)) as (port, pid):
        result = put_under_load(replace(small("bcast"), depth=1), port, pid)
    assert result.p99_seconds is not None
    assert result.p99_seconds >= LATE_SECONDS


LATE_SECONDS = 0.01
LATE = f"""\
# lab: late for=broadcast
import socket, sys, time
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
listener.accept()  # whoever looks whether it listens
*others, speaker = [listener.accept()[0] for _ in range(4)]
while chunk := speaker.recv(1 << 16):
    for other in others[:-1]:
        other.sendall(chunk)
    time.sleep({LATE_SECONDS})
    others[-1].sendall(chunk)
"""


def test_a_server_that_waits_for_those_who_do_not_read_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And not taken for one that is fast."""
    monkeypatch.setattr(_connect, "SILENCE", 0.3)
    waits_for_all = named("trio_plain", "broadcast")
    with (
        running(waits_for_all) as (port, pid),
        pytest.raises((LoadError, TimeoutError)),
    ):
        put_under_load(replace(small("bcast"), stalled=1), port, pid)


COUNTING = """\
received = 0
try:
    while chunk := client.recv(1 << 16):
        received += len(chunk)
        client.sendall(chunk)
except ConnectionError:  # it leaves with replies unread
    pass
client.close()
print(received, file=open(sys.argv[0] + ".counts", "a"), flush=True)
"""
FRAME_BYTES = 68
ENOUGH = 50


def counts_of(folder: Path, at_least: int) -> list[int]:
    """Wait until a server has counted what so many clients have sent."""
    path = folder / "server.py.counts"
    path.touch()
    while len(words := path.read_text(encoding="ascii").split()) < at_least:
        pass
    return [int(word) for word in words]


def test_it_counts_the_replies_of_a_ping_pong(tmp_path: Path) -> None:
    workload = replace(WORKLOADS["pipe"], connections=1, depth=4)
    with running_simple(tmp_path, COUNTING) as (port, _):
        with Loop() as loop:
            start_ping_pong(loop, port, workload)
            loop.run_until(lambda: loop.operations >= ENOUGH)
            counted = loop.operations
        # The first is the one that asks whether the server listens.
        [_, received] = counts_of(tmp_path, 2)
    # One before the count begins; at the end some are under way.
    sent = received // FRAME_BYTES - 1
    assert counted <= sent <= counted + workload.depth


def test_it_counts_the_connections_of_a_churn(tmp_path: Path) -> None:
    workload = replace(WORKLOADS["churn"], connections=1)
    with running_simple(tmp_path, COUNTING) as (port, _):
        with Loop() as loop:
            start_churn(loop, port, workload)
            loop.run_until(lambda: loop.operations >= ENOUGH)
            counted = loop.operations
        served = [n for n in counts_of(tmp_path, counted + 1) if n == FRAME_BYTES]
    assert counted <= len(served) <= counted + 1


BAD_REPLIES = {
    "another byte": "client.sendall(client.recv(100)[:-1] + b'y')",
    "an old reply": (
        "first = client.recv(68); client.sendall(first)\n"
        "while client.recv(68): client.sendall(first)"
    ),
    "a reply too many": (
        "first = client.recv(68); client.sendall(first)\n"
        "while chunk := client.recv(68): client.sendall(chunk + chunk)"
    ),
}


@pytest.mark.parametrize("body", BAD_REPLIES.values(), ids=BAD_REPLIES)
def test_it_notices_wrong_replies(tmp_path: Path, body: str) -> None:
    workload = replace(WORKLOADS["pipe"], connections=1, depth=2)
    with (
        running_simple(tmp_path, body) as (port, pid),
        pytest.raises(LoadError, match=r"wrong|more"),
    ):
        put_under_load(workload, port, pid)


@pytest.mark.parametrize("workload", ["pp1", "churn", "bcast", "idle"])
def test_it_notices_a_closed_connection(tmp_path: Path, workload: str) -> None:
    with (
        running_simple(tmp_path, "client.close()") as (port, pid),
        pytest.raises((LoadError, ConnectionError), match=r"closed|reset|pipe"),
    ):
        put_under_load(replace(small(workload), connections=1), port, pid)


@pytest.mark.parametrize("workload", ["pp1", "churn", "idle"])
def test_it_gives_up_a_server_that_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workload: str
) -> None:
    monkeypatch.setattr(_connect, "SILENCE", 0.1)
    with (
        running_simple(tmp_path, "others = [*globals().get('others', []), client]") as (
            port,
            pid,
        ),
        pytest.raises(LoadError, match=r"no reply|too few"),
    ):
        put_under_load(replace(small(workload), connections=1), port, pid)


def test_a_broadcast_that_leaves_somebody_out_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_broadcast, "SILENCE", 0.1)
    with (
        running_simple(tmp_path, "others = [*globals().get('others', []), client]") as (
            port,
            pid,
        ),
        pytest.raises(LoadError, match="3 clients have heard nothing"),
    ):
        put_under_load(small("bcast"), port, pid)


def test_a_broadcast_server_must_not_echo() -> None:
    with (
        running(named("trio_plain")) as (port, pid),
        pytest.raises(LoadError, match="echoes to the speaker"),
    ):
        put_under_load(small("bcast"), port, pid)


def test_the_limit_of_open_files_makes_idle_connections_fewer() -> None:
    assert within_limit(WORKLOADS["idle"], 1024).connections == 1024 - 64
    assert within_limit(WORKLOADS["idle"], 10_000) is WORKLOADS["idle"]


def test_other_workloads_want_all_their_connections() -> None:
    assert within_limit(WORKLOADS["pp1000"], 1064) is WORKLOADS["pp1000"]
    with pytest.raises(LoadError, match="needs 1064 open files, and the limit is 1063"):
        within_limit(WORKLOADS["pp1000"], 1063)
