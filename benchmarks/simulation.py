"""How fast simulations are: messages, seeds, and days without traffic.

Usage: ``python -m benchmarks.simulation [PROTOTYPE]``. PROTOTYPE is the path of a
module with another virtual network to compare with, which has ``simulate(fn, seed=)``.
Rates are by the time of the processor unless the table says otherwise: each the median
of several rounds in which the candidates take turns, and beside it the slowest and the
fastest of them.
"""

from __future__ import annotations

import importlib.util
import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from multiprocessing import get_context
from typing import Any, Final, TypeAlias

import trio

from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import explore, run_simulation

ROUNDS: Final = 7
ROUNDS_OF_EXPLORING: Final = 3
ECHO_CLIENTS: Final = 100
ECHO_MESSAGES: Final = 100
MESSAGE: Final = b"x" * 64
CHAT_CLIENTS: Final = 12
CHAT_LINES: Final = 2
SEEDS_PER_ROUND: Final = 10
SEEDS_TO_EXPLORE: Final = 200
DAY: Final = 86_400

Row: TypeAlias = tuple[str, list[float]]


# --- programs, of plain Trio


async def send_back(stream: trio.SocketStream) -> None:
    """Send back what comes."""
    async for chunk in stream:
        await stream.send_all(chunk)


async def ask(host: str, port: int) -> None:
    """Send messages, each when the one before it has come back."""
    async with await trio.open_tcp_stream(host, port) as stream:
        for _ in range(ECHO_MESSAGES):
            await stream.send_all(MESSAGE)
            missing = len(MESSAGE)
            while missing:
                missing -= len(await stream.receive_some())


async def ask_from_many_clients(host: str, port: int) -> float:
    """Do so on many connections at once; returns messages a second."""
    begin = time.process_time()
    async with trio.open_nursery() as nursery:
        for _ in range(ECHO_CLIENTS):
            nursery.start_soon(ask, host, port)
    return ECHO_CLIENTS * ECHO_MESSAGES / (time.process_time() - begin)


class ChatRoom:
    """A server that sends what one client says to all of them."""

    def __init__(self) -> None:
        self._streams: list[trio.SocketStream] = []
        self._everybody_is_here = trio.Event()

    async def serve(self, stream: trio.SocketStream) -> None:
        """Serve one client."""
        self._streams.append(stream)
        if len(self._streams) == CHAT_CLIENTS:
            self._everybody_is_here.set()
        await self._everybody_is_here.wait()
        async for line in stream:
            for member in self._streams:
                await member.send_all(line)

    async def talk(self, address: str) -> None:
        """Be a client: say lines, and listen until all of everybody's are heard."""
        missing = CHAT_CLIENTS * CHAT_LINES * len(MESSAGE)
        with trio.fail_after(60):
            stream = await trio.open_tcp_stream(address, 80)
            async with stream, trio.open_nursery() as nursery:
                nursery.start_soon(self._say, stream)
                while missing:
                    missing -= len(await stream.receive_some())

    async def _say(self, stream: trio.SocketStream) -> None:
        await self._everybody_is_here.wait()
        for _ in range(CHAT_LINES):
            await trio.sleep(random.random())
            await stream.send_all(MESSAGE)


# --- on the virtual network


async def virtual_echo(net: VirtualNetwork) -> float:
    """Echo between two hosts, 10 ms apart."""
    net.set_links(latency=0.01)
    net.host("server").start(trio.serve_tcp, send_back, 80)
    await net.settle()
    return await net.host("client").run(ask_from_many_clients, "server", 80)


async def virtual_chat(net: VirtualNetwork) -> None:
    """Chat between a server and clients, each on a host of its own."""
    net.set_links(latency=0.01, jitter=0.02)
    room = ChatRoom()
    server = net.host("server")
    server.start(trio.serve_tcp, room.serve, 80)
    await net.settle()
    await talk_from_many_hosts(room, net.host, server.addresses[0])


async def talk_from_many_hosts(
    room: ChatRoom, host: Callable[[str], Any], address: str
) -> None:
    """Let all clients talk, each on a host of its own."""
    async with trio.open_nursery() as nursery:
        for number in range(CHAT_CLIENTS):
            nursery.start_soon(host(f"client{number}").run, room.talk, address)


async def idle_day(net: VirtualNetwork, heartbeat: float) -> None:
    """Be connected for a day, and say something every so many seconds."""
    net.host("server").start(trio.serve_tcp, send_back, 80)
    await net.settle()
    async with await trio.open_tcp_stream("server", 80) as stream:
        while trio.current_time() < DAY:
            await trio.sleep(heartbeat)
            await stream.send_all(MESSAGE)
            await stream.receive_some()


# --- on others


def loopback_echo() -> float:
    """Echo through the kernel."""

    async def main() -> float:
        async with trio.open_nursery() as nursery:
            [listener] = await nursery.start(
                partial(trio.serve_tcp, send_back, 0, host="127.0.0.1")
            )
            port = listener.socket.getsockname()[1]
            rate = await ask_from_many_clients("127.0.0.1", port)
            nursery.cancel_scope.cancel()
        return rate

    return trio.run(main)


