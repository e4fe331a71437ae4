"""The picture of docs/how-to/requests.md: four requests, and one that is cancelled."""

from __future__ import annotations

from functools import partial
from typing import Final

import trio

import trio_tcp
from tests.docs.pictures.timeline import Bar, Mark, Row, timeline
from trio_tcp import codecs, testing

__all__ = ["requests"]

BEGINS: Final = (0.2, 0.4, 0.6, 0.8)
REPLIES: Final = (1.6, 2.1, 2.6, 3.6)
"""Seconds: when the tasks ask, and when the server answers."""
CANCELLED: Final = 1.0

Line = trio_tcp.Connection[str, str]


async def _answer(connection: Line) -> None:
    for number, time in enumerate(REPLIES, start=1):
        request = await connection.receive()
        assert request == f"request {number}"
        await trio.sleep_until(time)
        await connection.send(f"reply {number}")


async def _ask(net: testing.VirtualNetwork) -> dict[int, tuple[float, str]]:
    """Return when each of the tasks was through, and with what."""
    ended: dict[int, tuple[float, str]] = {}

    async def task(requester: trio_tcp.Requester[str, str], number: int) -> None:
        await trio.sleep_until(BEGINS[number - 1])
        with trio.CancelScope() as scope:
            if number == 2:
                scope.deadline = CANCELLED
            reply = await requester.request(f"request {number}")
            ended[number] = (trio.current_time(), reply)
        if scope.cancelled_caught:
            ended[number] = (trio.current_time(), "cancelled")

    codec = codecs.Lines()
    serve = partial(trio_tcp.serve_tcp, _answer, 80, codec=codec)
    net.host("server").start(serve)
    await net.settle()
    async with (
        trio_tcp.connect_tcp("server", 80, codec=codec) as connection,
        trio_tcp.Requester(connection, max_in_flight=3) as requester,
        trio.open_nursery() as nursery,
    ):
        for number in range(1, 5):
            nursery.start_soon(task, requester, number)
    return ended


def requests() -> str:
    """Run them, and draw what became of each."""
    result = testing.run_simulation(_ask, seed=0)
    sent = [s.time for s in result.trace.select(sender="test") if s.payload]
    came = [s.arrived for s in result.trace.select(sender="server") if s.payload]
    rows: list[Row] = []
    for number, (begin, end) in enumerate(zip(sent, came, strict=True), start=1):
        assert end is not None
        until, reply = result.value[number]
        bars = [Bar(begin, end, "busy", f"request {number}")]
        after, crossed = reply, None
        if reply == "cancelled":
            bars = [Bar(begin, until, "busy"), Bar(until, end, "gone", "cancelled")]
            after, crossed = f"reply {number} comes late, and is dropped", until
        elif begin > BEGINS[number - 1] + 0.1:
            bars.insert(0, Bar(BEGINS[number - 1], begin, "base-line", "in line"))
        rows.append(Row(f"task {number}", bars, after, crossed))
    return timeline(
        "Requests in order, one of which is cancelled",
        "Four tasks send requests over one connection that may have three in flight. "
        "Requests 1, 2 and 3 are sent. The task of request 2 is cancelled, but its "
        "place stays. Request 4 waits in line until reply 1 comes. Reply 2 comes late "
        "and is dropped. Replies 3 and 4 go to tasks 3 and 4.",
        rows,
        [Mark(sent[3], "reply 1 makes room for request 4")],
        seconds=4,
        ticks=range(5),
    )
