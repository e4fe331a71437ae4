"""Clients that are there and do nothing: what they cost the server in memory."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from typing import Final

from benchmarks._measurement import Measurement
from benchmarks._workloads import Workload
from benchmarks.load._connect import connect, exchange
from benchmarks.load._usage import resident_kib
from benchmarks.load._wire import frame

__all__ = ["measure_idle"]

SETTLING: Final = 0.3
"""Seconds in which the server may give back what it needed for a moment."""


def measure_idle(port: int, pid: int, workload: Workload) -> Measurement:
    """Return how much a server grows for a connection that has echoed once."""
    with ExitStack() as stack:
        # Whatever the first one loads is not for the others to pay.
        stack.enter_context(_echo_once(port, workload, workload.connections))
        before = resident_kib(pid)
        for number in range(workload.connections):
            stack.enter_context(_echo_once(port, workload, number))
        time.sleep(SETTLING)
        growth = resident_kib(pid) - before
    return Measurement(value=growth / workload.connections)


def _echo_once(port: int, workload: Workload, number: int) -> socket.socket:
    sock = connect(port, workload.kind)
    try:
        exchange(sock, frame(workload.kind, number, 0, workload.size))
    except BaseException:
        sock.close()
        raise
    return sock
