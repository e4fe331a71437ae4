"""A drain, stage by stage and to the second; and that nothing is lost on the way."""

from __future__ import annotations

import errno
import functools
import random
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Literal, Protocol, TypeAlias, final

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.certificates import HOST, client_context, server_context
from tests.integration.loopback import Record
from tests.tls import Peer
from trio_tcp import CloseReason, DrainReport, codecs, testing

Text: TypeAlias = trio_tcp.Connection[str, str]
Handler: TypeAlias = Callable[[Text], Awaitable[object]]
End: TypeAlias = Literal["FIN", "RST"]

LINES = codecs.Lines(max_bytes=1 << 20)
ORDERS = 40  # how often what depends on the order of tasks is tried
ABORT_SECONDS = 5
A_LONG_TIME = 1000

# They cost more than a test, and nobody changes them here.
of_client = functools.cache(client_context)
of_server = functools.cache(server_context)


@final
class Served:
    """A server in memory, and what became of it.

    Attributes:
        server: itself.
        listener: the way to it.
        record: what has happened.
        returned: set when `serve_listeners` has.
        returned_at: when that was.
    """

    def __init__(
        self, server: trio_tcp.Server, listener: testing.MemoryListener, record: Record
    ) -> None:
        self.server = server
        self.listener = listener
        self.record = record
        self.returned = trio.Event()
        self.returned_at = -1.0

    def ends(self) -> list[trio_tcp.ConnectionEnded]:
        """How the connections have ended that were open when the drain began."""
        events = self.record.events
        [start] = [
            n for n, e in enumerate(events) if isinstance(e, trio_tcp.DrainStarted)
        ]
        return [e for e in events[start:] if isinstance(e, trio_tcp.ConnectionEnded)]

    def agrees_with(self, report: DrainReport) -> bool:
        """Say whether the events tell the same as the report."""
        [reported] = self.record.all(DrainReport)
        total = report.finished + report.cancelled + report.aborted
        return reported is report and total == len(self.ends())


@asynccontextmanager
async def serving(
    handler: Handler,
    *,
    capacity: int = 64 << 10,
    listeners: Sequence[trio.abc.Listener[trio.abc.Stream]] = (),
    observer: trio_tcp.Observer | None = None,
    tls: ssl.SSLContext | None = None,
    limits: trio_tcp.Limits | None = None,
    timeouts: trio_tcp.Timeouts | None = None,
    handler_nursery: trio.Nursery | None = None,
) -> AsyncGenerator[Served, None]:
    """Run a server; at the end of the block, cancel it if it still runs."""
    listener = testing.MemoryListener(capacity)
    record = Record()
    served: Served | None = None

    async def serve(*, task_status: trio.TaskStatus[trio_tcp.Server]) -> None:
        await trio_tcp.serve_listeners(
            handler,
            listeners or [listener],
            codec=LINES,
            tls=tls,
            limits=limits or trio_tcp.Limits(),
            timeouts=timeouts or trio_tcp.Timeouts(),
            observer=observer or record,
            handler_nursery=handler_nursery,
            task_status=task_status,
        )
        assert served is not None
        served.returned_at = trio.current_time()
        served.returned.set()

    async with trio.open_nursery() as nursery:
        server: trio_tcp.Server = await nursery.start(serve)
        served = Served(server, listener, record)
        yield served
        nursery.cancel_scope.cancel()


# Handlers ----------------------------------------------------------------------------


async def echo(connection: Text) -> None:
    async for line in connection:
        await connection.send(line)


async def polite(connection: Text) -> None:
    """Echo, and say goodbye."""
    await echo(connection)
    await connection.send("goodbye")


async def work(connection: Text) -> None:
    """Work, and hear of nothing."""
    await trio.sleep_forever()


async def sleep_as_told(connection: Text) -> None:
    """Sleep for as many seconds as each line says, and answer it."""
    async for line in connection:
        await trio.sleep(float(line))
        await connection.send(line)


async def clean_up_for_ever(connection: Text) -> None:
    """Work, and do not let go."""
    with trio.CancelScope(shield=True):
        await trio.sleep(A_LONG_TIME)


# Clients -----------------------------------------------------------------------------


async def to_the_end(stream: trio.abc.Stream) -> tuple[bytes, End]:
    """Read until the server ends it, then close; return what came, and which end."""
    received = bytearray()
    end: End = "FIN"
    try:
        async for chunk in stream:
            received += chunk
    except trio.BrokenResourceError:
        end = "RST"
    await stream.aclose()
    return bytes(received), end


@final
class Reader:
    """A client that reads to the end, in a task.

    Attributes:
        received: what has come.
        end: how it ended; None before.
        ended_at: when.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        stream: testing.MemoryStream,
        *,
        pause: float = 0,
        every: float = 0,
        size: int | None = None,
    ) -> None:
        self.received = b""
        self.end: End | None = None
        self.ended_at = -1.0
        nursery.start_soon(self._run, stream, pause, every, size)

    async def _run(
        self,
        stream: testing.MemoryStream,
        pause: float,
        every: float,
        size: int | None,
    ) -> None:
        await trio.sleep(pause)
        try:
            while chunk := await stream.receive_some(size):
                self.received += chunk
                await trio.sleep(every)
            self.end = "FIN"
        except trio.BrokenResourceError:
            self.end = "RST"
        self.ended_at = trio.current_time()
        await stream.aclose()


async def exactly(stream: trio.abc.ReceiveStream, data: bytes) -> None:
    """Receive this and nothing else."""
    received = b""
    while len(received) < len(data):
        chunk = await stream.receive_some()
        assert chunk, f"the stream ended after {received!r}"
        received += chunk
    assert received == data


async def passes(count: int) -> None:
    """Let everybody else run so many times."""
    for _ in range(count):
        await trio.lowlevel.checkpoint()


# 1. Nobody comes any more ------------------------------------------------------------


async def test_nobody_is_accepted_any_more_but_those_at_work_go_on(
    autojump_clock: MockClock,
) -> None:
    async with serving(sleep_as_told) as served, trio.open_nursery() as nursery:
        client = await served.listener.connect()
        await client.send_all(b"7\n")
        await wait_all_tasks_blocked()
        nursery.start_soon(served.server.drain)
        await wait_all_tasks_blocked()
        with pytest.raises(ConnectionRefusedError):
            await served.listener.connect()
        assert await to_the_end(client) == (b"7\n", "FIN")
        assert trio.current_time() == 7


async def test_the_server_returns_when_it_is_drained(autojump_clock: MockClock) -> None:
    async with serving(sleep_as_told) as served:
        client = await served.listener.connect()
        await client.send_all(b"7\n")
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(to_the_end, client)
            await served.server.drain()
        await served.returned.wait()
        assert served.returned_at == 7
        last = [type(event) for event in served.record.events[-3:]]
        assert last == [trio_tcp.ConnectionEnded, DrainReport, trio_tcp.ServerStopped]


async def test_a_server_with_no_connections_is_drained_at_once(
    autojump_clock: MockClock,
) -> None:
    async with serving(work) as served:
        report = await served.server.drain()
        assert report == DrainReport(
            finished=0, cancelled=0, aborted=0, handshakes=0, seconds=0
        )
        await served.returned.wait()
        assert served.returned_at == 0
        assert served.agrees_with(report)


async def test_all_listeners_are_closed(autojump_clock: MockClock) -> None:
    listeners = [testing.MemoryListener() for _ in range(3)]
    async with serving(echo, listeners=listeners) as served:
        clients = [await listener.connect() for listener in listeners]
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            for client in clients:
                nursery.start_soon(to_the_end, client)
            report = await served.server.drain()
        assert (report.finished, report.seconds) == (3, 0)
        for listener in listeners:
            with pytest.raises(ConnectionRefusedError):
                await listener.connect()


async def test_a_suspended_server_can_be_drained(autojump_clock: MockClock) -> None:
    async with serving(echo) as served:
        client = await served.listener.connect()
        served.server.suspend()
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(to_the_end, client)
            report = await served.server.drain()
        assert (report.finished, report.seconds) == (1, 0)
        await served.returned.wait()
        assert served.returned_at == 0


async def test_a_drained_server_cannot_be_resumed(autojump_clock: MockClock) -> None:
    async with serving(work) as served:
        client = await served.listener.connect()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(served.server.drain, 10)
            await wait_all_tasks_blocked()
            served.server.resume()
            served.server.suspend()
            with pytest.raises(ConnectionRefusedError):
                await served.listener.connect()
            nursery.start_soon(to_the_end, client)
        kinds = {type(event) for event in served.record.events}
        assert not kinds & {trio_tcp.ServerResumed, trio_tcp.ServerSuspended}


async def test_a_full_server_can_be_drained(autojump_clock: MockClock) -> None:
    """Its accept loops wait for room."""
    limits = trio_tcp.Limits(max_connections=1)
    async with serving(sleep_as_told, limits=limits) as served:
        client = await served.listener.connect()
        await client.send_all(b"3\n")
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(to_the_end, client)
            report = await served.server.drain()
        assert (report.finished, report.seconds) == (1, 3)
        await served.returned.wait()
        assert served.returned_at == 3


@final
class ExhaustedListener(trio.abc.Listener[testing.MemoryStream]):
    """Has no descriptors left."""

    async def accept(self) -> testing.MemoryStream:
        await trio.lowlevel.checkpoint()
        raise OSError(errno.EMFILE, "accept")

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


async def test_a_server_without_descriptors_can_be_drained(
    autojump_clock: MockClock,
) -> None:
    async with serving(work, listeners=[ExhaustedListener()]) as served:
        await trio.sleep(1.05)
        report = await served.server.drain()
        assert report.seconds == 0
        await served.returned.wait()
        assert served.returned_at == 1.05


async def begin_nothing(_stream: testing.MemoryStream) -> None:
    """Connect, and say nothing."""


async def begin_half_a_hello(stream: testing.MemoryStream) -> None:
    """Send the beginning of a handshake's first message."""
    hello = Peer(stream, of_client(), server_hostname=HOST).hello()
    await stream.send_all(hello[:20])


