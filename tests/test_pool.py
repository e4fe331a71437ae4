"""A pool of connections: who gets which, and which nobody gets any more."""

from __future__ import annotations

import math
import traceback
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.backend import LINES, Backend, Text, number_of
from trio_tcp import Backoff, DiscardReason, testing

STEADY = Backoff(initial=1, factor=1, jitter="none")


@pytest.fixture
def backend() -> Backend:
    return Backend()


async def hold(pool: trio_tcp.Pool[str, str]) -> None:
    """Hold a connection until cancelled."""
    async with pool.connection():
        await trio.sleep_forever()


async def fill(pool: trio_tcp.Pool[str, str], count: int) -> None:
    """Have so many connections made, and give them back, the first one last."""
    if count:
        async with pool.connection():
            await fill(pool, count - 1)
        await wait_all_tasks_blocked()


async def touch(pool: trio_tcp.Pool[str, str]) -> int:
    """Use a connection for nothing, and say which it was."""
    async with pool.connection() as connection:
        return number_of(connection)


def discarded(pool: trio_tcp.Pool[str, str]) -> dict[DiscardReason, int]:
    return dict(pool.statistics().discarded)


# Lending ----------------------------------------------------------------------------


async def test_a_connection_is_made_when_needed_and_used_again(
    backend: Backend,
) -> None:
    async with trio_tcp.open_pool(backend.connect, size=10) as pool:
        await wait_all_tasks_blocked()
        assert not backend.peers
        for _ in range(5):
            assert await touch(pool) == 0
            await wait_all_tasks_blocked()
    assert len(backend.peers) == 1


async def test_one_after_the_other_needs_one_connection(backend: Backend) -> None:
    """Also where it is asked for again at the moment it is given back."""
    async with trio_tcp.open_pool(backend.connect, size=10) as pool:
        for _ in range(40):
            assert await touch(pool) == 0
    assert len(backend.attempts) == 1


async def test_a_dialogue_goes_through(backend: Backend) -> None:
    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        for _ in range(3):
            async with pool.connection() as connection:
                await connection.send("question")
                assert await backend.peers[0].receive_some() == b"question\n"
                await backend.peers[0].send_all(b"answer\n")
                assert await connection.receive() == "answer"
    assert len(backend.peers) == 1


async def test_the_most_recently_used_is_handed_out_first(
    backend: Backend, nursery: trio.Nursery
) -> None:
    async with trio_tcp.open_pool(backend.connect, size=10) as pool:
        leave = [trio.Event() for _ in range(3)]

        async def use(number: int) -> None:
            async with pool.connection():
                await leave[number].wait()

        for number in range(3):
            nursery.start_soon(use, number)
            await wait_all_tasks_blocked()
        for number in (1, 2, 0):
            leave[number].set()
            await wait_all_tasks_blocked()
        async with pool.connection() as first, pool.connection() as second:
            assert [number_of(first), number_of(second)] == [0, 2]
            assert await touch(pool) == 1


async def test_there_are_never_more_than_size_and_those_who_wait_come_in_turn(
    backend: Backend,
) -> None:
    asked: list[int] = []
    served: list[int] = []
    async with trio_tcp.open_pool(backend.connect, size=3) as pool:

        async def use(number: int) -> None:
            asked.append(number)
            async with pool.connection():
                served.append(number)
                for _ in range(number % 4):
                    await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(use, number)
    assert backend.most_open == 3
    assert len(served) == 50
    # Those who are served at the same moment run in any order.
    places = [asked.index(number) for number in served]
    assert all(abs(place - turn) < 3 for turn, place in enumerate(places))


