"""The page about the proxy tells of every fault, and of every option."""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

import attrs

from tests.docs.page import ROOT
from trio_tcp.cli._proxy._commands import HELP
from trio_tcp.cli._proxy._notation import KINDS
from trio_tcp.cli._proxy._plan_file import read_plan
from trio_tcp.testing.proxy import UNSUITABLE

Attrs = attrs.AttrsInstance
PAGE = (ROOT / "docs" / "how-to" / "proxy.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `([a-z-]+)` \| ((?:`\w+`(?:, )?)*) ?\|", re.MULTILINE)


def test_the_table_has_every_fault_with_its_options() -> None:
    told = {name: re.findall(r"\w+", options) for name, options in ROW.findall(PAGE)}
    wanted = {
        name: [
            field.name
            for field in attrs.fields(cast("type[attrs.AttrsInstance]", kind))
        ]
        for name, kind in KINDS.items()
        if kind not in UNSUITABLE
    }
    wanted["partition"] = []  # its groups are for more than two hosts
    assert told == wanted


def test_it_names_those_that_are_refused() -> None:
    names = [name for name, kind in KINDS.items() if kind in UNSUITABLE]
    assert all(f"`{name}`" in PAGE for name in names)
    assert f"{len(names)} faults".replace("3", "Three") in PAGE


def test_it_has_what_can_be_typed() -> None:
    assert HELP in PAGE


def test_its_plan_can_be_read(tmp_path: Path) -> None:
    [plan] = re.findall(r"```text\n(\[\[fault\]\]\n.*?)```", PAGE, re.DOTALL)
    file = tmp_path / "plan.toml"
    file.write_text(plan, encoding="utf-8")
    assert [(step.at, str(step.text)) for step in read_plan(file)] == [
        (1.5, "latency:seconds=0.2@to-client"),
        (5, "reset"),
    ]
