"""`handshake`: how long a TLS handshake may take, on both sides."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import pytest
import trio
from trio.testing import MockClock

import trio_tcp
from tests.certificates import HOST, client_context, server_context
from tests.integration.loopback import Record
from tests.timeouts.timing_out import (
    A_LONG_TIME,
    LINES,
    OFF,
    echo,
    end_of,
    late,
    only,
    the_end,
    work,
)
from tests.tls.peer import Peer, serving
from trio_tcp import CloseReason, PeerTooSlowError, testing


async def say_nothing(client: testing.MemoryStream) -> None:
    """A client that waits."""
    await trio.sleep_forever()


async def drip_a_hello(client: testing.MemoryStream) -> None:
    """A client that sends what is right, byte by byte."""
    hello = Peer(client, client_context(), server_hostname=HOST).hello()
    for start in range(len(hello)):
        await client.send_all(hello[start : start + 1])
        await trio.sleep(0.75)


async def stop_half_way(client: testing.MemoryStream) -> None:
    """A client that begins, and forgets about it."""
    peer = Peer(client, client_context(), server_hostname=HOST)
    await client.send_all(peer.hello())
    await trio.sleep_forever()


@pytest.mark.parametrize("client_does", [say_nothing, drip_a_hello, stop_half_way])
async def test_a_handshake_is_given_up_at_its_second(
    client_does: Callable[[testing.MemoryStream], Awaitable[None]],
    autojump_clock: MockClock,
) -> None:
    limits = trio_tcp.Limits(max_connections=1)
    async with serving(
        echo, LINES, timeouts=only(handshake=10), limits=limits
    ) as served:
        client = await served.listener.connect()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client_does, client)
            await trio.sleep(9.5)
            statistics = served.server.statistics()
            assert (statistics.open, statistics.handshaking) == (0, 1)
            (failed,) = await served.record.wait(trio_tcp.HandshakeFailed)
            assert trio.current_time() == 10
            nursery.cancel_scope.cancel()
        error = late(failed.error)
        assert (error.timeout, error.seconds) == ("handshake", 10)
        assert failed.stage == "TLS"
        await end_of(client)
        assert trio.current_time() == 10
        # Its slot is free.
        await served.works()
        statistics = served.server.statistics()
        assert (statistics.accepted, statistics.handshaking) == (1, 0)


async def test_a_handshake_that_is_done_has_no_time_any_more(
    autojump_clock: MockClock,
) -> None:
    async with serving(echo, LINES, timeouts=only(handshake=10)) as served:
        client = await served.listener.connect()
        await trio.sleep(9.5)
        peer = Peer(client, client_context(), server_hostname=HOST)
        await peer.shake_hands()
        await trio.sleep(A_LONG_TIME)
        await peer.send(b"hello\n")
        assert await peer.receive() == b"hello\n"
        await client.aclose()


async def test_a_handshake_can_take_as_long_as_it_likes(
    autojump_clock: MockClock,
) -> None:
    async with serving(echo, LINES, timeouts=OFF) as served:
        await served.listener.connect()
        await trio.sleep(A_LONG_TIME)
        assert served.server.statistics().handshaking == 1


async def test_the_time_of_a_handshake_is_not_a_part_of_the_lifetime(
    autojump_clock: MockClock,
) -> None:
    timeouts = only(handshake=10, lifetime=10, first_message=10)
    async with serving(work, LINES, timeouts=timeouts) as served:
        client = await served.listener.connect()
        await trio.sleep(9)
        peer = Peer(client, client_context(), server_hostname=HOST)
        await peer.shake_hands()
        ended = await the_end(served.record)
        assert trio.current_time() == 19
        assert ended.seconds == 10
        assert late(ended.error).timeout == "lifetime"


async def test_a_client_waits_for_a_handshake_no_longer(
    autojump_clock: MockClock,
) -> None:
    ours, theirs = testing.memory_stream_pair()
    with pytest.raises(PeerTooSlowError) as caught:
        async with trio_tcp.open_connection(
            ours,
            codec=LINES,
            tls=client_context(),
            server_hostname=HOST,
            timeouts=only(handshake=10),
        ):
            pytest.fail("nobody has answered")
    assert trio.current_time() == 10
    assert (caught.value.timeout, caught.value.seconds) == ("handshake", 10)
    await end_of(theirs)  # the stream is closed


async def test_a_client_that_connects_has_a_time_for_each_of_the_two_steps(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    ours, theirs = testing.memory_stream_pair()

    async def take_8_seconds(*_: object, **__: object) -> testing.MemoryStream:
        await trio.sleep(8)
        return ours

    monkeypatch.setattr(trio, "open_tcp_stream", take_8_seconds)
    with pytest.raises(trio_tcp.ConnectError) as caught:
        async with trio_tcp.connect_tcp(
            "slow.example",
            1,
            codec=LINES,
            tls=client_context(),
            timeouts=only(connect=10, handshake=10),
        ):
            pytest.fail("there was no handshake")
    assert trio.current_time() == 8 + 10
    (attempt,) = caught.value.attempts
    assert late(attempt).timeout == "handshake"
    assert caught.value.__cause__ is attempt
    await end_of(theirs)


@pytest.mark.parametrize("side", ["server", "client"])
async def test_start_tls_is_given_up_at_its_second(
    side: str, autojump_clock: MockClock
) -> None:
    ours, theirs = testing.memory_stream_pair()
    record = Record()
    async with trio_tcp.open_connection(
        ours, codec=LINES, timeouts=only(handshake=10), observer=record
    ) as connection:
        await trio.sleep(5)
        with pytest.raises(PeerTooSlowError) as caught:
            if side == "server":
                await connection.start_tls(server_context())
            else:
                await connection.start_tls(client_context(), server_hostname=HOST)
        assert trio.current_time() == 5 + 10
        assert (caught.value.timeout, caught.value.seconds) == ("handshake", 10)
        for call in (partial(connection.send, "x"), connection.receive):
            with pytest.raises(PeerTooSlowError, match=r"timeouts\.handshake"):
                await call()
    (ended,) = record.all(trio_tcp.ConnectionEnded)
    assert ended.reason is CloseReason.TIMED_OUT
    assert late(ended.error).timeout == "handshake"
    assert await end_of(theirs) == "RST"
