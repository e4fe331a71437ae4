"""What observing a server costs, in instructions: the machine may be busy meanwhile.

    python benchmarks/observers.py                  # ten minutes; needs valgrind
    python benchmarks/observers.py --rounds 50      # longer, and less noise

An echo server runs under ``valgrind --tool=cachegrind`` twice for each row, the second
time for twice as long; the difference, divided by what was done more, is the cost of
one message, or of one connection. Instructions of the server's process are counted, not
those of the kernel.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import trio

import trio_tcp
from trio_tcp import codecs, monitoring

MESSAGE = (64).to_bytes(4, "big") + b"x" * 64
CLIENTS = 64
PIPELINED = 32

Exchange: TypeAlias = Callable[[int, int], int]
"""Given a port and a number of rounds, return how many things it has done."""


# The server --------------------------------------------------------------------------


def ignore(_event: trio_tcp.Event, /) -> None:
    """Observe nothing."""


def log_to(path: str, level: int, formatter: logging.Formatter | None) -> None:
    """Log into a file."""
    handler = logging.FileHandler(path)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler])


def observer_named(name: str, log: str) -> trio_tcp.Observer:
    """Set up what a row of the table is about."""
    match name:
        case "no observer":
            return ignore
        case "text at INFO":
            log_to(log, logging.INFO, None)
        case "JSON at INFO":
            log_to(log, logging.INFO, monitoring.JsonFormatter())
        case "text at DEBUG":
            log_to(log, logging.DEBUG, None)
        case _:
            log_to(log, logging.DEBUG, monitoring.JsonFormatter())
    return trio_tcp.log_events


NAMES = [
    "no observer",
    "text at INFO",
    "JSON at INFO",
    "text at DEBUG",
    "JSON at DEBUG",
]


async def echo(connection: trio_tcp.Connection[bytes, bytes]) -> None:
    """Send every message back."""
    async for message in connection:
        await connection.send(message)


async def serve(name: str, log: str, descriptor: int) -> None:
    """Serve until the process is killed."""
    await trio_tcp.serve_listeners(
        echo,
        [trio_tcp.listener_from_fd(descriptor)],
        codec=codecs.LengthPrefixed(),
        observer=observer_named(name, log),
    )


# The clients -------------------------------------------------------------------------


def connect(port: int) -> socket.socket:
    """Connect, with messages sent at once."""
    client = socket.create_connection(("127.0.0.1", port))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def receive(client: socket.socket, size: int) -> None:
    """Receive so many bytes."""
    while size:
        chunk = client.recv(size)
        assert chunk, "the server has closed"
        size -= len(chunk)


def talk(port: int, rounds: int, together: int) -> int:
    """Let each client send so many messages together, and wait for all replies."""
    clients = [connect(port) for _ in range(CLIENTS)]
    for _ in range(rounds):
        for client in clients:
            client.sendall(MESSAGE * together)
        for client in clients:
            receive(client, len(MESSAGE) * together)
    for client in clients:
        client.close()
    return rounds * CLIENTS * together


def ping_pong(port: int, rounds: int) -> int:
    """Send one message at a time, and wait for its reply."""
    return talk(port, rounds, 1)


def pipeline(port: int, rounds: int) -> int:
    """Send several at a time."""
    return talk(port, rounds, PIPELINED)


def churn(port: int, rounds: int) -> int:
    """Connect, send one message, wait for its reply, and close."""
    return sum(talk(port, 1, 1) for _ in range(rounds))


# Measuring ---------------------------------------------------------------------------


def measure(name: str, exchange: Exchange, rounds: int) -> tuple[int, int]:
    """Return how many instructions a server took, and for how many things."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(CLIENTS * 2)
        descriptor = listening.fileno()
        counts = Path(folder, "counts")
        process = subprocess.Popen(
            [
                "valgrind",
                "--tool=cachegrind",
                "--cache-sim=no",
                f"--cachegrind-out-file={counts}",
                sys.executable,
                __file__,
                f"--serve={name}",
                f"--log={Path(folder, 'log')}",
                f"--descriptor={descriptor}",
            ],
            # One transport for all: the choice between them would be a choice by luck.
            env=dict(os.environ, PYTHONHASHSEED="0", TRIO_TCP_TRANSPORT="polled"),
            pass_fds=[descriptor],
            stderr=subprocess.PIPE,
            text=True,
        )
        done = exchange(listening.getsockname()[1], rounds)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=300)
    found = re.search(r"I\s+refs:\s+([\d,]+)", said)
    assert found, said
    return int(found[1].replace(",", "")), done


def cost(name: str, exchange: Exchange, rounds: int) -> float:
    """Return the instructions for one thing, without those for beginning and ending."""
    few, done_few = measure(name, exchange, rounds)
    many, done_many = measure(name, exchange, 2 * rounds)
    return (many - few) / (done_many - done_few)


def main() -> None:
    """Print the table; or serve, for a row of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--log", help=argparse.SUPPRESS)
    parser.add_argument("--descriptor", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        trio.run(serve, options.serve, options.log, options.descriptor)
        return
    rows: list[tuple[str, Exchange]] = [
        ("a message alone", ping_pong),
        (f"a message of {PIPELINED}", pipeline),
        ("a connection", churn),
    ]
    for what, exchange in rows:
        least = None
        for name in NAMES:
            instructions = cost(name, exchange, options.rounds)
            least = least or instructions
            more = instructions / least - 1
            print(f"{what:18} {name:16} {instructions:12,.0f} {more:+8.1%}", flush=True)


if __name__ == "__main__":
    main()
