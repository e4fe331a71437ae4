"""When a connection of a session breaks: what is told of it, and what is contained."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

import trio_tcp
from tests.doors import Door, Text
from tests.session.asking import STEADY, ask
from trio_tcp import CloseReason, codecs, open_session, testing


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
