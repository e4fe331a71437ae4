from __future__ import annotations

import os.path
import sys
from pathlib import Path

import pytest

from trio_tcp.cli._parameters import load


def test_an_object_is_found_by_its_module_and_name() -> None:
    """Also inside another one."""
    assert load("os.path:join") is os.path.join
    assert load("os:path.join") is os.path.join


def test_the_current_directory_is_looked_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As Python does for a program that it is given."""
    (tmp_path / "to_be_found_here.py").write_text("found = 1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert load("to_be_found_here:found") == 1


def test_what_a_module_lacks_itself_is_its_own_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is not said to be missing."""
    (tmp_path / "lacking_another.py").write_text("import not_there_at_all\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(ModuleNotFoundError, match="not_there_at_all"):
        load("lacking_another:anything")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("service", "module:object"),
        (":echo", "module:object"),
        ("service:", "module:object"),
        ("no_such_module:x", "no module 'no_such_module'"),
        ("os.no_such_module:x", "no module 'os.no_such_module'"),
        ("os:path.nothing", "os has no 'path.nothing'"),
    ],
)
def test_a_name_of_nothing_is_refused(name: str, problem: str) -> None:
    """And says what is missing."""
    with pytest.raises(ValueError, match=problem):
        load(name)
