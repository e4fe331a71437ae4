"""A client in its handshake: whom it believes, how long it waits, what it is told."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

import trio_tcp
from tests.certificates import (
    HOST,
    client_context,
    each_version,
    server_context,
    strange_certificate,
)
from tests.integration.loopback import echo
from tests.tls.handshakes import (
    Misbehave,
    expect_end,
    sends,
    sends_and_closes,
    sends_and_resets,
)
from tests.tls.peer import Peer
from trio_tcp import codecs, testing


async def test_a_client_must_say_whom_it_expects() -> None:
    stream, other = testing.memory_stream_pair()
    with pytest.raises(ValueError, match="server_hostname"):
        async with trio_tcp.open_connection(
            stream, codec=codecs.Lines(), tls=client_context()
        ):
            pass
    await expect_end(other)


@asynccontextmanager
async def opening(
    context: ssl.SSLContext | None = None,
    *,
    timeouts: trio_tcp.Timeouts | None = None,
) -> AsyncGenerator[tuple[testing.MemoryStream, list[trio_tcp.ConnectionFault]], None]:
    """Open a client's connection in a task, against a server that the test plays."""
    ours, theirs = testing.memory_stream_pair()
    errors: list[trio_tcp.ConnectionFault] = []

    async def open_one() -> None:
        try:
            async with trio_tcp.open_connection(
                ours,
                codec=codecs.Lines(),
                tls=context or client_context(),
                server_hostname=HOST,
                timeouts=timeouts or trio_tcp.Timeouts(),
            ):
                raise AssertionError("there is no connection")
        except trio_tcp.ConnectionFault as error:
            errors.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(open_one)
        yield theirs, errors
        nursery.start_soon(expect_end, theirs)


SERVERS = {
    "plain text": (sends(b"220 welcome\r\n"), "does not speak TLS"),
    "an end": (sends_and_closes(b""), "broke during|closed in the middle"),
    "a reset": (sends_and_resets(b""), "broke during the TLS handshake"),
    "garbage": (sends(b"\x16\x03\x03\x00\x20" + b"?" * 32), "TLS handshake failed"),
    "an alert": (sends(b"\x15\x03\x03\x00\x02\x02\x46"), "alert 'protocol version'"),
}


@pytest.mark.parametrize(("misbehave", "explanation"), SERVERS.values(), ids=SERVERS)
async def test_a_client_is_told_why_there_is_no_tls(
    misbehave: Misbehave, explanation: str
) -> None:
    async with opening() as (stream, errors):
        await misbehave(stream)
    (error,) = errors
    assert isinstance(error, trio_tcp.TlsHandshakeError)
    with pytest.raises(trio_tcp.TlsHandshakeError, match=explanation):
        raise error


@each_version
@pytest.mark.parametrize(
    ("server", "explanation"),
    [
        (lambda: server_context("other.example"), "ostname mismatch"),
        (
            lambda: server_context(certificate_from=strange_certificate(HOST)),
            "certificate was refused",
        ),
    ],
    ids=["the wrong name", "a strange authority"],
)
async def test_a_client_believes_not_every_server(
    version: ssl.TLSVersion,
    server: Callable[[], ssl.SSLContext],
    explanation: str,
) -> None:
    async with opening(client_context(version=version)) as (stream, errors):
        peer = Peer(stream, server())
        with pytest.raises((ssl.SSLError, trio.BrokenResourceError)):
            await peer.shake_hands()
    (error,) = errors
    assert isinstance(error, trio_tcp.TlsHandshakeError)
    assert explanation in str(error)
    assert isinstance(error.__cause__, ssl.SSLCertVerificationError)


async def test_a_client_waits_for_a_handshake_only_so_long(
    autojump_clock: MockClock,
) -> None:
    async with opening(timeouts=trio_tcp.Timeouts(handshake=12)) as (_, errors):
        pass
    assert trio.current_time() == 12
    (error,) = errors
    assert isinstance(error, trio_tcp.PeerTooSlowError)
    assert error.timeout == "handshake"


async def test_a_client_can_be_cancelled_in_its_handshake(
    autojump_clock: MockClock,
) -> None:
    ours, theirs = testing.memory_stream_pair()
    with trio.move_on_after(5) as scope:
        async with trio_tcp.open_connection(
            ours, codec=codecs.Lines(), tls=client_context(), server_hostname=HOST
        ):
            raise AssertionError("there is no connection")
    assert scope.cancelled_caught
    assert trio.current_time() == 5
    await expect_end(theirs)


async def test_either_side_may_be_the_one_that_was_connected_to() -> None:
    """`open_connection` takes its side from the context."""
    ours, theirs = testing.memory_stream_pair()

    async def accept() -> None:
        async with trio_tcp.open_connection(
            theirs, codec=codecs.Lines(), tls=client_context(), server_hostname=HOST
        ) as connection:
            await echo(connection)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        async with trio_tcp.open_connection(
            ours, codec=codecs.Lines(), tls=server_context()
        ) as connection:
            await connection.send("hello")
            assert await connection.receive() == "hello"