async def test_a_connection_that_closes_still_counts(
    backend: Backend, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """The peer does not close its side: the graceful close takes its time."""
    backend.linger = 5
    async with trio_tcp.open_pool(backend.connect, size=1, max_idle=1) as pool:
        await touch(pool)
        await trio.sleep(2)
        assert pool.statistics().open == backend.open == 1
        assert await touch(pool) == 1
        assert backend.most_open == 1
        assert trio.current_time() == pytest.approx(6, abs=0.1)


async def test_whoever_leaves_the_line_is_passed_over(
    backend: Backend, nursery: trio.Nursery
) -> None:
    served: list[str] = []

    async def use(name: str, scope: trio.CancelScope) -> None:
        with scope:
            async with pool.connection():
                served.append(name)

    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        async with pool.connection():
            scopes = {name: trio.CancelScope() for name in "abc"}
            for name, scope in scopes.items():
                nursery.start_soon(use, name, scope)
                await wait_all_tasks_blocked()
            scopes["b"].cancel()
            await wait_all_tasks_blocked()
            assert pool.statistics().waiting == 2
        await wait_all_tasks_blocked()
        assert served == ["a", "c"]


async def test_who_is_cancelled_as_he_is_served_gives_it_back_or_has_not_got_it(
    backend: Backend, autojump_clock: MockClock
) -> None:
    for _ in range(40):
        async with trio_tcp.open_pool(backend.connect, size=1) as pool:
            async with trio.open_nursery() as nursery:
                async with pool.connection():
                    nursery.start_soon(touch, pool)
                    await wait_all_tasks_blocked()
                    nursery.cancel_scope.cancel()
            with trio.fail_after(1):
                await touch(pool)


async def test_asking_when_already_cancelled_starts_nothing(backend: Backend) -> None:
    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        with trio.CancelScope() as scope:
            scope.cancel()
            await touch(pool)
        await wait_all_tasks_blocked()
        assert not backend.attempts


async def test_a_connection_made_for_one_who_left_serves_the_next(
    backend: Backend,
) -> None:
    backend.gate = trio.Event()
    async with trio_tcp.open_pool(backend.connect, size=5) as pool:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(touch, pool)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        backend.gate.set()
        await wait_all_tasks_blocked()
        assert pool.statistics().idle == 1
        assert await touch(pool) == 0
    assert len(backend.attempts) == 1


async def test_an_idle_connection_is_not_left_alone_for_one_that_is_being_made(
    backend: Backend, nursery: trio.Nursery
) -> None:
    async with trio_tcp.open_pool(backend.connect, size=2) as pool:
        async with pool.connection():
            backend.gate = trio.Event()
            with trio.CancelScope() as scope:
                nursery.start_soon(cancel_when_all_wait, scope)
                await touch(pool)
        await wait_all_tasks_blocked()
        assert pool.statistics().connecting == 1
        assert await touch(pool) == 0


async def cancel_when_all_wait(scope: trio.CancelScope) -> None:
    await wait_all_tasks_blocked()
    scope.cancel()


async def test_each_connection_is_prepared_once(backend: Backend) -> None:
    prepared: list[int] = []

    async def prepare(connection: Text) -> None:
        prepared.append(number_of(connection))

    async with trio_tcp.open_pool(backend.connect, size=2, prepare=prepare) as pool:
        async with pool.connection(), pool.connection():
            pass
        await wait_all_tasks_blocked()
        await touch(pool)
    assert prepared == [0, 1]


# Giving back ------------------------------------------------------------------------


async def test_a_block_that_raises_discards(backend: Backend) -> None:
    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        error = KeyError("mine")
        with pytest.raises(KeyError) as caught:
            async with pool.connection():
                raise error
        assert caught.value is error
        assert await touch(pool) == 1
        assert discarded(pool) == {DiscardReason.UNFINISHED: 1}
        with pytest.raises(trio.BrokenResourceError):
            await backend.peers[0].receive_some()


async def test_a_block_that_is_cancelled_discards_and_does_not_wait(
    backend: Backend, autojump_clock: MockClock
) -> None:
    """Closing gracefully would take seconds: this peer does not close."""
    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        with trio.move_on_after(1):
            async with pool.connection() as connection:
                await connection.send("question")
                await connection.receive()
        assert trio.current_time() == pytest.approx(1)
        assert await touch(pool) == 1
        assert trio.current_time() == pytest.approx(1)
        assert discarded(pool) == {DiscardReason.UNFINISHED: 1}


async def test_a_scope_inside_the_block_that_cancels_receive_discards(
    backend: Backend, autojump_clock: MockClock
) -> None:
    """The reply will come, and must not be the next one's."""
    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        async with pool.connection() as connection:
            await connection.send("question")
            with trio.move_on_after(1):
                await connection.receive()
        assert await touch(pool) == 1
        assert discarded(pool) == {DiscardReason.UNFINISHED: 1}


async def test_a_receive_that_was_cancelled_before_it_began_discards(
    backend: Backend,
) -> None:
    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        async with pool.connection() as connection:
            with trio.CancelScope() as scope:
                await connection.send("question")
                scope.cancel()
                await connection.receive()
        assert await touch(pool) == 1


async def test_other_waits_in_the_block_may_be_cancelled(
    backend: Backend, autojump_clock: MockClock
) -> None:
    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        async with pool.connection():
            with trio.move_on_after(1):
                await trio.sleep_forever()
        assert await touch(pool) == 0


@pytest.mark.parametrize("opaque", [False, True])
@pytest.mark.parametrize("sent", [b"late\n", b"half", b"two\nlines\n"])
async def test_a_reply_that_nobody_received_is_not_the_next_ones(
    backend: Backend, sent: bytes, *, opaque: bool
) -> None:
    """Though the next one waits, and gets his connection as soon as it is free."""
    backend.opaque = opaque
    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        async with trio.open_nursery() as nursery:
            async with pool.connection():
                await backend.peers[0].send_all(sent)
                nursery.start_soon(touch, pool)
                await wait_all_tasks_blocked()
        assert len(backend.peers) == 2
        assert discarded(pool) == {DiscardReason.UNREAD: 1}


@pytest.mark.parametrize("opaque", [False, True])
async def test_nor_is_it_on_a_machine_so_busy_that_time_jumps(
    backend: Backend, autojump_clock: MockClock, *, opaque: bool
) -> None:
    backend.opaque = opaque

    async def let_time_fly() -> None:
        while True:
            autojump_clock.jump(1)
            await trio.lowlevel.checkpoint()

    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        async with trio.open_nursery() as nursery:
            async with pool.connection():
                await backend.peers[0].send_all(b"late\n")
                nursery.start_soon(let_time_fly)
            assert await touch(pool) == 1
            nursery.cancel_scope.cancel()
        assert discarded(pool) == {DiscardReason.UNREAD: 1}


async def test_a_reply_that_was_read_with_another_is_not_the_next_ones(
    backend: Backend,
) -> None:
    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        async with pool.connection() as connection:
            await backend.peers[0].send_all(b"one\ntwo\n")
            assert await connection.receive() == "one"
        assert await touch(pool) == 1
        assert discarded(pool) == {DiscardReason.UNREAD: 1}


async def test_what_was_read_ahead_is_not_the_next_ones(backend: Backend) -> None:
    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        async with pool.connection() as connection:
            async with connection.cancel_on_disconnect():
                await backend.peers[0].send_all(b"early\n")
                await wait_all_tasks_blocked()
        assert await touch(pool) == 1
        assert discarded(pool) == {DiscardReason.UNREAD: 1}


@pytest.mark.parametrize("how", ["abort", "aclose", "send_eof", "detach", "reset"])
async def test_a_connection_that_is_not_open_any_more_is_not_handed_out(
    backend: Backend, how: str
) -> None:
    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        async with pool.connection() as connection:
            match how:
                case "abort":
                    connection.abort()
                case "aclose":
                    await connection.aclose()
                case "send_eof":
                    await connection.send_eof()
                case "detach":
                    stream, _ = await connection.detach()
                    await stream.aclose()
                case _:
                    backend.peers[0].reset()
                    with pytest.raises(trio_tcp.ConnectionBroken):
                        await connection.receive()
        async with pool.connection() as connection:
            assert number_of(connection) == 1
            await connection.send("it works")
        assert discarded(pool) == {DiscardReason.ENDED: 1}


async def test_a_connection_that_another_task_receives_from_is_not_handed_out(
    backend: Backend, nursery: trio.Nursery
) -> None:
    async def receive(connection: Text) -> None:
        with pytest.raises(trio.ClosedResourceError):
            await connection.receive()

    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        async with pool.connection() as connection:
            nursery.start_soon(receive, connection)
            await wait_all_tasks_blocked()
        assert await touch(pool) == 1
        assert discarded(pool) == {DiscardReason.UNFINISHED: 1}


async def test_a_task_that_goes_on_with_it_does_not_disturb_the_pool(
    backend: Backend, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async def receive(connection: Text) -> None:
        with pytest.raises((trio.BusyResourceError, trio.ClosedResourceError)):
            await connection.receive()

    backend.opaque = True  # so that the pool has to receive, too
    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        for _ in range(20):
            async with pool.connection() as connection:
                nursery.start_soon(receive, connection)
            await touch(pool)


# While idle -------------------------------------------------------------------------


@pytest.mark.parametrize("opaque", [False, True])
@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("whole", DiscardReason.UNREAD),
        ("half", DiscardReason.UNREAD),
        ("garbage", DiscardReason.ENDED),
        ("end", DiscardReason.ENDED),
        ("reset", DiscardReason.ENDED),
    ],
)
async def test_what_an_idle_connection_says_or_does_is_noticed(
    backend: Backend, how: str, reason: DiscardReason, *, opaque: bool
) -> None:
    backend.opaque = opaque
    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        await touch(pool)
        await wait_all_tasks_blocked()
        await happen(backend.peers[0], how)
        await wait_all_tasks_blocked()
        if how != "half":  # it might still become whole, and be noticed then
            assert pool.statistics().open == 0
        assert await touch(pool) == 1
        assert discarded(pool) == {reason: 1}


