"""Let several servers start at once at one path; print how many could, each round.

At the end of a round all are killed, so that the next ones find a stale file.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys

import trio

import trio_tcp

CONTENDERS = 4


async def contend(path: str, report: int) -> None:
    """Listen for good, or fail because another one does."""
    try:
        async with trio_tcp.open_unix_listener(path):
            os.write(report, b"w")
            await trio.sleep_forever()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        os.write(report, b"l")


def contender(path: str, start: int, report: int) -> int:
    """Start a process that waits for the end of a pipe, and then tries."""
    if pid := os.fork():
        return pid
    try:
        os.read(start, 1)
        trio.run(contend, path, report)
        signal.pause()
    finally:
        os.write(report, b"?")
        os._exit(1)


def round_of(path: str) -> int:
    """Return how many could listen."""
    start, starter = os.pipe()
    reports, report = os.pipe()
    pids = [contender(path, start, report) for _ in range(CONTENDERS)]
    # The contenders have copies of the end to write to: only a byte for each wakes all.
    os.write(starter, bytes(CONTENDERS))
    told = b""
    while len(told) < CONTENDERS:
        told += os.read(reports, CONTENDERS)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    for descriptor in (start, starter, reports, report):
        os.close(descriptor)
    if told.count(b"?"):
        raise RuntimeError(told)
    return told.count(b"w")


for _ in range(int(sys.argv[2])):
    sys.stdout.write(f"{round_of(sys.argv[1])}\n")
    sys.stdout.flush()
