from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cli.serve.configuring import MINIMAL, SERVICES, configured, mistakes


def handled(name: str) -> str:
    """Return a configuration with this handler."""
    return MINIMAL.replace(f"{SERVICES}:echo", name)


@pytest.mark.parametrize(
    "name", ["echo", "greet_with_hello", "shout", "answering", "logged", "an_object"]
)
def test_whatever_serves_one_connection_is_a_handler(tmp_path: Path, name: str) -> None:
    """Async functions, what `respond` makes, and what behaves as they do."""
    assert callable(configured(tmp_path, handled(f"{SERVICES}:{name}")).handler)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("upper", "is a plain function, not an async one; if it answers requests"),
        ("answer", "cannot be called with one connection"),
        ("stream", "has a yield in it"),
        ("Echo", "is a class; a handler is an async function of one connection"),
        ("number", "is 5; a handler is an async function of one connection"),
        ("nothing", "has no 'nothing'"),
        ("echo.x", "has no 'echo.x'"),
    ],
)
def test_what_serves_no_connection_is_refused(
    tmp_path: Path, name: str, why: str
) -> None:
    """And `respond` is named where it is what is missing."""
    [found] = mistakes(tmp_path, handled(f"{SERVICES}:{name}"))
    assert found.startswith("service.toml:1: handler: ")
    assert why in found
    assert ("trio_tcp.respond()" in found) == (name in {"upper", "answer"})


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("raise ValueError('no')", "failed with ValueError: no ("),
        ("raise SystemExit(3)", "failed with SystemExit: 3 ("),
        ("import nothing_of_the_kind", "failed with ModuleNotFoundError: "),
        ("def (", "failed with SyntaxError: "),
        ("\n\n1 / 0", "failed with ZeroDivisionError: division by zero ("),
    ],
)
def test_a_module_that_cannot_be_imported_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, why: str
) -> None:
    """And with the line of it that failed."""
    (tmp_path / "broken_service.py").write_text(source)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    [found] = mistakes(tmp_path, handled("broken_service:echo"))
    assert f"importing broken_service {why}" in found
    line = source.count("\n") + 1
    assert f"broken_service.py:{line})" in found or "broken_service.py, line" in found


def test_a_codec_that_cannot_be_made_is_refused_with_the_reason(
    tmp_path: Path,
) -> None:
    """Whatever its module does."""
    codec = f'codec = "{SERVICES}:failing_codec"'
    [found] = mistakes(tmp_path, MINIMAL.replace('codec = "lines"', codec))
    assert found.startswith("service.toml:2: codec: ")
    assert "RuntimeError: no codec today" in found


def test_a_codec_of_ones_own_is_taken(tmp_path: Path) -> None:
    """By its name."""
    codec = f'codec = "{SERVICES}:own_codec"'
    made = configured(tmp_path, MINIMAL.replace('codec = "lines"', codec))
    assert made.codec.encode("hello") == b"hello\r\n"
