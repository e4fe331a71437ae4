"""Descriptors that are closed, copied and given to others while tasks wait for them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import warnings
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Self

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.integration.loopback import (
    LOOPBACK,
    connect,
    echo,
    receive_exactly,
    reset,
    start_server,
)
from tests.integration.transport.ends import (
    LINES,
    PATIENCE,
    Binary,
    connected,
    stream_of,
    tcp_pair,
    wait_and_receive,
)

pytestmark = pytest.mark.usefixtures("transport")


@pytest.mark.parametrize("how", ["aclose", "abort", "detach"])
async def test_a_close_wakes_who_waits(how: str) -> None:
    async with connected() as (connection, peer), trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            if how == "detach":
                with pytest.raises(trio.BusyResourceError):
                    await connection.detach()
                connection.abort()

        @nursery.start_soon
        async def _() -> None:
            with pytest.raises(trio_tcp.ConnectionClosedError):
                await connection.receive()
            peer.close()

        await wait_all_tasks_blocked()
        if how == "aclose":
            await connection.aclose()
        else:
            connection.abort()


async def ask(stream: trio.SocketStream, text: bytes) -> None:
    """Have an answer."""
    await stream.send_all(text)
    assert await receive_exactly(stream, len(text)) == text


async def come_and_go(port: int, number: int) -> None:
    """Be a client again and again, and leave in a different way each time."""
    for visit in range(15):
        stream = connect(port)
        await ask(stream, b"%d, %d\n" % (number, visit))
        if (number + visit) % 3 == 0:
            reset(stream)
            continue
        if (number + visit) % 3 == 1:
            await stream.send_all(b"not waited for\n")
        else:
            await stream.send_eof()
            assert await stream.receive_some() == b""
        await stream.aclose()


async def test_each_client_is_answered_while_numbers_go_from_hand_to_hand(
    nursery: trio.Nursery,
) -> None:
    """Some stay, and many come and go, in every way, and all at the same time."""
    server = await start_server(nursery, echo, LINES)
    with trio.fail_after(PATIENCE):
        staying = [connect(server.port) for _ in range(12)]
        async with trio.open_nursery() as visitors:
            for number in range(12):
                visitors.start_soon(come_and_go, server.port, number)
            for number in range(10):
                for guest, stream in enumerate(staying):
                    await ask(stream, b"guest %d, %d\n" % (guest, number))
        for guest, stream in enumerate(staying):
            await ask(stream, b"guest %d\n" % guest)
            await stream.aclose()


# Copies


@contextmanager
def duplicate(descriptor: int) -> Generator[None, None, None]:
    """Hold a copy in this process."""
    copy = os.dup(descriptor)
    try:
        yield
    finally:
        os.close(copy)


@contextmanager
def in_a_program(descriptor: int) -> Generator[None, None, None]:
    """Have another program hold a copy."""
    with subprocess.Popen(
        ["cat"], pass_fds=[descriptor], stdin=subprocess.PIPE
    ) as program:
        yield
        assert program.stdin is not None
        program.stdin.close()


@contextmanager
def in_a_fork(_descriptor: int) -> Generator[None, None, None]:
    """Have a fork hold copies of all there is, also of what sockets are waited with."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # there may be threads
        child = os.fork()
    if child == 0:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    os.close(reading)
    try:
        yield
    finally:
        os.close(writing)
        os.waitpid(child, 0)


