"""Every block of Python on a page is run as what its comment says; see page.py."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Final

import pytest

from tests.docs.page import PAGES, ROOT, Block, Page

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

KINDS: Final = ("define", "run", "server", "client", "pytest", "fails")
LANGUAGES: Final = ("python", "console", "toml", "yaml", "text", "diff")

PORT_ON_PAGES: Final = "8888"
SECONDS: Final = 50
"""How long anything may take on a slow machine. Nothing waits for it to pass."""

LOG_TO_STDERR: Final = """\
import logging, sys
logging.basicConfig(level="INFO", format="%(message)s")
exec(compile(sys.stdin.read(), sys.argv[1], "exec"))
"""


def of_kind(*kinds: str) -> pytest.MarkDecorator:
    """Give a test each block of some kinds."""
    found = [
        pytest.param(page, block, id=f"{page.name}:{block.line}")
        for page in PAGES
        for block in page.blocks
        if block.kind in kinds
    ]
    return pytest.mark.parametrize(("page", "block"), found)


every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))


@every_page
def test_no_block_is_overlooked(page: Page) -> None:
    """Each is found, in a known language; Python says how it is tested.

    What a reader of the tutorial saves is tested where it is followed.
    """
    blocks = page.blocks
    fences = re.findall(r"^\s*(?:```|~~~)", page.text, re.MULTILINE)
    assert len(fences) == 2 * len(blocks)
    comments = re.findall(r"<!-- (?:test|file|more|terminal):", page.text)
    assert len(comments) == len([block for block in blocks if block.said])
    for block in blocks:
        assert block.language in LANGUAGES
        where = f"{page.name}, line {block.line}: {block.kind!r}"
        is_python = block.language == "python"
        is_saved = bool(block.said.keys() & {"file", "more"})
        assert (block.kind in KINDS) == (is_python and not is_saved), where


@pytest.fixture
def port() -> Generator[int]:
    """Give a port that nobody listens on, and that no other test is given.

    It stays reserved until the test ends. On Linux a server that sets SO_REUSEADDR may
    listen there all the same; elsewhere it may not, and another test could be faster.
    """
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        if sys.platform != "linux":
            sock.close()
        yield port


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let programs write their files into an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def program(page: Page, block: Block, port: int) -> str:
    """Return a program that listens on, or connects to, a port of the test's."""
    return page.program(block).replace(PORT_ON_PAGES, str(port))


def execute(source: str, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a program in a module of its own, in this process."""
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    exec(compile(source, page.path, "exec"), module.__dict__)


@contextmanager
def serving(source: str, page: Page) -> Generator[None]:
    """Run a program that is a server; it must begin to listen, and end at Ctrl-C."""
    with subprocess.Popen(
        [sys.executable, "-c", LOG_TO_STDERR, page.name],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        try:
            process.stdin.write(source)
            process.stdin.close()
            first = process.stderr.readline()
            assert first.startswith("listening on"), first + process.stderr.read()
            yield
            process.send_signal(signal.SIGINT)
            assert process.wait(SECONDS) == 0, process.stderr.read()
        finally:
            process.kill()


@of_kind("define", "run")
def test_a_program_does_what_the_page_says(
    page: Page,
    block: Block,
    port: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It runs, what it asserts holds, and it prints what is below it."""
    execute(program(page, block, port), page, monkeypatch)
    assert capsys.readouterr().out == page.output(block)


@pytest.mark.parametrize(
    ("page", "block"),
    [pytest.param(p, b, id=f"{p.name}:{b.line}") for p in PAGES for b in p.drawing],
)
def test_a_picture_is_what_its_program_draws(
    page: Page, block: Block, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not what it drew when the program, or a line of the package, was another."""
    execute(page.program(block), page, monkeypatch)
    [drawn] = elsewhere.glob("*.svg")
    shown = page.path.with_name(drawn.name)
    assert drawn.read_bytes() == shown.read_bytes(), "draw it: python -m tests.docs"


@of_kind("server")
def test_a_server_serves_until_ctrl_c(page: Page, block: Block, port: int) -> None:
    """It listens on the port that it names, and ends in order."""
    with serving(program(page, block, port), page):
        socket.create_connection(("localhost", port), SECONDS).close()


@of_kind("client")
def test_a_client_does_what_the_page_says(
    page: Page,
    block: Block,
    port: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While the server above it is running, it prints what is below it."""
    with serving(program(page, page.server_above(block), port), page):
        execute(program(page, block, port), page, monkeypatch)
    assert capsys.readouterr().out == page.output(block)


def run_pytest(
    page: Page, tests: list[Block], folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run tests of a page in a file, with the configuration that the page shows."""
    [settings] = [block for block in page.blocks if block.language == "toml"]
    file = folder / f"test_{page.path.stem}.py"
    file.write_text(page.program(*tests), encoding="utf-8")
    (folder / "pyproject.toml").write_text(settings.code, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", file.name],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(block.kind == "pytest" for block in page.blocks)],
    ids=lambda page: str(page.name),
)
def test_the_tests_on_a_page_pass(page: Page, tmp_path: Path) -> None:
    """All of them, as one file."""
    tests = [block for block in page.blocks if block.kind == "pytest"]
    run = run_pytest(page, tests, tmp_path)
    assert run.returncode == 0, run.stdout
    found = re.findall(r"^(?:async )?def test_", page.program(*tests), re.MULTILINE)
    summary = re.fullmatch(r"=+ (\d+) passed in .*", run.stdout.splitlines()[-1])
    assert summary, run.stdout
    assert int(summary[1]) >= len(found), run.stdout


@of_kind("fails")
def test_a_test_fails_as_the_page_says(
    page: Page, block: Block, tmp_path: Path
) -> None:
    """Where those above it pass; the report has the lines of the page."""
    above = [b for b in page.blocks if b.kind == "pytest" and b.line < block.line]
    run = run_pytest(page, [*above, block], tmp_path)
    assert re.search(r"^=+ 1 failed, \d+ passed in ", run.stdout, re.MULTILINE)
    report = iter(run.stdout.splitlines())
    for line in page.text_below(block).splitlines():
        assert line in report, f"{line!r} is not there, or not in order:\n{run.stdout}"