async def begin_a_handshake(stream: testing.MemoryStream) -> None:
    """Send a handshake's first message, and no other."""
    hello = Peer(stream, of_client(), server_hostname=HOST).hello()
    await stream.send_all(hello)


BEGINNINGS = [begin_nothing, begin_half_a_hello, begin_a_handshake]


async def test_clients_in_a_handshake_are_closed_at_once_and_counted(
    autojump_clock: MockClock,
) -> None:
    async with serving(work, tls=of_server()) as served:
        clients: list[testing.MemoryStream] = []
        for begin in BEGINNINGS:
            clients.append(await served.listener.connect())
            await begin(clients[-1])
        await wait_all_tasks_blocked()
        assert served.server.statistics().handshaking == 3
        report = await served.server.drain()
        assert report == DrainReport(
            finished=0, cancelled=0, aborted=0, handshakes=3, seconds=0
        )
        await served.returned.wait()
        assert served.returned_at == 0
        for client in clients:
            assert (await to_the_end(client))[1] == "FIN"
        assert served.agrees_with(report)
        assert served.server.statistics().handshaking == 0
        assert not served.record.all(trio_tcp.HandshakeFailed)


@pytest.mark.parametrize("tls", [False, True])
async def test_whoever_connects_at_that_moment_is_refused_or_served_and_counted(
    tls: bool, autojump_clock: MockClock
) -> None:
    """In whatever order things happen, the books agree and nobody is waited for."""
    seen: set[tuple[str, int, int]] = set()
    for count in range(ORDERS * 2):
        async with serving(echo, tls=of_server() if tls else None) as served:
            await wait_all_tasks_blocked()
            outcome = "refused"

            async def connect(served: Served = served) -> None:
                nonlocal outcome
                with suppress(ConnectionRefusedError):
                    client = await served.listener.connect()
                    if not tls:
                        await client.send_all(b"hello\n")
                    received, end = await to_the_end(client)
                    outcome = f"{received.decode(errors='replace').strip()} {end}"

            async with trio.open_nursery() as nursery:
                nursery.start_soon(connect)
                await passes(count % 7)
                report = await served.server.drain()
                assert report.seconds == 0
                await served.returned.wait()
            assert trio.current_time() == 0
            assert served.agrees_with(report)
            seen.add((outcome, report.finished, report.handshakes))
    # What arrives later than the news is not served.
    closed = {(" FIN", 0, 1)} if tls else {("hello FIN", 1, 0), (" FIN", 1, 0)}
    assert seen == {("refused", 0, 0)} | closed


async def test_a_handshake_that_ends_at_that_moment_is_counted_once(
    autojump_clock: MockClock,
) -> None:
    """As a handshake that was broken off, or as a connection with nothing to do."""
    for count in range(ORDERS):
        async with serving(polite, tls=of_server()) as served:
            stream = await served.listener.connect()
            peer = Peer(stream, of_client(), server_hostname=HOST)

            async def shake_hands(peer: Peer = peer) -> None:
                with suppress(Exception):
                    await peer.shake_hands()
                    await peer.receive_all()
                await peer.stream.aclose()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(shake_hands)
                await passes(count % 20)
                report = await served.server.drain()
            assert report.handshakes + report.finished == 1
            assert report.seconds == 0
            await served.returned.wait()
            assert served.returned_at == 0
            assert served.agrees_with(report)


# 2. Who has nothing to do is told ----------------------------------------------------


async def test_who_waits_for_a_message_is_told_that_there_will_be_none(
    autojump_clock: MockClock,
) -> None:
    async with serving(polite) as served, trio.open_nursery() as nursery:
        clients = [await served.listener.connect() for _ in range(3)]
        await clients[0].send_all(b"x\n")
        await exactly(clients[0], b"x\n")
        await wait_all_tasks_blocked()
        readers = [Reader(nursery, client) for client in clients]
        report = await served.server.drain()
        assert report == DrainReport(
            finished=3, cancelled=0, aborted=0, handshakes=0, seconds=0
        )
        await wait_all_tasks_blocked()
        for reader in readers:
            assert (reader.received, reader.end) == (b"goodbye\n", "FIN")
        assert [end.reason for end in served.ends()] == [CloseReason.DRAINED] * 3
        assert served.agrees_with(report)


async def test_the_news_is_an_end_of_the_channel_each_time_one_asks(
    autojump_clock: MockClock,
) -> None:
    seen: list[str] = []

    async def handler(connection: Text) -> None:
        assert not connection.draining.is_set()
        for _ in range(3):
            with pytest.raises(trio_tcp.Drained) as caught:
                await connection.receive()
            assert isinstance(caught.value, trio.EndOfChannel)
            assert caught.value.connection_id == connection.id
            assert connection.draining.is_set()
            with pytest.raises(trio.WouldBlock):
                connection.receive_nowait()
        seen.append("done")

    async with serving(handler) as served:
        client = await served.listener.connect()
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(to_the_end, client)
            await served.server.drain()
        assert seen == ["done"]
        assert not served.record.all(trio_tcp.HandlerFailed)


