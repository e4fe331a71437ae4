"""The engine that sessions, requesters and pools share: one state for many users."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.doors import Door, Text
from trio_tcp import Backoff, Ready, Stopped, Waiting, codecs
from trio_tcp._reconnecting import Reconnector

STEADY = Backoff(initial=1, maximum=8, jitter="none")


class Refused(Exception):
    """A login was refused: nothing that will pass."""


def is_refused(error: Exception) -> bool:
    return isinstance(error, Refused)


async def hold(
    reconnector: Reconnector[str, str], held: list[Text], until: trio.Event
) -> None:
    """Hold a connection until an event, as one of several users."""
    async with reconnector.next() as connection:
        held.append(connection)
        await until.wait()


async def want(reconnector: Reconnector[str, str]) -> None:
    """Want a connection, and hold it."""
    async with reconnector.next():
        await trio.sleep_forever()


async def meet(reconnector: Reconnector[str, str], order: str) -> None:
    """Hold a connection until it is broken, as it is told to be."""
    async with reconnector.next() as connection:
        await connection.send(order)
        await connection.wait_disconnected()
        with pytest.raises((trio.EndOfChannel, trio.BrokenResourceError)):
            await connection.receive()


async def test_a_server_that_is_down_is_asked_by_one_user_at_a_time(
    autojump_clock: MockClock,
) -> None:
    door = Door()
    door.is_open = False
    reconnector = Reconnector(door.connect, backoff=STEADY)
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(want, reconnector)
        await trio.sleep(20)
        nursery.cancel_scope.cancel()
    assert door.knocks == [0, 1, 3, 7, 15]


async def test_once_it_answers_all_users_connect_at_once(
    autojump_clock: MockClock,
) -> None:
    held: list[Text] = []
    done = trio.Event()
    async with Door().running() as door, trio.open_nursery() as nursery:
        door.is_open = False
        reconnector = Reconnector(door.connect, backoff=STEADY)
        for _ in range(5):
            nursery.start_soon(hold, reconnector, held, done)
        await trio.sleep(2)
        door.is_open = True
        await trio.sleep(1)
        await wait_all_tasks_blocked()
        assert len(held) == 5
        assert door.knocks == [0, 1, 3, 3, 3, 3, 3]
        done.set()


async def test_users_of_a_server_that_answers_do_not_wait_for_each_other(
    autojump_clock: MockClock,
) -> None:
    waiting = 0

    async def log_in(_connection: Text) -> None:
        nonlocal waiting
        waiting += 1
        await trio.sleep(1)

    held: list[Text] = []
    done = trio.Event()
    async with Door().running() as door, trio.open_nursery() as nursery:
        reconnector = Reconnector(door.connect, backoff=STEADY, prepare=log_in)
        nursery.start_soon(hold, reconnector, held, done)
        await reconnector.wait_for(Ready)
        for _ in range(5):
            nursery.start_soon(hold, reconnector, held, done)
        await wait_all_tasks_blocked()
        assert waiting == 6
        await trio.sleep(1)
        await wait_all_tasks_blocked()
        assert len(held) == 6
        done.set()


async def test_connections_that_break_together_are_one_failure(
    autojump_clock: MockClock,
) -> None:
    async with Door().running() as door:
        reconnector = Reconnector(door.connect, backoff=STEADY)
        for _ in range(2):
            async with trio.open_nursery() as nursery:
                for _ in range(5):
                    nursery.start_soon(meet, reconnector, "reset")
        # The second five come after a delay of 1 s, and not of 8.
        assert door.knocks == [0] * 5 + [1] * 5
        assert isinstance(reconnector.state, Waiting)
        assert reconnector.state.seconds == 2


async def test_an_old_connection_that_breaks_late_is_no_news(
    autojump_clock: MockClock,
) -> None:
    async with Door().running() as door, trio.open_nursery() as nursery:
        reconnector = Reconnector(door.connect, backoff=STEADY)
        nursery.start_soon(meet, reconnector, "close after 4")
        await meet(reconnector, "reset")
        door.is_open = False
        nursery.start_soon(want, reconnector)
        await trio.sleep(20)
        nursery.cancel_scope.cancel()
    # Delays of 1, 2, 4 and 8 s: the end at 4 s changes nothing.
    assert door.knocks == [0, 0, 1, 3, 7, 15]


async def test_a_connection_that_this_side_closes_is_no_failure(
    autojump_clock: MockClock,
) -> None:
    async with Door().running() as door:
        reconnector = Reconnector(door.connect, backoff=STEADY)
        for _ in range(3):
            async with reconnector.next() as connection:
                await connection.send("hello")
        assert door.knocks == [0, 0, 0]
        assert isinstance(reconnector.state, Ready)


async def test_a_fault_of_the_connection_out_of_the_block_is_one(
    autojump_clock: MockClock,
) -> None:
    async with Door().running() as door:
        reconnector = Reconnector(door.connect, backoff=STEADY)
        fault = trio_tcp.ConnectionBroken()
        with pytest.raises(trio_tcp.ConnectionBroken) as caught:
            async with reconnector.next() as connection:
                fault.connection_id = connection.id
                raise fault
        assert caught.value is fault
        assert reconnector.state == Waiting(1, fault)


async def test_the_permanent_error_of_one_user_reaches_all(
    autojump_clock: MockClock,
) -> None:
    async def log_in(connection: Text) -> None:
        if len(door.knocks) > 1:
            await trio.sleep(5 if len(door.knocks) == 2 else 60)
            raise Refused(connection.id)

    async def expect_refusal() -> None:
        with pytest.raises(Refused) as caught:
            await want(reconnector)
        errors.append(caught.value)

    errors: list[Refused] = []
    async with Door().running() as door, trio.open_nursery() as nursery:
        reconnector = Reconnector(
            door.connect, backoff=STEADY, prepare=log_in, is_permanent=is_refused
        )
        held: list[Text] = []
        nursery.start_soon(hold, reconnector, held, trio.Event())
        await reconnector.wait_for(Ready)
        for _ in range(3):  # one is refused, the others are in the middle
            nursery.start_soon(expect_refusal)
            await wait_all_tasks_blocked()
        with pytest.raises(Refused):
            await reconnector.wait_for(Waiting)
        await wait_all_tasks_blocked()
        assert trio.current_time() == 5
        assert len(errors) == 3
        assert len({error.args for error in errors}) == 1
        assert len(set(map(id, errors))) == 3  # so that none adds to another's way
        state = reconnector.state
        assert isinstance(state, Stopped)
        assert isinstance(state.error, Refused)
        await held[0].send("still there")
        assert await held[0].receive() == "still there"
        nursery.cancel_scope.cancel()


async def test_a_stop_wakes_those_who_wait_for_the_next_attempt(
    autojump_clock: MockClock,
) -> None:
    async def expect_closed() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await want(reconnector)
        closed_at.append(trio.current_time())

    closed_at: list[float] = []
    door = Door()
    door.is_open = False
    reconnector = Reconnector(door.connect, backoff=STEADY)
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(expect_closed)
        await trio.sleep(2)
        reconnector.stop()
    assert closed_at == [2] * 3


async def test_a_state_that_is_over_at_once_is_not_missed(
    autojump_clock: MockClock,
) -> None:
    async def wait() -> None:
        waited.append(await reconnector.wait_for(Waiting))

    waited: list[Waiting] = []
    async with Door().running() as door, trio.open_nursery() as nursery:
        reconnector = Reconnector(door.connect, backoff=STEADY)
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        await meet(reconnector, "reset")
        reconnector.stop()  # nobody has run in between
    assert [state.seconds for state in waited] == [1]


async def test_another_user_goes_on_for_one_who_is_cancelled(
    autojump_clock: MockClock,
) -> None:
    async with Door().running() as door, trio.open_nursery() as nursery:
        door.is_open = False
        reconnector = Reconnector(door.connect, backoff=STEADY)
        held: list[Text] = []
        with trio.move_on_after(2) as scope:
            nursery.start_soon(wait_and_hold, reconnector, held)
            await hold(reconnector, held, trio.Event())
        assert scope.cancelled_caught
        door.is_open = True
        await trio.sleep(1)
        await wait_all_tasks_blocked()
        assert len(held) == 1
        assert door.knocks == [0, 1, 3]
        nursery.cancel_scope.cancel()


async def wait_and_hold(reconnector: Reconnector[str, str], held: list[Text]) -> None:
    await wait_all_tasks_blocked()
    await hold(reconnector, held, trio.Event())


async def test_a_server_that_was_healthy_for_long_is_not_blamed_for_the_past(
    autojump_clock: MockClock,
) -> None:
    async with Door().running() as door, trio.open_nursery() as nursery:
        door.is_open = False
        reconnector = Reconnector(door.connect, backoff=STEADY)
        nursery.start_soon(want, reconnector)
        await trio.sleep(10)
        door.is_open = True
        await reconnector.wait_for(Ready)  # after failures at 0, 1, 3 and 7 s
        await trio.sleep(STEADY.healthy)
        door.is_open = False
        nursery.start_soon(want, reconnector)
        state = await reconnector.wait_for(Waiting)
        assert state.seconds == 1
        nursery.cancel_scope.cancel()


async def test_a_mistake_in_prepare_leaves_as_itself_and_stops_nothing(
    autojump_clock: MockClock,
) -> None:
    async def log_in(_connection: Text) -> None:
        if len(door.knocks) == 1:
            raise KeyError("name")

    async with Door().running() as door:
        reconnector = Reconnector(door.connect, backoff=STEADY, prepare=log_in)
        with pytest.raises(KeyError, match="name"):
            async with reconnector.next():
                pytest.fail("it is not prepared")
        assert door.open == 0
        async with reconnector.next() as connection:
            await connection.send("hello")
            assert await connection.receive() == "hello"


async def test_failures_in_a_group_are_failures_and_mistakes_mistakes(
    autojump_clock: MockClock,
) -> None:
    async def log_in(_connection: Text) -> None:
        raise groups.pop(0)

    lost = trio_tcp.ConnectionBroken()
    groups = [
        ExceptionGroup("from a nursery", [lost, ConnectionResetError()]),
        ExceptionGroup("from another", [lost, KeyError("name")]),
    ]
    async with Door().running() as door:
        reconnector = Reconnector(door.connect, backoff=STEADY, prepare=log_in)
        with pytest.RaisesGroup(trio_tcp.ConnectionBroken, KeyError):
            async with reconnector.next():
                pytest.fail("it is not prepared")
        assert door.knocks == [0, 1]


async def test_what_opens_a_connection_is_not_a_connection(
    autojump_clock: MockClock,
) -> None:
    opened = trio_tcp.connect_tcp("localhost", 1, codec=codecs.Lines())
    with pytest.raises(TypeError, match=r"functools\.partial\(connect_tcp"):
        Reconnector(opened, backoff=STEADY)  # type: ignore[arg-type] # the point


async def test_a_user_may_wait_in_any_scope(
    autojump_clock: MockClock,
) -> None:
    async with Door().running() as door:
        door.is_open = False
        reconnector = Reconnector(door.connect, backoff=STEADY)
        with trio.move_on_after(0.5):
            await want(reconnector)
        with pytest.raises(trio.TooSlowError), trio.fail_after(1):
            await want(reconnector)
        door.is_open = True
        async with reconnector.next() as connection:
            assert door.knocks == [0, 1, 3]
            await connection.send("hello")
