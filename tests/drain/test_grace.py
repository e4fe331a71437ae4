"""A drain, third: the grace, and its end."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.drain.draining import (
    LINES,
    Handler,
    Pourer,
    Reader,
    Text,
    close_and_go_on,
    connect_wire,
    of_server,
    serving,
    sleep_as_told,
    to_the_end,
    work,
    work_in_a_block,
)
from trio_tcp import CloseReason, DrainReport


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


async def wait_to_send_more(connection: Text) -> None:
    while True:
        await connection.send("never accepted: there is no room")


async def close(connection: Text) -> None:
    await connection.aclose()


async def close_in_another_task(connection: Text) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connection.aclose)
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