@pytest.mark.skipif(sys.platform == "win32", reason="sockets are no descriptors there")
@pytest.mark.parametrize("hold", [duplicate, in_a_program, in_a_fork])
async def test_what_comes_to_a_closed_one_of_which_there_is_a_copy_concerns_nobody(
    hold: Callable[[int], AbstractContextManager[None]],
) -> None:
    """No task runs for it, and its number's next owner hears nothing of it."""
    ours, peer = tcp_pair()
    number = ours.fileno()
    with trio.fail_after(PATIENCE), peer:
        async with trio_tcp.open_connection(stream_of(ours), codec=LINES) as connection:
            await wait_and_receive(connection, peer)
            # Its number once more: the connection has a socket of its own.
            with hold(number):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(connection.aclose)
                    await wait_all_tasks_blocked()
                    nursery.cancel_scope.cancel()
                with Steps() as steps:
                    peer.sendall(b"for the copy\n")
                    await wait_all_tasks_blocked()
                assert steps.of("trio_tcp poller") == 0
                async with next_owner(number) as (next_one, next_peer):
                    peer.sendall(b"for the copy\n")
                    await wait_all_tasks_blocked()
                    await ask_and_wait(next_one, next_peer, peer)


@pytest.mark.skipif(sys.platform == "win32", reason="sockets are no descriptors there")
@pytest.mark.parametrize("hold", [duplicate, in_a_program, in_a_fork])
async def test_a_copy_changes_nothing_for_who_waits(
    hold: Callable[[int], AbstractContextManager[None]],
) -> None:
    ours, peer = tcp_pair()
    number = ours.fileno()
    with trio.fail_after(PATIENCE), peer:
        async with trio_tcp.open_connection(stream_of(ours), codec=LINES) as connection:
            await wait_and_receive(connection, peer)
            with hold(number):
                await wait_and_receive(connection, peer)
            await wait_and_receive(connection, peer)
            peer.shutdown(socket.SHUT_WR)
            assert [message async for message in connection] == []


class Steps(trio.abc.Instrument):
    """Counts how often tasks run in a block."""

    def __init__(self) -> None:
        self._names: list[str] = []

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """Count one."""
        self._names.append(task.name)

    def of(self, name: str) -> int:
        """Return how often tasks of this name have run."""
        return self._names.count(name)

    def __enter__(self) -> Self:
        trio.lowlevel.add_instrument(self)
        return self

    def __exit__(self, *_: object) -> None:
        trio.lowlevel.remove_instrument(self)


@contextmanager
def _at(number: int) -> Generator[tuple[socket.socket, socket.socket], None, None]:
    """Connect a socket that has a certain number."""
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)
    os.dup2(0, number)  # so that it is taken by nobody else meanwhile
    ours, peer = tcp_pair()
    os.dup2(ours.fileno(), number)
    ours.close()
    with peer:
        yield socket.socket(fileno=number), peer


class next_owner:  # noqa: N801 - used as a function
    """A connection whose socket has a number that another's had."""

    def __init__(self, number: int) -> None:
        self._pair = _at(number)

    async def __aenter__(self) -> tuple[Binary, socket.socket]:
        ours, peer = self._pair.__enter__()
        self._opening = trio_tcp.open_connection(stream_of(ours), codec=LINES)
        return await self._opening.__aenter__(), peer

    async def __aexit__(self, *details: object) -> None:
        self._pair.__exit__(None, None, None)
        await self._opening.__aexit__(None, None, None)  # noqa: ASYNC102 - bounded by linger


async def ask_and_wait(
    connection: Binary, peer: socket.socket, stranger: socket.socket
) -> None:
    """Wait for a message while another socket's peer sends, too."""
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            assert await connection.receive() == b"mine"

        await wait_all_tasks_blocked()
        stranger.sendall(b"for the copy\n")
        await wait_all_tasks_blocked()
        peer.sendall(b"mine\n")


async def test_an_accepted_client_has_the_number_of_one_just_closed(
    nursery: trio.Nursery,
) -> None:
    """One closes and another comes, before anybody runs."""
    server = await start_server(nursery, echo, LINES)
    with trio.fail_after(PATIENCE):
        for number in range(30):
            async with trio_tcp.connect_tcp(
                LOOPBACK, server.port, codec=LINES
            ) as connection:
                await connection.send(b"%d" % number)
                assert await connection.receive() == b"%d" % number
                if number % 2:
                    connection.abort()
