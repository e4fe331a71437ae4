"""The pictures of docs/how-to/bench.md: a real run, with a server that stalls once."""

from __future__ import annotations

import io
import json
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import trio
from rich.console import Console

import trio_tcp
from tests.docs.page import ROOT
from tests.docs.pictures.terminal import terminal
from trio_tcp import codecs
from trio_tcp.cli._bench._result import from_json
from trio_tcp.cli._bench._show import show
from trio_tcp.cli._bench._words import headline

__all__ = ["draw_bench"]

HOST: Final = "127.0.0.1"
COLUMNS: Final = 84
STALL_AFTER: Final = 5.0
"""Seconds from the first message to the stall; a second of them is the warm-up."""

STALL: Final = 1.0
"""Seconds."""

OPTIONS: Final = (
    "--codec",
    "lines",
    "--message",
    "hello",
    "--rate",
    "1000",
    "-c",
    "10",
)


def draw_bench() -> None:
    """Measure, and write both pictures."""
    trio.run(_measure_and_draw)


async def _measure_and_draw() -> None:
    async with trio.open_nursery() as nursery:
        serve = partial(
            trio_tcp.serve_tcp,
            stalling_once(),
            0,
            host=HOST,
            codec=codecs.Lines(),
            observer=lambda _: None,
        )
        server: trio_tcp.Server = await nursery.start(serve)
        found = await _measure(f"{HOST}:{server.port}")
        nursery.cancel_scope.cancel()
    result = from_json(found)
    title = f"localhost:8888: {headline(result)}"
    file = io.StringIO()
    console = Console(
        file=file,
        width=COLUMNS,
        highlight=False,
        force_terminal=True,
        color_system="standard",
    )
    console.print("[dim]$[/] trio-tcp bench localhost:8888 " + " ".join(OPTIONS))
    show(result, title, console)
    picture = terminal(
        file.getvalue(),
        title="trio-tcp bench",
        description=f"The report of a run: {title}. Latency by percentile, from when "
        "requests were due and from when they were sent, and replies over time.",
        columns=COLUMNS,
    )
    path = ROOT / "docs" / "how-to" / "bench_report.svg"
    path.write_text(picture, encoding="utf-8")


def stalling_once() -> trio_tcp.Handler[str, str]:
    """Make an echo in which all connections wait, for a second, once."""
    begins: list[float] = []

    async def reply(line: str) -> str:
        now = trio.current_time()
        if not begins:
            begins.append(now + STALL_AFTER)
        if begins[0] <= now < begins[0] + STALL:
            await trio.sleep_until(begins[0] + STALL)
        return line

    return trio_tcp.respond(reply)


async def _measure(address: str) -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        picture, figures = Path(folder) / "picture.svg", Path(folder) / "figures.json"
        command = [sys.executable, "-m", "trio_tcp", "bench", address, *OPTIONS]
        await trio.run_process(
            [*command, "--svg", str(picture), "--json", str(figures)],
            capture_stdout=True,
            cwd=ROOT,
        )
        drawn = picture.read_text("utf-8").replace(address, "localhost:8888")
        (ROOT / "docs" / "how-to" / "bench_stall.svg").write_text(
            drawn, encoding="utf-8"
        )
        found: dict[str, Any] = json.loads(figures.read_text("utf-8"))
        return found
