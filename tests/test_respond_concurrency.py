"""`respond` with several requests of one connection at once, in virtual time."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal, TypeAlias, assert_type

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.integration.loopback import Record
from trio_tcp import CloseReason, Concurrency, codecs, respond, testing

Text: TypeAlias = trio_tcp.Connection[str, str]
Handler: TypeAlias = trio_tcp.Handler[str, str]
Replies: TypeAlias = Literal["in_order", "as_ready"]

LINES = codecs.Lines(max_bytes=1 << 20)
A_LONG_TIME = 10_000

in_either_order = pytest.mark.parametrize("replies", ["in_order", "as_ready"])


class Work:
    """A function that takes as many seconds as its request says, and keeps books.

    Attributes:
        begun: requests, in the order in which they were begun.
        running: how many are under way now.
        most: how many were, at most.
        cancelled: those that were cancelled.
    """

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.running = 0
        self.most = 0
        self.cancelled: list[str] = []

    async def __call__(self, request: str) -> str | None:
        self.begun.append(request)
        self.running += 1
        self.most = max(self.most, self.running)
        name, _, seconds = request.partition(" ")
        try:
            await trio.sleep(float(seconds))
        except trio.Cancelled:
            self.cancelled.append(request)
            raise
        finally:
            self.running -= 1
        return f"did {name}"


def busy(request: str) -> str:
    return f"busy: {request.partition(' ')[0]}"


def apologise(error: Exception, request: str | None) -> str:
    return f"{type(error).__name__}: {request}"


@asynccontextmanager
async def asking(
    handler: Handler, *, timeouts: trio_tcp.Timeouts | None = None
) -> AsyncGenerator[tuple[Text, testing.MemoryServer[str], Record], None]:
    """Serve, and connect a client that waits without end."""
    record = Record()
    async with testing.serve_in_memory(
        handler, LINES, observer=record, timeouts=timeouts or trio_tcp.Timeouts()
    ) as served:
        stream = await served.listener.connect()
        patient = trio_tcp.Timeouts(idle=math.inf, linger=1)
        async with trio_tcp.open_connection(
            stream, codec=LINES, timeouts=patient
        ) as client:
            yield client, served, record
            client.abort()


async def replies_to(handler: Handler, requests: list[str]) -> list[tuple[str, float]]:
    """Ask all at once; return what comes, and when, up to the server's end."""
    async with asking(handler) as (client, _, _):
        began = trio.current_time()
        await client.send_many(requests)
        await client.send_eof()
        return [(reply, trio.current_time() - began) async for reply in client]


# How many at once ---------------------------------------------------------------------


@in_either_order
async def test_as_many_are_under_way_as_allowed(
    autojump_clock: MockClock, replies: Replies
) -> None:
    work = Work()
    handler = respond(work, concurrency=Concurrency(limit=3, queue=5, replies=replies))
    got = await replies_to(handler, [f"{n} 1" for n in range(9)])
    assert sorted(reply for reply, _ in got) == [f"did {n}" for n in range(9)]
    assert [at for _, at in got] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert work.most == 3


@in_either_order
async def test_requests_are_begun_in_their_order(
    autojump_clock: MockClock, replies: Replies
) -> None:
    """Trio starts tasks in any order; with one at a time, requests are not."""
    work = Work()
    handler = respond(work, concurrency=Concurrency(limit=1, queue=20, replies=replies))
    requests = [f"{n} 0.{n % 3}" for n in range(50)]
    await replies_to(handler, requests)
    assert work.begun == requests
    assert work.most == 1


async def test_one_connections_requests_do_not_count_for_another(
    autojump_clock: MockClock,
) -> None:
    work = Work()
    handler = respond(work, concurrency=Concurrency(limit=2))
    async with asking(handler) as (client, served, _):
        async with served.connect() as other:
            await client.send_many(["a 5", "b 5", "c 5"])
            await other.send_many(["d 5", "e 5", "f 5"])
            await trio.sleep(1)
            assert sorted(work.begun) == ["a 5", "b 5", "d 5", "e 5"]
            other.abort()