async def test_who_lets_the_news_out_is_closed_in_order(
    autojump_clock: MockClock,
) -> None:
    async def handler(connection: Text) -> None:
        while True:
            await connection.send(await connection.receive())

    async with serving(handler) as served:
        client = await served.listener.connect()
        await client.send_all(b"x\n")
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            reader = Reader(nursery, client)
            await served.server.drain()
        assert (reader.received, reader.end) == (b"x\n", "FIN")
        assert not served.record.all(trio_tcp.HandlerFailed)
        assert [end.reason for end in served.ends()] == [CloseReason.DRAINED]


async def test_who_is_told_by_the_event_may_end_by_himself(
    autojump_clock: MockClock,
) -> None:
    async def handler(connection: Text) -> None:
        await connection.draining.wait()
        await connection.send("goodbye")

    async with serving(handler) as served:
        client = await served.listener.connect()
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            reader = Reader(nursery, client)
            report = await served.server.drain()
        assert (report.finished, report.seconds) == (1, 0)
        assert (reader.received, reader.end) == (b"goodbye\n", "FIN")
        assert [end.reason for end in served.ends()] == [CloseReason.CLOSED]


async def test_a_message_that_has_begun_may_be_finished(
    autojump_clock: MockClock,
) -> None:
    async with serving(polite) as served, trio.open_nursery() as nursery:
        client = await served.listener.connect()
        await client.send_all(b"unfin")
        await wait_all_tasks_blocked()
        reader = Reader(nursery, client)

        async def finish() -> None:
            await trio.sleep(4)
            await client.send_all(b"ish")
            await trio.sleep(4)
            assert reader.received == b""
            await client.send_all(b"ed\n")

        nursery.start_soon(finish)
        report = await served.server.drain()
        await wait_all_tasks_blocked()
        assert (reader.received, reader.end) == (b"unfinished\ngoodbye\n", "FIN")
        assert (report.finished, report.seconds) == (1, 8)
        assert [end.reason for end in served.ends()] == [CloseReason.DRAINED]


async def test_a_message_that_is_never_finished_is_waited_for_as_long_as_others(
    autojump_clock: MockClock,
) -> None:
    async with serving(polite) as served, trio.open_nursery() as nursery:
        client = await served.listener.connect()
        await client.send_all(b"one\nunfin")
        await wait_all_tasks_blocked()
        reader = Reader(nursery, client)
        report = await served.server.drain(10)
        assert (report.cancelled, report.seconds) == (1, 10)
        await wait_all_tasks_blocked()
        assert (reader.received, reader.end) == (b"one\n", "FIN")


async def test_all_that_was_received_is_answered(autojump_clock: MockClock) -> None:
    """Also the requests that wait behind the one that is being answered."""
    requests = b"0.5\n" * 30
    async with serving(sleep_as_told) as served, trio.open_nursery() as nursery:
        client = await served.listener.connect()
        await client.send_all(requests)
        await wait_all_tasks_blocked()
        reader = Reader(nursery, client)
        report = await served.server.drain()
        await wait_all_tasks_blocked()
        assert (reader.received, reader.end) == (requests, "FIN")
        assert (report.finished, report.seconds) == (1, 15)


async def test_what_arrived_while_the_handler_worked_is_answered(
    autojump_clock: MockClock,
) -> None:
    """It had not been read when the drain began."""
    async with serving(sleep_as_told) as served, trio.open_nursery() as nursery:
        client = await served.listener.connect()
        await client.send_all(b"2\n")
        await wait_all_tasks_blocked()
        await client.send_all(b"3\n")
        reader = Reader(nursery, client)
        report = await served.server.drain()
        await wait_all_tasks_blocked()
        assert (reader.received, reader.end) == (b"2\n3\n", "FIN")
        assert (report.finished, report.seconds) == (1, 5)


# Handlers that wait for a message, each in a way of its own


async def receive_as_another_watches(connection: Text) -> None:
    async with connection.cancel_on_disconnect():
        await polite(connection)


async def receive_as_another_begins_to_watch(connection: Text) -> None:
    """The watchers come and go all the time."""

    async def watch() -> None:
        while True:
            with trio.move_on_after(1):
                await connection.wait_disconnected()
                return

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        await polite(connection)
        nursery.cancel_scope.cancel()


async def watch_and_receive_later(connection: Text) -> None:
    """Take the stream from one that watches, at the very moment."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connection.wait_disconnected)
        await trio.sleep(1 - trio.current_time() % 1)
        await passes(random.randrange(4))
        await polite(connection)
        nursery.cancel_scope.cancel()


async def receive_for_a_second_at_a_time(connection: Text) -> None:
    """Look up at the very moment at which everything happens."""
    while True:
        with trio.move_on_after(1):
            try:
                line = await connection.receive()
            except trio.EndOfChannel:
                break
            await connection.send(line)
        await passes(random.randrange(4))
    await connection.send("goodbye")


async def leave_a_dialogue_and_receive(connection: Text) -> None:
    """Be busy all the time, but for that very moment."""
    while True:
        with connection.busy():
            await trio.sleep(0.5)
            with trio.move_on_after(0.5):
                try:
                    line = await connection.receive()
                except trio.EndOfChannel:
                    return
                await connection.send(line)
        if connection.draining.is_set():
            break
    await polite(connection)


WAYS_TO_WAIT = [
    polite,
    receive_as_another_watches,
    receive_as_another_begins_to_watch,
    watch_and_receive_later,
    receive_for_a_second_at_a_time,
    leave_a_dialogue_and_receive,
]


@final
class TriosListener(trio.abc.Listener[trio.abc.Stream]):
    """Accepts streams of Trio's own, which do not tell whether they have something."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[trio.abc.Stream](0)

    async def connect(self) -> trio.abc.Stream:
        ours, theirs = trio.testing.memory_stream_pair()
        await self._send.send(theirs)
        return ours

    async def accept(self) -> trio.abc.Stream:
        return await self._receive.receive()

    async def aclose(self) -> None:
        await self._receive.aclose()


@pytest.mark.parametrize("kind", ["memory", "Trio's", "TLS"])
@pytest.mark.parametrize("handler", WAYS_TO_WAIT)
async def test_what_has_arrived_at_that_moment_is_still_served(
    handler: Handler, kind: str, autojump_clock: MockClock
) -> None:
    """Whoever runs first: the client, the drain, a timeout, or one that watches."""
    tls = kind == "TLS"
    seen: set[bool] = set()
    for _ in range(ORDERS):
        asked: list[int] = []
        asked_in_time: list[int] = []

        def observe(event: trio_tcp.Event) -> None:
            if isinstance(event, trio_tcp.DrainStarted):
                asked_in_time.extend(asked)  # noqa: B023 - of this round

        trios = TriosListener()
        async with serving(
            handler,
            tls=of_server() if tls else None,
            listeners=[trios] if kind == "Trio's" else [],
            observer=observe,
        ) as served:
            connect = (trios if kind == "Trio's" else served.listener).connect
            wires = [await connect_wire(await connect(), tls=tls) for _ in range(8)]
            await trio.sleep(1 - trio.current_time() % 1)

            async def ask(number: int, wire: Wire) -> None:
                await passes(random.randrange(5))
                with suppress(trio.BrokenResourceError):
                    await wire.send(b"question\n")
                    asked.append(number)  # noqa: B023 - of this round
                received, end = await wire.receive_all()
                assert end == "FIN"
                if number in asked_in_time:  # noqa: B023 - of this round
                    assert received == b"question\ngoodbye\n"
                else:
                    assert received in {b"question\ngoodbye\n", b"goodbye\n"}
                seen.add(number in asked_in_time)  # noqa: B023 - of this round

            async with trio.open_nursery() as nursery:
                for number, wire in enumerate(wires):
                    nursery.start_soon(ask, number, wire)
                await passes(2)
                nursery.start_soon(served.server.drain)
    assert seen == {False, True}