@cache
def load(path: str) -> Any:  # noqa: ANN401 - a module
    """Import a prototype by its path."""
    spec = importlib.util.spec_from_file_location("prototype", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def prototype_chat(net: Any) -> int:  # noqa: ANN401 - the prototype's network
    """Chat on the prototype; returns how many segments there were."""
    room = ChatRoom()
    server = net.host("server")
    hosts = [net.host(f"client{number}") for number in range(CHAT_CLIENTS)]
    for host in hosts:
        net.set_link(host, server, latency=0.01, jitter=0.02)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run, trio.serve_tcp, room.serve, 80)
        await talk_from_many_hosts(room, net.host, server.ip)
        nursery.cancel_scope.cancel()
    return len(net.trace)


def run_on_prototype(path: str, seed: int) -> int:
    """Run one seed of the chat on the prototype."""
    random.seed(seed)
    segments: int = load(path).simulate(prototype_chat, seed=seed).result
    return segments


# --- measuring


def seeds_a_second(
    run: Callable[[int], object], clock: Callable[[], float] = time.process_time
) -> float:
    """Run a few seeds in this process."""
    begin = clock()
    for seed in range(SEEDS_PER_ROUND):
        run(seed)
    return SEEDS_PER_ROUND / (clock() - begin)


def take_turns(
    *candidates: tuple[str, Callable[[], float]], rounds: int = ROUNDS
) -> list[Row]:
    """Measure each candidate in each round."""
    rows: list[Row] = [(name, []) for name, _ in candidates]
    for _ in range(rounds):
        for (_, rates), (_, measure) in zip(rows, candidates, strict=True):
            rates.append(measure())
    return rows


def print_rows(title: str, rows: list[Row]) -> None:
    """Print rates, and their ratios to the first."""
    print(f"\n{title}\n{'':34}{'median':>9}{'slowest':>9}{'fastest':>9}{'ratio':>8}")
    first = statistics.median(rows[0][1])
    for name, rates in rows:
        median = statistics.median(rates)
        print(
            f"{name:34}{median:9,.0f}{min(rates):9,.0f}{max(rates):9,.0f}"
            f"{median / first:8.2f}"
        )


def print_messages() -> None:
    """Compare with plain Trio on loopback."""
    print_rows(
        f"Messages a second: {ECHO_CLIENTS} clients, {ECHO_MESSAGES} x 64 bytes each",
        take_turns(
            ("Trio on loopback", loopback_echo),
            ("virtual network", lambda: run_simulation(virtual_echo).value),
        ),
    )


def print_seeds(prototype: str | None) -> None:
    """Compare with the prototype, in one process."""

    def run(seed: int) -> object:
        return run_simulation(virtual_chat, seed=seed)

    candidates = [("virtual network", partial(seeds_a_second, run))]
    segments = f"{len(run_simulation(virtual_chat).trace)} segments"
    if prototype is not None:
        rival = partial(run_on_prototype, prototype)
        candidates.insert(0, ("prototype", partial(seeds_a_second, rival)))
        segments += f" (prototype: {rival(0)})"
    print_rows(
        f"Seeds a second, one process: a chat of {CHAT_CLIENTS} clients, {segments}",
        take_turns(*candidates),
    )


def print_exploring(prototype: str | None) -> None:
    """Compare on all processors, with the time that processes take to start."""
    jobs = os.cpu_count() or 1
    seeds = range(SEEDS_TO_EXPLORE)

    def explore_prototype(path: str) -> float:
        begin = time.perf_counter()
        with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
            list(pool.map(partial(run_on_prototype, path), seeds, chunksize=25))
        return len(seeds) / (time.perf_counter() - begin)

    def explore_ours() -> float:
        begin = time.perf_counter()
        found = explore(virtual_chat, seeds)
        assert not found.failures, found
        return len(seeds) / (time.perf_counter() - begin)

    candidates = [(f"explore(), {jobs} processes", explore_ours)]
    if prototype is not None:
        alone = partial(run_on_prototype, prototype)
        candidates = [
            ("prototype, 1 process", partial(seeds_a_second, alone, time.perf_counter)),
            (f"prototype, {jobs} processes", partial(explore_prototype, prototype)),
            *candidates,
        ]
    print_rows(
        f"Seeds a second on the wall, of {len(seeds)}, processes' start included",
        take_turns(*candidates, rounds=ROUNDS_OF_EXPLORING),
    )


def print_days() -> None:
    """Print how long a day takes in which next to nothing happens."""
    print("\nA simulated day of two connected hosts: seconds of the processor")
    for name, heartbeat in (("nothing is sent", DAY), ("a message a minute", 60.0)):
        begin = time.process_time()
        run_simulation(idle_day, heartbeat, time_limit=2 * DAY)
        print(f"{name:34}{time.process_time() - begin:9.3f}")


def main() -> None:
    """Print all tables."""
    prototype = sys.argv[1] if len(sys.argv) > 1 else None
    print_messages()
    print_seeds(prototype)
    print_exploring(prototype)
    print_days()


if __name__ == "__main__":
    main()