@pytest.mark.parametrize("how", ["whole", "half", "garbage", "end", "reset"])
async def test_what_has_happened_just_now_is_noticed_too(
    backend: Backend, how: str
) -> None:
    """The pool has had no time yet to read it."""
    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        await touch(pool)
        await wait_all_tasks_blocked()
        await happen(backend.peers[0], how)
        assert await touch(pool) == 1


async def happen(peer: testing.MemoryStream, how: str) -> None:
    """Let something happen; when this returns nobody has had time to notice."""
    match how:
        case "reset":
            await trio.lowlevel.checkpoint()
            peer.reset()
        case "end":
            await peer.send_eof()
        case "whole":
            await peer.send_all(b"unasked\n")
        case "half":
            await peer.send_all(b"unas")
        case _:
            await peer.send_all(b"much too long for a line")


async def test_who_is_idle_for_too_long_is_closed_gracefully(
    backend: Backend, autojump_clock: MockClock
) -> None:
    async with trio_tcp.open_pool(backend.connect, size=1, max_idle=10) as pool:
        await touch(pool)
        await trio.sleep(9)
        await touch(pool)
        await trio.sleep(9)
        assert pool.statistics().idle == 1
        await trio.sleep(2)
        assert pool.statistics().idle == 0
        assert discarded(pool) == {DiscardReason.IDLE: 1}
        assert await backend.peers[0].receive_some() == b""  # not a reset
        assert len(backend.attempts) == 1


