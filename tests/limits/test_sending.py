"""`max_buffered_bytes`: who sends waits while all together hold too much."""

from __future__ import annotations

import math

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.limits.limiting import PATIENT, Text, buffered, everything, serve
from trio_tcp import CloseReason, Limits


async def send_100_lines(connection: Text) -> None:
    for number in range(100):
        await connection.send(f"{number:<999}")


HUNDRED_LINES = "".join(f"{number:<999}\n" for number in range(100)).encode()


async def test_send_waits_when_all_together_hold_too_much(
    autojump_clock: MockClock,
) -> None:
    limits = buffered(100_000)
    async with serve(limits, send_100_lines, timeouts=PATIENT, capacity=500) as serving:
        clients = [await serving.connect() for _ in range(10)]
        await trio.sleep(1)
        # What there is room for; and a little, which does not count, for everybody.
        held = serving.server.statistics().bytes_buffered
        assert 90_000 < held <= 100_000
        queued = [c.statistics().bytes_queued for c in serving.server.connections]
        assert held < sum(queued) <= held + 10 * 4096
        assert all(queued)
        for client in clients:
            assert await everything(client) == HUNDRED_LINES
            await client.aclose()
        await trio.sleep(1)
        assert serving.server.statistics().bytes_buffered == 0
        assert serving.server.statistics().ended == {CloseReason.CLOSED: 10}


async def test_who_has_nothing_queued_makes_progress_whatever_others_hold(
    autojump_clock: MockClock,
) -> None:
    limits = buffered(50_000)
    async with serve(limits, send_100_lines, timeouts=PATIENT, capacity=500) as serving:
        for _ in range(5):
            await serving.connect()  # and read nothing
        await trio.sleep(1)
        assert serving.server.statistics().bytes_buffered > 49_000
        client = await serving.connect()
        assert await everything(client) == HUNDRED_LINES
        assert trio.current_time() == 1
        assert len(serving.server.connections) == 6


async def test_a_large_message_waits_for_its_own_queue_at_most(
    autojump_clock: MockClock,
) -> None:
    """Though others leave no room for it, and read nothing."""

    async def send(connection: Text) -> None:
        if await connection.receive() == "deaf":
            await send_100_lines(connection)
        await connection.send("small")
        await connection.send("x" * 20_000)

    async with serve(buffered(50_000), send, timeouts=PATIENT, capacity=3) as serving:
        for _ in range(5):
            await (await serving.connect()).send_all(b"deaf\n")
        await trio.sleep(1)
        assert serving.server.statistics().bytes_buffered > 40_000
        client = await serving.connect()
        await client.send_all(b"on\n")
        assert await everything(client) == b"small\n" + b"x" * 20_000 + b"\n"
        assert trio.current_time() == 1


async def test_those_who_wait_for_the_budget_stay_in_order(
    autojump_clock: MockClock,
) -> None:
    """Small messages do not overtake large ones, for which there is no room yet."""
    lines = [
        f"{number:<{width}}" for number, width in enumerate([99, 9999, 999, 9] * 10)
    ]

    async def send_in_tasks(connection: Text) -> None:
        async with trio.open_nursery() as nursery:
            for line in lines:
                nursery.start_soon(connection.send, line)
                await wait_all_tasks_blocked()

    limits = buffered(15_000)
    async with serve(limits, send_in_tasks, timeouts=PATIENT, capacity=500) as serving:
        client = await serving.connect()
        await trio.sleep(1)
        assert 10_000 < serving.server.statistics().bytes_buffered <= 15_000
        assert await everything(client) == "".join(f"{x}\n" for x in lines).encode()


async def test_send_nowait_does_not_wait_for_the_budget_either(
    autojump_clock: MockClock,
) -> None:
    accepted: list[int] = []

    async def send_nowait(connection: Text) -> None:
        count = 0
        with pytest.raises(trio.WouldBlock):
            while True:
                connection.send_nowait(f"{count:<999}")
                count += 1
                await trio.lowlevel.checkpoint()
        accepted.append(count)
        await connection.receive()

    async with serve(
        buffered(10_500), send_nowait, timeouts=PATIENT, capacity=1
    ) as serving:
        await serving.connect()
        await trio.sleep(1)
        assert accepted == [10]
        # The next has only what does not count: a page.
        await serving.connect()
        await trio.sleep(1)
        assert accepted == [10, 4]
        assert serving.server.statistics().ended == {}


async def test_without_a_limit_only_each_connections_own_counts(
    autojump_clock: MockClock,
) -> None:
    async with serve(
        Limits(max_buffered_bytes=math.inf),
        send_100_lines,
        timeouts=PATIENT,
        capacity=500,
    ) as serving:
        for _ in range(20):
            await serving.connect()
        await trio.sleep(1)
        held = serving.server.statistics().bytes_buffered
        assert held >= 20 * (64 << 10)


async def test_a_higher_limit_lets_those_send_who_wait(
    autojump_clock: MockClock,
) -> None:
    limits = buffered(10_000)
    async with serve(limits, send_100_lines, timeouts=PATIENT, capacity=500) as serving:
        clients = [await serving.connect() for _ in range(2)]
        await trio.sleep(1)
        serving.server.limits = buffered(1_000_000)
        for client in clients:
            assert await client.receive_some(500) == HUNDRED_LINES[:500]
        for client in clients:
            assert await everything(client) == HUNDRED_LINES[500:]
