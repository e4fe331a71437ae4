"""Listening sockets that came from another process."""

from __future__ import annotations

import errno
import os
import socket
import sys
from functools import partial
from pathlib import Path

import pytest
import trio

import trio_tcp
from tests.integration.loopback import LOOPBACK, PROGRAMS
from trio_tcp import codecs

LINES = codecs.Lines()


async def run(
    nursery: trio.Nursery, program: str, *sockets: socket.socket
) -> trio.Process:
    """Run a program with sockets, of which it is told the numbers."""
    numbers = [sock.fileno() for sock in sockets]
    process: trio.Process = await nursery.start(
        partial(
            trio.run_process,
            [sys.executable, PROGRAMS / program, *map(str, numbers)],
            pass_fds=numbers,
        )
    )
    return process


async def ask(connection: trio_tcp.Connection[str, str], line: str) -> str:
    """Send a line and return the answer."""
    await connection.send(line)
    return await connection.receive()


async def test_a_socket_of_the_parents_is_served(nursery: trio.Nursery) -> None:
    """The parent only opened it. Clients wait until the child accepts them."""
    with socket.create_server((LOOPBACK, 0)) as sock:
        await run(nursery, "inherited_server.py", sock)
        port = sock.getsockname()[1]
        async with trio_tcp.connect_tcp(LOOPBACK, port, codec=LINES) as connection:
            assert await ask(connection, "hello") == "hello"
    nursery.cancel_scope.cancel()


async def test_sockets_of_systemds_are_served(
    nursery: trio.Nursery, tmp_path: Path
) -> None:
    """TCP and Unix sockets, all of them."""
    path = tmp_path / "socket"
    with (
        socket.create_server((LOOPBACK, 0)) as tcp,
        socket.socket(socket.AF_UNIX) as unix,
    ):
        unix.bind(str(path))
        unix.listen()
        await run(nursery, "hand_down.py", tcp, unix)
        port = tcp.getsockname()[1]
        async with (
            trio_tcp.connect_tcp(LOOPBACK, port, codec=LINES) as over_tcp,
            trio_tcp.connect_unix(path, codec=LINES) as over_unix,
        ):
            assert await ask(over_tcp, "hello") == "hello"
            assert await ask(over_unix, "hello") == "hello"
    nursery.cancel_scope.cancel()


async def test_its_own_children_inherit_neither_sockets_nor_variables(
    nursery: trio.Nursery,
) -> None:
    """Else the port would stay in use as long as any of them lives."""
    with socket.create_server((LOOPBACK, 0)) as sock:
        await run(nursery, "hand_down.py", sock)
        port = sock.getsockname()[1]
        async with trio_tcp.connect_tcp(LOOPBACK, port, codec=LINES) as connection:
            assert await ask(connection, "child") == "[] []"
    nursery.cancel_scope.cancel()


async def test_a_socket_of_systemds_that_does_not_listen_is_an_error() -> None:
    """As with a datagram socket. The text says which one it is."""
    with (
        socket.create_server((LOOPBACK, 0)) as good,
        socket.socket(type=socket.SOCK_DGRAM) as bad,
    ):
        numbers = [good.fileno(), bad.fileno()]
        done = await trio.run_process(
            [sys.executable, PROGRAMS / "hand_down.py", *map(str, numbers)],
            pass_fds=numbers,
            check=False,
            capture_stderr=True,
        )
    assert done.returncode == 1
    assert done.stderr.decode().splitlines()[-1] == (
        "ValueError: descriptor 4 is a SOCK_DGRAM socket, not a SOCK_STREAM"
    )


def test_without_systemd_there_are_no_listeners(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So that ``trio_tcp.inherited_listeners() or ...`` works by hand."""
    monkeypatch.delenv("LISTEN_PID", raising=False)
    monkeypatch.delenv("LISTEN_FDS", raising=False)
    assert trio_tcp.inherited_listeners() == []


def test_sockets_for_another_process_are_not_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The variables came down from a parent that did not remove them."""
    monkeypatch.setenv("LISTEN_PID", str(os.getppid()))
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_FDNAMES", "echo")
    assert trio_tcp.inherited_listeners() == []
    assert not [name for name in os.environ if name.startswith("LISTEN_")]


@pytest.mark.parametrize("name", ["LISTEN_PID", "LISTEN_FDS"])
def test_a_variable_that_is_no_number_is_an_error(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It is not taken for "no sockets", which would listen somewhere else."""
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "0")
    monkeypatch.setenv(name, "-1")
    with pytest.raises(ValueError, match=f"{name} is no number: '-1'"):
        trio_tcp.inherited_listeners()


def test_a_listener_can_be_made_before_trio_runs() -> None:
    """By a program that parses its arguments first."""
    with socket.create_server((LOOPBACK, 0)) as sock:
        listener = trio_tcp.listener_from_fd(os.dup(sock.fileno()))
    trio.run(listener.aclose)


async def test_the_descriptor_is_closed_with_its_listener() -> None:
    """It belongs to the listener, and to no child process."""
    with socket.create_server((LOOPBACK, 0)) as sock:
        fd = os.dup(sock.fileno())
        os.set_inheritable(fd, True)
        async with trio_tcp.listener_from_fd(fd) as listener:
            assert listener.socket.fileno() == fd
            assert not os.get_inheritable(fd)
            assert not os.get_blocking(fd)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)


def test_a_descriptor_that_is_not_open_is_refused() -> None:
    """With its number in the text."""
    reading, writing = os.pipe()
    os.close(writing)
    with pytest.raises(OSError, match=f"descriptor {writing}: Bad file") as caught:
        trio_tcp.listener_from_fd(writing)
    os.close(reading)
    assert caught.value.errno == errno.EBADF


def test_a_descriptor_that_is_no_socket_is_refused(tmp_path: Path) -> None:
    """And left open."""
    with (tmp_path / "log").open("w") as file:
        fd = file.fileno()
        with pytest.raises(OSError, match=f"descriptor {fd}: Socket op") as caught:
            trio_tcp.listener_from_fd(fd)
        assert caught.value.errno == errno.ENOTSOCK
        file.write("still open")
    assert (tmp_path / "log").read_text() == "still open"


def test_a_socket_that_is_no_stream_is_refused() -> None:
    """And left open."""
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        fd = sock.fileno()
        with pytest.raises(ValueError, match=f"descriptor {fd} is a SOCK_DGRAM"):
            trio_tcp.listener_from_fd(fd)
        os.fstat(fd)


def test_a_socket_that_does_not_listen_is_refused() -> None:
    """As the connection that a service with ``Accept=yes`` gets. It is left open."""
    left, right = socket.socketpair()
    with left, right:
        fd = left.fileno()
        with pytest.raises(ValueError, match=f"descriptor {fd} .* does not listen"):
            trio_tcp.listener_from_fd(fd)
        left.send(b"still open")
        assert right.recv(100) == b"still open"


def test_a_negative_descriptor_is_refused() -> None:
    with pytest.raises(ValueError, match="not negative, as -1 is"):
        trio_tcp.listener_from_fd(-1)