async def test_what_is_in_surplus_ages_out(
    backend: Backend, autojump_clock: MockClock
) -> None:
    async with trio_tcp.open_pool(backend.connect, size=5, max_idle=10) as pool:
        await fill(pool, 5)
        for _ in range(20):
            await trio.sleep(1)
            await touch(pool)
        await wait_all_tasks_blocked()
        assert pool.statistics().idle == 1
        assert len(backend.peers) == 5


async def test_the_connections_own_idle_timeout_counts_too(
    autojump_clock: MockClock,
) -> None:
    async def sleep(_connection: Text) -> None:
        await trio.sleep_forever()

    short = trio_tcp.Timeouts(idle=5, linger=1)
    async with testing.serve_in_memory(sleep, LINES) as served:

        @asynccontextmanager
        async def connect() -> AsyncGenerator[Text, None]:
            async with served.connect() as connection:
                connection.timeouts = short
                yield connection

        async with trio_tcp.open_pool(connect, size=1, max_idle=100) as pool:
            async with pool.connection():
                pass
            await trio.sleep(6)
            assert discarded(pool) == {DiscardReason.ENDED: 1}


@pytest.mark.parametrize("idle", [True, False])
async def test_who_is_too_old_is_closed(
    backend: Backend, autojump_clock: MockClock, *, idle: bool
) -> None:
    async with trio_tcp.open_pool(
        backend.connect, size=1, max_idle=math.inf, max_lifetime=100
    ) as pool:
        async with pool.connection() as connection:
            if not idle:
                await trio.sleep(101)
                assert connection.close_reason is None
        await trio.sleep(101 if idle else 1)
        assert discarded(pool) == {DiscardReason.OLD: 1}
        assert await backend.peers[0].receive_some() == b""
        assert await touch(pool) == 1


