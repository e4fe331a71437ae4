"""What the tests of this folder share: servers, raw clients, and other programs.

Everything is real here, the sockets, the clock and the processes, and everything stays
on this machine. Nothing waits for time to pass: tests wait for what they caused to
happen, as a server's `Record` or a program's output tells them.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
import trio

import trio_tcp
from trio_tcp import codecs

LOOPBACK = "127.0.0.1"
PROGRAMS = Path(__file__).with_name("programs")
SMALL_BUFFER = 4096

In = TypeVar("In")
Out = TypeVar("Out")
Message = TypeVar("Message")
EventT = TypeVar("EventT", bound=trio_tcp.Event)


class Record:
    """An observer that keeps what happened, and can be waited for.

    Attributes:
        events: all of them, as they came.
    """

    def __init__(self) -> None:
        self.events: list[trio_tcp.Event] = []
        self._news = trio.Event()

    def __call__(self, event: trio_tcp.Event, /) -> None:
        """Take one record."""
        self.events.append(event)
        self._news.set()
        self._news = trio.Event()

    def all(self, kind: type[EventT]) -> list[EventT]:
        """Return all records of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    async def news(self) -> None:
        """Wait for the next record."""
        await self._news.wait()

    async def wait(self, kind: type[EventT], count: int = 1) -> list[EventT]:
        """Wait until there are so many records of one kind; return them all."""
        while len(found := self.all(kind)) < count:
            await self._news.wait()
        return found


async def echo(connection: trio_tcp.Connection[Message, Message]) -> None:
    """Send back every message."""
    async for message in connection:
        await connection.send(message)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what no event tells: look again whenever others have run."""
    while not condition():  # noqa: ASYNC110 - there is none, that is the point
        await trio.lowlevel.checkpoint()


async def start_server(
    nursery: trio.Nursery,
    handler: trio_tcp.Handler[In, Out],
    codec: codecs.Codec[In, Out],
    *,
    observer: trio_tcp.Observer = trio_tcp.log_events,
    timeouts: trio_tcp.Timeouts | None = None,
    small_buffers: bool = False,
) -> trio_tcp.Server:
    """Start a server on a free port.

    With small buffers the kernel holds next to nothing of what is sent, so that the
    rest is the connection's to keep.
    """
    sock = trio.socket.socket()
    if small_buffers:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
    await sock.bind((LOOPBACK, 0))
    sock.listen(1000)
    serve = partial(
        trio_tcp.serve_listeners,
        handler,
        [trio.SocketListener(sock)],
        codec=codec,
        observer=observer,
        timeouts=trio_tcp.Timeouts() if timeouts is None else timeouts,
    )
    server: trio_tcp.Server = await nursery.start(serve)
    return server


def connect_socket(port: int, *, small_buffers: bool = False) -> socket.socket:
    """Connect a plain blocking socket."""
    sock = socket.socket()
    if small_buffers:
        # Before it is connected: the window that TCP offers depends on it.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    try:
        sock.connect((LOOPBACK, port))
    except OSError:
        sock.close()
        raise
    return sock


def connect(port: int, *, small_buffers: bool = False) -> trio.SocketStream:
    """Connect a plain Trio stream."""
    sock = connect_socket(port, small_buffers=small_buffers)
    return trio.SocketStream(trio.socket.from_stdlib_socket(sock))


def reset(client: socket.socket | trio.SocketStream) -> None:
    """Close with RST instead of FIN."""
    sock = client.socket if isinstance(client, trio.SocketStream) else client
    linger_zero = struct.pack("ii", 1, 0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_zero)
    sock.close()


def read_all(sock: socket.socket) -> bytes:
    """Read, with a blocking socket, until the other end closes."""
    received = bytearray()
    while chunk := sock.recv(1 << 16):
        received += chunk
    return bytes(received)


async def receive_all(stream: trio.abc.ReceiveStream) -> bytes:
    """Read until the other end closes."""
    return b"".join([chunk async for chunk in stream])


async def receive_exactly(stream: trio.abc.ReceiveStream, size: int) -> bytes:
    """Read so many bytes."""
    received = b""
    while len(received) < size:
        chunk = await stream.receive_some(size - len(received))
        assert chunk, f"the stream ended after {received!r}"
        received += chunk
    return received


async def receive_reset(stream: trio.abc.ReceiveStream) -> bytes:
    """Read until the other end resets the connection; return what came before."""
    received = b""
    with pytest.raises(trio.BrokenResourceError) as caught:
        while chunk := await stream.receive_some():
            received += chunk
    assert isinstance(caught.value.__cause__, ConnectionResetError)
    return received


def open_descriptors() -> set[str]:
    """List the descriptors of this process."""
    return set(os.listdir("/dev/fd"))


class Program:
    """Another process, and what it prints, line by line."""

    def __init__(self, process: trio.Process, output: trio.abc.ReceiveStream) -> None:
        self.process = process
        self._output = output
        self._unread = b""

    async def line(self) -> str:
        """Wait for the next line of its output, or for ``""`` at the end."""
        while b"\n" not in self._unread:
            chunk = await self._output.receive_some()
            if not chunk:
                return ""
            self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode()

    async def lines_until(self, last: str) -> list[str]:
        """Return the lines up to and including one."""
        lines: list[str] = []
        while not lines or lines[-1] != last:
            lines.append(await self.line())
            assert lines[-1], f"the program ended without {last!r} after {lines}"
        return lines


@asynccontextmanager
async def run_program(
    *command: str | os.PathLike[str], stream: str = "stdout"
) -> AsyncGenerator[Program, None]:
    """Run a program; kill it at the end of the block if it still runs.

    Args:
        command: with its arguments; a file of ``programs`` is run by this Python.
        stream: which of its outputs to read.
    """
    args = [os.fspath(word) for word in command]
    if args[0].endswith(".py"):
        args = [sys.executable, os.fspath(PROGRAMS / args[0]), *args[1:]]
    process = await trio.lowlevel.open_process(
        args,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if stream == "stdout" else subprocess.DEVNULL,
        stderr=subprocess.PIPE if stream == "stderr" else None,
    )
    output = process.stdout if stream == "stdout" else process.stderr
    assert output is not None
    try:
        yield Program(process, output)
    finally:
        await trio.aclose_forcefully(output)
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        with trio.CancelScope(shield=True):
            await process.wait()
