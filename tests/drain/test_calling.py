"""The call that drains: several of them, late ones, cancelled ones."""

from __future__ import annotations

import math
from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.drain.draining import (
    ABORT_SECONDS,
    LINES,
    Handler,
    Pourer,
    Reader,
    Served,
    Text,
    clean_up_for_ever,
    close_and_go_on,
    echo,
    exactly,
    serving,
    sleep_as_told,
    to_the_end,
    work,
    work_in_a_block,
)
from tests.integration.loopback import Record
from trio_tcp import CloseReason, DrainReport, testing


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


@pytest.mark.parametrize("grace", [-1, math.nan, "30"])
async def test_a_grace_that_is_no_duration_is_refused_and_nothing_begins(
    autojump_clock: MockClock, grace: float
) -> None:
    async with serving(echo) as served:
        with pytest.raises(ValueError, match="grace must be a number of seconds"):
            await served.server.drain(grace)
        assert served.server.state is trio_tcp.ServerState.ACCEPTING
    assert not served.record.all(trio_tcp.DrainStarted)


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