async def test_those_who_were_made_together_do_not_end_together(
    backend: Backend, autojump_clock: MockClock
) -> None:
    async with trio_tcp.open_pool(
        backend.connect,
        size=10,
        max_idle=math.inf,
        max_lifetime=100,
        random=Random(1),
    ) as pool:
        await fill(pool, 10)
        ends: list[float] = []
        for peer in backend.peers:
            assert await peer.receive_some() == b""
            await peer.aclose()
            ends.append(trio.current_time())
        assert min(ends) >= 95
        assert max(ends) <= 100
        assert len(set(ends)) > 1


class Zero(Random):
    """Draws nothing but zeros: lives are as long as they may be."""

    def random(self) -> float:
        return 0.0


async def test_who_asks_at_the_moment_of_its_end_does_not_wait_until_it_is_closed(
    backend: Backend, autojump_clock: MockClock
) -> None:
    backend.linger = 5
    for _ in range(20):
        async with trio_tcp.open_pool(
            backend.connect, size=2, max_lifetime=10, random=Zero()
        ) as pool:
            begun = trio.current_time()
            await touch(pool)
            await trio.sleep_until(begun + 10)
            await touch(pool)
            assert trio.current_time() == begun + 10


# Checking ---------------------------------------------------------------------------


async def test_only_who_was_idle_is_checked(
    backend: Backend, nursery: trio.Nursery
) -> None:
    checked: list[int] = []

    async def check(connection: Text) -> None:
        checked.append(number_of(connection))

    async with trio_tcp.open_pool(backend.connect, size=1, check=check) as pool:
        async with pool.connection():
            nursery.start_soon(touch, pool)
            await wait_all_tasks_blocked()
        await wait_all_tasks_blocked()
        assert checked == []
        async with pool.connection():
            assert checked == [0]
            nursery.start_soon(touch, pool)
            await wait_all_tasks_blocked()
        await wait_all_tasks_blocked()
        assert checked == [0]


@pytest.mark.parametrize(
    "error",
    [
        trio.TooSlowError(),
        trio.BrokenResourceError("no pong"),
        OSError(5, "no"),
        ExceptionGroup("of a nursery", [trio.TooSlowError()]),
    ],
)
async def test_when_a_check_fails_the_next_is_tried(
    backend: Backend, error: Exception
) -> None:
    checked: list[int] = []

    async def check(connection: Text) -> None:
        checked.append(number_of(connection))
        if number_of(connection) < 2:
            raise error

    async with trio_tcp.open_pool(backend.connect, size=3, check=check) as pool:
        await fill(pool, 3)
        await wait_all_tasks_blocked()
        assert await touch(pool) == 2
        assert checked == [0, 1, 2]
        assert discarded(pool) == {DiscardReason.CHECK_FAILED: 2}


@pytest.mark.parametrize("how", ["abort", "unread", "cancelled"])
async def test_a_check_that_leaves_a_connection_unfit_has_failed(
    backend: Backend, how: str, autojump_clock: MockClock
) -> None:
    async def check(connection: Text) -> None:
        match how:
            case "abort":
                connection.abort()
            case "unread":
                await backend.peers[0].send_all(b"one\ntwo\n")
                await connection.receive()
            case _:
                with trio.move_on_after(0):
                    await connection.receive()

    async with trio_tcp.open_pool(backend.connect, size=1, check=check) as pool:
        await touch(pool)
        await wait_all_tasks_blocked()
        assert await touch(pool) == 1
        assert discarded(pool) == {DiscardReason.CHECK_FAILED: 1}


async def test_a_mistake_in_a_check_is_not_hidden(backend: Backend) -> None:
    async def check(_connection: Text) -> None:
        raise ZeroDivisionError

    async with trio_tcp.open_pool(backend.connect, size=1, check=check) as pool:
        await touch(pool)
        await wait_all_tasks_blocked()
        with pytest.raises(ZeroDivisionError):
            await touch(pool)
        assert await touch(pool) == 1  # which was not idle


