"""Every timeout, to the second, and when there is none: all of it in virtual time."""

from __future__ import annotations

import errno
import logging
import math
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from itertools import pairwise
from typing import Literal, NoReturn, TypeAlias, final

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.certificates import HOST, client_context, server_context
from tests.integration.loopback import Record
from tests.tls.peer import Peer, serving
from trio_tcp import CloseReason, PeerTooSlowError, Timeouts, codecs, testing

Text: TypeAlias = trio_tcp.Connection[str, str]
Handler: TypeAlias = Callable[[Text], Awaitable[object]]
Connect: TypeAlias = Callable[..., AbstractAsyncContextManager[Text]]
Silence: TypeAlias = Callable[[pytest.MonkeyPatch], Connect]
End: TypeAlias = Literal["FIN", "RST"]

LINES = codecs.Lines(max_bytes=1 << 20)
PIECE = 16 << 10  # what a stream is handed at a time, and so the least progress
A_LONG_TIME = 1_000_000

OFF = Timeouts(
    connect=math.inf,
    handshake=math.inf,
    first_message=math.inf,
    idle=math.inf,
    message=math.inf,
    message_rate=1,  # easy to reckon with: a second for each byte
    write=math.inf,
    lifetime=math.inf,
)


def only(**seconds: float) -> Timeouts:
    """Switch all timeouts off but these."""
    return attrs.evolve(OFF, **seconds)


async def receive_all(connection: Text) -> None:
    async for _ in connection:
        pass


async def pour(connection: Text) -> None:
    while True:
        await connection.send("x" * 9999)


async def work(connection: Text) -> None:
    await trio.sleep_forever()


async def echo(connection: Text) -> None:
    async for line in connection:
        await connection.send(line)


async def end_of(stream: trio.abc.ReceiveStream) -> End:
    """Read to the end; say how the other side has ended it."""
    try:
        async for _ in stream:
            pass
    except trio.BrokenResourceError:
        return "RST"
    return "FIN"


async def drip(
    stream: trio.abc.SendStream, piece: bytes, every: float, times: int = 1 << 30
) -> None:
    """Send a piece now, and again every so many seconds."""
    for number in range(times):
        if number:
            await trio.sleep(every)
        await stream.send_all(piece)


@asynccontextmanager
async def serve(
    handler: Handler,
    timeouts: Timeouts,
    *,
    capacity: int = 4 * PIECE,
) -> AsyncGenerator[tuple[testing.MemoryServer[str], Record], None]:
    """Run a server. A handler that fails, fails the test."""
    record = Record()
    async with testing.serve_in_memory(
        handler, LINES, capacity=capacity, timeouts=timeouts, observer=record
    ) as served:
        yield served, record
    for failed in record.all(trio_tcp.HandlerFailed):
        raise failed.error


async def the_end(record: Record) -> trio_tcp.ConnectionEnded:
    """Wait for the end of the only connection, but not for ever."""
    with trio.fail_after(2 * A_LONG_TIME):
        (ended,) = await record.wait(trio_tcp.ConnectionEnded)
    return ended


def late(error: BaseException | None) -> PeerTooSlowError:
    """See that it is the error of a timeout."""
    assert isinstance(error, PeerTooSlowError)
    return error


# All of them -----------------------------------------------------------------------


@final
@attrs.frozen
class Case:
    """A timeout, and a connection that it ends.

    Attributes:
        timeout: its name.
        handler: of the server.
        sent: by the client, at the beginning; it says and reads no more.
        extra: seconds that the client gets on top of the timeout.
        seen: by the client, at the end.
        said: in the log.
    """

    timeout: str
    handler: Handler
    sent: bytes
    extra: int
    seen: End
    said: str


CASES = [
    Case("first_message", receive_all, b"", 0, "FIN", "the peer began no message"),
    Case("idle", receive_all, b"a line\n", 0, "FIN", "neither side sent anything"),
    Case("message", receive_all, b"hal", 3, "FIN", "the peer did not finish its mes"),
    Case("write", pour, b"", 0, "RST", "the peer took nothing of what was sent"),
    Case("lifetime", work, b"", 0, "FIN", "the connection was open"),
]
each_timeout = pytest.mark.parametrize("case", CASES, ids=lambda case: case.timeout)
WHILE_RECEIVING = CASES[:3]
each_about_receiving = pytest.mark.parametrize(
    "case", WHILE_RECEIVING, ids=lambda case: case.timeout
)

Start: TypeAlias = Callable[
    [Handler, Timeouts, Record],
    AbstractAsyncContextManager[testing.MemoryListener],
]


@asynccontextmanager
async def our_server(
    handler: Handler, timeouts: Timeouts, record: Record
) -> AsyncGenerator[testing.MemoryListener, None]:
    async with testing.serve_in_memory(
        handler, LINES, timeouts=timeouts, observer=record
    ) as served:
        yield served.listener


@asynccontextmanager
async def trios_server(
    handler: Handler, timeouts: Timeouts, record: Record
) -> AsyncGenerator[testing.MemoryListener, None]:
    listener = testing.MemoryListener()
    serve = trio_tcp.framed(handler, codec=LINES, timeouts=timeouts, observer=record)
    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, serve, [listener])
        yield listener
        nursery.cancel_scope.cancel()


each_server = pytest.mark.parametrize("start", [our_server, trios_server])