async def test_who_asks_all_the_time_is_sent_away_soon(
    autojump_clock: MockClock,
) -> None:
    """With the answer to what has arrived, and not when the grace is over."""

    async def ask_all_the_time(stream: testing.MemoryStream, window: int) -> None:
        asked = answered = 0
        while True:
            while asked - answered < window:
                await stream.send_all(b"question\n")
                asked += 1
            if not (chunk := await stream.receive_some()):
                break
            answered += chunk.count(b"\n")
        await stream.aclose()

    for handler in (echo, receive_as_another_watches):
        async with serving(handler) as served, trio.open_nursery() as nursery:
            for window in (1, 1, 2, 10):
                stream = await served.listener.connect()
                nursery.start_soon(ask_all_the_time, stream, window)
            await passes(100)
            report = await served.server.drain()
            assert (report.finished, report.seconds) == (4, 0)


async def test_whatever_clients_do_at_that_moment_the_books_agree(
    autojump_clock: MockClock,
) -> None:
    async def do_anything(stream: testing.MemoryStream, dice: random.Random) -> None:
        await stream.send_all(dice.choice([b"", b"", b"unfin", b"question\n"]))
        await passes(dice.randrange(6))
        match dice.randrange(5):
            case 0:
                await stream.aclose()
            case 1:
                stream.reset()
            case 2:
                await stream.send_eof()
                await to_the_end(stream)
            case 3:
                await stream.send_all(b"ished\n")
                await to_the_end(stream)
            case _:
                await to_the_end(stream)

    for seed in range(ORDERS * 3):
        dice = random.Random(seed)
        handler = WAYS_TO_WAIT[seed % len(WAYS_TO_WAIT)]
        began_at = trio.current_time()
        async with serving(handler) as served, trio.open_nursery() as nursery:
            for _ in range(8):
                stream = await served.listener.connect()
                nursery.start_soon(do_anything, stream, dice)
            await passes(dice.randrange(6))
            report = await served.server.drain(5)
            assert served.agrees_with(report), f"seed {seed}"
            assert len(served.record.all(trio_tcp.ConnectionEnded)) == 8
            assert report.aborted == 0
            assert not served.record.all(trio_tcp.HandlerFailed)
            await served.returned.wait()
            assert served.returned_at <= began_at + 5


async def test_who_watches_and_receives_is_told_at_once(
    autojump_clock: MockClock,
) -> None:
    for handler in (receive_as_another_watches, receive_as_another_begins_to_watch):
        for _ in range(ORDERS):
            async with serving(handler) as served:
                client = await served.listener.connect()
                await passes(random.randrange(6))
                began_at = trio.current_time()
                async with trio.open_nursery() as nursery:
                    reader = Reader(nursery, client)
                    report = await served.server.drain()
                assert (report.finished, report.seconds) == (1, 0)
                assert (reader.received, reader.end) == (b"goodbye\n", "FIN")
                assert trio.current_time() == began_at


async def test_who_only_watches_is_at_work(autojump_clock: MockClock) -> None:
    async def watch(connection: Text) -> None:
        await connection.wait_disconnected()
        await connection.send("nobody hears this")

    async with serving(watch) as served, trio.open_nursery() as nursery:
        gone = await served.listener.connect()
        stays = await served.listener.connect()
        await wait_all_tasks_blocked()

        async def leave() -> None:
            await trio.sleep(3)
            await gone.aclose()

        nursery.start_soon(leave)
        reader = Reader(nursery, stays)
        report = await served.server.drain(10)
        await wait_all_tasks_blocked()
        assert (report.finished, report.cancelled, report.seconds) == (1, 1, 10)
        assert (reader.received, reader.end) == (b"", "FIN")


async def test_whoever_takes_up_waiting_during_the_drain_is_told_then(
    autojump_clock: MockClock,
) -> None:
    async def handler(connection: Text) -> None:
        await trio.sleep(3)
        await polite(connection)

    async with serving(handler) as served, trio.open_nursery() as nursery:
        quiet, eager = [await served.listener.connect() for _ in range(2)]
        readers = [Reader(nursery, quiet), Reader(nursery, eager)]
        await wait_all_tasks_blocked()
        await eager.send_all(b"x\n")
        report = await served.server.drain()
        await wait_all_tasks_blocked()
        assert (report.finished, report.seconds) == (2, 3)
        assert readers[0].received == b"goodbye\n"
        assert readers[1].received == b"x\ngoodbye\n"


# Dialogues


async def introduce(connection: Text) -> None:
    """Answer each line after a question of its own."""
    async for line in connection:
        with connection.busy():
            await connection.send("who asks?")
            name = await connection.receive()
            await connection.send(f"{line}, {name}")


async def test_a_dialogue_goes_on_to_its_end(autojump_clock: MockClock) -> None:
    async with serving(introduce) as served, trio.open_nursery() as nursery:
        client = await served.listener.connect()
        await client.send_all(b"hello\n")
        await wait_all_tasks_blocked()
        reader = Reader(nursery, client)

        async def answer() -> None:
            await trio.sleep(5)
            assert reader.end is None
            await client.send_all(b"ann\n")

        nursery.start_soon(answer)
        report = await served.server.drain()
        await wait_all_tasks_blocked()
        assert (reader.received, reader.end) == (b"who asks?\nhello, ann\n", "FIN")
        assert (report.finished, report.seconds) == (1, 5)
        assert [end.reason for end in served.ends()] == [CloseReason.DRAINED]


async def test_a_dialogue_takes_no_longer_than_the_grace(
    autojump_clock: MockClock,
) -> None:
    async with serving(introduce) as served, trio.open_nursery() as nursery:
        client = await served.listener.connect()
        await client.send_all(b"hello\n")
        await wait_all_tasks_blocked()
        reader = Reader(nursery, client)
        report = await served.server.drain(6)
        await wait_all_tasks_blocked()
        assert (reader.received, reader.end) == (b"who asks?\n", "FIN")
        assert (report.cancelled, report.seconds) == (1, 6)


async def test_a_dialogue_inside_another_does_not_end_it(
    autojump_clock: MockClock,
) -> None:
    async def handler(connection: Text) -> None:
        with connection.busy():
            with connection.busy():
                await trio.sleep(1)
            with pytest.raises(trio.TooSlowError):
                with trio.fail_after(2):
                    await connection.receive()
        assert trio.current_time() == 3
        with pytest.raises(trio_tcp.Drained):
            await connection.receive()

    async with serving(handler) as served, trio.open_nursery() as nursery:
        nursery.start_soon(to_the_end, await served.listener.connect())
        await wait_all_tasks_blocked()
        report = await served.server.drain()
        assert (report.finished, report.seconds) == (1, 3)
        assert not served.record.all(trio_tcp.HandlerFailed)