async def test_a_check_that_is_cancelled_discards(
    backend: Backend, autojump_clock: MockClock
) -> None:
    async def check(connection: Text) -> None:
        await connection.send("PING")
        await connection.receive()

    async with trio_tcp.open_pool(backend.connect, size=1, check=check) as pool:
        await touch(pool)
        await trio.sleep(1)
        with trio.move_on_after(1) as scope:
            await touch(pool)
        assert scope.cancelled_caught
        assert await touch(pool) == 1
        assert discarded(pool) == {DiscardReason.UNFINISHED: 1}


async def test_whose_check_fails_does_not_lose_his_place(
    backend: Backend, nursery: trio.Nursery
) -> None:
    served: list[str] = []
    checking = trio.Event()

    async def check(_connection: Text) -> None:
        await checking.wait()
        raise trio.TooSlowError

    async def use(name: str) -> None:
        async with pool.connection():
            served.append(name)

    async with trio_tcp.open_pool(backend.connect, size=1, check=check) as pool:
        await touch(pool)
        await wait_all_tasks_blocked()
        for name in "abc":
            nursery.start_soon(use, name)
            await wait_all_tasks_blocked()
        checking.set()
        await wait_all_tasks_blocked()
        assert served == ["a", "b", "c"]


# A server that is down --------------------------------------------------------------


async def test_those_who_wait_share_one_backoff(
    backend: Backend, autojump_clock: MockClock
) -> None:
    backend.refuse_with = ConnectionRefusedError("down")
    async with trio_tcp.open_pool(backend.connect, size=10, backoff=STEADY) as pool:
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(touch, pool)
            await trio.sleep(5.5)
            assert backend.attempts == [0, 1, 2, 3, 4, 5]
            assert pool.statistics().waiting == 10
            assert pool.statistics().longest_wait == 5.5
            assert isinstance(pool.state, trio_tcp.Waiting)
            assert pool.state.error is backend.refuse_with
            backend.refuse_with = None
        assert trio.current_time() == pytest.approx(6)


async def test_whoever_waits_waits_as_long_as_he_wants(
    backend: Backend, autojump_clock: MockClock
) -> None:
    backend.refuse_with = ConnectionRefusedError("down")
    async with trio_tcp.open_pool(backend.connect, size=1, backoff=STEADY) as pool:
        with pytest.raises(trio.TooSlowError):
            with trio.fail_after(3.5):
                await touch(pool)
        assert trio.current_time() == 3.5


async def test_a_server_that_nobody_wants_is_not_asked(
    backend: Backend, autojump_clock: MockClock
) -> None:
    backend.refuse_with = ConnectionRefusedError("down")
    async with trio_tcp.open_pool(backend.connect, size=5, backoff=STEADY) as pool:
        with trio.move_on_after(2.5):
            async with trio.open_nursery() as nursery:
                for _ in range(5):
                    nursery.start_soon(touch, pool)
        await trio.sleep(100)
        assert backend.attempts == [0, 1, 2]
        assert pool.statistics().connecting == 0
        backend.refuse_with = None
        await touch(pool)
        assert len(backend.peers) == 1


async def test_a_permanent_error_is_raised_to_all_who_wait(
    backend: Backend,
) -> None:
    """Each raises its own: none adds to what another shows of its way."""
    backend.refuse_with = PermissionError("wrong password")
    raised: list[PermissionError] = []
    async with trio_tcp.open_pool(
        backend.connect, size=2, is_permanent=lambda error: error.args == error.args
    ) as pool:

        async def ask() -> None:
            with pytest.raises(PermissionError) as caught:
                await touch(pool)
            raised.append(caught.value)

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(ask)
        for _ in range(5):
            await ask()
        assert len(backend.attempts) == 1
    assert {str(error) for error in raised} == {"wrong password"}
    assert len(set(map(id, raised))) == 10
    lengths = [len(traceback.extract_tb(error.__traceback__)) for error in raised]
    assert lengths == lengths[:1] * 5 + lengths[-1:] * 5