@pytest.mark.parametrize("queue", [0, 1, 7])
@in_either_order
async def test_no_more_is_read_than_may_be_in_hand(
    autojump_clock: MockClock, replies: Replies, queue: int
) -> None:
    """Without `shed`; the rest stays with the client, however much it sends."""
    work = Work()
    handler = respond(work, concurrency=Concurrency(limit=2, queue=queue))
    async with asking(handler) as (client, served, _):
        await client.send_many(f"{n} {A_LONG_TIME}" for n in range(100))
        await trio.sleep(1)
        (connection,) = served.server.connections
        assert connection.statistics().messages_received == 2 + queue
        assert len(work.begun) == 2


@in_either_order
async def test_a_client_that_does_not_read_has_no_more_than_that_in_hand(
    autojump_clock: MockClock, replies: Replies
) -> None:
    """Its replies wait for room, and count until they have it."""
    called = 0

    async def much(_request: str) -> str:
        nonlocal called
        called += 1
        await trio.lowlevel.checkpoint()
        return "x" * 200_000

    handler = respond(much, concurrency=Concurrency(limit=2, queue=3, replies=replies))
    async with asking(handler) as (client, _, _):
        await client.send_many(str(n) for n in range(100))
        await trio.sleep(1)
        assert called <= 1 + 2 + 3
        for _ in range(100):
            await client.receive()
        assert called == 100


# Order --------------------------------------------------------------------------------


async def test_replies_keep_the_order_of_the_requests(
    autojump_clock: MockClock,
) -> None:
    handler = respond(Work(), concurrency=Concurrency(limit=3))
    got = await replies_to(handler, ["slow 5", "quick 1", "quicker 0"])
    assert got == [("did slow", 5), ("did quick", 5), ("did quicker", 5)]


async def test_a_finished_request_gives_its_place_to_the_next_though_its_reply_waits(
    autojump_clock: MockClock,
) -> None:
    work = Work()
    handler = respond(work, concurrency=Concurrency(limit=2, queue=4))
    got = await replies_to(handler, ["slow 4", "a 1", "b 1", "c 1", "d 1", "e 1"])
    assert [at for _, at in got] == [4, 4, 4, 4, 4, 5]
    assert work.most == 2


async def test_replies_come_when_they_are_ready(autojump_clock: MockClock) -> None:
    policy = Concurrency(limit=3, replies="as_ready")
    got = await replies_to(
        respond(Work(), concurrency=policy), ["slow 5", "quick 1", "quicker 0"]
    )
    assert got == [("did quicker", 0), ("did quick", 1), ("did slow", 5)]


@in_either_order
async def test_what_gets_no_reply_holds_up_nobody(
    autojump_clock: MockClock, replies: Replies
) -> None:
    async def some(request: str) -> str | None:
        await trio.sleep(1)
        return None if request == "quiet" else request

    handler = respond(some, concurrency=Concurrency(limit=2, queue=9, replies=replies))
    got = await replies_to(handler, ["quiet", "a", "quiet", "quiet", "b", "quiet"])
    assert [reply for reply, _ in got] == ["a", "b"]


# Load shedding ------------------------------------------------------------------------


async def test_what_exceeds_the_queue_is_shed_at_once(
    autojump_clock: MockClock,
) -> None:
    policy = Concurrency(limit=1, queue=1, replies="as_ready")
    got = await replies_to(
        respond(Work(), concurrency=policy, shed=busy), ["a 3", "b 3", "c 3", "d 3"]
    )
    assert sorted(got[:2]) == [("busy: c", 0), ("busy: d", 0)]
    assert got[2:] == [("did a", 3), ("did b", 6)]


async def test_what_is_shed_waits_for_its_turn_where_there_is_an_order(
    autojump_clock: MockClock,
) -> None:
    policy = Concurrency(limit=1, queue=1)
    got = await replies_to(
        respond(Work(), concurrency=policy, shed=busy), ["a 3", "b 3", "c 3", "d 3"]
    )
    assert got == [("did a", 3), ("did b", 6), ("busy: c", 6), ("busy: d", 6)]


async def test_there_is_room_again_when_something_is_done(
    autojump_clock: MockClock,
) -> None:
    handler = respond(Work(), concurrency=Concurrency(limit=1), shed=busy)
    async with asking(handler) as (client, _, _):
        await client.send_many(["a 1", "b 1"])
        assert [await client.receive(), await client.receive()] == ["did a", "busy: b"]
        await client.send("c 1")
        assert await client.receive() == "did c"


