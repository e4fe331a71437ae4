"""A drain and what handlers mark as dialogues: they go on to their end."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.drain.draining import (
    ORDERS,
    Reader,
    Text,
    passes,
    polite,
    serving,
    to_the_end,
)
from trio_tcp import CloseReason


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
