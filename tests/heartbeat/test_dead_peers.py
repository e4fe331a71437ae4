"""A heartbeat, and a peer that is dead: it is noticed to the second, by all."""

from __future__ import annotations

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

import trio_tcp
from tests.heartbeat.beating import EVERY, LINES, WITHIN, Text, beating, peers
from tests.integration.loopback import Record
from trio_tcp import CloseReason, testing


async def test_a_peer_that_says_nothing_is_dead_after_every_and_within(
    autojump_clock: MockClock,
) -> None:
    async with peers() as (here, there), beating(here) as messages:
        with pytest.raises(trio_tcp.PeerTooSlowError) as caught:
            await messages.receive()
        assert trio.current_time() == EVERY + WITHIN
        assert (caught.value.timeout, caught.value.seconds) == ("heartbeat", WITHIN)
        assert caught.value.connection_id == here.id
        assert "sign of life for 4 s (within of heartbeat)" in str(caught.value)
        assert await there.receive() == "PING"


async def test_a_dead_peer_breaks_the_connection_for_whoever_sends(
    autojump_clock: MockClock,
) -> None:
    async with peers() as (here, there), beating(here):
        await trio.sleep(EVERY + WITHIN + 1)
        for call in (here.send("hello"), here.flush(), here.receive()):
            with pytest.raises(trio_tcp.PeerTooSlowError):
                await call
        assert here.close_reason is CloseReason.TIMED_OUT
        assert await there.receive() == "PING"
        await here.aclose()
        with pytest.raises(trio_tcp.ConnectionBroken):
            await there.receive()


async def test_a_receiver_is_told_as_often_as_it_asks(
    autojump_clock: MockClock,
) -> None:
    async with peers() as (here, _), beating(here) as messages:
        for _attempt in range(3):
            with pytest.raises(trio_tcp.PeerTooSlowError):
                await messages.receive()


async def test_a_server_reports_a_dead_client_as_its_peers_doing(
    autojump_clock: MockClock,
) -> None:
    async def handler(connection: Text) -> None:
        async with beating(connection) as messages:
            async for _ in messages:
                pass

    record = Record()
    async with testing.serve_in_memory(handler, LINES, observer=record) as served:
        client = await served.listener.connect()
        (ended,) = await record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.TIMED_OUT
        assert isinstance(ended.error, trio_tcp.PeerTooSlowError)
        assert not record.all(trio_tcp.HandlerFailed)
        await client.aclose()


async def test_a_dead_peer_ends_a_block_that_is_cancelled_on_disconnect(
    autojump_clock: MockClock,
) -> None:
    async with peers() as (here, _), beating(here):
        async with here.cancel_on_disconnect() as scope:
            await trio.sleep(1000)
        assert scope.cancelled_caught
        assert trio.current_time() == EVERY + WITHIN


@given(
    gaps=st.lists(st.integers(1, EVERY + WITHIN - 1), max_size=8),
    answers=st.lists(st.booleans(), min_size=8, max_size=8),
)
def test_death_is_noticed_exactly_after_the_last_sign(
    gaps: list[int], answers: list[bool]
) -> None:
    """Whatever came before, and whether it was an answer or a message."""

    async def main() -> None:
        async with peers() as (here, there), beating(here) as messages:

            async def live() -> None:
                for gap, answer in zip(gaps, answers, strict=False):
                    await trio.sleep(gap)
                    await there.send("PONG" if answer else "hello")

            async with trio.open_nursery() as nursery:
                nursery.start_soon(live)
                with pytest.raises(trio_tcp.PeerTooSlowError):
                    while True:
                        await messages.receive()
            assert trio.current_time() == sum(gaps) + EVERY + WITHIN

    trio.run(main, clock=MockClock(autojump_threshold=0))


async def test_a_peer_that_takes_nothing_of_what_came_before_is_dead(
    autojump_clock: MockClock,
) -> None:
    """It need not be asked: the question would stay here."""
    async with peers(capacity=1000) as (here, _), beating(here) as messages:
        await here.send("x" * 99_999)
        with pytest.raises(trio_tcp.PeerTooSlowError):
            await messages.receive()
        assert trio.current_time() == EVERY + WITHIN
