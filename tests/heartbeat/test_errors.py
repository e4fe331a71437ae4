"""A heartbeat, and errors: of its block, of its functions, in what it is given."""

from __future__ import annotations

import math

import pytest
import trio
from trio.testing import MockClock

import trio_tcp
from tests.heartbeat.beating import EVERY, WITHIN, beating, is_pong, peers
from trio_tcp import heartbeat


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
