"""Each connection of a session is prepared before the loop has it, or is none."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

import trio_tcp
from tests.doors import Door, Text
from tests.session.asking import STEADY, ask
from trio_tcp import CloseReason, Stopped, open_session


class Refused(Exception):
    """A login was refused: nothing that will pass."""


def is_refused(error: Exception) -> bool:
    return isinstance(error, Refused)


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