async def test_a_dialogue_that_another_task_ends_lets_the_news_come(
    autojump_clock: MockClock,
) -> None:
    async def handler(connection: Text) -> None:
        async def dialogue() -> None:
            with connection.busy():
                await trio.sleep(4)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(dialogue)
            await polite(connection)

    async with serving(handler) as served, trio.open_nursery() as nursery:
        reader = Reader(nursery, await served.listener.connect())
        await wait_all_tasks_blocked()
        report = await served.server.drain()
        await wait_all_tasks_blocked()
        assert (report.finished, report.seconds) == (1, 4)
        assert (reader.received, reader.end) == (b"goodbye\n", "FIN")


async def test_a_dialogue_that_begins_in_time_is_not_broken(
    autojump_clock: MockClock,
) -> None:
    """Another task begins it, at the very moment of the drain."""
    for count in range(ORDERS):

        async def handler(connection: Text, count: int = count) -> None:
            async def dialogue() -> None:
                await trio.sleep(1)
                await passes(count % 3)
                with connection.busy():
                    begun = connection.draining.is_set()
                    await trio.sleep(4)
                    # What began before the drain is unharmed; later it may be too late.
                    assert begun or not received

            received: list[str] = []
            async with trio.open_nursery() as nursery:
                nursery.start_soon(dialogue)
                received += [line async for line in connection]
                received.append("end")

        async with serving(handler) as served, trio.open_nursery() as nursery:
            began_at = trio.current_time()
            nursery.start_soon(to_the_end, await served.listener.connect())
            await trio.sleep(1)
            report = await served.server.drain()
            assert report.finished == 1
            assert trio.current_time() - began_at == 5
            assert not served.record.all(trio_tcp.HandlerFailed)


# 3. and 4. The grace, and its end ----------------------------------------------------


async def test_those_at_work_may_finish_and_are_not_waited_for_longer(
    autojump_clock: MockClock,
) -> None:
    async with serving(sleep_as_told) as served, trio.open_nursery() as nursery:
        readers: list[Reader] = []
        for seconds in (1, 4, 9):
            client = await served.listener.connect()
            await client.send_all(f"{seconds}\n".encode())
            readers.append(Reader(nursery, client))
        await wait_all_tasks_blocked()
        report = await served.server.drain(30)
        await wait_all_tasks_blocked()
        assert [reader.ended_at for reader in readers] == [1, 4, 9]
        assert [bytes(reader.received) for reader in readers] == [
            b"1\n",
            b"4\n",
            b"9\n",
        ]
        assert report == DrainReport(
            finished=3, cancelled=0, aborted=0, handshakes=0, seconds=9
        )


async def test_at_the_end_of_the_grace_handlers_are_cancelled_to_the_second(
    autojump_clock: MockClock,
) -> None:
    cancelled_at: list[float] = []

    async def handler(connection: Text) -> None:
        try:
            await connection.draining.wait()
            await trio.sleep_forever()
        finally:
            cancelled_at.append(trio.current_time())

    async with serving(handler) as served, trio.open_nursery() as nursery:
        reader = Reader(nursery, await served.listener.connect())
        await trio.sleep(2)
        report = await served.server.drain(7.5)
        await wait_all_tasks_blocked()
        assert cancelled_at == [9.5]
        assert reader.end == "FIN"
        assert report == DrainReport(
            finished=0, cancelled=1, aborted=0, handshakes=0, seconds=7.5
        )
        assert [end.reason for end in served.ends()] == [CloseReason.DRAINED]
        await served.returned.wait()
        assert served.returned_at == 9.5


@final
class Pourer:
    """Sends as much as it can, and knows what was accepted.

    Attributes:
        accepted: every line of which `send` returned.
    """

    def __init__(self, then: Handler) -> None:
        self.accepted: list[str] = []
        self._then = then

    async def handler(self, connection: Text) -> None:
        """Send a lot, and go on as the test wants."""
        with trio.move_on_after(0.1):
            await self.pour(connection)
        await self._then(connection)

    async def pour(self, connection: Text) -> None:
        """Send without end."""
        while True:
            line = f"{len(self.accepted)} ".ljust(999, "x")
            await connection.send(line)
            self.accepted.append(line)


async def wait_to_send_more(connection: Text) -> None:
    while True:
        await connection.send("never accepted: there is no room")


async def close(connection: Text) -> None:
    await connection.aclose()


async def close_and_go_on(connection: Text) -> None:
    await connection.aclose()
    await trio.sleep_forever()


async def close_in_another_task(connection: Text) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connection.aclose)
        await trio.sleep_forever()


async def work_in_a_block(connection: Text) -> None:
    async with connection:
        await trio.sleep_forever()


async def work_and_close_at_last(connection: Text) -> None:
    try:
        await trio.sleep_forever()
    finally:
        await connection.aclose()


async def flush(connection: Text) -> None:
    await connection.flush()
    await trio.sleep_forever()


async def half_close(connection: Text) -> None:
    await connection.send_eof()
    await trio.sleep_forever()


async def return_at_once(connection: Text) -> None:
    """Do nothing more."""


async def say_nothing_when_cancelled(connection: Text) -> None:
    """Try to send something more, in vain."""
    try:
        await trio.sleep_forever()
    finally:
        with suppress(trio.WouldBlock):
            connection.send_nowait("never accepted: there is no room")


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize(
    "then",
    [
        work,
        wait_to_send_more,
        close,
        close_and_go_on,
        close_in_another_task,
        work_in_a_block,
        work_and_close_at_last,
        flush,
        half_close,
        return_at_once,
        say_nothing_when_cancelled,
    ],
)
async def test_what_was_accepted_in_time_arrives_also_at_slow_readers(
    then: Handler, tls: bool, autojump_clock: MockClock
) -> None:
    pourer = Pourer(then)
    async with serving(
        pourer.handler,
        capacity=1000,
        timeouts=trio_tcp.Timeouts(linger=60),
        tls=of_server() if tls else None,
    ) as served:
        client = await connect_wire(await served.listener.connect(), tls=tls)
        await trio.sleep(1)
        assert len(pourer.accepted) > 60

        async def read_slowly() -> None:
            await trio.sleep(4)  # one second after the end of the grace
            received, end = await client.receive_all(every=0.02)
            assert received == b"".join(map(LINES.encode, pourer.accepted))
            assert end == "FIN"

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_slowly)
            report = await served.server.drain(3)
            assert (report.finished, report.cancelled, report.aborted) == (0, 1, 0)
            assert 4 < report.seconds < 8
        await served.returned.wait()
        assert served.agrees_with(report)


@pytest.mark.parametrize("then", ["close", "detach"])
async def test_handlers_that_outlive_their_connections_are_cancelled_too(
    then: str, autojump_clock: MockClock
) -> None:
    """Their connections are no part of the report."""
    cancelled_at: list[float] = []

    async def handler(connection: Text) -> None:
        try:
            if then == "close":
                await connection.aclose()
                await trio.sleep_forever()
            else:
                stream, _ = await connection.detach()
                async with stream:
                    await trio.sleep_forever()
        finally:
            cancelled_at.append(trio.current_time())

    async with serving(handler) as served, trio.open_nursery() as nursery:
        nursery.start_soon(to_the_end, await served.listener.connect())
        await trio.sleep(1)
        assert served.server.connections == ()
        report = await served.server.drain(10)
        assert cancelled_at == [11]
        assert report == DrainReport(
            finished=0, cancelled=0, aborted=0, handshakes=0, seconds=10
        )
        await served.returned.wait()
        assert served.returned_at == 11