@each_server
@each_timeout
async def test_each_ends_a_connection_at_its_second(
    case: Case, start: Start, autojump_clock: MockClock
) -> None:
    record = Record()
    seconds = 10 + case.extra
    async with start(case.handler, only(**{case.timeout: 10}), record) as listener:
        client = await listener.connect()
        await client.send_all(case.sent)
        ended = await the_end(record)
        assert trio.current_time() == seconds
        assert await end_of(client) == case.seen
        assert trio.current_time() == seconds
    assert ended.reason is CloseReason.TIMED_OUT
    assert ended.seconds == seconds
    error = late(ended.error)
    assert (error.timeout, error.seconds) == (case.timeout, seconds)
    assert error.connection_id == ended.id
    (hit,) = record.all(trio_tcp.TimedOut)
    assert (hit.id, hit.timeout, hit.seconds) == (ended.id, case.timeout, seconds)
    assert record.all(trio_tcp.HandlerFailed) == []


@each_server
@each_timeout
async def test_each_can_be_switched_off(
    case: Case, start: Start, autojump_clock: MockClock
) -> None:
    record = Record()
    async with start(case.handler, OFF, record) as listener:
        client = await listener.connect()
        await client.send_all(case.sent)
        await trio.sleep(A_LONG_TIME)
        assert record.all(trio_tcp.ConnectionEnded) == []


@each_timeout
async def test_each_is_a_line_in_the_log_that_names_it(
    case: Case, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="trio_tcp")
    async with testing.serve_in_memory(
        case.handler, LINES, timeouts=only(**{case.timeout: 10})
    ) as served:
        client = await served.listener.connect()
        await client.send_all(case.sent)
        await trio.sleep(100)
        (line,) = [r for r in caplog.records if "connection" in r.getMessage()]
    assert line.levelno == logging.INFO
    assert line.exc_info is None
    assert f"timed out: {case.said}" in line.getMessage()
    named = f"for {10 + case.extra} s (timeouts.{case.timeout})"
    assert line.getMessage().endswith(named)


@pytest.mark.parametrize(
    ("replaced", "ends_at"),
    [(6, 6), (1, 4), (0, 4), (20, 20), (math.inf, math.inf)],
    ids=["sooner", "at once", "zero", "later", "never"],
)
@each_timeout
async def test_each_may_be_replaced_while_it_runs(
    case: Case, replaced: float, ends_at: float, autojump_clock: MockClock
) -> None:
    record = Record()
    async with testing.serve_in_memory(
        case.handler, LINES, timeouts=only(**{case.timeout: 10}), observer=record
    ) as served:
        client = await served.listener.connect()
        await client.send_all(case.sent)
        await trio.sleep(4)
        (connection,) = served.server.connections
        connection.timeouts = only(**{case.timeout: replaced})
        with trio.move_on_after(A_LONG_TIME) as waited:
            ended = await the_end(record)
            assert trio.current_time() == max(4, min(ends_at, replaced) + case.extra)
            error = late(ended.error)
            assert error.timeout == case.timeout
            assert error.seconds == replaced + case.extra
        assert waited.cancelled_caught == (ends_at == math.inf)


@each_timeout
async def test_each_runs_from_where_it_began_however_often_it_is_replaced(
    case: Case, autojump_clock: MockClock
) -> None:
    record = Record()
    async with testing.serve_in_memory(
        case.handler, LINES, timeouts=only(**{case.timeout: 10}), observer=record
    ) as served:
        client = await served.listener.connect()
        await client.send_all(case.sent)
        for seconds in (20, 5, math.inf, 7, 1000, 50):
            await trio.sleep(0.5)
            (connection,) = served.server.connections
            connection.timeouts = only(**{case.timeout: seconds})
        await the_end(record)
        assert trio.current_time() == 50 + case.extra


async def test_those_of_a_thousand_connections_do_not_disturb_each_other(
    autojump_clock: MockClock,
) -> None:
    dice = random.Random(1)
    plan = [(dice.choice(CASES[1:]), dice.randrange(1, 500)) for _ in range(1000)]
    ended: list[tuple[int, str, float]] = []

    async def handler(connection: Text) -> None:
        connection.label = await connection.receive()
        case, seconds = plan[int(connection.label)]
        connection.timeouts = only(**{case.timeout: seconds})
        await case.handler(connection)

    def note(event: trio_tcp.Event) -> None:
        if isinstance(event, trio_tcp.ConnectionEnded):
            timeout = late(event.error).timeout
            ended.append((int(event.label), timeout, trio.current_time()))

    expected: list[tuple[int, str, float]] = []
    async with testing.serve_in_memory(handler, LINES, observer=note) as served:
        for number, (case, seconds) in enumerate(plan):
            client = await served.listener.connect()
            begun = case.sent if case.timeout == "message" else b""
            await client.send_all(b"%d\n%b" % (number, begun))
            ends_at = trio.current_time() + seconds + case.extra
            expected.append((number, case.timeout, ends_at))
            await trio.sleep(number % 2 / 4)
        await trio.sleep(1000)
        assert served.server.connections == ()
    assert sorted(ended) == expected


# What a handler can do about it ----------------------------------------------------


@each_about_receiving
async def test_a_handler_that_catches_it_can_say_goodbye_and_return(
    case: Case, autojump_clock: MockClock
) -> None:
    async def polite(connection: Text) -> None:
        with pytest.raises(PeerTooSlowError) as caught:
            await receive_all(connection)
        error = caught.value
        assert error.timeout == case.timeout
        assert isinstance(error, trio.TooSlowError)
        assert connection.close_reason is CloseReason.TIMED_OUT
        assert connection.close_error is error
        # There is nothing more to be had, and no more time for it.
        with pytest.raises(PeerTooSlowError, match=rf"timeouts\.{case.timeout}"):
            await connection.receive()
        assert trio.current_time() == 10 + case.extra
        await connection.send(f"goodbye: {error.timeout}")

    async with serve(polite, only(**{case.timeout: 10})) as (served, record):
        client = await served.listener.connect()
        await client.send_all(case.sent)
        assert await client.receive_some() == f"goodbye: {case.timeout}\n".encode()
        assert await end_of(client) == "FIN"
        assert trio.current_time() == 10 + case.extra
        await client.aclose()
        ended = await the_end(record)
        assert ended.reason is CloseReason.TIMED_OUT
        assert late(ended.error).timeout == case.timeout


