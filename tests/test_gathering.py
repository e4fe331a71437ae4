"""When what was sent leaves, over a socket that could take it at once."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TypeAlias

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from trio_tcp import codecs

Text: TypeAlias = trio_tcp.Connection[str, str]


@asynccontextmanager
async def open_text() -> AsyncGenerator[tuple[Text, socket.socket], None]:
    """A connection, and the socket at its other end, which never waits."""
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.setblocking(False)
        ours.setblocking(False)
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
        async with trio_tcp.open_connection(stream, codec=codecs.Lines()) as connection:
            yield connection, theirs
            theirs.shutdown(socket.SHUT_WR)


async def test_a_message_leaves_at_once_when_nothing_else_waits() -> None:
    async with open_text() as (connection, peer):
        await connection.send("hello")
        assert peer.recv(100) == b"hello\n"
        peer.send(b"request\n")
        assert await connection.receive() == "request"
        await connection.send("reply")
        assert peer.recv(100) == b"reply\n"


async def test_replies_leave_together_while_more_requests_wait() -> None:
    async with open_text() as (connection, peer):
        peer.send(b"1\n2\n3\n")
        for reply in ("one", "two"):
            await connection.receive()
            await connection.send(reply)
            with pytest.raises(BlockingIOError):
                peer.recv(100)
        await connection.receive()
        await connection.send("three")
        assert peer.recv(100) == b"one\ntwo\nthree\n"


async def test_a_handler_that_awaits_something_does_not_hold_its_replies_up() -> None:
    async with open_text() as (connection, peer):
        peer.send(b"1\n2\n")
        await connection.receive()
        await connection.send("one")
        await wait_all_tasks_blocked()
        assert peer.recv(100) == b"one\n"


async def test_replies_leave_before_the_next_request_is_waited_for() -> None:
    async with open_text() as (connection, peer), trio.open_nursery() as nursery:
        peer.send(b"1\nunfinished")
        await connection.receive()
        await connection.send("one")
        nursery.start_soon(connection.receive)
        await wait_all_tasks_blocked()
        assert peer.recv(100) == b"one\n"
        nursery.cancel_scope.cancel()
