"""The small Redis, the real one, and the clients that ask it."""

from __future__ import annotations

import shutil
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks._catalog import ServerProgram
from benchmarks._processes import CannotStart, Cores, RunFailed, running
from benchmarks._redis_link import linked
from benchmarks._requesters import measure_requester
from benchmarks._workloads import WORKLOADS
from benchmarks.load._errors import LoadError
from benchmarks.load._measure import measure
from tests.benchmarks.programs import SERVERS, named, program, running_simple

ANYWHERE = Cores(None, None)
FEW_TASKS = replace(WORKLOADS["ask10"], depth=3)
ASKS_ONCE = """\
# lab: asks_once for=requester
import socket, sys, time
sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
sock.sendall(b"GET key\\r\\n")
sock.recv(100)
time.sleep(0.1)
sys.exit(f"{sys.argv[2:]} is enough")
"""


def needs(name: str) -> pytest.MarkDecorator:
    """Skip where a program of Redis is not installed."""
    missing = shutil.which(name) is None
    return pytest.mark.skipif(missing, reason=f"the program {name} is not installed")


needs_server = needs("redis-server")
needs_benchmark = needs("redis-benchmark")

python_server = pytest.mark.parametrize(
    "server",
    [named("trio_tcp", "key_value"), named("asyncio_streams", "key_value")],
    ids=lambda server: server.name,
)
every_client = pytest.mark.parametrize(
    "client",
    [server for server in SERVERS if server.kind == "requester"],
    ids=lambda server: server.name,
)


def said_to(port: int, *pieces: bytes) -> bytes:
    """Send these, each when the one before is answered; return all until the end."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), 10) as sock:
        for piece in pieces:
            sock.sendall(piece)
            received += sock.recv(1000)
        while chunk := sock.recv(1000):
            received += chunk
    return received


def check_it_keeps_values(server: ServerProgram) -> None:
    """Several requests in one piece, and one in two; then goodbye."""
    with running(server) as (port, _):
        said = said_to(port, b"SET a 1\r\nGET a\r\nGE", b"T b\r\n", b"QUIT\r\n")
    assert said == b"+OK\r\n$1\r\n1\r\n$-1\r\n+OK\r\n"


@python_server
def test_a_store_in_python_keeps_values(server: ServerProgram) -> None:
    check_it_keeps_values(server)


@needs_server
def test_the_real_redis_keeps_values() -> None:
    check_it_keeps_values(named("redis_server", "key_value"))


@python_server
def test_a_store_in_python_answers_what_is_wrong(server: ServerProgram) -> None:
    with running(server) as (port, _):
        said = said_to(port, b"INCRBY a x\r\nGET a\r\n*x\r\n")
    assert said == (
        b"-ERR value is not an integer or out of range\r\n$-1\r\n"
        b"-ERR Protocol error: invalid multibulk length\r\n"
    )


@needs_benchmark
@python_server
@pytest.mark.parametrize("name", ["kv1", "kv16"])
def test_redis_benchmark_puts_it_under_load(server: ServerProgram, name: str) -> None:
    with running(server) as (port, pid):
        measured = measure(WORKLOADS[name], port=port, pid=pid, warm_up=0, seconds=0.1)
    assert measured.server_busy
    assert measured.per_second == pytest.approx(measured.value * measured.server_busy)


@needs_benchmark
def test_what_redis_benchmark_does_not_like_is_told(tmp_path: Path) -> None:
    body = "if client.recv(1000):\n    client.sendall(b'-ERR no\\r\\n')"
    with running_simple(tmp_path, body) as (port, pid):
        with pytest.raises(LoadError, match=r"redis-benchmark fails.*ERR no"):
            measure(WORKLOADS["kv1"], port=port, pid=pid, warm_up=0, seconds=0.1)


@needs_server
@every_client
def test_a_client_asks(client: ServerProgram) -> None:
    measured = measure_requester(
        client, FEW_TASKS, warm_up=0, seconds=0.2, cores=ANYWHERE
    )
    assert measured.client_busy
    assert measured.per_second == pytest.approx(measured.value * measured.client_busy)


@needs_server
def test_a_client_that_cannot_start_is_told(tmp_path: Path) -> None:
    client = program(tmp_path, "# lab: bad for=requester\nimport not_installed_here\n")
    with pytest.raises(CannotStart, match="No module named 'not_installed_here'"):
        measure_requester(client, FEW_TASKS, warm_up=0, seconds=0.2, cores=ANYWHERE)


@needs_server
def test_a_client_that_ends_is_told(tmp_path: Path) -> None:
    """It has been told how many tasks, which key and which value."""
    client = program(tmp_path, ASKS_ONCE)
    with pytest.raises(RunFailed, match=r"\['3', 'key', 'x{64}'\] is enough"):
        measure_requester(client, FEW_TASKS, warm_up=0, seconds=0.5, cores=ANYWHERE)


@needs_server
def test_redis_counts_the_requests() -> None:
    with running(named("redis_server", "key_value")) as (port, _):
        with linked(port) as link:
            assert link.ask("SET key some") == b"+OK"
            assert link.gets() == 0
            assert [link.ask("GET key") for _ in range(3)] == [b"some"] * 3
            assert link.gets() == 3


def test_without_redis_it_is_said_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotStart, match="the program redis-server is not installed"):
        with running(named("redis_server", "key_value")):
            raise AssertionError