@each_about_receiving
async def test_one_that_lets_it_out_is_closed_at_once(
    case: Case, autojump_clock: MockClock
) -> None:
    """It does not linger for a peer that was waited for long enough."""
    timeouts = only(**{case.timeout: 10}, linger=math.inf)
    async with serve(receive_all, timeouts) as (served, record):
        client = await served.listener.connect()
        await client.send_all(case.sent)
        await the_end(record)
        assert trio.current_time() == 10 + case.extra


# When the clocks of receiving run --------------------------------------------------


@pytest.mark.parametrize(
    ("case", "ends_at"),
    [*zip(WHILE_RECEIVING, [1010, 2010, 1013], strict=True)],
    ids=["first_message", "idle", "message"],
)
async def test_a_busy_handler_does_not_make_its_peer_late(
    case: Case, ends_at: float, autojump_clock: MockClock
) -> None:
    async def busy(connection: Text) -> None:
        while True:
            await trio.sleep(1000)
            await connection.receive()

    async with serve(busy, only(**{case.timeout: 10})) as (served, record):
        client = await served.listener.connect()
        await client.send_all(case.sent)
        await the_end(record)
        assert trio.current_time() == ends_at


@pytest.mark.parametrize("busy", [0, 100])
@each_about_receiving
async def test_a_handler_that_looks_up_now_and_then_does_not_make_its_time_endless(
    case: Case, busy: int, autojump_clock: MockClock
) -> None:
    """The time in which it waits adds up; the time in which it does not, does not."""

    async def look_up(connection: Text) -> None:
        while True:
            with trio.move_on_after(3):
                await connection.receive()
            await trio.sleep(busy)

    seconds = 10 + case.extra
    waits, rest = divmod(seconds, 3)
    ends_at = waits * (3 + busy) + rest
    if case.timeout == "idle":  # it was busy first with the one message that came
        ends_at += busy
    async with serve(look_up, only(**{case.timeout: 10})) as (served, record):
        client = await served.listener.connect()
        await client.send_all(case.sent)
        ended = await the_end(record)
        assert trio.current_time() == ends_at
        assert late(ended.error).seconds == seconds


@each_about_receiving
async def test_it_is_noticed_too_where_a_task_watches_for_the_peers_end(
    case: Case, autojump_clock: MockClock
) -> None:
    """And even if the time is over just when a wait begins anew."""

    async def look_up(connection: Text) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.wait_disconnected)
            await wait_all_tasks_blocked()
            while True:
                with trio.move_on_after(0.5):
                    await connection.receive()

    for _ in range(10):
        began = trio.current_time()
        async with serve(look_up, only(**{case.timeout: 10})) as (served, record):
            client = await served.listener.connect()
            await client.send_all(case.sent)
            await the_end(record)
            assert trio.current_time() - began == 10 + case.extra


@final
@attrs.define
class Reckoning:
    """The clocks of receiving, kept as one would by hand: a second opinion.

    Attributes:
        waiting: the handler is in `receive`.
        begun: something has been received.
        unread: bytes that have come while the handler was busy.
        held: bytes of a message that is not whole.
        idle: seconds for which that clock has run; and so the others.
    """

    timeouts: Timeouts
    waiting: bool = False
    begun: bool = False
    unread: bytes = b""
    held: int = 0
    idle: float = 0
    message: float = 0
    first_message: float = 0

    def note(self, what: str, data: bytes) -> None:
        """Something happens: "wait" or "busy", "sent", or "data" arrives."""
        self.unread += data
        if what == "sent":
            self.idle = 0
        elif what != "data":
            self.waiting = what == "wait"
        if self.waiting and self.unread:
            self._receive()

    def _receive(self) -> None:
        self.begun, self.idle = True, 0
        *lines, rest = self.unread.split(b"\n")
        if lines or not self.held:
            self.held, self.message = 0, 0
        self.held += len(rest)
        self.unread = b""

    def first_end(self) -> tuple[float, str]:
        """Say in how many seconds which timeout is over, if nothing happens."""
        if not self.waiting:
            return math.inf, ""
        ends = [(self.timeouts.idle - self.idle, "idle")]
        if self.held:
            grace = self.timeouts.message + self.held / self.timeouts.message_rate
            ends.append((grace - self.message, "message"))
        elif not self.begun:
            end = self.timeouts.first_message - self.first_message
            ends.append((end, "first_message"))
        return min(ends)

    def let_pass(self, seconds: float) -> None:
        """Nothing happens for a while."""
        if self.waiting:
            self.idle += seconds
            self.message += seconds
            self.first_message += seconds