async def test_a_handler_that_finishes_after_its_connection_is_waited_for(
    autojump_clock: MockClock,
) -> None:
    finished_at: list[float] = []

    async def handler(connection: Text) -> None:
        await connection.receive()
        await connection.aclose()
        await trio.sleep(5)
        finished_at.append(trio.current_time())

    async with serving(handler) as served, trio.open_nursery() as nursery:
        client = await served.listener.connect()
        await client.send_all(b"x\n")
        nursery.start_soon(to_the_end, client)
        await wait_all_tasks_blocked()
        report = await served.server.drain(10)
        assert finished_at == [5]
        assert report.seconds == 5


# 5. What does not end ----------------------------------------------------------------


@pytest.mark.parametrize("linger", [5.0, 60.0])
async def test_a_peer_that_never_reads_is_reset_five_seconds_later(
    linger: float, autojump_clock: MockClock
) -> None:
    pourer = Pourer(work)
    timeouts = trio_tcp.Timeouts(linger=linger)
    async with serving(pourer.handler, capacity=1000, timeouts=timeouts) as served:
        client = await served.listener.connect()
        await trio.sleep(1)
        report = await served.server.drain(3)
        assert report == DrainReport(
            finished=0, cancelled=0, aborted=1, handshakes=0, seconds=3 + ABORT_SECONDS
        )
        await served.returned.wait()
        assert served.returned_at == 1 + 3 + ABORT_SECONDS
        with pytest.raises(trio.BrokenResourceError):
            await client.receive_some()
        assert [end.reason for end in served.ends()] == [CloseReason.DRAINED]
        assert served.agrees_with(report)


async def test_a_handler_that_does_not_let_go_is_not_waited_for(
    autojump_clock: MockClock,
) -> None:
    """Its connection is reset, and the drain over; but nobody can end a shielded task.

    What waits for it is `serve_listeners`, as every nursery in Trio does.
    """

    async def handler(connection: Text) -> None:
        await connection.send("accepted")
        with trio.CancelScope(shield=True):
            await trio.sleep(100)

    async with serving(handler) as served:
        client = await served.listener.connect()
        await exactly(client, b"accepted\n")
        report = await served.server.drain(3)
        assert report == DrainReport(
            finished=0, cancelled=0, aborted=1, handshakes=0, seconds=3 + ABORT_SECONDS
        )
        with pytest.raises(trio.BrokenResourceError):
            await client.receive_some()
        await served.returned.wait()
        assert served.returned_at == 100
        assert served.agrees_with(report)


async def test_a_handler_may_clean_up_for_five_seconds(
    autojump_clock: MockClock,
) -> None:
    async def handler(connection: Text) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(4.5)
                await connection.send("all tidy")

    async with serving(handler) as served, trio.open_nursery() as nursery:
        reader = Reader(nursery, await served.listener.connect())
        await wait_all_tasks_blocked()
        report = await served.server.drain(3)
        await wait_all_tasks_blocked()
        assert report == DrainReport(
            finished=0, cancelled=1, aborted=0, handshakes=0, seconds=7.5
        )
        assert (reader.received, reader.end) == (b"all tidy\n", "FIN")


async def test_an_abort_sends_those_away_who_wait(autojump_clock: MockClock) -> None:
    """They are in shielded scopes; the connection's own errors reach them."""
    seen: list[str] = []

    async def handler(connection: Text) -> None:
        with trio.CancelScope(shield=True):
            with pytest.raises(trio_tcp.ConnectionClosedError):
                with connection.busy():
                    await connection.receive()
            seen.append("receive")
            with pytest.raises(trio_tcp.ConnectionClosedError):
                await connection.send("x")
            seen.append("send")

    async with serving(handler) as served:
        client = await served.listener.connect()
        await wait_all_tasks_blocked()
        report = await served.server.drain(3)
        assert report.aborted == 1
        await served.returned.wait()
        assert served.returned_at == 3 + ABORT_SECONDS
        assert seen == ["receive", "send"]
        assert (await to_the_end(client))[1] == "RST"


# Why connections end -----------------------------------------------------------------


async def do_as_told(connection: Text) -> None:
    """End as the first line says."""
    connection.label = what = await connection.receive()
    match what:
        case "return":
            await trio.sleep(1)
        case "fail":
            await trio.sleep(1)
            raise LookupError(what)
        case "abort":
            await trio.sleep(1)
            connection.abort()
        case "go on":
            with connection.busy():
                await connection.receive()
        case "stay":
            await clean_up_for_ever(connection)
        case "work":
            await work(connection)
        case _:
            await connection.receive()


REASONS = {
    "wait": CloseReason.DRAINED,
    "return": CloseReason.CLOSED,
    "fail": CloseReason.HANDLER_FAILED,
    "abort": CloseReason.CLOSED,
    "work": CloseReason.DRAINED,
    "stay": CloseReason.DRAINED,
}


async def test_every_end_has_its_own_reason(autojump_clock: MockClock) -> None:
    async with serving(do_as_told) as served, trio.open_nursery() as nursery:
        for what in REASONS:
            client = await served.listener.connect()
            await client.send_all(what.encode() + b"\n")
            nursery.start_soon(to_the_end, client)
        await wait_all_tasks_blocked()
        report = await served.server.drain(10)
        assert report == DrainReport(
            finished=4, cancelled=1, aborted=1, handshakes=0, seconds=15
        )
        nursery.cancel_scope.cancel()
    assert {end.label: end.reason for end in served.ends()} == REASONS


async def test_what_peers_do_meanwhile_is_a_reason_too(
    autojump_clock: MockClock,
) -> None:
    async with serving(do_as_told) as served:
        closes, resets, truncates = [await served.listener.connect() for _ in range(3)]
        for client, sent in (
            (closes, b"go on\n"),
            (resets, b"wait\nbegun"),
            (truncates, b"wait\nbegun"),
        ):
            await client.send_all(sent)
            await wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:

            async def act() -> None:
                await trio.sleep(1)
                await closes.aclose()
                await trio.sleep(1)
                resets.reset()
                await trio.sleep(1)
                await truncates.aclose()

            nursery.start_soon(act)
            report = await served.server.drain()
        assert (report.finished, report.seconds) == (3, 3)
        assert [end.reason for end in served.ends()] == [
            CloseReason.PEER_CLOSED,
            CloseReason.BROKEN,
            CloseReason.TRUNCATED,
        ]


# The call ----------------------------------------------------------------------------


async def test_without_a_grace_all_are_cancelled_at_once(
    autojump_clock: MockClock,
) -> None:
    async with serving(sleep_as_told) as served, trio.open_nursery() as nursery:
        idle, busy = [await served.listener.connect() for _ in range(2)]
        await busy.send_all(b"5\n")
        readers = [Reader(nursery, idle), Reader(nursery, busy)]
        await wait_all_tasks_blocked()
        report = await served.server.drain(0)
        await wait_all_tasks_blocked()
        assert report == DrainReport(
            finished=0, cancelled=2, aborted=0, handshakes=0, seconds=0
        )
        for reader in readers:
            assert (reader.received, reader.end) == (b"", "FIN")
        assert served.agrees_with(report)


