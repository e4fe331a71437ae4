"""Clients that come for one message each: connect, echo, half-close, and the next."""

from __future__ import annotations

import errno
import os
import socket
from typing import Final, final

from benchmarks._workloads import Workload
from benchmarks.load._connect import HOST
from benchmarks.load._errors import LoadError
from benchmarks.load._loop import READ, WRITE, Loop
from benchmarks.load._wire import frame

__all__ = ["start_churn"]

UNDER_WAY: Final = (0, errno.EINPROGRESS)


def start_churn(loop: Loop, port: int, workload: Workload) -> None:
    """Let the first clients connect; each that has ended makes room for another."""
    for number in range(workload.connections):
        _Visit(loop, port, frame(workload.kind, number, 0, workload.size))


@final
class _Visit:
    """One connection, from its beginning to its end. The last thing is the next."""

    def __init__(self, loop: Loop, port: int, message: bytes) -> None:
        self._loop = loop
        self._port = port
        self._message = message
        self._received = b""
        self._sock = socket.socket()
        self._loop.add(self._sock, WRITE, self._on_connected)
        error = self._sock.connect_ex((HOST, port))
        if error not in UNDER_WAY:
            raise LoadError(f"cannot connect: {os.strerror(error)}")

    def _on_connected(self, _: int) -> None:
        error = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise LoadError(f"cannot connect: {os.strerror(error)}")
        self._sock.send(self._message)
        self._loop.change(self._sock, READ, self._on_reply)

    def _on_reply(self, _: int) -> None:
        chunk = self._sock.recv(len(self._message) + 1)
        self._received += chunk
        if not chunk:
            raise LoadError("the server has closed a connection")
        if not self._message.startswith(self._received):
            raise LoadError("a reply is wrong")
        if self._received == self._message:
            self._sock.shutdown(socket.SHUT_WR)
            self._loop.change(self._sock, READ, self._on_end)

    def _on_end(self, _: int) -> None:
        if self._sock.recv(1):
            raise LoadError("more has come back than was sent")
        self._loop.close(self._sock)
        self._loop.operations += 1
        _Visit(self._loop, self._port, self._message)