@final
@attrs.frozen
class Course:
    """What happens to a connection; with seconds between one thing and the next.

    Each kind at a fraction of a second of its own, so that no two happen at once.
    """

    handler: list[tuple[str, int]]
    data: list[tuple[int, bytes]]
    sends: list[int]

    def events(self) -> list[tuple[float, str, bytes]]:
        """Return all, in order."""
        events = [(0.0, what, b"") for what, _ in self.handler[:1]]
        now = 0.0
        for (_, seconds), (what, _) in pairwise([*self.handler, ("wait", 0)]):
            now += seconds
            events.append((now, what, b""))
        events = events or [(0.0, "wait", b"")]
        now = 1 / 8
        for seconds, data in self.data:
            now += seconds
            events.append((now, "data", data))
        now = 1 / 16
        for seconds in self.sends:
            now += seconds
            events.append((now, "sent", b""))
        return sorted(events, key=lambda event: event[0])

    def expected_end(self, timeouts: Timeouts) -> tuple[str, float]:
        """Say which timeout is over first, and when."""
        clocks = Reckoning(timeouts)
        events = [*self.events(), (math.inf, "", b"")]
        for (now, what, data), (then, _, _) in pairwise(events):
            clocks.note(what, data)
            seconds, name = clocks.first_end()
            if now + seconds < then:
                return name, now + seconds
            clocks.let_pass(then - now)
        raise AssertionError("a handler that waits at last meets a timeout")

    def true_end(self, timeouts: Timeouts) -> tuple[str, float]:
        """Find it out."""
        ends: list[tuple[str, float]] = []

        async def handler(connection: Text) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._send, connection)
                try:
                    await self._handle(connection)
                except PeerTooSlowError as error:
                    ends.append((error.timeout, trio.current_time()))
                nursery.cancel_scope.cancel()

        async def main() -> None:
            async with serve(handler, timeouts) as (served, record):
                client = await served.listener.connect()
                with suppress(trio.BrokenResourceError):
                    await self._send_data(client)
                await the_end(record)

        trio.run(main, clock=MockClock(autojump_threshold=0))
        (end,) = ends
        return end

    async def _handle(self, connection: Text) -> None:
        for what, seconds in [*self.handler, ("wait", math.inf)]:
            with trio.move_on_after(seconds):
                if what == "wait":
                    await receive_all(connection)
                await trio.sleep_forever()

    async def _send(self, connection: Text) -> None:
        await trio.sleep(1 / 16)
        for seconds in self.sends:
            await trio.sleep(seconds)
            await connection.send("x")

    async def _send_data(self, client: testing.MemoryStream) -> None:
        await trio.sleep(1 / 8)
        for seconds, data in self.data:
            await trio.sleep(seconds)
            await client.send_all(data)


PIECES = [b"a", b"bcd", b"\n", b"e\n", b"f\ng", b"\n\nh"]
COURSES = st.builds(
    Course,
    st.lists(st.tuples(st.sampled_from(["wait", "busy"]), st.integers(1, 9))),
    st.lists(st.tuples(st.integers(0, 6), st.sampled_from(PIECES))),
    st.lists(st.integers(0, 9)),
)


@given(COURSES)
def test_whatever_happens_each_clock_counts_what_it_is_there_for(
    course: Course,
) -> None:
    timeouts = only(idle=8.5, first_message=6.75, message=5.25, message_rate=2)
    assert course.true_end(timeouts) == course.expected_end(timeouts)


# first_message ---------------------------------------------------------------------


async def test_first_message_is_over_with_the_first_byte(
    autojump_clock: MockClock,
) -> None:
    async with serve(receive_all, only(first_message=10)) as (served, _):
        clients = [await served.listener.connect() for _ in range(2)]
        await trio.sleep(9)
        await clients[0].send_all(b"h")
        await clients[1].send_all(b"a line\n")
        await trio.sleep(A_LONG_TIME)
        assert len(served.server.connections) == 2


async def test_waiting_for_a_first_message_does_not_shorten_the_time_for_it(
    autojump_clock: MockClock,
) -> None:
    async def look_up(connection: Text) -> None:
        while True:
            with trio.move_on_after(7):
                await connection.receive()

    async with serve(look_up, only(first_message=60, message=10)) as (served, record):
        client = await served.listener.connect()
        await trio.sleep(59)
        await client.send_all(b"h")
        ended = await the_end(record)
        assert late(ended.error).timeout == "message"
        assert trio.current_time() == 59 + 10 + 1


async def test_a_first_message_may_come_in_one_piece_with_the_tls_handshake(
    autojump_clock: MockClock,
) -> None:
    received: list[float] = []

    async def receive_twice(connection: Text) -> None:
        assert await connection.receive() == "hello"
        received.append(trio.current_time())
        await connection.receive()

    timeouts = only(first_message=10)
    async with serving(receive_twice, LINES, timeouts=timeouts) as served:
        peer = await _peer_with_a_message_in_its_handshake(
            await served.listener.connect(), b"hello\n"
        )
        await trio.sleep(A_LONG_TIME)
        assert received == [0]
        assert len(served.server.connections) == 1
        await peer.stream.aclose()


async def _peer_with_a_message_in_its_handshake(
    stream: testing.MemoryStream, message: bytes
) -> Peer:
    peer = Peer(stream, client_context(), server_hostname=HOST)
    held_back = _HeldBack(stream)
    peer.stream = held_back
    await stream.send_all(peer.hello())
    await peer.shake_hands()
    await stream.send_all(b"".join(held_back.data) + peer.encrypted(message))
    return peer


@final
class _HeldBack(trio.abc.HalfCloseableStream):
    """Keeps what is to be sent."""

    def __init__(self, stream: trio.abc.HalfCloseableStream) -> None:
        self.data: list[bytes] = []
        self._stream = stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self.data.append(bytes(data))

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self._stream.aclose()


