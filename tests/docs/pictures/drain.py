"""The picture of docs/explanation/drain.md, from the story that its program tells."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from types import ModuleType
from typing import Final

from tests.docs.page import ROOT, Page
from tests.docs.pictures.timeline import Bar, Mark, Row, timeline

__all__ = ["drain"]

CONNECTED: Final = 0.5
"""Seconds: when the clients connect that are there when the drain begins."""

Story = list[tuple[float, str, str]]


def drain() -> str:
    """Run the program, and draw what its clients saw."""
    page = Page(ROOT / "docs" / "explanation" / "drain.md")
    block = next(block for block in page.blocks if block.kind == "run")
    module = sys.modules["page"] = ModuleType("page")
    with redirect_stdout(None):
        exec(compile(page.program(block), page.path, "exec"), module.__dict__)
    story: Story = module.story
    begin = next(time for time, _, what in story if what == "drain begins")
    end = next(time for time, _, what in story if what.startswith("DrainReport"))
    rows = [
        _row(client.__name__.replace("_", " "), story, begin, end)
        for client in module.CLIENTS
    ]
    late = next(time for time, who, _ in story if who == "comes late")
    rows.append(Row("comes late", [Bar(late, late, "quiet")], "refused", late))
    told = "; ".join(
        f"{row.name}: until {row.bars[-1].end:.1f} s, {row.after}" for row in rows
    )
    grace = begin + module.GRACE
    return timeline(
        "A drain, and what seven clients see",
        f"The drain begins at {begin:g} s, the grace is over at {grace:g} s. {told}.",
        rows,
        [
            Mark(begin, "drain begins"),
            Mark(grace, "grace is over: cancel"),
            Mark(end, "reset"),
        ],
        seconds=end + 0.5,
        ticks=range(0, int(end) + 1, 2),
    )


def _row(name: str, story: Story, begin: float, end: float) -> Row:
    """Return the bar of a client, until it sees the end, and what it sees."""
    seen = [(time, what) for time, who, what in story if who == name]
    is_reset = "ConnectionBroken" in seen[-1][1]
    last = end if is_reset else seen[-1][0]
    replies = [what.removeprefix("received ") for _, what in seen[:-1]]
    before = Bar(CONNECTED, begin, "quiet")
    bars = [before, Bar(begin, last, "busy")] if last > begin + 0.1 else [before]
    after = ", ".join([*replies, "RST" if is_reset else "FIN"])
    return Row(name, bars, after, last if is_reset else None)