async def test_replies_that_are_shed_and_wait_for_their_turn_are_bounded(
    autojump_clock: MockClock,
) -> None:
    """As many as may be in hand otherwise; then no more is read."""
    handler = respond(Work(), concurrency=Concurrency(limit=2, queue=3), shed=busy)
    async with asking(handler) as (client, served, _):
        await client.send_many(f"{n} {A_LONG_TIME}" for n in range(1000))
        await trio.sleep(1)
        (connection,) = served.server.connections
        assert connection.statistics().messages_received == 2 * (2 + 3)


async def test_a_request_may_be_shed_without_a_reply(
    autojump_clock: MockClock,
) -> None:
    policy = Concurrency(limit=1)
    got = await replies_to(
        respond(Work(), concurrency=policy, shed=lambda _: None), ["a 1", "b 1"]
    )
    assert got == [("did a", 1)]


# Deadlines ----------------------------------------------------------------------------


def wanted(request: str) -> float | None:
    """Read the deadline, which is behind an ``@``."""
    _, _, seconds = request.partition("@")
    return float(seconds) if seconds else None


class Late(Work):
    """The same, for requests that have a deadline."""

    async def __call__(self, request: str) -> str | None:
        return await super().__call__(request.partition("@")[0])


def with_deadlines(work: Late, policy: Concurrency) -> Handler:
    return respond(work, concurrency=policy, shed=busy, deadline=wanted)


@in_either_order
async def test_a_request_is_cancelled_when_its_deadline_passes(
    autojump_clock: MockClock, replies: Replies
) -> None:
    work = Late()
    policy = Concurrency(limit=3, replies=replies)
    got = await replies_to(with_deadlines(work, policy), ["a 5@2", "b 5@9", "c 6"])
    assert got == [("busy: a", 2), ("did b", 5), ("did c", 6)]
    assert work.cancelled == ["a 5"]


@in_either_order
async def test_a_request_whose_deadline_passes_while_it_waits_is_never_begun(
    autojump_clock: MockClock, replies: Replies
) -> None:
    work = Late()
    policy = Concurrency(limit=1, queue=2, replies=replies)
    got = await replies_to(with_deadlines(work, policy), ["a 5", "b 1@3", "c 1"])
    shed_at = 5 if replies == "in_order" else 3
    expected = [("did a", 5.0), ("busy: b", shed_at), ("did c", 6)]
    assert sorted(got) == sorted(expected)
    assert work.begun == ["a 5", "c 1"]


@pytest.mark.parametrize("seconds", ["0", "-1", "nan"])
async def test_a_request_that_comes_too_late_is_never_begun(
    autojump_clock: MockClock, seconds: str
) -> None:
    work = Late()
    handler = with_deadlines(work, Concurrency(limit=2))
    assert await replies_to(handler, [f"a 1@{seconds}"]) == [("busy: a", 0)]
    assert work.begun == []


async def test_the_deadline_counts_from_when_the_request_is_read(
    autojump_clock: MockClock,
) -> None:
    handler = with_deadlines(Late(), Concurrency(limit=1, queue=1))
    async with asking(handler) as (client, _, _):
        for _ in range(3):
            await trio.sleep(7)
            await client.send("a 5@6")
            assert await client.receive() == "did a"


async def test_a_place_in_the_queue_is_free_again_when_a_deadline_passes_there(
    autojump_clock: MockClock,
) -> None:
    work = Late()
    policy = Concurrency(limit=1, queue=1, replies="as_ready")
    async with asking(with_deadlines(work, policy)) as (client, _, _):
        await client.send_many(["a 9", "b 1@2"])
        assert await client.receive() == "busy: b"
        await client.send("c 1")
        assert [await client.receive(), await client.receive()] == ["did a", "did c"]


# All of it together -------------------------------------------------------------------