# idle ------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [b"a line\n", b"x"], ids=["messages", "bytes"])
async def test_idle_begins_anew_with_whatever_the_peer_says(
    said: bytes, autojump_clock: MockClock
) -> None:
    async with serve(receive_all, only(idle=10)) as (served, record):
        client = await served.listener.connect()
        await drip(client, said, every=9, times=20)
        assert trio.current_time() == 19 * 9
        ended = await the_end(record)
        assert late(ended.error).timeout == "idle"
        assert trio.current_time() == 19 * 9 + 10


async def test_idle_begins_anew_with_whatever_this_side_says(
    autojump_clock: MockClock,
) -> None:
    """Also where one task sends, and another waits to receive."""

    async def tick(connection: Text) -> None:
        for _ in range(20):
            await trio.sleep(9)
            await connection.send("tick")

    async def handler(connection: Text) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tick, connection)
            await receive_all(connection)

    async with serve(handler, only(idle=10)) as (served, record):
        client = await served.listener.connect()
        ended = await the_end(record)
        assert ended.reason is CloseReason.TIMED_OUT
        assert trio.current_time() == 20 * 9 + 10
        assert await client.receive_some() == b"tick\n" * 20


async def test_a_handler_that_sends_in_between_is_not_idle(
    autojump_clock: MockClock,
) -> None:
    async def tick(connection: Text) -> None:
        for _ in range(20):
            with trio.move_on_after(9):
                await connection.receive()
            await connection.send("tick")
            await connection.flush()  # it goes out while nobody receives
        await connection.receive()

    async with serve(tick, only(idle=10)) as (served, record):
        client = await served.listener.connect()
        await the_end(record)
        assert trio.current_time() == 20 * 9 + 10
        assert await client.receive_some() == b"tick\n" * 20


async def test_what_the_peer_does_not_take_is_not_said(
    autojump_clock: MockClock,
) -> None:
    async def insist(connection: Text) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pour, connection)
            await receive_all(connection)

    async with serve(insist, only(idle=10)) as (served, record):
        client = await served.listener.connect()
        await trio.sleep(6)
        await client.receive_some(PIECE)
        ended = await the_end(record)
        assert late(ended.error).timeout == "idle"
        assert trio.current_time() == 6 + 10
        assert await end_of(client) == "RST"  # for what it has not taken


async def test_at_the_very_second_of_a_timeout_a_message_may_win_or_lose(
    autojump_clock: MockClock,
) -> None:
    """But if it was read, it is received."""
    lines: list[str] = []

    async def handler(connection: Text) -> None:
        lines.clear()
        opened_at = trio.current_time()
        with pytest.raises(PeerTooSlowError):
            async for line in connection:
                lines.append(line)  # noqa: PERF401 - it is left with an exception
        assert connection.statistics().bytes_received == 2 * len(lines)
        assert trio.current_time() - opened_at == 10 + 10 * len(lines)

    for _ in range(20):
        async with serve(handler, only(idle=10)) as (served, record):
            client = await served.listener.connect()
            await trio.sleep(10)
            with suppress(trio.BrokenResourceError):
                await client.send_all(b"!\n")
            await client.send_eof()
            await the_end(record)
        assert lines in ([], ["!"])


# message ---------------------------------------------------------------------------


@pytest.mark.parametrize("before", [0, 1, 3])
async def test_one_byte_now_and_then_does_not_keep_a_message_alive(
    before: int, autojump_clock: MockClock
) -> None:
    """Slowloris. It does not matter how many messages came before."""
    timeouts = only(message=10, message_rate=8)
    async with serve(receive_all, timeouts) as (served, record):
        client = await served.listener.connect()
        for _ in range(before):
            await drip(client, b"x", every=1, times=9)
            await client.send_all(b"\n")
            await trio.sleep(1000)
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(drip, client, b"x", 1)
            ended = await the_end(record)
            # 12 bytes by then: one at once, and one each second.
            assert trio.current_time() == began + 10 + 12 / 8
            assert late(ended.error).seconds == 10 + 12 / 8
            nursery.cancel_scope.cancel()


async def test_an_upload_at_the_rate_lasts_as_long_as_it_needs(
    autojump_clock: MockClock,
) -> None:
    received: list[int] = []

    async def receive_one(connection: Text) -> None:
        received.append(len(await connection.receive()))

    async with serve(receive_one, only(message=0.5, message_rate=16)) as (
        served,
        record,
    ):
        client = await served.listener.connect()
        await drip(client, b"x" * 4, every=0.25, times=4000)
        await client.send_all(b"\n")
        await client.aclose()
        await the_end(record)
    assert received == [16_000]
    assert trio.current_time() == 999.75


@pytest.mark.parametrize(
    ("piece", "ends_at"),
    [
        (b"x" * 12, 5.125 + 21 * 12 / 16),
        (b"x" * 8, 5.125 + 11 * 8 / 16),
        (b"x" * 4, 5.125 + 7 * 4 / 16),
    ],
    ids=["three quarters", "half", "a quarter"],
)
async def test_an_upload_below_the_rate_lives_on_its_grace_for_a_while(
    piece: bytes, ends_at: float, autojump_clock: MockClock
) -> None:
    async with serve(receive_all, only(message=5.125, message_rate=16)) as (
        served,
        record,
    ):
        client = await served.listener.connect()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(drip, client, piece, 1)
            await the_end(record)
            assert trio.current_time() == ends_at
            nursery.cancel_scope.cancel()


