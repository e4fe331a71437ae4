from __future__ import annotations

import stat
from pathlib import Path

import pytest
from prompt_toolkit.history import InMemoryHistory

from trio_tcp.cli._connect import _history
from trio_tcp.cli._connect._history import open_history


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have the history somewhere else."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "trio-tcp" / "connect_history"


def test_what_was_typed_is_there_the_next_time(file: Path) -> None:
    """The most recent first."""
    open_history().append_string("AUTH secret")
    open_history().append_string("GET a")
    assert list(open_history().load_history_strings()) == ["GET a", "AUTH secret"]


def test_nobody_else_may_read_it(file: Path) -> None:
    """Not even if somebody has made it so before."""
    open_history().append_string("AUTH secret")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    file.chmod(0o644)
    open_history()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_it_forgets_the_older_half_when_it_is_long(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole lines only."""
    for number in range(100):
        open_history().append_string(f"line {number}")
    size = file.stat().st_size
    monkeypatch.setattr(_history, "MAX_BYTES", size - 1)
    kept = list(open_history().load_history_strings())
    assert kept == [
        f"line {number}" for number in reversed(range(100 - len(kept), 100))
    ]
    assert 40 < len(kept) < 60


def test_without_a_place_for_it_there_is_none(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client works all the same."""
    file.parent.parent.write_text("a file where a folder should be")
    assert isinstance(open_history(), InMemoryHistory)