@given(
    works=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 8)), max_size=25),
    gaps=st.lists(st.sampled_from([0, 0, 0, 1, 3]), min_size=25, max_size=25),
    limit=st.integers(1, 4),
    queue=st.integers(0, 4),
    replies=st.sampled_from(["in_order", "as_ready"]),
    sheds=st.booleans(),
)
def test_every_request_gets_its_own_reply_once(
    *,
    works: list[tuple[int, int]],
    gaps: list[int],
    limit: int,
    queue: int,
    replies: Replies,
    sheds: bool,
) -> None:
    """Whatever the times, the deadlines and the limits; and in order if asked for."""
    work = Late()
    policy = Concurrency(limit=limit, queue=queue, replies=replies)
    handler = (
        with_deadlines(work, policy) if sheds else respond(work, concurrency=policy)
    )
    requests = [
        f"{n} {seconds}" + (f"@{deadline}" if sheds and deadline < 8 else "")
        for n, (seconds, deadline) in enumerate(works)
    ]

    async def main() -> None:
        async with asking(handler) as (client, _, _), trio.open_nursery() as nursery:

            async def ask() -> None:
                for request, gap in zip(requests, gaps, strict=False):
                    await trio.sleep(gap)
                    await client.send(request)
                await client.send_eof()

            nursery.start_soon(ask)
            got = [reply.split()[1] async for reply in client]
            asked = [request.split()[0] for request in requests]
            assert Counter(got) == Counter(asked)
            if replies == "in_order":
                assert got == asked
            assert work.most <= limit

    trio.run(main, clock=MockClock(autojump_threshold=0))


# Errors -------------------------------------------------------------------------------


async def fail(request: str) -> str:
    await trio.sleep(1)
    if request == "bad":
        raise ZeroDivisionError
    return "a\nb" if request == "unsendable" else request


@in_either_order
async def test_errors_are_replied_to_in_their_turn(
    autojump_clock: MockClock, replies: Replies
) -> None:
    policy = Concurrency(limit=1, queue=3, replies=replies)
    handler = respond(fail, concurrency=policy, on_error=apologise)
    got = await replies_to(handler, ["a", "bad", "unsendable", "b"])
    assert [reply for reply, _ in got] == [
        "a",
        "ZeroDivisionError: bad",
        "EncodeError: unsendable",
        "b",
    ]


async def test_a_request_that_makes_no_sense_is_replied_to_in_its_turn(
    autojump_clock: MockClock,
) -> None:
    codec = codecs.Mapped(codecs.Lines(), decode=int, encode=str)

    async def double(request: int) -> int:
        await trio.sleep(request)
        return 2 * request

    def minus_one(_error: Exception, _request: int | None) -> int:
        return -1

    near, far = testing.memory_stream_pair()
    handler = respond(double, concurrency=Concurrency(limit=2), on_error=minus_one)
    async with trio.open_nursery() as nursery:
        serve = trio_tcp.framed(handler, codec=codec)
        nursery.start_soon(serve, near)
        await far.send_all(b"7\nnonsense\n3\n")
        await far.send_eof()
        assert b"".join([chunk async for chunk in far]) == b"14\n-1\n6\n"
        await far.aclose()


@in_either_order
async def test_an_error_that_is_not_replied_to_ends_this_connection_and_all_of_it(
    autojump_clock: MockClock, replies: Replies
) -> None:
    work = Work()

    async def work_or_fail(request: str) -> str | None:
        return await (fail(request) if request == "bad" else work(request))

    policy = Concurrency(limit=3, replies=replies)
    async with asking(respond(work_or_fail, concurrency=policy)) as (client, _, record):
        await client.send_many([f"a {A_LONG_TIME}", "bad", f"b {A_LONG_TIME}"])
        with pytest.raises(trio_tcp.ConnectionBroken):
            await client.receive()
        (failed,) = record.all(trio_tcp.HandlerFailed)
        assert isinstance(failed.error, ZeroDivisionError)
        assert len(work.cancelled) == 2
        assert trio.current_time() == 1


@pytest.mark.parametrize("which", ["shed", "deadline"])
async def test_what_shed_and_deadline_raise_is_replied_to_as_well(
    autojump_clock: MockClock, which: str
) -> None:
    def bad(_request: str) -> float:
        raise ZeroDivisionError

    handler = respond(
        Work(),
        concurrency=Concurrency(limit=1),
        on_error=apologise,
        shed=(lambda r: str(bad(r))) if which == "shed" else busy,
        deadline=bad if which == "deadline" else None,
    )
    got = await replies_to(handler, ["a 1", "b 1"])
    expected = "did a" if which == "shed" else "ZeroDivisionError: a 1"
    assert [reply for reply, _ in got] == [expected, "ZeroDivisionError: b 1"]


# Ends ---------------------------------------------------------------------------------