async def test_each_message_has_its_own_time(autojump_clock: MockClock) -> None:
    async with serve(receive_all, only(message=10)) as (served, record):
        client = await served.listener.connect()
        for _ in range(20):
            await client.send_all(b"x")
            await trio.sleep(9)
            # The end of one, and the beginning of the next.
            await client.send_all(b"\nx")
            await trio.sleep(9)
            await client.send_all(b"\n")
            await trio.sleep(1)
        (connection,) = served.server.connections
        assert connection.statistics().messages_received == 40
        await client.send_all(b"x")
        began = trio.current_time()
        await the_end(record)
        assert trio.current_time() == began + 11


async def test_between_messages_there_is_no_time_for_one(
    autojump_clock: MockClock,
) -> None:
    async with serve(receive_all, only(message=1)) as (served, _):
        client = await served.listener.connect()
        await trio.sleep(A_LONG_TIME)
        await client.send_all(b"a line\n")
        await trio.sleep(A_LONG_TIME)
        (connection,) = served.server.connections
        assert connection.statistics().messages_received == 1


# write -----------------------------------------------------------------------------


async def test_a_peer_that_takes_nothing_fails_all_calls_at_the_same_second(
    autojump_clock: MockClock,
) -> None:
    outcome: dict[str, tuple[float, str]] = {}

    async def handler(connection: Text) -> None:
        async def expect(name: str, call: Callable[[], Awaitable[object]]) -> None:
            with pytest.raises(PeerTooSlowError) as caught:
                await call()
            assert caught.value.connection_id == connection.id
            outcome[name] = trio.current_time(), str(caught.value)

        async def pour_on() -> None:
            await pour(connection)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(expect, "send", pour_on)
            nursery.start_soon(expect, "send in line", pour_on)
            nursery.start_soon(expect, "flush", connection.flush)
            nursery.start_soon(expect, "receive", connection.receive)
        assert connection.close_reason is CloseReason.TIMED_OUT
        # There is no way back.
        await expect("late send", partial(connection.send, "x"))
        await expect("late send_many", partial(connection.send_many, ["x"]))
        await expect("late flush", connection.flush)
        await expect("late receive", connection.receive)
        await expect("late send_eof", connection.send_eof)
        with pytest.raises(PeerTooSlowError):
            connection.send_nowait("x")
        assert connection.statistics().bytes_queued == 0

    async with serve(handler, only(write=10)) as (served, record):
        client = await served.listener.connect()
        ended = await the_end(record)
        assert late(ended.error).timeout == "write"
        assert await end_of(client) == "RST"
    said = "the peer took nothing of what was sent for 10 s (timeouts.write)"
    assert len(outcome) == 9
    assert set(outcome.values()) == {(10, said)}


async def test_a_peer_that_takes_a_piece_in_time_is_never_too_slow(
    autojump_clock: MockClock,
) -> None:
    async with serve(pour, only(write=10), capacity=PIECE) as (served, record):
        client = await served.listener.connect()
        for _ in range(100):
            await trio.sleep(9)
            assert len(await client.receive_some(PIECE)) == PIECE
        assert record.all(trio_tcp.ConnectionEnded) == []
        await the_end(record)
        assert trio.current_time() == 100 * 9 + 10


async def test_where_nothing_waits_to_be_sent_nobody_is_too_slow(
    autojump_clock: MockClock,
) -> None:
    async def send_some(connection: Text) -> None:
        for _ in range(3):
            await connection.send("x" * 100_000)
            await connection.flush()
            await trio.sleep(A_LONG_TIME)

    async with serve(send_some, only(write=10)) as (served, record):
        client = await served.listener.connect()
        for _ in range(3):
            await trio.sleep(9)
            received = 0
            while received < 100_001:
                received += len(await client.receive_some())
            await trio.sleep(A_LONG_TIME - 9)
        assert record.all(trio_tcp.ConnectionEnded) == []


async def test_a_peer_is_too_slow_also_while_nobody_sends_or_receives(
    autojump_clock: MockClock,
) -> None:
    """What is queued is the connection's to deliver, or not."""

    async def fill_and_work(connection: Text) -> None:
        with pytest.raises(trio.WouldBlock):
            while True:
                connection.send_nowait("x" * 9999)
                await trio.lowlevel.checkpoint()
        await trio.sleep(9.5)
        reasons = [connection.close_reason]
        await trio.sleep(1)
        reasons.append(connection.close_reason)
        assert reasons == [None, CloseReason.TIMED_OUT]
        assert late(connection.close_error).timeout == "write"
        assert connection.statistics().bytes_queued == 0
        await connection.aclose()

    async with serve(fill_and_work, only(write=10)) as (served, record):
        client = await served.listener.connect()
        await the_end(record)
        assert trio.current_time() == 10.5
        assert await end_of(client) == "RST"


async def test_a_send_eof_that_waits_for_a_queue_fails_with_it(
    autojump_clock: MockClock,
) -> None:
    async def say_and_end(connection: Text) -> None:
        await connection.send("x" * 100_000)
        with pytest.raises(PeerTooSlowError, match=r"timeouts\.write"):
            await connection.send_eof()
        assert trio.current_time() == 10

    async with serve(say_and_end, only(write=10)) as (served, record):
        await served.listener.connect()
        await the_end(record)
        assert trio.current_time() == 10


@pytest.mark.parametrize(("write", "linger"), [(10, 50), (50, 10)])
async def test_while_a_connection_closes_the_shorter_of_write_and_linger_counts(
    write: float, linger: float, autojump_clock: MockClock
) -> None:
    async def say_and_leave(connection: Text) -> None:
        await connection.send("x" * 100_000)

    timeouts = only(write=write, linger=linger)
    async with serve(say_and_leave, timeouts) as (served, record):
        client = await served.listener.connect()
        ended = await the_end(record)
        assert trio.current_time() == 10
        assert ended.reason is CloseReason.CLOSED  # the first cause counts
        assert await end_of(client) == "RST"


