"""The picture of docs/how-to/workers.md: two workers, replaced at SIGHUP, as it was."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from typing import Final

import trio

import trio_tcp
from tests.docs.page import ROOT
from tests.docs.pictures.timeline import Bar, Mark, Row, timeline
from trio_tcp import codecs

__all__ = ["draw_rolling_restart", "serve"]

HOST: Final = "127.0.0.1"
WORKERS: Final = 2
ASKED: Final = 1.2
"""Seconds that the request takes which a worker is at when it is told to drain."""


async def _slowly(connection: trio_tcp.Connection[str, str]) -> None:
    async for line in connection:
        await trio.sleep(ASKED)
        await connection.send(line)


serve: Final = partial(trio_tcp.serve_listeners, _slowly, codec=codecs.Lines())
"""What the workers import: this module."""


def draw_rolling_restart() -> None:
    """Restart a service, and draw when each worker began, served, and ended."""
    picture = trio.run(_restart)
    path = ROOT / "docs" / "how-to" / "rolling_restart.svg"
    path.write_text(picture, encoding="utf-8")


class _Log:
    """Events with their times."""

    def __init__(self) -> None:
        self.events: list[tuple[float, trio_tcp.Event]] = []
        self._changed = trio.Event()

    def __call__(self, event: trio_tcp.Event) -> None:
        self.events.append((time.monotonic(), event))
        self._changed.set()

    async def has(self, is_it: Callable[[trio_tcp.Event], bool]) -> None:
        while not any(is_it(event) for _, event in self.events):
            self._changed = trio.Event()
            await self._changed.wait()


def _is_ready(generation: int) -> Callable[[trio_tcp.Event], bool]:
    def is_it(event: trio_tcp.Event) -> bool:
        if generation == 1:
            return isinstance(event, trio_tcp.SupervisorStarted)
        return isinstance(event, trio_tcp.ReloadFinished)

    return is_it


async def _restart() -> str:
    log = _Log()
    async with trio.open_nursery() as nursery:
        [listener] = await trio_tcp.open_tcp_listeners(0, host=HOST)
        port = listener.socket.getsockname()[1]
        nursery.start_soon(
            partial(
                trio_tcp.serve_with_workers,
                f"{__name__}:serve",
                [listener],
                workers=WORKERS,
                observer=log,
            )
        )
        await log.has(_is_ready(1))
        await trio.sleep(0.5)
        hung_up = time.monotonic()
        os.kill(os.getpid(), signal.SIGHUP)
        async with trio.open_nursery() as asking:
            asking.start_soon(_ask_until_told, port)
            await log.has(_is_ready(2))
        for slot in range(WORKERS):
            await log.has(partial(_has_ended, slot))
        await trio.sleep(0.5)
        end = time.monotonic()
        nursery.cancel_scope.cancel()
    return _draw(log.events, hung_up, end)


async def _ask_until_told(port: int) -> None:
    """Be the client whose request is under way when its worker drains."""
    async with trio_tcp.connect_tcp(HOST, port, codec=codecs.Lines()) as client:
        while True:
            try:
                await client.send("hello")
                await client.receive()
            except (trio_tcp.PeerClosed, trio_tcp.ConnectionBroken):
                return


def _has_ended(slot: int, event: trio_tcp.Event) -> bool:
    """Tell whether a worker of the first generation has ended."""
    return (
        isinstance(event, trio_tcp.WorkerEnded)
        and event.generation == 1
        and event.slot == slot
    )


def _draw(
    events: list[tuple[float, trio_tcp.Event]], hung_up: float, end: float
) -> str:
    zero = hung_up - 0.5

    def when(kind: type[trio_tcp.Event], generation: int, slot: int) -> float:
        return next(
            at - zero
            for at, event in events
            if isinstance(event, kind)
            and getattr(event, "generation", 0) == generation
            and getattr(event, "slot", slot) == slot
        )

    reloaded = when(trio_tcp.ReloadFinished, 2, 0)
    seconds = end - zero
    rows = [Row("listening socket", [Bar(0, seconds, "base-line", "always open")])]
    for slot in range(WORKERS):
        ended = when(trio_tcp.WorkerEnded, 1, slot)
        bars = [Bar(0, reloaded, "busy", "serves"), Bar(reloaded, ended, "quiet")]
        is_long = ended - reloaded > ASKED / 4
        after = "drains: its request is finished" if is_long else "drains"
        rows.append(Row(f"worker {slot}", bars, after))
    for slot in range(WORKERS):
        started = when(trio_tcp.WorkerStarted, 2, slot)
        ready = when(trio_tcp.WorkerReady, 2, slot)
        bars = [
            Bar(started, ready, "starting", "imports"),
            Bar(ready, seconds, "new", "serves"),
        ]
        rows.append(Row(f"new worker {slot}", bars))
    return timeline(
        "A rolling restart",
        "The listening socket is open all the time. At SIGHUP the first new worker "
        "starts, and imports; when it is ready, so does the second, while the old ones "
        "serve. When all are ready, the old ones drain: one ends at once, the other "
        "when its request is finished.",
        rows,
        [Mark(0.5, "SIGHUP"), Mark(reloaded, "all are ready")],
        seconds=seconds,
        ticks=range(int(seconds) + 1),
    )