@pytest.mark.parametrize(("first", "second"), [(20, 8), (8, 20)])
async def test_of_two_drains_the_shorter_grace_counts(
    first: float, second: float, autojump_clock: MockClock
) -> None:
    async with serving(work) as served, trio.open_nursery() as nursery:
        nursery.start_soon(to_the_end, await served.listener.connect())
        await wait_all_tasks_blocked()
        reports: list[DrainReport] = []

        async def drain(grace: float) -> None:
            reports.append(await served.server.drain(grace))

        nursery.start_soon(drain, first)
        await trio.sleep(2)
        await served.server.drain(second)
        await wait_all_tasks_blocked()
        end = min(first, 2 + second)
        assert trio.current_time() == end
        assert reports == [
            DrainReport(finished=0, cancelled=1, aborted=0, handshakes=0, seconds=end)
        ]
        [started] = served.record.all(trio_tcp.DrainStarted)
        assert started == trio_tcp.DrainStarted(connections=1, grace=first)


async def test_a_drain_that_is_called_for_late_is_over_at_once(
    autojump_clock: MockClock,
) -> None:
    """The handlers are cancelled already; what is left is the time to clean up."""
    async with serving(clean_up_for_ever) as served, trio.open_nursery() as nursery:
        nursery.start_soon(to_the_end, await served.listener.connect())
        await wait_all_tasks_blocked()
        nursery.start_soon(served.server.drain, 3)
        await trio.sleep(4)
        report = await served.server.drain(0)
        assert (report.aborted, report.seconds) == (1, 3 + ABORT_SECONDS)
        nursery.cancel_scope.cancel()


async def test_many_who_drain_at_once_get_one_report(autojump_clock: MockClock) -> None:
    async with serving(echo) as served, trio.open_nursery() as nursery:
        nursery.start_soon(to_the_end, await served.listener.connect())
        await wait_all_tasks_blocked()
        reports: list[DrainReport] = []

        async def drain() -> None:
            reports.append(await served.server.drain())

        async with trio.open_nursery() as drainers:
            for _ in range(5):
                drainers.start_soon(drain)
        assert len(reports) == 5
        assert all(report is reports[0] for report in reports)
        assert len(served.record.all(trio_tcp.DrainStarted)) == 1
        assert served.agrees_with(reports[0])


async def test_after_the_end_there_is_the_same_report_again(
    autojump_clock: MockClock,
) -> None:
    async with serving(echo) as served:
        report = await served.server.drain()
        await served.returned.wait()
        assert await served.server.drain(0) is report
        assert len(served.record.all(DrainReport)) == 1


async def test_a_server_that_was_cancelled_cannot_be_drained(
    autojump_clock: MockClock,
) -> None:
    async with serving(echo) as served:
        pass
    with pytest.raises(RuntimeError, match="ended already"):
        await served.server.drain()
    assert not served.record.all(trio_tcp.DrainStarted)


async def test_a_cancelled_call_does_not_stop_the_drain(
    autojump_clock: MockClock,
) -> None:
    async with serving(work) as served, trio.open_nursery() as nursery:
        reader = Reader(nursery, await served.listener.connect())
        await wait_all_tasks_blocked()
        with trio.move_on_after(2) as scope:
            await served.server.drain(10)
        assert scope.cancelled_caught
        assert reader.end is None
        await served.returned.wait()
        await wait_all_tasks_blocked()
        assert served.returned_at == reader.ended_at == 10
        report = await served.server.drain()
        assert (report.cancelled, report.seconds) == (1, 10)


async def test_a_call_that_is_cancelled_from_the_start_does_nothing(
    autojump_clock: MockClock,
) -> None:
    async with serving(echo) as served:
        with trio.CancelScope() as scope:
            scope.cancel()
            await served.server.drain()
        assert scope.cancelled_caught
        client = await served.listener.connect()
        await client.send_all(b"x\n")
        await exactly(client, b"x\n")


@pytest.mark.parametrize("then", [work, close_and_go_on, work_in_a_block])
@pytest.mark.parametrize("at", ["grace", "cleaning up"])
async def test_a_server_that_is_cancelled_while_it_drains_still_reports(
    at: str, then: Handler, autojump_clock: MockClock
) -> None:
    """It ends at once; whoever waits for the drain is outside, and is told."""
    reports: list[DrainReport] = []
    listener = testing.MemoryListener(1000)
    record = Record()
    pourer = Pourer(then)

    async def handler(connection: Text) -> None:
        if await connection.receive() == "stay":
            await pourer.handler(connection)

    serve = partial(
        trio_tcp.serve_listeners,
        handler,
        [listener],
        codec=LINES,
        observer=record,
        timeouts=trio_tcp.Timeouts(linger=60),
    )
    async with trio.open_nursery() as outside:
        async with trio.open_nursery() as nursery:
            server: trio_tcp.Server = await nursery.start(serve)
            clients = [await listener.connect() for _ in range(4)]
            for client in clients[1:]:
                await client.send_all(b"stay\n")
            await trio.sleep(1)
            served = Served(server, listener, record)

            async def drain() -> None:
                reports.append(await server.drain(10))

            outside.start_soon(drain)
            outside.start_soon(to_the_end, clients[0])
            await trio.sleep(5 if at == "grace" else 12)
            nursery.cancel_scope.cancel()
    [report] = reports
    assert (report.finished, report.cancelled, report.aborted) == (1, 3, 0)
    assert report.seconds == trio.current_time() - 1 == (5 if at == "grace" else 12)
    assert served.agrees_with(report)
    assert len(served.ends()) == 4
    assert (await to_the_end(clients[1]))[1] == "RST"


async def test_an_observer_may_start_the_drain(autojump_clock: MockClock) -> None:
    """As one that sees too many failures."""
    record = Record()
    async with trio.open_nursery() as nursery:

        def observe(event: trio_tcp.Event) -> None:
            record(event)
            match event:
                case trio_tcp.ConnectionOpened() | trio_tcp.DrainStarted():
                    nursery.start_soon(served.server.drain, 5)
                case _:
                    pass

        async with serving(sleep_as_told, observer=observe) as served:
            served.record = record
            client = await served.listener.connect()
            await client.send_all(b"3\n")
            assert await to_the_end(client) == (b"3\n", "FIN")
            await served.returned.wait()
            assert served.returned_at == 3
            report = await served.server.drain()
            assert (report.finished, report.seconds) == (1, 3)
            assert served.agrees_with(report)


async def test_handlers_in_a_nursery_of_the_users_are_drained_too(
    autojump_clock: MockClock,
) -> None:
    async with trio.open_nursery() as handlers:
        async with serving(sleep_as_told, handler_nursery=handlers) as served:
            async with trio.open_nursery() as nursery:
                readers: list[Reader] = []
                for seconds in (0, 4, 60):
                    client = await served.listener.connect()
                    await client.send_all(f"{seconds}\n".encode())
                    readers.append(Reader(nursery, client))
                await wait_all_tasks_blocked()
                report = await served.server.drain(10)
            assert [reader.ended_at for reader in readers] == [0, 4, 10]
            assert [reader.end for reader in readers] == ["FIN"] * 3
            assert report == DrainReport(
                finished=2, cancelled=1, aborted=0, handshakes=0, seconds=10
            )
            await served.returned.wait()
            assert served.returned_at == 10
        assert not handlers.child_tasks


