"""Every picture in docs/, and what draws it.

Most are the same each time they are drawn: a test compares them with the files. Those
of real sockets, processes, terminals and browsers are not.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import chdir, redirect_stdout
from types import ModuleType
from typing import Final

from tests.docs.page import PAGES, ROOT, Block, Page
from tests.docs.pictures.bench import draw_bench
from tests.docs.pictures.drain import drain
from tests.docs.pictures.proxy import draw_proxy
from tests.docs.pictures.queues import queues
from tests.docs.pictures.requests import requests
from tests.docs.pictures.retries import retries
from tests.docs.pictures.rolling_restart import draw_rolling_restart
from tests.docs.pictures.sessions import draw_sessions
from tests.docs.pictures.states import pooled, session_states
from tests.docs.tutorial import draw_tutorial
from tests.examples.chat.pictures import draw_chat

__all__ = ["OF_PAGES", "OF_RUNS", "REPEATABLE", "draw_every_picture"]


def _thousand_clients() -> None:
    picture = "docs/how-to/thousand_clients.svg"
    program = [sys.executable, "examples/thousand_clients.py", picture]
    subprocess.run(program, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def _retries() -> None:
    (ROOT / "docs" / "how-to" / "retries.svg").write_text(retries(), encoding="utf-8")


def _of_pages() -> dict[str, tuple[Page, Block]]:
    found: dict[str, tuple[Page, Block]] = {}
    for page in PAGES:
        for block in page.drawing:
            [name] = re.findall(r"\.to_svg\(\s*\"(.*?)\"", block.code)
            path = page.path.with_name(name).relative_to(ROOT)
            found[path.as_posix()] = (page, block)
    return found


OF_PAGES: Final = _of_pages()
"""Drawn by a program that stands on a page, which a test of the pages compares."""

REPEATABLE: Final[Mapping[str, Callable[[], str]]] = {
    "docs/explanation/drain.svg": drain,
    "docs/explanation/queues.svg": queues,
    "docs/how-to/pooled.svg": pooled,
    "docs/how-to/requests.svg": requests,
    "docs/how-to/session_states.svg": session_states,
}
"""Each returns the text of its picture, always the same."""

OF_RUNS: Final[Mapping[Callable[[], None], tuple[str, ...]]] = {
    # The first two take longer than a test should; the others are never the same.
    _thousand_clients: ("docs/how-to/thousand_clients.svg",),
    _retries: ("docs/how-to/retries.svg",),
    draw_rolling_restart: ("docs/how-to/rolling_restart.svg",),
    draw_bench: ("docs/how-to/bench_report.svg", "docs/how-to/bench_stall.svg"),
    draw_sessions: ("docs/how-to/connect.svg", "docs/how-to/connect_tls.svg"),
    draw_proxy: ("docs/how-to/proxy.svg",),
    draw_tutorial: ("docs/tutorial/sold-twice.svg",),
    draw_chat: (
        "docs/how-to/chat_page.png",
        "docs/how-to/chat_page_dark.png",
        "docs/how-to/chat_terminal.svg",
    ),
}
"""Each writes its pictures."""


def draw_every_picture() -> None:
    """Draw all of them, each where its page expects it."""
    for page, block in OF_PAGES.values():
        module = sys.modules["page"] = ModuleType("page")
        code = compile(page.program(block), page.path, "exec")
        with redirect_stdout(None), chdir(page.path.parent):
            exec(code, module.__dict__)
    for path, picture in REPEATABLE.items():
        (ROOT / path).write_text(picture(), encoding="utf-8")
    for draw in OF_RUNS:
        draw()
