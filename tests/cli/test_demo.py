from __future__ import annotations

import re
import subprocess
import sys

import pytest

from trio_tcp.cli import _demo, main
from trio_tcp.cli._demo_stage import Story


def test_every_promise_of_the_demo_is_kept() -> None:
    """It runs as a program, tells its story, shows its figures, and ends with 0."""
    ended = subprocess.run(
        [sys.executable, "-m", "trio_tcp", "demo"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stderr == ""
    for line in [
        r"echo  listens on 127\.0\.0\.1:\d+",
        r"rob  sends 'hello', is answered, and resets the connection \(RST\)",
        r"ok  the server ends rob's connection: reset",
        r"ok  ann is answered as before",
        r"sid  stops reading; ann reads a book to them",
        r"ok  all others get every page in order",
        r"rob  echo  reset +1 +1 +6 +6",
        r"tom  echo  truncated +0 +0 +9 +0",
        r"eve  echo  protocol error +0 +0 +[\d,]+ +0",
        r"sid  chat  closed here +1 +\d+ +4 +[\d,]+",
        r"dot  echo  drained +2 +2 +21 +21",
        r"all  echo  8 connections +3,008 +3,008 +[\d,]+ +[\d,]+",
        r"All \d+ promises \(ok\) were kept\.",
    ]:
        assert re.search(f"^ *{line}$", ended.stdout, re.MULTILINE), line
    assert "NOT" not in ended.stdout


def test_the_story_is_the_same_every_time(capsys: pytest.CaptureFixture[str]) -> None:
    """Two runs differ in ports and figures, and in nothing else."""
    stories: list[str] = []
    for _ in range(2):
        assert main(["demo"]) == 0
        stories.append(re.sub(r"[\d,]+", "N", capsys.readouterr().out))
    assert re.sub(" +", " ", stories[0]) == re.sub(" +", " ", stories[1])


def test_a_promise_that_is_not_kept_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The exit code is 1, and the end of the transcript says what did not happen."""
    story = Story()
    story.promise("the sky is blue", "blue", "blue")
    story.promise("the moon is cheese", "rock", "cheese")
    assert story.conclude() == 1
    assert capsys.readouterr().out.splitlines() == [
        "     ok  the sky is blue",
        "    NOT  the moon is cheese: 'rock' instead of 'cheese'",
        "",
        "1 of 2 promises were not kept:",
        "  the moon is cheese",
    ]


def test_a_story_that_gets_stuck_ends_all_the_same(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its deadline it is given up, and the exit code is 1."""
    monkeypatch.setattr(_demo, "DEADLINE_SECONDS", 0)
    assert main(["demo"]) == 1
    assert "the story reaches its end (TooSlowError" in capsys.readouterr().out
