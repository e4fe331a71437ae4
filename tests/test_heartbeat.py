"""A heartbeat: to the second, over streams in memory and in virtual time."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TypeAlias

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.integration.loopback import Record
from trio_tcp import CloseReason, codecs, heartbeat, testing

Text: TypeAlias = trio_tcp.Connection[str, str]

LINES = codecs.Lines(max_bytes=1 << 20)
PATIENT = trio_tcp.Timeouts(
    first_message=math.inf, idle=math.inf, message=math.inf, write=math.inf, linger=1
)
EVERY = 10
WITHIN = 4
AHEAD = 16
BIG = "x" * 50_000


def is_pong(message: str) -> bool:
    return message == "PONG"


def pong_to_ping(message: str) -> str | None:
    return "PONG" if message == "PING" else None


beating = partial(
    heartbeat, message="PING", is_answer=is_pong, every=EVERY, within=WITHIN
)


@asynccontextmanager
async def peers(capacity: int = 64 << 10) -> AsyncGenerator[tuple[Text, Text], None]:
    """Open a pair that waits for each other without end."""
    async with testing.connection_pair(
        LINES, timeouts=PATIENT, capacity=capacity
    ) as pair:
        yield pair
        for connection in pair:
            connection.abort()


async def answer_pings(connection: Text, others: list[str] | None = None) -> None:
    """Be a peer that lives."""
    with suppress(trio_tcp.ConnectionFault):
        async for message in connection:
            if message == "PING":
                await connection.send("PONG")
            elif others is not None:
                others.append(message)
        await connection.aclose()


# A peer that is dead ------------------------------------------------------------------


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


# A peer that lives --------------------------------------------------------------------


async def test_a_peer_that_answers_is_asked_again_and_again(
    autojump_clock: MockClock,
) -> None:
    async with (
        peers() as (here, there),
        trio.open_nursery() as nursery,
        beating(here) as messages,
    ):
        nursery.start_soon(answer_pings, there)
        with trio.move_on_after(100.5):
            await messages.receive()
        assert here.statistics().messages_sent == 10
        assert here.statistics().messages_received == 10
        nursery.cancel_scope.cancel()


async def test_answers_are_not_seen_by_the_receiver(autojump_clock: MockClock) -> None:
    async with peers() as (here, there), beating(here) as messages:
        await there.send_many(["one", "PONG", "two", "PONG", "PONG"])
        assert [await messages.receive(), await messages.receive()] == ["one", "two"]
        await there.send_eof()
        assert [message async for message in messages] == []


async def test_whoever_talks_is_not_asked(autojump_clock: MockClock) -> None:
    async with peers() as (here, there), beating(here) as messages:
        for number in range(20):
            await trio.sleep(EVERY - 1)
            await there.send(str(number))
            assert await messages.receive() == str(number)
        assert here.statistics().messages_sent == 0


async def test_any_message_is_a_sign_of_life(autojump_clock: MockClock) -> None:
    async with peers() as (here, there), beating(here) as messages:
        for _ in range(5):
            await trio.sleep(EVERY + WITHIN - 1)
            await there.send("no answer")
            assert await messages.receive() == "no answer"
        assert here.statistics().messages_sent == 5


async def test_bytes_of_an_unfinished_message_are_signs_of_life(
    autojump_clock: MockClock,
) -> None:
    near, far = testing.memory_stream_pair()
    async with trio_tcp.open_connection(near, codec=LINES, timeouts=PATIENT) as here:
        async with beating(here) as messages:
            for _ in range(30):
                await trio.sleep(WITHIN - 1)
                await far.send_all(b"x")
            await far.send_all(b"\n")
            assert await messages.receive() == "x" * 30
            await far.send_all(b"and")
            began = trio.current_time()
            with pytest.raises(trio_tcp.PeerTooSlowError):
                await messages.receive()
            assert trio.current_time() == began + EVERY + WITHIN


async def test_a_bad_message_is_a_sign_of_life_and_the_next_one_follows(
    autojump_clock: MockClock,
) -> None:
    codec = codecs.Mapped(codecs.Lines(), decode=int, encode=str)
    near, far = testing.memory_stream_pair()
    async with (
        trio_tcp.open_connection(near, codec=codec, timeouts=PATIENT) as here,
        heartbeat(here, 0, (1).__eq__, every=EVERY, within=WITHIN) as messages,
    ):
        for _ in range(3):
            await trio.sleep(EVERY + 1)
            await far.send_all(b"nonsense\n7\n")
            with pytest.raises(trio_tcp.MalformedMessageError):
                await messages.receive()
            assert await messages.receive() == 7
        await far.aclose()


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


async def test_an_answer_that_is_here_counts_though_its_time_is_over(
    mock_clock: MockClock,
) -> None:
    """As after this process has been stopped, or has computed for long."""
    async with peers() as (here, there), beating(here):
        await wait_all_tasks_blocked()
        mock_clock.jump(EVERY)
        assert await there.receive() == "PING"
        await wait_all_tasks_blocked()
        there.send_nowait("PONG")
        mock_clock.jump(WITHIN)
        await wait_all_tasks_blocked()
        assert here.close_reason is None
        mock_clock.jump(EVERY)
        assert await there.receive() == "PING"


# A handler that works -----------------------------------------------------------------


async def test_a_peer_that_answers_lives_while_the_handler_works(
    autojump_clock: MockClock,
) -> None:
    async with (
        peers() as (here, there),
        trio.open_nursery() as nursery,
        beating(here) as messages,
    ):
        nursery.start_soon(answer_pings, there)
        await there.send("work")
        assert await messages.receive() == "work"
        await trio.sleep(1000)
        assert here.close_reason is None
        await there.send("more")
        assert await messages.receive() == "more"
        nursery.cancel_scope.cancel()


async def test_a_peer_that_dies_is_noticed_while_the_handler_works(
    autojump_clock: MockClock,
) -> None:
    async with peers() as (here, there), beating(here) as messages:
        await there.send("work")
        assert await messages.receive() == "work"
        await trio.sleep(EVERY + WITHIN + 1)
        assert here.close_reason is CloseReason.TIMED_OUT


async def test_the_clock_stands_still_while_more_waits_than_is_read_ahead(
    autojump_clock: MockClock,
) -> None:
    async with peers() as (here, there), beating(here) as messages:
        await there.send_many(str(number) for number in range(AHEAD + 2))
        await trio.sleep(1000)
        assert here.statistics().messages_sent == 0
        for number in range(AHEAD + 2):
            assert await messages.receive() == str(number)
        began = trio.current_time()
        with pytest.raises(trio_tcp.PeerTooSlowError):
            await messages.receive()
        assert trio.current_time() == began + EVERY + WITHIN


@pytest.mark.parametrize("size", [1, 100, 10_000, 50_000, 200_000])
async def test_no_more_is_read_ahead_than_is_promised(
    autojump_clock: MockClock, size: int
) -> None:
    """16 messages and 64 KiB: one more of each, as both have to be exceeded to show."""
    async with peers() as (here, there), trio.open_nursery() as nursery:

        async def pour() -> None:
            with suppress(trio_tcp.ConnectionFault):
                while True:
                    await there.send("x" * size)

        async with beating(here):
            nursery.start_soon(pour)
            await trio.sleep(EVERY)
            statistics = here.statistics()
            assert 1 <= statistics.messages_received <= AHEAD
            most = (64 << 10) + (64 << 10) + size + 1
            assert statistics.bytes_received <= most
            there.abort()


async def test_what_a_slow_handler_has_not_received_is_not_lost(
    autojump_clock: MockClock,
) -> None:
    sent = [str(number) for number in range(300)]
    async with peers() as (here, there), trio.open_nursery() as nursery:

        async def pour() -> None:
            for message in sent:
                await there.send(message)
            await there.send_eof()

        nursery.start_soon(pour)
        received: list[str] = []
        async with beating(here) as messages:
            async for message in messages:
                received.append(message)
                await trio.sleep(1)
        assert received == sent


# A peer that takes what it is sent, or does not ---------------------------------------


async def test_a_peer_that_takes_slowly_what_came_before_the_question_lives(
    autojump_clock: MockClock,
) -> None:
    near, far = testing.memory_stream_pair(1000)
    async with trio_tcp.open_connection(near, codec=LINES, timeouts=PATIENT) as here:
        async with beating(here) as messages:
            await here.send("x" * 1_000_000)
            for _ in range(49):
                await trio.sleep(1)
                rest = 20_000  # a stream tells only of every 64 KiB that they are taken
                while rest:
                    rest -= len(await far.receive_some(rest))
            assert here.close_reason is None
            with pytest.raises(trio_tcp.PeerTooSlowError):
                await messages.receive()


async def test_a_peer_that_takes_nothing_of_what_came_before_is_dead(
    autojump_clock: MockClock,
) -> None:
    """It need not be asked: the question would stay here."""
    async with peers(capacity=1000) as (here, _), beating(here) as messages:
        await here.send("x" * 99_999)
        with pytest.raises(trio_tcp.PeerTooSlowError):
            await messages.receive()
        assert trio.current_time() == EVERY + WITHIN


# Peers that ask, too ------------------------------------------------------------------


async def test_a_peers_question_is_answered_while_the_handler_works(
    autojump_clock: MockClock,
) -> None:
    async with (
        peers() as (here, there),
        beating(here, reply=pong_to_ping) as ours,
        beating(there, reply=pong_to_ping) as theirs,
    ):
        await trio.sleep(1000)
        assert here.close_reason is there.close_reason is None
        await here.send("at last")
        await there.send("indeed")
        assert (await ours.receive(), await theirs.receive()) == ("indeed", "at last")


async def test_without_a_reply_a_peers_question_is_a_message(
    autojump_clock: MockClock,
) -> None:
    async with peers() as (here, there), beating(here) as messages:
        await there.send("PING")
        assert await messages.receive() == "PING"


async def test_a_peer_that_asks_but_does_not_read_does_not_stop_the_listener(
    autojump_clock: MockClock,
) -> None:
    """One answer waits for room; what it says behind its questions is heard."""
    async with (
        peers(capacity=1000) as (here, there),
        beating(here, reply=pong_to_ping) as messages,
    ):
        await here.send("x" * 99_999)
        await there.send_many(["PING"] * 50)
        await there.send("hello")
        assert await messages.receive() == "hello"
        assert await there.receive() == "x" * 99_999
        assert await there.receive() == "PONG"
        await here.send("goodbye")
        assert await there.receive() == "goodbye"
        await there.send("PING")
        assert await there.receive() == "PONG"


# Ends ---------------------------------------------------------------------------------


async def test_the_peers_end_is_the_end_of_the_iteration_and_of_asking(
    autojump_clock: MockClock,
) -> None:
    async with peers() as (here, there), beating(here) as messages:
        await there.send("last words")
        await there.send_eof()
        assert [message async for message in messages] == ["last words"]
        with pytest.raises(trio_tcp.PeerClosed):
            await messages.receive()
        await trio.sleep(1000)
        await here.send("still listening?")
        assert await there.receive() == "still listening?"
        assert here.close_reason is CloseReason.PEER_CLOSED


async def test_after_our_end_nobody_is_asked_and_the_peer_may_take_its_time(
    autojump_clock: MockClock,
) -> None:
    async with peers() as (here, there), beating(here) as messages:
        await here.send_eof()
        await trio.sleep(1000)
        await there.send("the answer")
        assert await messages.receive() == "the answer"


async def test_a_reset_is_raised_as_the_connection_would(
    autojump_clock: MockClock,
) -> None:
    async with peers() as (here, there), beating(here) as messages:
        there.abort()
        with pytest.raises(trio_tcp.ConnectionBroken) as caught:
            await messages.receive()
        assert isinstance(caught.value.__cause__, trio.BrokenResourceError)


async def test_closing_on_this_side_is_raised_as_the_connection_would(
    autojump_clock: MockClock,
) -> None:
    async with (
        peers() as (here, there),
        beating(here) as messages,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(answer_pings, there)
        nursery.start_soon(messages.aclose)
        with pytest.raises(trio_tcp.ConnectionClosedError):
            await messages.receive()


async def test_what_was_read_ahead_can_be_received_after_the_block(
    autojump_clock: MockClock,
) -> None:
    async with peers() as (here, there):
        async with beating(here) as messages:
            await there.send_many(["one", "two", "three"])
            assert await messages.receive() == "one"
        assert [await messages.receive(), await messages.receive()] == ["two", "three"]
        with pytest.raises(trio.ClosedResourceError):
            await messages.receive()
        await there.send("four")
        assert await here.receive() == "four"


async def test_a_cancelled_receive_loses_nothing(autojump_clock: MockClock) -> None:
    sent = [str(number) for number in range(50)]
    async with (
        peers() as (here, there),
        trio.open_nursery() as nursery,
        beating(here) as messages,
    ):

        async def talk() -> None:
            for message in sent:
                await trio.sleep(0.3)
                await there.send(message)
            await there.send_eof()

        nursery.start_soon(talk)
        received: list[str] = []
        with suppress(trio.EndOfChannel):
            while True:
                with trio.move_on_after(0.1):
                    received.append(await messages.receive())
        assert received == sent


async def test_two_receivers_are_one_too_many(autojump_clock: MockClock) -> None:
    async with (
        peers() as (here, _),
        beating(here) as messages,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(messages.receive)
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await messages.receive()
        with pytest.raises(trio.BusyResourceError):
            await here.receive()
        nursery.cancel_scope.cancel()


# A drain ------------------------------------------------------------------------------


@asynccontextmanager
async def served_by(
    work: float,
) -> AsyncGenerator[testing.MemoryServer[str], None]:
    """Serve with a handler that works so long for each message."""

    async def handler(connection: Text) -> None:
        async with beating(connection) as messages:
            async for message in messages:
                await trio.sleep(work)
                await connection.send(message.upper())

    async with testing.serve_in_memory(handler, LINES) as served:
        yield served


async def test_a_connection_that_only_beats_is_drained_at_once(
    autojump_clock: MockClock,
) -> None:
    async with served_by(0) as served, served.connect() as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer_pings, client)
            await trio.sleep(3.5 * EVERY)
            report = await served.server.drain()
        assert report.finished == 1
        assert report.seconds == 0


async def test_a_handler_at_work_finishes_what_has_come_while_a_drain_waits(
    autojump_clock: MockClock,
) -> None:
    """Also what comes after the drain has begun, as without a heartbeat."""
    async with served_by(20) as served, served.connect() as client:
        others: list[str] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer_pings, client, others)
            await client.send_many(["one", "two"])
            await trio.sleep(1)
            nursery.start_soon(served.server.drain, 100)
            await trio.sleep(1)
            await client.send("three")
        assert others == ["ONE", "TWO", "THREE"]
        assert trio.current_time() == pytest.approx(60)


# Errors -------------------------------------------------------------------------------


async def test_what_the_block_raises_leaves_as_itself(
    autojump_clock: MockClock,
) -> None:
    async with peers() as (here, _):
        with pytest.raises(ZeroDivisionError):
            async with beating(here):
                await trio.sleep(1.5 * EVERY)
                raise ZeroDivisionError


async def test_a_cancelled_block_ends(autojump_clock: MockClock) -> None:
    async with peers() as (here, there):
        with trio.move_on_after(1) as scope:
            async with beating(here) as messages:
                await messages.receive()
        assert scope.cancelled_caught
        await there.send("unharmed")
        assert await here.receive() == "unharmed"


@pytest.mark.parametrize("which", ["is_answer", "reply"])
async def test_what_a_function_raises_cancels_the_block_and_leaves_it(
    autojump_clock: MockClock, which: str
) -> None:
    def fail(_message: str) -> bool:
        raise ZeroDivisionError

    functions = {"is_answer": is_pong, which: fail}
    async with peers() as (here, there):
        with pytest.raises(ZeroDivisionError):
            async with heartbeat(
                here,
                "PING",
                every=EVERY,
                within=WITHIN,
                **functions,  # type: ignore[arg-type] # as above
            ):
                await there.send("hello")
                await trio.sleep_forever()


async def test_a_question_that_cannot_be_sent_is_refused_at_once(
    autojump_clock: MockClock,
) -> None:
    async with peers() as (here, _):
        with pytest.raises(trio_tcp.EncodeError):
            async with heartbeat(here, "a\nb", is_pong, every=EVERY, within=WITHIN):
                raise AssertionError("it must not begin")


@pytest.mark.parametrize("bad", [0, -1, math.nan, "10", None, True])
@pytest.mark.parametrize("name", ["every", "within"])
async def test_seconds_that_make_no_sense_are_refused(name: str, bad: object) -> None:
    seconds = {"every": EVERY, "within": WITHIN, name: bad}
    async with peers() as (here, _):
        with pytest.raises(ValueError, match=f"{name} must be a number of seconds"):
            async with heartbeat(here, "PING", is_pong, **seconds):  # type: ignore[arg-type] # that is the test
                raise AssertionError("it must not begin")


async def test_it_can_be_switched_off(autojump_clock: MockClock) -> None:
    async with (
        peers() as (here, _),
        heartbeat(here, "PING", is_pong, every=math.inf, within=WITHIN),
    ):
        await trio.sleep(80_000)
        assert here.close_reason is None
        assert here.statistics().messages_sent == 0


async def test_the_idle_timeout_does_not_run_out_while_it_beats(
    autojump_clock: MockClock,
) -> None:
    async with peers() as (here, there), trio.open_nursery() as nursery:
        here.timeouts = attrs.evolve(PATIENT, idle=EVERY + 1)
        nursery.start_soon(answer_pings, there)
        async with beating(here) as messages:
            with trio.move_on_after(100) as scope:
                await messages.receive()
            assert scope.cancelled_caught
        nursery.cancel_scope.cancel()