@in_either_order
async def test_a_reset_cancels_what_is_under_way(
    autojump_clock: MockClock, replies: Replies
) -> None:
    work = Work()
    policy = Concurrency(limit=5, replies=replies)
    async with asking(respond(work, concurrency=policy)) as (client, _, record):
        await client.send_many([f"a {A_LONG_TIME}", f"b {A_LONG_TIME}"])
        await trio.sleep(1)
        client.abort()
        (ended,) = await record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.BROKEN
        assert len(work.cancelled) == 2
        assert trio.current_time() == 1
        assert not record.all(trio_tcp.HandlerFailed)


async def test_a_broken_connection_is_one_error_though_many_hear_of_it(
    autojump_clock: MockClock,
) -> None:
    """The reader and all who wait to send: for a handler around it, it is one."""

    async def much(_request: str) -> str:
        await trio.lowlevel.checkpoint()
        return "x" * 200_000

    handler = respond(much, concurrency=Concurrency(limit=9, replies="as_ready"))
    caught: list[BaseException] = []

    async def around(connection: Text) -> None:
        try:
            await handler(connection)
        except BaseException as error:
            caught.append(error)
            raise

    async with asking(around) as (client, _, record):
        await client.send_many(["a", "b", "c", "d"])
        await wait_all_tasks_blocked()
        client.abort()
        await record.wait(trio_tcp.ConnectionEnded)
    assert [type(error) for error in caught] == [trio_tcp.ConnectionBroken]


@in_either_order
async def test_at_the_peers_end_what_is_in_hand_is_finished(
    autojump_clock: MockClock, replies: Replies
) -> None:
    policy = Concurrency(limit=1, queue=2, replies=replies)
    got = await replies_to(respond(Work(), concurrency=policy), ["a 9", "b 9", "c 9"])
    assert got == [("did a", 9), ("did b", 18), ("did c", 27)]


@in_either_order
async def test_a_drain_lets_what_is_in_hand_finish_and_lets_nothing_new_begin(
    autojump_clock: MockClock, replies: Replies
) -> None:
    work = Work()
    policy = Concurrency(limit=1, queue=9, replies=replies)
    async with asking(respond(work, concurrency=policy)) as (client, served, _):
        await client.send_many(["a 9", "b 9"])
        await trio.sleep(1)
        async with trio.open_nursery() as nursery:
            reports: list[trio_tcp.DrainReport] = []

            async def drain() -> None:
                reports.append(await served.server.drain(grace=100))

            nursery.start_soon(drain)
            await wait_all_tasks_blocked()
            await client.send("too late 0")
            assert [reply async for reply in client] == ["did a", "did b"]
            assert trio.current_time() == 18
            await client.aclose()
        assert [report.finished for report in reports] == [1]
        assert work.begun == ["a 9", "b 9"]


async def test_a_connection_with_nothing_in_hand_is_drained_at_once(
    autojump_clock: MockClock,
) -> None:
    handler = respond(Work(), concurrency=Concurrency(limit=2))
    async with testing.serve_in_memory(handler, LINES) as served:
        async with served.connect() as client:
            await client.send("a 1")
            assert await client.receive() == "did a"
            async with trio.open_nursery() as nursery:
                nursery.start_soon(served.server.drain)
                with pytest.raises(trio_tcp.PeerClosed):
                    await client.receive()
                await client.aclose()
            assert trio.current_time() == 1


async def test_silence_while_this_side_works_is_not_the_peers(
    autojump_clock: MockClock,
) -> None:
    """The idle timeout runs again when there is nothing left to answer."""
    handler = respond(Work(), concurrency=Concurrency(limit=2))
    timeouts = trio_tcp.Timeouts(idle=10)
    async with asking(handler, timeouts=timeouts) as (client, _, record):
        await client.send("a 95")
        assert await client.receive() == "did a"
        assert trio.current_time() == 95
        (ended,) = await record.wait(trio_tcp.ConnectionEnded)
        assert trio.current_time() == 105
        assert ended.reason is CloseReason.TIMED_OUT


async def test_no_reply_at_all_begins_the_peers_silence_too(
    autojump_clock: MockClock,
) -> None:
    async def quiet(request: str) -> None:
        await trio.sleep(float(request))

    handler: Handler = respond(quiet, concurrency=Concurrency(limit=2))
    timeouts = trio_tcp.Timeouts(idle=10)
    async with asking(handler, timeouts=timeouts) as (client, _, record):
        await client.send("25")
        await record.wait(trio_tcp.ConnectionEnded)
        assert trio.current_time() == 35


