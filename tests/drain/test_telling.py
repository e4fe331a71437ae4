"""A drain, second: who has nothing to do is told, and who has is not."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import final

import pytest
import trio
import trio.testing
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.drain.draining import (
    ORDERS,
    Handler,
    Reader,
    Text,
    Wire,
    connect_wire,
    echo,
    exactly,
    of_server,
    passes,
    polite,
    serving,
    sleep_as_told,
    to_the_end,
)
from trio_tcp import CloseReason, DrainReport, testing


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
