"""A handshake that fails, or is cancelled, breaks the connection, for all its calls."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.certificates import HOST, server_context, strange_certificate
from tests.tls.peer import Peer
from tests.tls.start_tls.starting import Side, as_client, each_side, is_broken, one_end
from trio_tcp import CloseReason

HIGH_WATER_BYTES = 64 << 10
"""At so many bytes `send` waits, as its docstring has it."""


@each_side
async def test_a_peer_that_goes_away_breaks_the_connection(side: Side) -> None:
    async with one_end() as (connection, stream):
        await stream.send_eof()
        with pytest.raises(trio_tcp.TlsHandshakeError, match="closed in the middle"):
            await side(connection)
        assert connection.close_reason is CloseReason.PROTOCOL_ERROR
        await is_broken(connection, trio_tcp.TlsHandshakeError, "closed in the middle")


@each_side
async def test_a_peer_that_has_closed_before_is_no_peer_for_tls(side: Side) -> None:
    async with one_end() as (connection, stream):
        await stream.send_eof()
        with pytest.raises(trio_tcp.PeerClosed):
            await connection.receive()
        with pytest.raises(trio_tcp.TlsHandshakeError, match="closed in the middle"):
            await side(connection)
        assert connection.close_reason is CloseReason.PROTOCOL_ERROR


@each_side
async def test_a_reset_in_the_handshake_breaks_the_connection(side: Side) -> None:
    async with one_end() as (connection, stream):
        async with trio.open_nursery() as nursery:

            async def shake_hands() -> None:
                with pytest.raises(trio_tcp.TlsHandshakeError, match="broke during"):
                    await side(connection)

            nursery.start_soon(shake_hands)
            await wait_all_tasks_blocked()
            stream.reset()
        await is_broken(connection, trio_tcp.TlsHandshakeError, "broke during")


async def test_a_certificate_that_is_refused_breaks_the_connection() -> None:
    async with one_end() as (connection, stream):
        strange = server_context(certificate_from=strange_certificate(HOST))
        peer = Peer(stream, strange)

        async def serve() -> None:
            await peer.shake_hands()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            with pytest.raises(
                trio_tcp.TlsHandshakeError, match="was refused"
            ) as caught:
                await as_client(connection)
            assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
            assert caught.value.connection_id == connection.id
            await is_broken(connection, trio_tcp.TlsHandshakeError, "was refused")
            with pytest.raises(trio_tcp.TlsHandshakeError) as later:
                await connection.receive()
            assert later.value is not caught.value
            assert later.value.__cause__ is caught.value.__cause__
            nursery.cancel_scope.cancel()


@each_side
async def test_a_handshake_that_is_cancelled_breaks_the_connection(
    side: Side, autojump_clock: MockClock
) -> None:
    async with one_end() as (connection, _):
        with trio.move_on_after(3) as scope:
            await side(connection)
        assert scope.cancelled_caught
        assert trio.current_time() == 3
        assert connection.close_reason is CloseReason.CLOSED
        await is_broken(connection, trio_tcp.TlsHandshakeError, "on this side")


@each_side
async def test_senders_hear_of_a_handshake_that_fails(side: Side) -> None:
    """Those whose message was accepted in `flush`, those in line at once."""
    errors: list[Exception] = []

    async def expect_failure(call: Callable[[], Awaitable[None]]) -> None:
        with pytest.raises(trio_tcp.TlsHandshakeError, match="closed in the") as caught:
            await call()
        errors.append(caught.value)

    async with one_end() as (connection, stream):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(expect_failure, partial(side, connection))
            await wait_all_tasks_blocked()
            await connection.send("x" * HIGH_WATER_BYTES)
            nursery.start_soon(expect_failure, connection.flush)
            nursery.start_soon(expect_failure, partial(connection.send, "in line"))
            await wait_all_tasks_blocked()
            await stream.send_eof()
        assert len(errors) == 3
        assert connection.statistics().bytes_queued == 0


@each_side
@pytest.mark.parametrize("way", ["aclose", "abort"])
async def test_a_connection_can_be_closed_in_its_handshake(
    side: Side, way: str, autojump_clock: MockClock
) -> None:
    """By another task; then this is no failure of the peer's."""
    async with one_end() as (connection, _):

        async def shake_hands() -> None:
            with pytest.raises(trio_tcp.ConnectionClosedError) as caught:
                await side(connection)
            assert caught.value.connection_id == connection.id

        async with trio.open_nursery() as nursery:
            nursery.start_soon(shake_hands)
            await wait_all_tasks_blocked()
            if way == "aclose":
                await connection.aclose()
            else:
                connection.abort()
        assert connection.close_reason is CloseReason.CLOSED
        assert connection.close_error is None
        assert trio.current_time() == 0
        with pytest.raises(trio_tcp.ConnectionClosedError):
            await connection.receive()