async def test_after_so_many_attempts_it_gives_up(
    backend: Backend, autojump_clock: MockClock
) -> None:
    backend.refuse_with = ConnectionRefusedError("down")
    backoff = Backoff(initial=1, factor=1, jitter="none", max_attempts=3)
    async with trio_tcp.open_pool(backend.connect, size=1, backoff=backoff) as pool:
        with pytest.raises(ConnectionRefusedError):
            await touch(pool)
        assert len(backend.attempts) == 3


@pytest.mark.parametrize("where", ["connect", "prepare"])
async def test_a_mistake_in_the_program_is_raised_to_all_who_wait(
    backend: Backend, where: str
) -> None:
    raised: list[ZeroDivisionError] = []

    async def prepare(_connection: Text) -> None:
        raise ZeroDivisionError("a mistake")

    if where == "connect":
        backend.refuse_with = ZeroDivisionError("a mistake")
    async with trio_tcp.open_pool(backend.connect, size=2, prepare=prepare) as pool:

        async def ask() -> None:
            with pytest.raises(ZeroDivisionError) as caught:
                await touch(pool)
            raised.append(caught.value)

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(ask)
    assert {str(error) for error in raised} == {"a mistake"}
    assert len(set(map(id, raised))) == 5
    assert backend.open == 0


async def test_a_connection_that_does_not_end_well_is_nobodys_concern(
    backend: Backend, autojump_clock: MockClock
) -> None:
    @asynccontextmanager
    async def connect() -> AsyncGenerator[Text, None]:
        async with backend.connect() as connection:
            yield connection
        await trio.sleep(1)
        raise OSError(5, "could not be closed")

    async with trio_tcp.open_pool(connect, size=1) as pool:
        async with pool.connection() as connection:
            connection.abort()
        assert await touch(pool) == 1
        assert trio.current_time() == 1


async def test_a_server_that_closes_idle_connections_is_not_down(
    backend: Backend, autojump_clock: MockClock
) -> None:
    async with trio_tcp.open_pool(backend.connect, size=1, backoff=STEADY) as pool:
        for number in range(5):
            assert await touch(pool) == number
            await trio.sleep(0.25)
            await backend.peers[number].aclose()
            await wait_all_tasks_blocked()
        assert trio.current_time() == 1.25


async def test_a_server_that_closes_every_new_connection_is_not_asked_at_once_again(
    backend: Backend, autojump_clock: MockClock
) -> None:
    async with trio_tcp.open_pool(backend.connect, size=1, backoff=STEADY) as pool:
        for number in range(3):
            with pytest.raises(trio_tcp.ConnectionBroken):
                async with pool.connection() as connection:
                    backend.peers[number].reset()
                    await connection.receive()
        assert backend.attempts == [0, 1, 2]
        await wait_all_tasks_blocked()
        assert discarded(pool) == {DiscardReason.ENDED: 3}


async def test_a_connection_that_has_served_may_break_and_the_next_is_made_at_once(
    backend: Backend, autojump_clock: MockClock
) -> None:
    async with trio_tcp.open_pool(backend.connect, size=1, backoff=STEADY) as pool:
        await touch(pool)
        with pytest.raises(trio_tcp.ConnectionBroken):
            async with pool.connection() as connection:
                backend.peers[0].reset()
                await connection.receive()
        await touch(pool)
        assert backend.attempts == [0, 0]


async def test_an_end_before_it_was_ever_used_is_no_reason_to_wait(
    backend: Backend, autojump_clock: MockClock
) -> None:
    backend.gate = trio.Event()
    async with trio_tcp.open_pool(backend.connect, size=1, backoff=STEADY) as pool:
        with trio.move_on_after(1):
            await touch(pool)
        backend.gate.set()
        await wait_all_tasks_blocked()
        await backend.peers[0].aclose()
        await wait_all_tasks_blocked()
        await touch(pool)
        assert backend.attempts == [0, 1]


# Leaving the pool -------------------------------------------------------------------


async def test_at_the_end_idle_connections_are_closed_gracefully(
    backend: Backend,
) -> None:
    async with trio_tcp.open_pool(backend.connect, size=2) as pool:
        async with pool.connection() as first, pool.connection():
            await first.send("goodbye")
    assert backend.open == 0
    assert await backend.peers[0].receive_some() == b"goodbye\n"
    assert await backend.peers[0].receive_some() == b""
    assert await backend.peers[1].receive_some() == b""


