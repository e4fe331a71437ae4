"""Clients that send a message for each that comes back, with some always under way."""

from __future__ import annotations

import socket
import ssl
from typing import Final, final

from benchmarks._workloads import Workload
from benchmarks.load._connect import connect, exchange
from benchmarks.load._errors import LoadError
from benchmarks.load._loop import READ, WRITE, Loop
from benchmarks.load._wire import frame

__all__ = ["start_ping_pong"]

NOT_NOW: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def start_ping_pong(loop: Loop, port: int, workload: Workload) -> None:
    """Connect all clients, and let them begin."""
    for number in range(workload.connections):
        frames = [
            frame(workload.kind, number, index, workload.size)
            for index in range(workload.depth)
        ]
        sock = connect(port, workload.kind)
        try:
            exchange(sock, frames[0])
        except BaseException:
            sock.close()
            raise
        client = _Client(loop, sock, frames)
        loop.add(sock, READ | WRITE, client.on_ready)


@final
class _Client:
    """One connection. It sends its few messages over and over, in this order.

    So what it expects is known without building anything: the next bytes of a circle.
    """

    def __init__(self, loop: Loop, sock: socket.socket, frames: list[bytes]) -> None:
        self._loop = loop
        self._sock = sock
        self._frame_bytes = len(frames[0])
        self._circle_bytes = len(frames) * self._frame_bytes
        # Twice around: every stretch of the circle is in it in one piece.
        self._circle = b"".join(frames) * 2
        self._view = memoryview(self._circle)
        self._to_send = self._circle_bytes
        self._send_at = 0
        self._under_way = 0
        self._expect_at = 0
        self._writing = True

    def on_ready(self, events: int) -> None:
        if events & READ:
            self._receive()
        if self._to_send:
            self._send()

    def _receive(self) -> None:
        try:
            chunk = self._sock.recv(self._circle_bytes)
        except NOT_NOW:
            return
        received = len(chunk)
        if not received:
            raise LoadError("the server has closed a connection")
        if received > self._under_way:
            raise LoadError("more has come back than was sent")
        if not self._circle.startswith(chunk, self._expect_at):
            raise LoadError("a reply is wrong")
        self._under_way -= received
        before = self._expect_at // self._frame_bytes
        after = self._expect_at + received
        replies = after // self._frame_bytes - before
        self._expect_at = after % self._circle_bytes
        self._loop.operations += replies
        self._to_send += replies * self._frame_bytes

    def _send(self) -> None:
        begin = self._send_at
        try:
            sent = self._sock.send(self._view[begin : begin + self._to_send])
        except NOT_NOW:
            sent = 0
        self._to_send -= sent
        self._under_way += sent
        self._send_at = (begin + sent) % self._circle_bytes
        if self._writing != bool(self._to_send):
            self._writing = not self._writing
            events = READ | WRITE if self._writing else READ
            self._loop.change(self._sock, events, self.on_ready)
