"""What `open_session` promises, to a client of a server in memory."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from random import Random

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.doors import Door, Text
from trio_tcp import (
    Backoff,
    CloseReason,
    Connecting,
    Ready,
    SessionState,
    Stopped,
    Waiting,
    codecs,
    open_session,
    testing,
)

STEADY = Backoff(initial=1, maximum=8, jitter="none")


class Refused(Exception):
    """A login was refused: nothing that will pass."""


def is_refused(error: Exception) -> bool:
    return isinstance(error, Refused)


async def ask(connection: Text, question: str) -> str:
    await connection.send(question)
    return await connection.receive()


# The loop ----------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["close", "reset"])
async def test_the_loop_goes_on_with_another_connection(
    end: str, autojump_clock: MockClock
) -> None:
    answers: list[str] = []
    async with Door().running() as door, open_session(door.connect) as session:
        async for connection in session:
            answers.append(await ask(connection, f"hello {len(answers)}"))
            if len(answers) == 3:
                break
            with session.until_broken():
                await ask(connection, end)
    assert answers == ["hello 0", "hello 1", "hello 2"]


async def test_nothing_is_connected_before_the_loop_asks(
    autojump_clock: MockClock,
) -> None:
    async with Door().running() as door, open_session(door.connect):
        await wait_all_tasks_blocked()
        assert not door.knocks


async def test_there_is_one_connection_at_a_time(autojump_clock: MockClock) -> None:
    async with Door().running() as door, open_session(door.connect) as session:
        async for _ in session:
            assert door.open == 1
            if len(door.knocks) == 3:
                break


async def test_a_connection_is_closed_gracefully_when_the_body_is_done_with_it(
    autojump_clock: MockClock,
) -> None:
    async with (
        Door().running() as door,
        open_session(door.connect, backoff=STEADY) as session,
    ):
        async for connection in session:
            await connection.send(f"hello {len(door.knocks)}")
            if len(door.knocks) == 2:
                break
    assert door.received == ["hello 1", "hello 2"]
    assert door.ends == [CloseReason.PEER_CLOSED] * 2


async def test_a_body_that_does_nothing_does_not_connect_as_fast_as_it_can(
    autojump_clock: MockClock,
) -> None:
    async with (
        Door().running() as door,
        open_session(door.connect, backoff=STEADY) as session,
    ):
        async for _ in session:
            if len(door.knocks) == 4:
                break
    assert door.knocks == [0, 1, 3, 7]


async def test_after_break_the_connection_is_there_until_the_block_ends(
    autojump_clock: MockClock,
) -> None:
    async with Door().running() as door, open_session(door.connect) as session:
        connections: list[Text] = []
        async for connection in session:
            connections.append(connection)
            break
        await trio.sleep(30)
        assert await ask(connections[0], "hello") == "hello"
        assert door.open == 1
    assert door.open == 0
    assert door.ends == [CloseReason.PEER_CLOSED]


async def test_what_the_body_raises_leaves_as_itself_and_aborts(
    autojump_clock: MockClock,
) -> None:
    mistake = KeyError("name")
    async with Door().running() as door:
        with pytest.raises(KeyError) as caught:
            async with open_session(door.connect) as session:
                async for connection in session:
                    await ask(connection, "hello")
                    raise mistake
        assert caught.value is mistake
        await wait_all_tasks_blocked()
        assert door.ends == [CloseReason.BROKEN]


async def test_the_end_of_a_connection_leaves_the_loop_if_nobody_contains_it(
    autojump_clock: MockClock,
) -> None:
    async with Door().running() as door:
        with pytest.raises(trio_tcp.ConnectionBroken):
            async with open_session(door.connect) as session:
                async for connection in session:
                    await ask(connection, "reset")


async def test_the_loop_can_be_left_in_a_scope_and_entered_again(
    autojump_clock: MockClock,
) -> None:
    async with Door().running() as door, open_session(door.connect) as session:
        for number in range(3):
            with trio.move_on_after(20) as scope:
                async for connection in session:
                    assert await ask(connection, f"hello {number}")
                    await trio.sleep_forever()
            assert scope.cancelled_caught
    assert len(door.knocks) == 3


async def test_two_tasks_cannot_ask_at_once(autojump_clock: MockClock) -> None:
    door = Door()
    door.is_open = False
    async with open_session(door.connect) as session, trio.open_nursery() as nursery:
        nursery.start_soon(anext, session)
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await anext(session)
        nursery.cancel_scope.cancel()


async def test_after_its_block_a_session_gives_no_connection(
    autojump_clock: MockClock,
) -> None:
    async with Door().running() as door:
        async with open_session(door.connect) as session:
            await anext(session)
        with pytest.raises(trio.ClosedResourceError):
            await anext(session)


# When it tries, and when it stops ----------------------------------------------------


async def test_it_waits_longer_while_the_server_is_down(
    autojump_clock: MockClock,
) -> None:
    async with Door().running() as door:
        door.is_open = False
        async with open_session(door.connect, backoff=STEADY) as session:
            with trio.move_on_after(20):
                await anext(session)
            door.is_open = True
            await anext(session)
    assert door.knocks == [0, 1, 3, 7, 15, 23]


@pytest.mark.parametrize(
    ("seconds", "knocks"),
    [(9, [0, 10, 21, 34]), (10, [0, 11, 22, 33])],
)
async def test_a_connection_is_healthy_that_lives_for_long_enough(
    seconds: float, knocks: list[float], autojump_clock: MockClock
) -> None:
    async with (
        Door().running() as door,
        open_session(door.connect, backoff=STEADY) as session,
    ):
        async for connection in session:
            if len(door.knocks) == 4:
                break
            with session.until_broken():
                await ask(connection, f"close after {seconds}")
    assert door.knocks == knocks


async def test_clients_of_a_server_that_ends_do_not_come_back_at_once(
    autojump_clock: MockClock,
) -> None:
    async def come_back(seed: int) -> None:
        async with open_session(door.connect, random=Random(seed)) as session:
            async for connection in session:
                with session.until_broken():
                    await ask(connection, "close after 20")

    async with Door().running() as door, trio.open_nursery() as nursery:
        for seed in range(10):
            nursery.start_soon(come_back, seed)
        await trio.sleep(21)
        nursery.cancel_scope.cancel()
    assert door.knocks[:10] == [0] * 10
    assert len(set(door.knocks[10:])) == 10
    assert all(20 < knock < 20.5 for knock in door.knocks[10:])


async def test_jitter_follows_the_seed_of_the_module_random(
    autojump_clock: MockClock,
) -> None:
    door = Door()
    door.is_open = False
    knocks: list[list[float]] = []
    for _ in range(2):
        door.knocks.clear()
        random.seed(7)
        start = trio.current_time()
        async with open_session(door.connect) as session:
            with trio.move_on_after(100):
                await anext(session)
        knocks.append([knock - start for knock in door.knocks])
    assert knocks[0] == pytest.approx(knocks[1])


async def test_each_attempt_looks_up_anew(autojump_clock: MockClock) -> None:
    addresses = iter(["old", "old", "new"])
    async with Door().running() as door:

        @asynccontextmanager
        async def connect() -> AsyncGenerator[Text, None]:
            if next(addresses) == "old":
                raise ConnectionRefusedError
            async with door.connect() as connection:
                yield connection

        async with open_session(connect) as session:
            assert await ask(await anext(session), "hello") == "hello"


async def test_a_permanent_error_ends_the_loop_as_itself(
    autojump_clock: MockClock,
) -> None:
    door = Door()
    door.is_open = False
    cause = ValueError("the certificate is another's")
    error = trio_tcp.ConnectError("here", (cause,))
    error.__cause__ = cause
    door.refusal = error
    async with open_session(
        door.connect, is_permanent=lambda error: isinstance(error, OSError)
    ) as session:
        with pytest.raises(trio_tcp.ConnectError) as caught:
            await anext(session)
        assert caught.value.args == error.args
        assert caught.value.__cause__ is cause
        assert session.state == Stopped(error)
        with pytest.raises(trio_tcp.ConnectError):
            await anext(session)
    assert len(door.knocks) == 1


async def test_the_end_of_a_connection_can_be_permanent(
    autojump_clock: MockClock,
) -> None:
    def is_protocol_error(error: Exception) -> bool:
        return isinstance(error, trio_tcp.PeerClosed)

    async with (
        Door().running() as door,
        open_session(door.connect, is_permanent=is_protocol_error) as session,
    ):
        with pytest.raises(trio_tcp.PeerClosed):
            async for connection in session:
                with session.until_broken():
                    await ask(connection, "close")
        assert session.last_break is not None
        assert len(door.knocks) == 1


async def test_it_gives_up_with_the_last_error(autojump_clock: MockClock) -> None:
    door = Door()
    door.is_open = False
    backoff = Backoff(initial=1, jitter="none", max_attempts=3)
    async with open_session(door.connect, backoff=backoff) as session:
        with pytest.raises(ConnectionRefusedError) as caught:
            await anext(session)
        assert caught.value.args == door.refusal.args
        assert session.state == Stopped(door.refusal)
    assert door.knocks == [0, 1, 3]


async def test_connections_that_break_soon_are_failures_to_give_up_after(
    autojump_clock: MockClock,
) -> None:
    backoff = Backoff(initial=1, jitter="none", max_attempts=3)
    async with (
        Door().running() as door,
        open_session(door.connect, backoff=backoff) as session,
    ):
        with pytest.raises(trio_tcp.ConnectionBroken):
            async for connection in session:
                with session.until_broken():
                    await ask(connection, "reset")
    assert door.knocks == [0, 1, 3]


async def test_what_is_no_failure_of_a_connection_leaves_at_once(
    autojump_clock: MockClock,
) -> None:
    door = Door()
    door.is_open = False
    door.refusal = KeyError("port")
    async with open_session(door.connect) as session:
        with pytest.raises(KeyError, match="port"):
            await anext(session)
    assert len(door.knocks) == 1


# Prepare -----------------------------------------------------------------------------


async def test_each_connection_is_prepared_before_the_loop_has_it(
    autojump_clock: MockClock,
) -> None:
    async def log_in(connection: Text) -> None:
        assert await ask(connection, "log in") == "log in"

    async with (
        Door().running() as door,
        open_session(door.connect, prepare=log_in) as session,
    ):
        async for connection in session:
            await connection.send("hello")
            if len(door.knocks) == 2:
                break
            await connection.send("close")
            await connection.wait_disconnected()
    assert door.received == ["log in", "hello", "close", "log in", "hello"]


@pytest.mark.parametrize(
    "failure",
    [
        trio_tcp.PeerClosed("during the login"),
        TimeoutError("nothing in time"),
        trio.TooSlowError(),
        trio.BrokenResourceError(),
        ExceptionGroup("from a nursery", [trio_tcp.ConnectionBroken()]),
    ],
    ids=repr,
)
async def test_a_failure_to_prepare_is_that_of_the_attempt(
    failure: Exception, autojump_clock: MockClock
) -> None:
    async def log_in(_connection: Text) -> None:
        assert door.open == 1
        if len(door.knocks) < 4:
            raise failure

    async with (
        Door().running() as door,
        open_session(door.connect, backoff=STEADY, prepare=log_in) as session,
    ):
        await anext(session)
    assert door.knocks == [0, 1, 3, 7]
    assert door.ends == [CloseReason.BROKEN] * 3 + [CloseReason.PEER_CLOSED]


async def test_a_refused_login_can_be_permanent(autojump_clock: MockClock) -> None:
    async def log_in(_connection: Text) -> None:
        raise Refused

    async with (
        Door().running() as door,
        open_session(door.connect, prepare=log_in, is_permanent=is_refused) as session,
    ):
        with pytest.raises(Refused):
            await anext(session)
        assert isinstance(session.state, Stopped)
        assert door.open == 0


# Cancellation ------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["connecting", "preparing", "waiting", "body"])
async def test_cancelled_anywhere_it_leaves_nothing_and_can_go_on(
    where: str, autojump_clock: MockClock
) -> None:
    stuck = where

    async def log_in(_connection: Text) -> None:
        if stuck == "preparing":
            await trio.sleep_forever()

    async with Door().running() as door:

        @asynccontextmanager
        async def connect() -> AsyncGenerator[Text, None]:
            if stuck == "connecting":
                await trio.sleep_forever()
            async with door.connect() as connection:
                yield connection

        door.is_open = where != "waiting"
        async with open_session(connect, prepare=log_in) as session:
            with trio.move_on_after(100) as scope:
                async for _ in session:
                    await trio.sleep_forever()
            assert scope.cancelled_caught
            await wait_all_tasks_blocked()
            assert door.open == (where == "body")
            stuck, door.is_open = "", True
            async for connection in session:
                assert await ask(connection, "hello") == "hello"
                break
        assert door.open == 0


@pytest.mark.parametrize("where", ["waiting", "body"])
async def test_the_session_as_a_whole_can_be_cancelled(
    where: str, autojump_clock: MockClock
) -> None:
    async with Door().running() as door:
        door.is_open = where == "body"
        with trio.move_on_after(100) as scope:
            async with open_session(door.connect) as session:
                async for _ in session:
                    await trio.sleep_forever()
        assert scope.cancelled_caught
        assert trio.current_time() == 100
        assert door.open == 0


# Breaks ------------------------------------------------------------------------------


async def test_a_break_says_what_may_not_have_arrived(
    autojump_clock: MockClock,
) -> None:
    async def log_in(connection: Text) -> None:
        await ask(connection, "log in")

    async with (
        Door().running() as door,
        open_session(door.connect, prepare=log_in) as session,
    ):
        connection = await anext(session)
        for number in range(3):
            await ask(connection, f"hello {number}")
        session.confirm()
        session.confirm(2)
        await connection.send_many(["silence", "silence"])
        await trio.sleep(7)
        with session.until_broken():
            await ask(connection, "reset")
        await anext(session)
        lost = session.last_break
        assert lost is not None
        assert lost.connection_id == connection.id
        assert lost.reason is CloseReason.BROKEN
        assert isinstance(lost.error, trio_tcp.ConnectionBroken)
        assert lost.seconds == 7
        assert lost.unconfirmed == 3


async def test_what_was_not_sent_cannot_be_confirmed(autojump_clock: MockClock) -> None:
    async with Door().running() as door, open_session(door.connect) as session:
        with pytest.raises(RuntimeError, match="no connection"):
            session.confirm()
        connection = await anext(session)
        await connection.send("hello")
        for count in (-1, 2):
            with pytest.raises(ValueError, match="1 of those sent are unconfirmed"):
                session.confirm(count)


async def test_a_clean_end_is_a_break_as_any_other(autojump_clock: MockClock) -> None:
    async with (
        Door().running() as door,
        open_session(door.connect, backoff=STEADY) as session,
    ):
        connection = await anext(session)
        await connection.send("close")
        assert [line async for line in connection] == []
        await anext(session)
        assert session.last_break is not None
        assert session.last_break.reason is CloseReason.PEER_CLOSED
    assert door.knocks == [0, 1]


async def test_only_the_end_of_its_own_connection_is_contained(
    autojump_clock: MockClock,
) -> None:
    async with Door().running() as door, open_session(door.connect) as session:
        async for connection in session:
            async with door.connect() as other:
                with pytest.raises(trio_tcp.ConnectionBroken) as caught:
                    with session.until_broken():
                        await ask(other, "reset")
                assert caught.value.connection_id == other.id
            assert await ask(connection, "hello") == "hello"
            break


async def test_ends_are_contained_in_groups_and_the_rest_goes_on(
    autojump_clock: MockClock,
) -> None:
    async def fail() -> None:
        await connection.wait_disconnected()
        raise KeyError("name")

    async with Door().running() as door, open_session(door.connect) as session:
        connection = await anext(session)
        with session.until_broken():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                await ask(connection, "reset")
        connection = await anext(session)
        with pytest.RaisesGroup(KeyError), session.until_broken():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(fail)
                nursery.start_soon(ask, connection, "reset")


async def test_cancellation_is_not_contained(autojump_clock: MockClock) -> None:
    async with Door().running() as door, open_session(door.connect) as session:
        await anext(session)
        with trio.move_on_after(1) as scope:
            with session.until_broken():
                await trio.sleep_forever()
            pytest.fail("it was contained")
        assert scope.cancelled_caught


async def test_a_malformed_message_ends_its_connection_only(
    autojump_clock: MockClock,
) -> None:
    async def greet(connection: Text) -> None:
        await connection.send("no JSON")
        await connection.wait_disconnected()

    async with testing.serve_in_memory(greet, codecs.Lines()) as served:

        @asynccontextmanager
        async def connect() -> AsyncGenerator[
            trio_tcp.Connection[object, object], None
        ]:
            stream = await served.listener.connect()
            codec: codecs.Codec[object, object] = codecs.Json()
            async with trio_tcp.open_connection(stream, codec=codec) as connection:
                yield connection

        async with open_session(connect) as session:
            async for connection in session:
                if session.last_break is not None:
                    break
                with session.until_broken():
                    await connection.receive()
            lost = session.last_break
            assert lost is not None
            assert lost.reason is CloseReason.PROTOCOL_ERROR
            assert isinstance(lost.error, trio_tcp.MalformedMessageError)


# States ------------------------------------------------------------------------------


async def test_states_tell_all_that_happens(autojump_clock: MockClock) -> None:
    seen: list[SessionState] = []

    async def watch() -> None:
        async for state in session.states():
            seen.append(state)
            await trio.sleep(3)  # slower than it happens

    async with Door().running() as door:
        door.is_open = False
        async with trio.open_nursery() as nursery:
            async with open_session(door.connect, backoff=STEADY) as session:
                nursery.start_soon(watch)
                await wait_all_tasks_blocked()
                async with trio.open_nursery() as inner:
                    inner.start_soon(partial(open_later, door, 0.5))
                    connection = await anext(session)
                with session.until_broken():
                    await ask(connection, "reset")
                await anext(session)
    match seen:
        case [
            Connecting(attempt=1, error=None),
            Waiting(seconds=1, error=why),
            Connecting(attempt=2, error=last),
            Ready(),
            Waiting(seconds=2, error=trio_tcp.ConnectionBroken()),
            Connecting(attempt=3, error=trio_tcp.ConnectionBroken()),
            Ready(),
            Stopped(error=None),
        ]:
            assert why is door.refusal
            assert last is door.refusal
        case _:
            pytest.fail(f"{seen}")


async def open_later(door: Door, seconds: float) -> None:
    await trio.sleep(seconds)
    door.is_open = True


async def test_a_state_can_be_awaited(autojump_clock: MockClock) -> None:
    door = Door()
    door.is_open = False
    async with open_session(door.connect, backoff=STEADY) as session:
        assert await session.wait_for(Connecting) == Connecting(1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(anext, session)
            state = await session.wait_for(Waiting)
            assert state == Waiting(1, door.refusal)
            nursery.cancel_scope.cancel()


async def test_nobody_waits_for_a_state_that_cannot_come(
    autojump_clock: MockClock,
) -> None:
    async def expect_closed() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await session.wait_for(Ready)

    async with trio.open_nursery() as nursery:
        async with open_session(Door().connect) as session:
            nursery.start_soon(expect_closed)
            await wait_all_tasks_blocked()
        assert await session.wait_for(Stopped) == Stopped(None)
