"""Servers as programs: how they end, by a signal or by a kill."""

from __future__ import annotations

import errno
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trio

import trio_tcp
from tests.integration.loopback import LOOPBACK, Program, run_program
from trio_tcp import CloseReason, codecs

PREFIXED = codecs.LengthPrefixed(max_bytes=16 << 20)
SECONDS = 30
"""How long anything may take on a slow machine. Nothing waits for it to pass."""

every_signal = pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"]
)


@asynccontextmanager
async def talk_to_a_server() -> AsyncGenerator[
    tuple[Program, trio_tcp.Connection[bytes, bytes]], None
]:
    """Start the server as a program of its own, and connect to it."""
    async with run_program("obedient_server.py") as server:
        number = int(await server.line())
        async with trio_tcp.connect_tcp(LOOPBACK, number, codec=PREFIXED) as connection:
            await connection.send(b"hello")
            assert await connection.receive() == b"hello"
            yield server, connection


def port_of(connection: trio_tcp.Connection[bytes, bytes]) -> int:
    """Return the port of the server at the other end."""
    assert isinstance(connection.peer, trio_tcp.TcpAddress)
    return connection.peer.port


@every_signal
async def test_a_signal_ends_a_server_in_order(number: signal.Signals) -> None:
    """Its handlers are cancelled, and it returns to its caller."""
    async with talk_to_a_server() as (server, connection):
        await connection.send(b"sleep")
        assert await server.line() == "sleeping"
        server.process.send_signal(number)
        with trio.fail_after(SECONDS), pytest.raises(trio_tcp.PeerClosed):
            await connection.receive()
        # A client that is told of the end, and stays, is given some seconds to go.
        await connection.aclose()
        assert await server.lines_until("returned") == [
            "cancelled",
            "stopped",
            "returned",
        ]
        with trio.fail_after(SECONDS):
            assert await server.process.wait() == 0


async def test_a_handler_may_say_goodbye_when_a_signal_comes() -> None:
    """In a shielded scope; the message arrives, and the end is a clean one."""
    async with talk_to_a_server() as (server, connection):
        await connection.send(b"be polite")
        assert await server.line() == "sleeping"
        server.process.send_signal(signal.SIGTERM)
        assert [message async for message in connection] == [b"goodbye"]
        await connection.aclose()
        await server.lines_until("returned")
    assert connection.close_reason is CloseReason.PEER_CLOSED


@pytest.mark.parametrize(
    "second", [signal.SIGINT, signal.SIGTERM], ids=["then SIGINT", "then SIGTERM"]
)
@every_signal
async def test_a_second_signal_does_not_wait_for_handlers(
    number: signal.Signals, second: signal.Signals
) -> None:
    """Not even for one that does not let itself be cancelled."""
    async with (
        talk_to_a_server() as (server, connection),
        trio_tcp.connect_tcp(LOOPBACK, port_of(connection), codec=PREFIXED) as other,
    ):
        await other.send(b"sleep")
        assert await server.line() == "sleeping"
        await connection.send(b"stay")
        assert await server.line() == "staying"
        server.process.send_signal(number)
        assert await server.line() == "cancelled"
        server.process.send_signal(second)
        with trio.fail_after(SECONDS):
            assert await server.process.wait() != 0


# Killed, with no time to do anything


async def test_a_server_killed_between_two_messages_has_closed() -> None:
    """The system closes its connections in order: nothing can tell the difference."""
    async with talk_to_a_server() as (server, connection):
        server.process.kill()
        with pytest.raises(trio_tcp.PeerClosed):
            await connection.receive()


async def test_a_server_killed_inside_a_message_leaves_it_truncated() -> None:
    """What the system has not taken of it is lost."""
    async with talk_to_a_server() as (server, connection):
        await connection.send(b"say a lot")
        assert await server.line() == "sleeping"
        server.process.kill()
        with pytest.raises(trio_tcp.TruncatedError) as caught:
            await connection.receive()
    assert 0 < caught.value.received < 16 << 20
    assert connection.close_reason is CloseReason.TRUNCATED


async def test_a_server_killed_before_it_has_read_everything_resets() -> None:
    """The system tells its client that something is lost."""
    async with talk_to_a_server() as (server, connection):
        await connection.send(b"sleep")
        await connection.send_many([b"are you there?"] * 100_000)
        assert await server.line() == "sleeping"
        server.process.kill()
        with pytest.raises(trio_tcp.ConnectionBroken) as caught:
            await connection.receive()
    assert caught.value.errno in {errno.ECONNRESET, errno.EPIPE}
    assert connection.close_reason is CloseReason.BROKEN