async def test_the_idle_timeout_runs_again_after_what_was_in_hand_is_cancelled(
    autojump_clock: MockClock,
) -> None:
    answer = respond(Work(), concurrency=Concurrency(limit=2))

    async def for_a_while(connection: Text) -> None:
        with trio.move_on_after(5):
            await answer(connection)
        await connection.receive()

    timeouts = trio_tcp.Timeouts(idle=10)
    async with asking(for_a_while, timeouts=timeouts) as (client, _, record):
        await client.send("a 100")
        await record.wait(trio_tcp.ConnectionEnded)
        assert trio.current_time() == 15


async def test_an_unfinished_request_is_the_peers_even_while_this_side_works(
    autojump_clock: MockClock,
) -> None:
    work = Work()
    handler = respond(work, concurrency=Concurrency(limit=2))
    timeouts = trio_tcp.Timeouts(message=20)
    async with testing.serve_in_memory(handler, LINES, timeouts=timeouts) as served:
        stream = await served.listener.connect()
        await stream.send_all(b"a 500\nb")
        with suppress(trio.BrokenResourceError):
            await stream.receive_some()
        assert trio.current_time() == pytest.approx(20, abs=0.1)
        assert work.cancelled == ["a 500"]


# Fairness -----------------------------------------------------------------------------


async def test_one_who_has_sent_much_does_not_keep_others_waiting(
    autojump_clock: MockClock,
) -> None:
    answered = 0

    async def count(request: str) -> str:
        nonlocal answered
        answered += 1
        await trio.lowlevel.checkpoint()
        return request

    policy = Concurrency(limit=100, queue=100, replies="as_ready")
    async with asking(respond(count, concurrency=policy)) as (client, served, _):
        async with served.connect() as other:
            await wait_all_tasks_blocked()
            await client.send_many("x" for _ in range(10_000))
            await other.send("hello")
            assert await other.receive() == "hello"
            assert answered < 2_000


# What it is given ---------------------------------------------------------------------


async def test_the_function_may_want_the_connection(autojump_clock: MockClock) -> None:
    async def who(request: str, connection: Text) -> str:
        await trio.lowlevel.checkpoint()
        return f"{request} from {connection.label}"

    handler = respond(who, concurrency=Concurrency(limit=2))

    async def labelled(connection: Text) -> None:
        connection.label = "Ann"
        await handler(connection)

    assert await replies_to(labelled, ["hello"]) == [("hello from Ann", 0)]


def test_types_go_from_the_functions_to_the_handler() -> None:
    async def measure(request: bytes) -> str:
        await trio.lowlevel.checkpoint()
        return str(len(request))

    def too_much(request: bytes) -> str:
        return request.decode()

    def seconds(request: bytes) -> float:
        return len(request)

    handler = respond(
        measure, concurrency=Concurrency(limit=2), shed=too_much, deadline=seconds
    )
    assert_type(handler, Callable[[trio_tcp.Connection[bytes, str]], Awaitable[object]])


def plain(request: str) -> str:
    return request


@pytest.mark.parametrize(
    ("function", "options", "what"),
    [
        (plain, {"concurrency": Concurrency(limit=2)}, "async function"),
        (Work(), {"shed": busy}, "shed needs concurrency"),
        (
            Work(),
            {"concurrency": Concurrency(limit=2), "deadline": wanted},
            "deadline needs shed",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_at_once(
    function: Callable[[str], Any], options: dict[str, Any], what: str
) -> None:
    with pytest.raises(TypeError, match=what):
        respond(function, **options)


@pytest.mark.parametrize(
    "bad",
    [
        {"limit": 0},
        {"limit": 1.5},
        {"limit": True},
        {"limit": math.inf},
        {"limit": "2"},
        {"limit": 2, "queue": -1},
        {"limit": 2, "queue": math.inf},
        {"limit": 2, "replies": "sorted"},
    ],
)
def test_a_concurrency_that_makes_no_sense_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"limit|queue|replies"):
        Concurrency(**bad)  # type: ignore[arg-type] # that is the test


def test_a_concurrency_may_be_evolved() -> None:
    assert attrs.evolve(Concurrency(limit=2), queue=3) == Concurrency(limit=2, queue=3)