# lifetime --------------------------------------------------------------------------


async def receive_and_send(connection: Text) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive_all, connection)
        nursery.start_soon(work, connection)
        await pour(connection)


@pytest.mark.parametrize(
    ("handler", "sent", "seen"),
    [
        (work, b"", "FIN"),
        (work, b"unread\n", "RST"),
        (echo, b"hello\n", "FIN"),
        (pour, b"", "RST"),
        (receive_and_send, b"hello\n", "RST"),
    ],
)
async def test_lifetime_ends_a_handler_whatever_it_does(
    handler: Handler, sent: bytes, seen: End, autojump_clock: MockClock
) -> None:
    async with serve(handler, only(lifetime=10)) as (served, record):
        client = await served.listener.connect()
        await client.send_all(sent)
        ended = await the_end(record)
        assert trio.current_time() == 10
        assert ended.reason is CloseReason.TIMED_OUT
        assert await end_of(client) == seen


async def test_lifetime_ends_a_lively_connection_too(
    autojump_clock: MockClock,
) -> None:
    async with serve(echo, only(lifetime=100)) as (served, record):
        client = await served.listener.connect()
        for _ in range(99):
            await client.send_all(b"hello\n")
            assert await client.receive_some() == b"hello\n"
            await trio.sleep(1)
        assert record.all(trio_tcp.ConnectionEnded) == []
        await the_end(record)
        assert trio.current_time() == 100


async def test_at_the_end_of_its_life_a_connection_may_still_say_goodbye(
    autojump_clock: MockClock,
) -> None:
    async def polite(connection: Text) -> None:
        try:
            await receive_all(connection)
        finally:
            with trio.CancelScope(shield=True):
                assert connection.close_reason is CloseReason.TIMED_OUT
                await trio.sleep(3)
                await connection.send("goodbye")
                await connection.flush()

    async with serve(polite, only(lifetime=10)) as (served, record):
        client = await served.listener.connect()
        assert await client.receive_some() == b"goodbye\n"
        assert trio.current_time() == 13
        assert await end_of(client) == "FIN"
        ended = await the_end(record)
        assert trio.current_time() == 13
        assert ended.reason is CloseReason.TIMED_OUT


async def test_each_life_is_counted_from_its_own_beginning(
    autojump_clock: MockClock,
) -> None:
    async with serve(echo, only(lifetime=10)) as (served, record):
        ends: list[float] = []
        for number in range(1, 4):
            await served.listener.connect()
            await trio.sleep(3)
            assert len(served.server.connections) == number
        while served.server.connections:
            await record.wait(trio_tcp.ConnectionEnded, len(ends) + 1)
            ends.append(trio.current_time())
        assert ends == [10, 13, 16]


async def test_the_end_of_a_life_is_nothing_to_one_that_ended_before(
    autojump_clock: MockClock,
) -> None:
    async def leave(connection: Text) -> None:
        await connection.send("goodbye")

    async with serve(leave, only(lifetime=10)) as (served, record):
        client = await served.listener.connect()
        assert await end_of(client) == "FIN"
        await client.aclose()
        await trio.sleep(100)
        (ended,) = record.all(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.CLOSED


@each_about_receiving
async def test_who_goes_on_after_another_timeout_has_no_longer_life(
    case: Case, autojump_clock: MockClock
) -> None:
    async def go_on(connection: Text) -> None:
        with pytest.raises(PeerTooSlowError):
            await receive_all(connection)
        await trio.sleep_forever()

    timeouts = only(**{case.timeout: 10}, lifetime=50)
    async with serve(go_on, timeouts) as (served, record):
        client = await served.listener.connect()
        await client.send_all(case.sent)
        ended = await the_end(record)
        assert trio.current_time() == 50
        assert late(ended.error).timeout == case.timeout  # the first cause counts


# Clients ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.timeout in {"idle", "message", "write"}],
    ids=lambda case: case.timeout,
)
async def test_a_client_waits_for_its_server_no_longer(
    case: Case, autojump_clock: MockClock
) -> None:
    ours, theirs = testing.memory_stream_pair()
    record = Record()
    with pytest.raises(PeerTooSlowError) as caught:
        async with trio_tcp.open_connection(
            ours,
            codec=LINES,
            timeouts=only(**{case.timeout: 10}),
            observer=record,
        ) as connection:
            await theirs.send_all(case.sent)
            await case.handler(connection)
    assert trio.current_time() == 10 + case.extra
    assert caught.value.timeout == case.timeout
    (ended,) = record.all(trio_tcp.ConnectionEnded)
    assert ended.reason is CloseReason.TIMED_OUT
    # A block that raises has its connection aborted.
    assert await end_of(theirs) == "RST"


@pytest.mark.parametrize("case", [CASES[1], CASES[2]], ids=["idle", "message"])
async def test_a_client_that_catches_it_can_end_in_order(
    case: Case, autojump_clock: MockClock
) -> None:
    ours, theirs = testing.memory_stream_pair()
    timeouts = only(**{case.timeout: 10}, linger=7)
    async with trio_tcp.open_connection(
        ours, codec=LINES, timeouts=timeouts
    ) as connection:
        await theirs.send_all(case.sent)
        with pytest.raises(PeerTooSlowError):
            await receive_all(connection)
        await connection.send("goodbye")
    assert trio.current_time() == 10 + case.extra + 7
    assert await theirs.receive_some() == b"goodbye\n"
    assert await end_of(theirs) == "FIN"


