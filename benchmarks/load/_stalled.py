"""Clients that have subscribed and then read nothing any more."""

from __future__ import annotations

import select
import socket
import struct
from typing import Final

from benchmarks._workloads import Workload
from benchmarks.load._connect import connect
from benchmarks.load._errors import LoadError
from benchmarks.load._loop import SILENCE, Loop
from benchmarks.load._wire import frame, index_of

__all__ = ["add_stalled"]

LENGTH: Final = struct.Struct("!I")
PROBE_BYTES: Final = 64
FILLING_BYTES: Final = 32 << 10
FILLING_MESSAGES: Final = 160
"""5 MiB: more than Linux keeps for one connection (``tcp_wmem``, 4 MiB) together with
what waits in the server."""
RECEIVE_BUFFER: Final = 4096
BETWEEN_PROBES: Final = 0.05


def add_stalled(loop: Loop, port: int, workload: Workload) -> None:
    """Connect those that will not read, and say so much that nothing more fits.

    One that reads hears it all, message by message: when this returns, the server has
    dealt with the last one.

    Raises:
        LoadError: the server sends nothing more to those that read.
    """
    if not workload.stalled:
        return
    stalled = [connect(port, workload.kind) for _ in range(workload.stalled)]
    for sock in stalled:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        loop.hold(sock)
    with (
        connect(port, workload.kind) as witness,
        connect(port, workload.kind) as speaker,
    ):
        said = 0

        def say(size: int) -> None:
            nonlocal said
            speaker.sendall(frame(workload.kind, 0, said, size))
            said += 1

        waiting = [witness, *stalled]
        for _ in range(round(SILENCE / BETWEEN_PROBES)):
            say(PROBE_BYTES)
            readable, _, _ = select.select(waiting, (), (), BETWEEN_PROBES)
            waiting = [sock for sock in waiting if sock not in readable]
            if not waiting:
                break
        else:
            raise LoadError(f"{len(waiting)} clients have heard nothing")
        heard = _hear(witness)
        for _ in range(FILLING_MESSAGES):
            say(FILLING_BYTES)
            while heard < said - 1:
                heard = _hear(witness)


def _hear(witness: socket.socket) -> int:
    """Receive one message, and return which one it is."""
    header = _receive_exactly(witness, LENGTH.size)
    return index_of(header + _receive_exactly(witness, *LENGTH.unpack(header)))


def _receive_exactly(witness: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        try:
            chunk = witness.recv(size - len(received))
        except TimeoutError:
            words = "who reads hears nothing more, as others do not read"
            raise LoadError(words) from None
        if not chunk:
            raise LoadError("the server has closed a connection")
        received += chunk
    return received
