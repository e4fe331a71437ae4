"""One seed, one run: in every process, wherever objects lie and whatever hashes are."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import final

import trio
import trustme

import trio_tcp
from tests.certificates import authority, client_context, server_context
from tests.testing.simulation.repeated import LINES, chat, fingerprints
from trio_tcp.testing import faults
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import run_simulation
from trio_tcp.testing.traces import Flag

SEED = 7
REPEATS_IN_A_PROCESS = 10
HASH_SEEDS = [*map(str, range(9)), "random"]

DAY = 86_400


def run_in_a_process(hash_seed: str) -> list[str]:
    program = "tests.testing.simulation.repeated"
    done = subprocess.run(
        [sys.executable, "-m", program, str(SEED), str(REPEATS_IN_A_PROCESS)],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_a_hundred_runs_of_one_seed_are_one_run(tmp_path: Path) -> None:
    """Equal are the traces, the bytes of the captures and what the program has seen."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        outputs = list(pool.map(run_in_a_process, HASH_SEEDS))
    runs = [run for output in outputs for run in output]
    assert len(runs) == 100
    assert set(runs) == {" ".join(fingerprints(SEED, tmp_path))}


def test_what_is_repeated_has_everything_that_could_differ() -> None:
    result = run_simulation(chat, seed=SEED)
    log = "\n".join(result.value)
    assert "begins again" in log
    assert "hears" in log
    assert "BROKEN" in log
    assert "ServerStopped" in log
    assert result.trace.count(flags=Flag.RST) > 0
    assert {span.name for span in result.trace.faults} >= {str(faults.Hold())}
    assert len(result.trace) > 100


def test_a_hundred_seeds_are_a_hundred_runs(tmp_path: Path) -> None:
    runs = [fingerprints(seed, tmp_path) for seed in range(100)]
    for kind in zip(*runs, strict=True):
        assert len(set(kind)) == 100


def test_connections_have_the_same_numbers_in_each_run() -> None:
    async def program(net: VirtualNetwork) -> list[int]:
        numbers: list[int] = []

        async def serve(connection: trio_tcp.Connection[str, str]) -> None:
            numbers.append(connection.id)

        net.host("server").start(partial(trio_tcp.serve_tcp, serve, 80, codec=LINES))
        await net.settle()
        async with trio_tcp.connect_tcp("server", 80, codec=LINES) as connection:
            numbers.append(connection.id)
        return numbers

    first, again = (run_simulation(program).value for _ in range(2))
    assert first == again


def test_the_shape_of_tls_is_repeated_though_its_bytes_are_not() -> None:
    """RSA's signatures have one length. Those of elliptic curves do not."""
    leaf = authority().issue_cert("server", key_type=trustme.KeyType.RSA)
    of_server, of_client = server_context(certificate_from=leaf), client_context()

    async def echo(connection: trio_tcp.Connection[str, str]) -> None:
        async for line in connection:
            await connection.send(line)

    async def program(net: VirtualNetwork) -> None:
        async def talk(line: str) -> None:
            async with trio_tcp.connect_tcp(
                "server", 443, codec=LINES, tls=of_client
            ) as connection:
                for _ in range(3):
                    await connection.send(line)
                    assert await connection.receive() == line

        net.set_links(latency=0.01, jitter=0.03)
        net.inject(faults.Slice(1, 200))
        net.host("server").start(
            partial(trio_tcp.serve_tcp, echo, 443, codec=LINES, tls=of_server)
        )
        await net.settle()
        async with trio.open_nursery() as nursery:
            for number in range(4):
                host = net.host(f"client{number}")
                nursery.start_soon(host.run, talk, host.name * 20)

    traces = [run_simulation(program, seed=SEED).trace for _ in range(5)]
    assert len({trace.digest(payload=False) for trace in traces}) == 1
    assert len({trace.digest() for trace in traces}) == 5
    other = run_simulation(program, seed=SEED + 1).trace
    assert other.digest(payload=False) != traces[0].digest(payload=False)


@final
class Passes(trio.abc.Instrument):
    """Counts the passes of Trio's scheduler."""

    def __init__(self) -> None:
        self.count: int = 0

    def before_io_wait(self, timeout: float) -> None:
        self.count += 1


def test_a_day_without_traffic_is_a_few_passes_of_the_scheduler() -> None:
    async def keep(stream: trio.SocketStream) -> None:
        await stream.receive_some()

    async def program(net: VirtualNetwork) -> tuple[int, int]:
        net.host("server").start(trio.serve_tcp, keep, 80)
        await net.settle()
        streams = [await trio.open_tcp_stream("server", 80) for _ in range(20)]
        await net.settle()
        await trio.sleep(1)
        passes, segments = Passes(), len(net.trace)
        trio.lowlevel.add_instrument(passes)
        await trio.sleep(DAY)
        trio.lowlevel.remove_instrument(passes)
        segments = len(net.trace) - segments
        for stream in streams:
            await stream.aclose()
        return passes.count, segments

    result = run_simulation(program, time_limit=2 * DAY)
    passes, segments = result.value
    assert passes < 5
    assert segments == 0
