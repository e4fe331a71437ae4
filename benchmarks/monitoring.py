"""What monitoring costs: instructions, exactly, as valgrind counts them.

    python -m benchmarks.monitoring [WORKLOAD ...]

Each row is a server in a process of its own under cachegrind, twice with runs of
different length; the difference, divided by the messages or connections, is what one of
them costs. It says the same each time to within half a percent, also on a machine that
is busy: of several runs the one counts that was disturbed least. Needs ``valgrind``.
"""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import attrs
import trio

import trio_tcp
from trio_tcp import codecs, monitoring

CODEC: Final = codecs.LengthPrefixed()
MESSAGE: Final = CODEC.encode(b"x" * 64)
PATIENCE_SECONDS: Final = 120
"""Under valgrind a server takes many times as long to start."""

REPEATS: Final = 3

# The servers -------------------------------------------------------------------------


def answer(request: bytes) -> bytes:
    """Echo."""
    return request


async def answer_later(request: bytes) -> bytes:
    """Echo, in the connection's task."""
    return request


FUNCTIONS: Final[dict[str, Callable[[bytes], Any]]] = {
    "plain": answer,
    "async": answer_later,
}


def ignore(_: trio_tcp.Event, /) -> None:
    """Observe nothing."""


async def serve(variant: str, port: int) -> None:
    """Serve until SIGTERM."""
    metrics = monitoring.Metrics(observer=ignore)
    function = FUNCTIONS[variant.split()[0]]
    if "timed" in variant:
        function = metrics.timed(function)
    handler: trio_tcp.Handler[bytes, bytes] = trio_tcp.respond(function)
    await trio_tcp.serve_until_signalled(
        partial(
            trio_tcp.serve_tcp,
            handler,
            port,
            host="127.0.0.1",
            codec=CODEC,
            observer=metrics if "metrics" in variant else ignore,
        )
    )


# The clients -------------------------------------------------------------------------


def receive(client: socket.socket, size: int) -> None:
    """Receive so many bytes."""
    while size:
        size -= len(client.recv(size))


def connect(port: int) -> socket.socket:
    """Connect, as soon as somebody listens."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def ask(port: int, rounds: int, *, clients: int, together: int) -> None:
    """Have so many clients ask so much at once, in so many rounds."""
    sockets = [connect(port) for _ in range(clients)]
    for _ in range(rounds):
        for client in sockets:
            client.sendall(MESSAGE * together)
        for client in sockets:
            receive(client, len(MESSAGE) * together)
    for client in sockets:
        client.close()


def come_and_go(port: int, rounds: int, *, clients: int) -> None:
    """Have as many clients connect in each round, ask once, and go."""
    for _ in range(rounds):
        ask(port, 1, clients=clients, together=1)


@attrs.frozen
class Workload:
    """What clients do, and how often for one round of it something is counted."""

    run: Callable[[int, int], None]
    per_round: int
    rounds: tuple[int, int]


WORKLOADS: Final = {
    "pp64": Workload(partial(ask, clients=64, together=1), 64, (20, 180)),
    "pipe": Workload(partial(ask, clients=8, together=50), 400, (5, 45)),
    "churn": Workload(partial(come_and_go, clients=16), 16, (5, 35)),
}
VARIANTS: Final = (
    "plain",
    "plain metrics",
    "plain metrics timed",
    "async",
    "async metrics",
    "async metrics timed",
)


# Counting ----------------------------------------------------------------------------


def instructions(variant: str, workload: Workload, rounds: int) -> int:
    """Count those of one server's process, from its start to its end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        sys.exit("the program valgrind is not installed")
    with TemporaryDirectory() as folder:
        output = f"--cachegrind-out-file={Path(folder) / 'out'}"
        server = subprocess.Popen(
            [
                *(valgrind, "--tool=cachegrind", "--cache-sim=no", output),
                *(sys.executable, __file__, "serve", variant, str(port)),
            ],
            stderr=subprocess.PIPE,
            text=True,
            env={"PYTHONHASHSEED": "0", "PYTHONPATH": str(Path(__file__).parents[1])},
        )
        workload.run(port, 1)
        workload.run(port, rounds)
        server.send_signal(signal.SIGTERM)
        _, report = server.communicate(timeout=PATIENCE_SECONDS)
    found = re.search(r"I\s+refs:\s+([\d,]+)", report)
    if found is None:
        sys.exit(f"valgrind does not say how many instructions it were:\n{report}")
    return int(found[1].replace(",", ""))


def least(variant: str, workload: Workload, rounds: int) -> int:
    """Count several times; what disturbs, such as a timer, only adds to it."""
    return min(instructions(variant, workload, rounds) for _ in range(REPEATS))


def main(names: list[str]) -> None:
    """Measure, and print a table."""
    print("| Workload | Server | Instructions | |")
    print("|---|---|--:|--:|")
    for name in names or WORKLOADS:
        workload = WORKLOADS[name]
        without = 0.0
        for variant in VARIANTS:
            few, many = workload.rounds
            more = least(variant, workload, many) - least(variant, workload, few)
            each = more / ((many - few) * workload.per_round)
            without = without if "metrics" in variant else each
            print(f"| {name} | {variant} | {each:,.0f} | {each / without - 1:+.1%} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        trio.run(serve, sys.argv[2], int(sys.argv[3]))
    else:
        main(sys.argv[1:])
