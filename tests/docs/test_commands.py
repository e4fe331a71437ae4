"""The commands that the pages show exist; those of the tutorial are run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from typing import Any

import pytest

from tests.docs.page import PAGES, ROOT
from tests.docs.tutorial import STEPS

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
PROJECT: dict[str, Any] = tomllib.loads(
    (ROOT / "pyproject.toml").read_text(encoding="utf-8")
)

COMMANDS = [
    pytest.param(line, id=f"{page.name}:{block.line + number}")
    for page in PAGES
    if page not in STEPS
    for block in page.blocks
    if block.language == "console"
    for number, line in enumerate(block.code.splitlines(), start=1)
]


def check_make(arguments: list[str]) -> None:
    """Every target is one of the Makefile's."""
    targets = [argument for argument in arguments if "=" not in argument]
    assert targets
    assert set(targets) <= TARGETS


def check_pip(arguments: list[str]) -> None:
    """What is installed is this project, or what it is tested with."""
    assert arguments[0] == "install"
    tested_with = PROJECT["dependency-groups"]["test"]
    known = {re.split(r"[>=]", requirement)[0] for requirement in tested_with}
    for requirement in arguments[1:]:
        name, _, extras = requirement.rstrip("]").partition("[")
        if name == PROJECT["project"]["name"]:
            known_extras = PROJECT["project"]["optional-dependencies"]
            assert set(extras.split(",")) <= {"", *known_extras}
        else:
            assert name in known


def check_trio_tcp(arguments: list[str]) -> None:
    """The subcommand exists."""
    program = [sys.executable, "-m", "trio_tcp", *arguments, "--help"]
    subprocess.run(program, cwd=ROOT, check=True, capture_output=True)


def check_python(arguments: list[str]) -> None:
    """It is our command, or a program of this tree."""
    if arguments[:2] == ["-m", "trio_tcp"]:
        check_trio_tcp(arguments[2:])
    elif arguments[0] == "-m":
        module = ROOT.joinpath(*arguments[1].split("."))
        programs = (module / "__main__.py", module.with_suffix(".py"))
        assert any(program.is_file() for program in programs)
    else:
        assert (ROOT / arguments[0]).is_file()


CHECKS: dict[str, Callable[[list[str]], None]] = {
    "make": check_make,
    "pip": check_pip,
    "python": check_python,
    "trio-tcp": check_trio_tcp,
    "nc": lambda arguments: None,
    "tcpdump": lambda arguments: None,
    ".ci/run": lambda arguments: None,
}


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_on_a_page_exists(line: str) -> None:
    """So does every path that it names."""
    assert line.startswith("$ ")
    words = shlex.split(line[2:], comments=True)
    for word in " ".join(words).split():
        if "/" in word:
            path, _, test = word.rpartition("=")[2].partition("::")
            assert (ROOT / path).exists(), path
            assert not test or f"def {test}(" in (ROOT / path).read_text("utf-8")
    while re.fullmatch(r"[A-Z_]+=.*", words[0]):
        del words[0]
    CHECKS[words[0]](words[1:])
