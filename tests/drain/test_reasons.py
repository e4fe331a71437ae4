"""A drain, and why connections end meanwhile."""

from __future__ import annotations

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.drain.draining import (
    Text,
    clean_up_for_ever,
    serving,
    to_the_end,
    work,
)
from trio_tcp import CloseReason, DrainReport


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
