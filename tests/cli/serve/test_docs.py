"""The page about ``trio-tcp serve``, held against the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.cli.serve.configuring import MINIMAL, configured, mistakes
from tests.docs.page import ROOT, Page
from trio_tcp import KeepAlive, Limits, ProxyProtocol, Timeouts
from trio_tcp.cli._serve._configuration import Configuration, Log
from trio_tcp.cli._serve._options import OPTIONS
from trio_tcp.cli._serve._server_tls import ServerTls
from trio_tcp.cli._serve._settings import dotted, read_settings
from trio_tcp.cli._serve._structure import configure

PAGE = Page(ROOT / "docs" / "how-to" / "run.md")
ROW = re.compile(r"^\| `(--[^` ]+) ([^`]+)` \| `([^`]+)` \|([^|]*)\|", re.MULTILINE)
FIRST, WHOLE, WRONG = (block for block in PAGE.blocks if block.language == "toml")


def test_the_table_has_every_option_and_its_place_in_the_file() -> None:
    """In the order of the help, and none that does not exist."""
    rows = [(name, place.strip("[]")) for name, _, place, _ in ROW.findall(PAGE.text)]
    assert rows == [(option.name, dotted(option.path)) for option in OPTIONS]


def test_the_table_has_the_defaults(tmp_path: Path) -> None:
    """Of those values that have one."""
    made = configured(tmp_path, MINIMAL)
    shown = {place: text.strip() for _, _, place, text in ROW.findall(PAGE.text)}
    for place in ("workers", "grace", "drain_delay", "log.format", "log.level"):
        value: Any = made
        for name in place.split("."):
            value = getattr(value, name)
        assert shown[place] == str(value)


def test_the_whole_file_has_every_key_there_is() -> None:
    """As the classes have them, in their order."""
    found = tomllib.loads(WHOLE.code)
    assert list(found) == names_of(Configuration)
    classes: dict[str, type] = {
        "limits": Limits,
        "timeouts": Timeouts,
        "tls": ServerTls,
        "keepalive": KeepAlive,
        "proxy_protocol": ProxyProtocol,
        "log": Log,
    }
    assert {name for name in found if isinstance(found[name], dict)} == set(classes)
    for name, cls in classes.items():
        assert list(found[name]) == names_of(cls)


def names_of(cls: type) -> list[str]:
    """Return the names of the fields of a class."""
    return [field.name for field in attrs.fields(cls)]


def test_the_whole_file_has_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So who copies it changes nothing but what has none."""
    monkeypatch.chdir(tmp_path)
    without_tls = re.sub(r"\[tls\]\n(.+\n)+", "", WHOLE.code)
    made = configured(tmp_path, without_tls)
    default = configured(tmp_path, MINIMAL)
    for name in ("workers", "grace", "drain_delay", "limits", "timeouts", "log"):
        assert getattr(made, name) == getattr(default, name)
    assert made.keepalive == attrs.evolve(KeepAlive(), user_timeout=120)


def test_what_is_refused_is_told_as_the_page_says(tmp_path: Path) -> None:
    """Word for word."""
    told = PAGE.text_below(WRONG).splitlines()[:-1]
    assert mistakes(tmp_path, WRONG.code) == told


def test_the_example_is_a_right_one() -> None:
    """That of the examples, and the first of the page as far as it goes."""
    made = configure(read_settings(str(ROOT / "examples" / "service.toml"), []))
    assert made.limits.max_connections == 500
    first = tomllib.loads(FIRST.code)
    assert first["handler"] == "service:echo"
