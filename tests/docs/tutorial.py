"""A reader who follows the tutorial by its words alone, in an empty folder.

What to do with a block stands in a comment above it, as in page.py::

    <!-- file: till.py -->

* ``file``: save it under this name; a ``diff`` changes the file of this name instead
* ``more``: write it below what is in the file already
* ``terminal``: type it there; without a comment, in the first terminal

A ``console`` block is what is seen in a terminal: ``$`` and a command, the lines that
it prints, ``^C``. One that goes on in the next block of the same terminal is still
running meanwhile. At the next ``$`` there, with a command or without, it has ended, and
has printed no more than the page says. So it has at the end of a page.

Two things are not as on the page: the port, since 8888 may be taken, and what `alike`
makes alike. As in doctest, a line of three dots stands for any number of lines.
"""

from __future__ import annotations

import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.docs.page import ROOT, Block, Page

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["STEPS", "TUTORIAL", "Reader", "draw_tutorial", "reading"]

TUTORIAL: Final = ROOT / "docs" / "tutorial"

STEPS: Final = [Page(path) for path in sorted(TUTORIAL.glob("[0-9]-*.md"))]

PORT_ON_PAGES: Final = "8888"
SECONDS: Final = 60
"""How long a line may take on a slow machine. Nothing waits for it to pass."""

VARIES: Final = {
    r"\b\d+\.\d+ ?s\b": "0.0 s",
    r"\(127\.0\.0\.1:\d+\)": "(127.0.0.1:50000)",
    r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \[\d+\]": "2026-01-01 12:00:00,000 [4711]",
    r" +\[100%\]$": " [100%]",
}
"""Durations, a client's port, when and in which process, the width of a terminal."""


def alike(line: str) -> str:
    """Return a line without what differs from run to run."""
    for pattern, usual in VARIES.items():
        line = re.sub(pattern, usual, line)
    return line.rstrip()


class Terminal:
    """One of the reader's terminals: at a prompt, or with a program that runs."""

    def __init__(self, folder: Path, port: str) -> None:
        self._folder = folder
        self._port = port
        self._process: subprocess.Popen[str] | None = None
        self._printed: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._skips = False

    def play(self, line: str) -> None:
        """Do, or see, what one line of the page says."""
        if line.startswith("$ "):
            self.wait_for_prompt()
            self._start(line[2:])
        elif line == "$":
            self.wait_for_prompt()
        elif line == "^C":
            assert self._process is not None
            os.killpg(self._process.pid, signal.SIGINT)
        elif line == "...":
            self._skips = True
        else:
            self._see(line)

    def wait_for_prompt(self) -> None:
        """See that the last program has ended, and has printed no more."""
        if self._process is not None:
            while (printed := self._next()) is not None:
                assert self._skips, f"printed, and not on the page: {printed!r}"
            self._process.wait(SECONDS)
            self._process = None
        self._skips = False

    def kill(self) -> None:
        """End what still runs."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(SECONDS)

    def _start(self, command: str) -> None:
        tests_own = ("PYTEST", "COV", "TRIO_TCP")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(tests_own)}
        ours = os.path.dirname(sys.executable)
        self._printed = queue.SimpleQueue()
        self._process = subprocess.Popen(
            command.replace(PORT_ON_PAGES, self._port),
            shell=True,
            cwd=self._folder,
            env={
                **kept,
                "PATH": f"{ours}{os.pathsep}{kept['PATH']}",
                "PYTHONPATH": str(ROOT),
                "PYTHONUNBUFFERED": "1",
                "COLUMNS": "80",
                # the plugins that a reader has, and not all of ours
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                "PYTEST_PLUGINS": "pytest_trio.plugin,pytest_trio_tcp",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # as in a terminal: Ctrl-C is for all of a command
        )
        read = threading.Thread(target=self._read, args=(self._process, self._printed))
        read.daemon = True
        read.start()

    @staticmethod
    def _read(
        process: subprocess.Popen[str], printed: queue.SimpleQueue[str | None]
    ) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                printed.put(line)
        printed.put(None)

    def _see(self, line: str) -> None:
        while (printed := self._next()) is not None:
            if alike(printed) == alike(line):
                self._skips = False
                return
            assert self._skips, f"on the page: {line!r}; printed: {printed!r}"
        raise AssertionError(f"on the page: {line!r}; nothing more was printed")

    def _next(self) -> str | None:
        try:
            printed = self._printed.get(timeout=SECONDS)
        except queue.Empty:
            raise AssertionError("nothing was printed") from None
        if printed is None:
            self._printed.put(None)  # it stays at its end
        return printed and printed.rstrip("\n").replace(self._port, PORT_ON_PAGES)


class Reader:
    """Has a folder, and terminals by their names. Made by `reading`."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.terminals = dict[str, Terminal]()
        self._port = str(port)

    def follow(self, page: Page) -> None:
        """Do what a page says, and see what it shows.

        At its end every program has ended, and has no more to say.
        """
        for block in page.blocks:
            try:
                self._save_as_said(block)
                if block.language == "console":
                    self._type(block.said.get("terminal", ""), block.code)
            except AssertionError as error:
                where = f"{page.path.name}, below line {block.line}"
                raise AssertionError(f"{where}: {error}") from error
        for terminal in self.terminals.values():
            terminal.wait_for_prompt()

    def catch_up(self, pages: list[Page]) -> None:
        """Save what earlier pages say, and type nothing."""
        for page in pages:
            for block in page.blocks:
                self._save_as_said(block)

    def _save_as_said(self, block: Block) -> None:
        if "file" in block.said and block.language == "diff":
            self._change(block.said["file"], block.code)
        elif "file" in block.said:
            self._save(block.said["file"], block.code)
        elif "more" in block.said:
            name = block.said["more"]
            self._save(name, f"{self._saved(name)}\n\n{block.code}")

    def _save(self, name: str, text: str) -> None:
        text = text.replace(PORT_ON_PAGES, self._port)
        (self.folder / name).write_text(text, encoding="utf-8")

    def _saved(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")

    def _change(self, name: str, diff: str) -> None:
        diff = diff.replace(PORT_ON_PAGES, self._port)
        lines = [line or " " for line in diff.splitlines()]
        before = "".join(f"{line[1:]}\n" for line in lines if line[0] in " -")
        after = "".join(f"{line[1:]}\n" for line in lines if line[0] in " +")
        saved = f"\n{self._saved(name)}"
        assert saved.count(f"\n{before}") == 1, f"once in {name}:\n{before}"
        self._save(name, saved.replace(f"\n{before}", f"\n{after}")[1:])

    def _type(self, name: str, session: str) -> None:
        if name not in self.terminals:
            self.terminals[name] = Terminal(self.folder, self._port)
        for line in session.splitlines():
            self.terminals[name].play(line)


@contextmanager
def reading(folder: Path, port: int) -> Generator[Reader]:
    """Give a reader with an empty folder, and a port that nobody listens on."""
    reader = Reader(folder, port)
    try:
        yield reader
    finally:
        for terminal in reader.terminals.values():
            terminal.kill()


def draw_tutorial() -> None:
    """Draw the pictures of the tutorial, by following the steps that have some."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
        with reading(folder, port) as reader:
            for number, step in enumerate(STEPS):
                if ".svg)" in step.prose:
                    reader.catch_up(STEPS[:number])
                    reader.follow(step)
        for picture in folder.glob("*.svg"):
            shutil.copy(picture, TUTORIAL)
