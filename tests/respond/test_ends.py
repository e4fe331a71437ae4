"""How long `respond` answers: timeouts, a drain, a cancellation, the program's end."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.respond.answering import (
    Flavour,
    as_async,
    big,
    never_said,
    plain_and_async,
    receive_all,
    serving,
    upper,
)
from trio_tcp import CloseReason, testing


@plain_and_async
@pytest.mark.parametrize(
    ("timeouts", "sent", "seconds"),
    [
        (trio_tcp.Timeouts(first_message=7), b"", 7),
        (trio_tcp.Timeouts(idle=8), b"a\n", 8),
        (trio_tcp.Timeouts(message=9, message_rate=1), b"a\nxyz", 12),
        (trio_tcp.Timeouts(lifetime=10), b"a\n", 10),
    ],
    ids=["first_message", "idle", "message", "lifetime"],
)
async def test_timeouts_hold_to_the_second(
    flavour: Flavour,
    timeouts: trio_tcp.Timeouts,
    sent: bytes,
    seconds: float,
    autojump_clock: MockClock,
) -> None:
    async with serving(trio_tcp.respond(flavour(upper)), timeouts=timeouts) as (
        served,
        record,
    ):
        client = await served.listener.connect()
        if sent:
            await client.send_all(sent)
        (ended,) = await record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.TIMED_OUT
        assert ended.seconds == seconds
        await client.aclose()


@plain_and_async
async def test_a_client_that_does_not_read_is_given_up(
    flavour: Flavour, autojump_clock: MockClock
) -> None:
    handler = trio_tcp.respond(flavour(big))
    timeouts = trio_tcp.Timeouts(write=6)
    async with serving(handler, timeouts=timeouts) as (served, record):
        client = await served.listener.connect()
        await client.send_all(b"more\n" * 100)
        (ended,) = await record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.TIMED_OUT
        assert ended.seconds == 6
        assert record.all(trio_tcp.HandlerFailed) == []
        await client.aclose()


@plain_and_async
async def test_a_drain_ends_the_idle_at_once_and_answers_what_has_come(
    flavour: Flavour, autojump_clock: MockClock
) -> None:
    async with serving(trio_tcp.respond(flavour(upper))) as (served, _):
        idle = await served.listener.connect()
        busy = await served.listener.connect()
        await busy.send_all(b"a\n" * 10_000)
        async with trio.open_nursery() as nursery:
            received: list[bytes] = []

            async def receive(client: testing.MemoryStream) -> None:
                received.append(await receive_all(client))
                await client.aclose()

            nursery.start_soon(receive, idle)
            nursery.start_soon(receive, busy)
            report = await served.server.drain()
        assert sorted(received) == [b"", b"A\n" * 10_000]
        assert report.finished == 2
        assert report.seconds == 0


@plain_and_async
async def test_a_server_that_is_cancelled_ends_in_the_middle_of_answers(
    flavour: Flavour,
) -> None:
    async with serving(trio_tcp.respond(flavour(big))) as (served, record):
        client = await served.listener.connect()
        await client.send_all(b"more\n" * 100)
        await wait_all_tasks_blocked()
    (ended,) = record.all(trio_tcp.ConnectionEnded)
    assert ended.statistics.messages_sent == ended.statistics.messages_received - (
        flavour is as_async
    )
    await client.aclose()


@plain_and_async
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
async def test_what_ends_the_program_goes_through_the_server(
    flavour: Flavour, error: type[BaseException]
) -> None:
    def end(_: str) -> str:
        raise error

    with pytest.RaisesGroup(error, flatten_subgroups=True, allow_unwrapped=True):
        async with serving(trio_tcp.respond(flavour(end), on_error=never_said)) as (
            served,
            _,
        ):
            client = await served.listener.connect()
            await client.send_all(b"a\n")
            await trio.sleep_forever()