async def test_a_servers_timeouts_mean_nothing_to_a_client(
    autojump_clock: MockClock,
) -> None:
    """It may be the server that speaks when it likes, and nobody's life is counted."""
    ours, _ = testing.memory_stream_pair()
    timeouts = only(first_message=1, lifetime=1, connect=1, handshake=1, linger=0)
    async with trio_tcp.open_connection(
        ours, codec=LINES, timeouts=timeouts
    ) as connection:
        with trio.move_on_after(A_LONG_TIME) as waited:
            await connection.receive()
        assert waited.cancelled_caught
        connection.timeouts = only(first_message=2, lifetime=2, linger=0)
        with trio.move_on_after(A_LONG_TIME) as waited:
            await connection.receive()
        assert waited.cancelled_caught


# connect ---------------------------------------------------------------------------


@final
class SilentNames(trio.abc.HostnameResolver):
    """A name server that does not answer."""

    async def getaddrinfo(self, *_: object, **__: object) -> NoReturn:
        await trio.sleep_forever()

    async def getnameinfo(self, *_: object, **__: object) -> NoReturn:
        await trio.sleep_forever()


@final
class SilentHosts(trio.abc.SocketFactory):
    """A network in which no host answers.

    Attributes:
        open: sockets.
    """

    def __init__(self) -> None:
        self.open: list[SilentSocket] = []

    def socket(self, *_: object, **__: object) -> SilentSocket:
        sock = SilentSocket(self.open)
        self.open.append(sock)
        return sock


@final
class SilentSocket(trio.socket.SocketType):
    def __init__(self, still_open: list[SilentSocket]) -> None:
        self._still_open = still_open

    async def connect(self, address: object) -> None:
        await trio.sleep_forever()

    def close(self) -> None:
        self._still_open.remove(self)


async def _never(*_: object, **__: object) -> NoReturn:
    await trio.sleep_forever()


def no_name(_: pytest.MonkeyPatch) -> Connect:
    trio.socket.set_custom_hostname_resolver(SilentNames())
    return partial(trio_tcp.connect_tcp, "silent.example", 1, codec=LINES)


def no_host(_: pytest.MonkeyPatch) -> Connect:
    trio.socket.set_custom_socket_factory(SilentHosts())
    return partial(trio_tcp.connect_tcp, "192.0.2.1", 1, codec=LINES)


def no_socket(monkeypatch: pytest.MonkeyPatch) -> Connect:
    # A listener whose backlog is full lets them wait (unix(7)).
    monkeypatch.setattr(trio, "open_unix_socket", _never)
    return partial(trio_tcp.connect_unix, "/silent.sock", codec=LINES)


each_silence = pytest.mark.parametrize("silence", [no_name, no_host, no_socket])


@each_silence
@pytest.mark.parametrize("seconds", [10, 0.25])
async def test_connecting_is_given_up_at_its_second(
    silence: Silence,
    seconds: float,
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: MockClock,
) -> None:
    connect = silence(monkeypatch)
    with trio.fail_after(A_LONG_TIME), pytest.raises(trio_tcp.ConnectError) as caught:
        async with connect(timeouts=only(connect=seconds)):
            pytest.fail("nobody has answered")
    assert trio.current_time() == seconds
    assert caught.value.errno == errno.ETIMEDOUT
    assert str(caught.value).startswith("could not connect to ")
    assert str(caught.value).endswith(f"no answer in {seconds} s (timeouts.connect)")


async def test_a_connect_that_is_given_up_leaves_no_socket_open(
    autojump_clock: MockClock,
) -> None:
    hosts = SilentHosts()
    trio.socket.set_custom_socket_factory(hosts)
    with pytest.raises(trio_tcp.ConnectError):
        async with trio_tcp.connect_tcp(
            "192.0.2.1", 1, codec=LINES, timeouts=only(connect=10)
        ):
            pytest.fail("nobody has answered")
    assert hosts.open == []


@each_silence
async def test_connecting_can_take_as_long_as_it_likes(
    silence: Silence, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """And a scope around it is the user's: it is no `ConnectError`."""
    connect = silence(monkeypatch)
    with trio.move_on_after(A_LONG_TIME) as waited:
        async with connect(timeouts=OFF):
            pytest.fail("nobody has answered")
    assert waited.cancelled_caught
    assert trio.current_time() == A_LONG_TIME


# handshake -------------------------------------------------------------------------


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


# linger ----------------------------------------------------------------------------


@pytest.mark.parametrize("linger", [0, 7, math.inf])
@pytest.mark.parametrize(
    ("said", "seen"),
    [("goodbye", "FIN"), ("x" * 100_000, "RST")],
    ids=["who does not close", "who does not read either"],
)
async def test_a_close_waits_for_a_peer_no_longer_than_linger(
    said: str, seen: End, linger: float, autojump_clock: MockClock
) -> None:
    async def leave(connection: Text) -> None:
        await connection.send(said)
        await trio.sleep(10)

    # The clocks of receiving do not run: nobody receives.
    timeouts = only(linger=linger, first_message=1, idle=1, message=1)
    async with serve(leave, timeouts) as (served, record):
        client = await served.listener.connect()
        with trio.move_on_after(A_LONG_TIME) as waited:
            ended = await the_end(record)
            assert trio.current_time() == 10 + linger
            assert ended.reason is CloseReason.CLOSED
            assert await end_of(client) == seen
        assert waited.cancelled_caught == (linger == math.inf)