async def test_a_server_outlived_by_its_handlers_has_ended_without_a_drain(
    autojump_clock: MockClock,
) -> None:
    async with trio.open_nursery() as handlers:
        async with serving(echo, handler_nursery=handlers) as served:
            client = await served.listener.connect()
            await wait_all_tasks_blocked()
        with pytest.raises(RuntimeError, match="ended already"):
            await served.server.drain()
        await client.send_all(b"still served\n")
        await exactly(client, b"still served\n")
        await client.aclose()


async def test_statistics_can_be_read_after_the_drain(
    autojump_clock: MockClock,
) -> None:
    async with serving(echo) as served, trio.open_nursery() as nursery:
        client = await served.listener.connect()
        await client.send_all(b"x\n")
        nursery.start_soon(to_the_end, client)
        await wait_all_tasks_blocked()
        await served.server.drain()
        statistics = served.server.statistics()
        assert (statistics.accepted, statistics.open) == (1, 0)
        assert statistics.ended == {CloseReason.DRAINED: 1}
        assert statistics.messages_received == statistics.messages_sent == 1
        assert statistics.bytes_buffered == 0


# The big one -------------------------------------------------------------------------


class Wire(Protocol):
    """A client, with TLS or without, that knows nothing of the code under test."""

    async def send(self, data: bytes, /) -> None:
        """Send bytes."""
        ...

    async def receive_all(self, *, every: float = 0) -> tuple[bytes, End]:
        """Read to the end, with pauses, and close."""
        ...


@final
class PlainWire:
    """Without TLS."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream

    async def send(self, data: bytes) -> None:
        await self._stream.send_all(data)

    async def receive_all(self, *, every: float = 0) -> tuple[bytes, End]:
        received = bytearray()
        try:
            while chunk := await self._stream.receive_some():
                received += chunk
                await trio.sleep(every)
        except trio.BrokenResourceError:
            return bytes(received), "RST"
        await self._stream.aclose()
        return bytes(received), "FIN"


@final
class SecureWire:
    """With TLS. An end without TLS's own counts as a reset."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    async def send(self, data: bytes) -> None:
        await self._peer.send(data)

    async def receive_all(self, *, every: float = 0) -> tuple[bytes, End]:
        received = bytearray()
        try:
            while chunk := await self._peer.receive():
                received += chunk
                await trio.sleep(every)
        except trio.BrokenResourceError:
            return bytes(received), "RST"
        if self._peer.missing_end:
            return bytes(received), "RST"
        await self._peer.end()
        await self._peer.stream.aclose()
        return bytes(received), "FIN"


async def connect_wire(stream: trio.abc.Stream, *, tls: bool) -> Wire:
    """Make a client of a stream; with TLS, shake hands."""
    if not tls:
        return PlainWire(stream)
    assert isinstance(stream, trio.abc.HalfCloseableStream)
    peer = Peer(stream, of_client(), server_hostname=HOST)
    await peer.shake_hands()
    return SecureWire(peer)


@attrs.define
class Client:
    """One client of many, as its handler and it itself have seen it.

    Attributes:
        kind: what it does.
        accepted: what its handler has sent, as far as `send` returned.
        received: what it got.
        end: how that ended.
    """

    kind: str
    accepted: bytes = b""
    received: bytes = b""
    end: End | None = None


KINDS = {
    "busy, in time": 30,
    "busy, too long": 20,
    "idle": 50,
    "stuck in cleaning up": 3,
    "stuck, not reading": 2,
}
HANDSHAKES = 20
GRACE = 10.0


@final
class Crowd:
    """Clients of all kinds, and the handler that serves them."""

    def __init__(self, dice: random.Random) -> None:
        kinds = [kind for kind, count in KINDS.items() for _ in range(count)]
        dice.shuffle(kinds)
        self.clients = [Client(kind) for kind in kinds]
        self._dice = dice

    async def serve(self, connection: Text) -> None:
        """Serve the client that says which it is."""
        async for line in connection:
            client = self.clients[int(line)]
            connection.label = line
            match client.kind:
                case "busy, in time":
                    await trio.sleep(self._dice.uniform(0.5, GRACE / 2))
                    await self._answer(connection, client, self._dice.randrange(1, 9))
                case "busy, too long":
                    await self._answer(connection, client, 1_000_000)
                case "idle":
                    await self._answer(connection, client, 1)
                case "stuck in cleaning up":
                    await self._answer(connection, client, 1)
                    await clean_up_for_ever(connection)
                case _:
                    await self._answer(connection, client, 1_000_000, pause=0)

    async def _answer(
        self, connection: Text, client: Client, count: int, pause: float = 0.3
    ) -> None:
        for number in range(count):
            answer = f"{number} ".ljust(self._dice.randrange(10, 10_000), "x")
            await connection.send(answer)
            client.accepted += LINES.encode(answer)
            if number:
                await trio.sleep(pause)

    async def be(self, number: int, wire: Wire) -> None:
        """Be a client, to the end."""
        client = self.clients[number]
        await wire.send(b"%d\n" % number)
        if client.kind == "stuck, not reading":
            await trio.sleep_forever()
        every = self._dice.choice([0, 0, 0.01, 0.1])
        client.received, client.end = await wire.receive_all(every=every)

    def of(self, *kinds: str) -> list[Client]:
        """Return the clients of these kinds."""
        return [client for client in self.clients if client.kind in kinds]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("tls", [False, True])
async def test_of_a_big_crowd_each_sees_what_the_report_says(
    tls: bool, seed: int, autojump_clock: MockClock
) -> None:
    """No answer that was accepted is lost, and nobody is waited for too long."""
    crowd = Crowd(random.Random(seed))
    async with (
        serving(crowd.serve, capacity=4096, tls=of_server() if tls else None) as served,
        trio.open_nursery() as nursery,
    ):
        for number in range(len(crowd.clients)):
            stream = await served.listener.connect()
            wire = await connect_wire(stream, tls=tls)
            nursery.start_soon(crowd.be, number, wire)
        beginners: list[testing.MemoryStream] = []
        for number in range(HANDSHAKES if tls else 0):
            beginners.append(await served.listener.connect())
            await BEGINNINGS[number % 3](beginners[-1])
        await trio.sleep(0.1)
        assert served.server.statistics().open == len(crowd.clients)
        began_at = trio.current_time()
        report = await served.server.drain(GRACE)
        assert trio.current_time() - began_at == GRACE + ABORT_SECONDS
        for beginner in beginners:
            assert (await to_the_end(beginner))[1] == "FIN"
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert report == DrainReport(
        finished=80,
        cancelled=20,
        aborted=5,
        handshakes=HANDSHAKES if tls else 0,
        seconds=GRACE + ABORT_SECONDS,
    )
    assert served.agrees_with(report)
    for client in crowd.of("busy, in time", "busy, too long", "idle"):
        assert client.end == "FIN", client.kind
        assert client.received == client.accepted, client.kind
    for client in crowd.of("stuck in cleaning up"):
        assert client.end == "RST"
        assert client.received == client.accepted
    too_long = crowd.of("busy, too long")
    assert min(len(client.accepted) for client in too_long) > 20_000
    assert served.server.statistics().ended == {CloseReason.DRAINED: 105}