async def test_at_the_end_whoever_uses_or_waits_is_told(
    backend: Backend, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    told: list[str] = []

    async def use() -> None:
        with pytest.raises(trio_tcp.ConnectionClosedError):
            async with pool.connection() as connection:
                await connection.receive()
        told.append("in use")

    async def wait() -> None:
        with pytest.raises(trio_tcp.PoolClosedError):
            await touch(pool)
        told.append("waiting")

    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        nursery.start_soon(use)
        await wait_all_tasks_blocked()
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
    assert trio.current_time() == 0
    assert backend.open == 0
    await wait_all_tasks_blocked()
    assert sorted(told) == ["in use", "waiting"]
    with pytest.raises(trio.ClosedResourceError):
        await touch(pool)


async def test_at_the_end_attempts_are_broken_off(
    backend: Backend, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async def wait() -> None:
        with pytest.raises(trio_tcp.PoolClosedError):
            await touch(pool)

    backend.gate = trio.Event()
    async with trio_tcp.open_pool(backend.connect, size=3) as pool:
        for _ in range(3):
            nursery.start_soon(wait)
        await wait_all_tasks_blocked()
    assert trio.current_time() == 0


@pytest.mark.parametrize(
    "error",
    [
        ValueError("mine"),
        KeyboardInterrupt("mine"),
        ExceptionGroup("mine", [ValueError(), KeyError()]),
    ],
)
async def test_what_the_block_raises_leaves_as_itself(
    backend: Backend, error: BaseException, autojump_clock: MockClock
) -> None:
    with pytest.raises(type(error)) as caught:
        async with trio_tcp.open_pool(backend.connect, size=3) as pool:
            await touch(pool)
            async with pool.connection():
                raise error
    assert caught.value is error
    assert backend.open == 0
    assert trio.current_time() == 0


async def test_a_cancelled_pool_does_not_wait(
    backend: Backend, autojump_clock: MockClock
) -> None:
    with trio.move_on_after(1):
        async with trio_tcp.open_pool(backend.connect, size=3) as pool:
            async with pool.connection(), pool.connection():
                pass
            await trio.sleep_forever()
    assert backend.open == 0
    assert trio.current_time() == 1


async def test_when_the_pool_is_cancelled_whoever_waits_outside_is_told_at_once(
    backend: Backend, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Though the pool's block takes its time to end."""
    told: list[float] = []

    async def wait() -> None:
        with pytest.raises(trio_tcp.PoolClosedError):
            await touch(pool)
        told.append(trio.current_time())

    backend.gate = trio.Event()
    with trio.move_on_after(1):
        async with trio_tcp.open_pool(backend.connect, size=1) as pool:
            nursery.start_soon(wait)
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(5)
    assert told == [1]


# Looking at it ----------------------------------------------------------------------


async def test_statistics_tell_who_is_where(
    backend: Backend, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async with trio_tcp.open_pool(backend.connect, size=3) as pool:
        async with pool.connection():
            nursery.start_soon(hold, pool)
            await wait_all_tasks_blocked()
        await wait_all_tasks_blocked()
        backend.gate = trio.Event()
        for _ in range(3):
            nursery.start_soon(hold, pool)
        await wait_all_tasks_blocked()
        await trio.sleep(2)
        assert pool.statistics() == trio_tcp.PoolStatistics(
            open=2,
            idle=0,
            in_use=2,
            connecting=1,
            waiting=2,
            longest_wait=2,
            made=2,
            discarded={},
        )
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "options",
    [
        {"size": 0},
        {"size": -1},
        {"size": 1.5},
        {"size": math.inf},
        {"size": True},
        {"size": 1, "max_idle": -1},
        {"size": 1, "max_lifetime": math.nan},
    ],
)
async def test_numbers_that_make_no_sense_are_refused(
    backend: Backend, options: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=list(options)[-1]):
        async with trio_tcp.open_pool(backend.connect, **options):
            pass


async def test_a_connection_is_not_a_way_to_connect(backend: Backend) -> None:
    with pytest.raises(TypeError, match="each time"):
        async with trio_tcp.open_pool(backend.connect(), size=1):  # type: ignore[arg-type] # so it says
            pass
