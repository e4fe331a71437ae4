"""One client that speaks, and many that all have to hear the same."""

from __future__ import annotations

import socket
import time
from typing import Final, final

from benchmarks._workloads import Workload
from benchmarks.load._connect import connect
from benchmarks.load._errors import LoadError
from benchmarks.load._loop import READ, SILENCE, Loop
from benchmarks.load._stalled import add_stalled
from benchmarks.load._wire import frame, index_of

__all__ = ["start_broadcast"]

SPEAKER: Final = 0
BETWEEN_PROBES: Final = 0.05
RECEIVE_BYTES: Final = 64 << 10


def start_broadcast(loop: Loop, port: int, workload: Workload) -> None:
    """Connect all clients, wait until each has heard something, and go on speaking."""
    add_stalled(loop, port, workload)
    room = _Room(loop, workload)
    for _ in range(workload.healthy):
        sock = connect(port, workload.kind)
        loop.add(sock, READ, _Listener(room, sock).on_ready)
    speaker = connect(port, workload.kind)
    loop.add(speaker, READ, room.on_speaker_ready)
    # A server may know a client later than the client is connected: who has heard one
    # message will hear the next ones too.
    give_up = time.perf_counter() + SILENCE
    while room.newcomers:
        if time.perf_counter() > give_up:
            raise LoadError(f"{room.newcomers} clients have heard nothing")
        room.speak(speaker)
        loop.run_for(BETWEEN_PROBES)
    loop.run_until(room.everybody_has_heard_all)
    room.speak_on(speaker, workload.depth)


@final
class _Room:
    """What was said, and how many have heard how much of it."""

    def __init__(self, loop: Loop, workload: Workload) -> None:
        self._loop = loop
        self._size = workload.size
        self._listeners = workload.healthy
        self._speaker: socket.socket | None = None
        self._unheard: list[int] = []
        self._said_at: list[float] = []
        self._done = 0
        self.newcomers = workload.healthy
        self.said = bytearray()
        self.message_bytes = len(frame("broadcast", SPEAKER, 0, workload.size))

    def speak(self, speaker: socket.socket) -> None:
        message = frame("broadcast", SPEAKER, len(self._unheard), self._size)
        self.said += message
        self._said_at.append(time.perf_counter())
        self._unheard.append(self._listeners)
        if speaker.send(message) < len(message):
            raise LoadError("the server does not read what the speaker sends")

    def speak_on(self, speaker: socket.socket, depth: int) -> None:
        """Say something, and something else whenever everybody has heard one."""
        self._done = len(self._unheard)
        self._speaker = speaker
        for _ in range(depth):
            self.speak(speaker)

    def everybody_has_heard_all(self) -> bool:
        return not self._unheard[-1]

    def join(self, first: int) -> None:
        """A listener has heard its first message, and none of those before it."""
        self.newcomers -= 1
        for missed in range(first):
            self._unheard[missed] -= 1

    def heard(self, first: int, last: int) -> None:
        """A listener has heard these, the last not among them."""
        now = time.perf_counter()
        for index in range(first, last):
            self._unheard[index] -= 1
            self._loop.latencies.append(now - self._said_at[index])
        self._loop.operations += last - first
        while (
            self._speaker is not None
            and self._done < len(self._unheard)
            and not self._unheard[self._done]
        ):
            self._done += 1
            self.speak(self._speaker)

    def on_speaker_ready(self, _: int) -> None:
        raise LoadError("the server has closed a connection, or echoes to the speaker")


@final
class _Listener:
    def __init__(self, room: _Room, sock: socket.socket) -> None:
        self._room = room
        self._sock = sock
        self._beginning = b""
        self._at: int | None = None

    def on_ready(self, _: int) -> None:
        chunk = self._sock.recv(RECEIVE_BYTES)
        if not chunk:
            raise LoadError("the server has closed a connection")
        if self._at is None:
            chunk = self._join(chunk)
        if self._at is None:
            return
        if not self._room.said.startswith(chunk, self._at):
            raise LoadError("a message is wrong")
        before = self._at // self._room.message_bytes
        self._at += len(chunk)
        after = self._at // self._room.message_bytes
        if after != before:
            self._room.heard(before, after)

    def _join(self, chunk: bytes) -> bytes:
        """Find out which message the first one is; return all that has come."""
        self._beginning += chunk
        if len(self._beginning) >= self._room.message_bytes:
            index = index_of(self._beginning)
            self._at = index * self._room.message_bytes
            self._room.join(index)
        return self._beginning
