"""A drain, last: what does not end is reset."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.drain.draining import (
    ABORT_SECONDS,
    Pourer,
    Reader,
    Text,
    exactly,
    serving,
    to_the_end,
    work,
)
from trio_tcp import CloseReason, DrainReport


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
