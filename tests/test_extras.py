"""What is not installed is asked for in one sentence, by whatever needs it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.docs.page import PACKAGE, ROOT

MONITORING: Final = "pip install 'trio-tcp[monitoring]'"
METRICS: Final = f"trio_tcp.monitoring.Metrics needs prometheus_client: {MONITORING}"
MSGSPEC: Final = "pip install 'trio-tcp[msgspec]'"
REDIS: Final = "pip install 'trio-tcp[redis]'"

NEEDED_IN_PYTHON: Final = [
    ("msgspec", "codecs.Json()", f"Json needs msgspec: {MSGSPEC}"),
    ("msgspec", "codecs.MessagePack()", f"MessagePack needs msgspec: {MSGSPEC}"),
    (
        "coredis",
        "trio_tcp.RedisBackplane('redis://localhost', codec=codecs.Lines())",
        f"RedisBackplane needs coredis: {REDIS}",
    ),
    *(
        (
            module,
            f"monitoring.{name}",
            f"trio_tcp.monitoring.{name} needs {module}: {MONITORING}",
        )
        for name, module in [
            ("Metrics", "prometheus_client"),
            ("exposition", "prometheus_client"),
            ("merge", "prometheus_client"),
            ("serve_status", "h11"),
        ]
    ),
    (
        "hypothesis",
        "testing.check_codec(codecs.Lines(), ['a'])",
        "check_codec needs hypothesis: pip install hypothesis",
    ),
]
"""A module, an expression that needs it, and the sentence."""

OF_THE_COMMAND: Final = (
    "trio-tcp: {} is not installed. This command needs the extra 'cli': "
    "pip install 'trio-tcp[cli]'"
)

SERVE: Final = (
    "serve tests.cli.serve.services:echo --listen localhost:0 --check --codec"
)

NEEDED_BY_THE_COMMAND: Final = [
    *(
        (module, f"{command} --help", 1, OF_THE_COMMAND.format(module))
        for module, command in [
            ("click", "demo"),
            ("cattrs", "serve"),
            ("prompt_toolkit", "connect"),
            ("cryptography", "connect"),
            ("h11", "proxy"),
            ("rich", "proxy"),
            ("rich", "bench"),
        ]
    ),
    (
        "msgspec",
        "connect localhost:1 --codec json",
        2,
        f"Error: Invalid value for '--codec': Json needs msgspec: {MSGSPEC}.",
    ),
    (
        "msgspec",
        f"{SERVE} json",
        2,
        f"--codec json: Json needs msgspec: {MSGSPEC}",
    ),
    (
        "prometheus_client",
        f"{SERVE} lines --status localhost:0",
        2,
        f"--status localhost:0: {METRICS}",
    ),
]
"""A module, arguments of the command, its exit code, and the sentence."""

DOES_WITHOUT: Final = {"pytest"}
"""Whatever imports these is itself called by them."""


def run_without(
    module: str, program: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run a program where a module is not to be found."""
    hide = f"import sys; sys.modules[{module!r}] = None\n"
    command = [sys.executable, "-c", hide + program, *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(("module", "expression", "sentence"), NEEDED_IN_PYTHON)
def test_what_needs_a_module_asks_for_it(
    module: str, expression: str, sentence: str
) -> None:
    """Where it is used; the package can be imported without."""
    program = (
        "import trio_tcp\n"
        "from trio_tcp import codecs, monitoring, testing\n"
        "try:\n"
        f"    {expression}\n"
        "except ImportError as error:\n"
        "    print(f'{error.name}: {error}')\n"
    )
    ended = run_without(module, program)
    assert ended.stdout == f"{module}: {sentence}\n", ended.stderr


@pytest.mark.parametrize(
    ("module", "arguments", "code", "sentence"), NEEDED_BY_THE_COMMAND
)
def test_a_command_that_needs_a_module_asks_for_it(
    module: str, arguments: str, code: int, sentence: str
) -> None:
    """In one line on standard error, with no traceback."""
    program = "from trio_tcp.cli import main; sys.exit(main(sys.argv[1:]))"
    ended = run_without(module, program, *arguments.split())
    assert ended.returncode == code, ended.stderr
    assert ended.stderr.splitlines().count(sentence) == 1, ended.stderr
    assert "Traceback" not in ended.stderr


def test_everything_optional_that_is_imported_is_asked_for_somewhere() -> None:
    """Each import from elsewhere is of a core dependency, or in a table above."""
    tables = {row[0] for row in [*NEEDED_IN_PYTHON, *NEEDED_BY_THE_COMMAND]}
    imported = {name for path in PACKAGE.rglob("*.py") for name in imports_of(path)}
    # outcome comes with Trio, which has it in its own interface.
    known = {"trio", "attrs", "outcome", *sys.stdlib_module_names, *DOES_WITHOUT}
    assert imported - known - {"trio_tcp"} == tables


def imports_of(path: Path) -> Iterator[str]:
    """Iterate over what a file imports when it runs, and not for types alone."""
    todo: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while todo:
        match todo.pop():
            case ast.If(test=test) if ast.unparse(test).endswith("TYPE_CHECKING"):
                pass
            case ast.Import(names=names):
                yield from (alias.name.partition(".")[0] for alias in names)
            case ast.ImportFrom(module=str(module)):
                yield module.partition(".")[0]
            case node:
                todo += ast.iter_child_nodes(node)


def test_every_extra_brings_what_asks_for_it() -> None:
    """What a sentence tells to install has the module that was missing."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras: dict[str, list[str]] = project["project"]["optional-dependencies"]
    rows = [(row[0], row[-1]) for row in NEEDED_IN_PYTHON]
    rows += [(row[0], row[-1]) for row in NEEDED_BY_THE_COMMAND]
    for module, sentence in rows:
        named = re.search(r"trio-tcp\[(\w+)\]", sentence)
        if named is not None:
            brings = [re.split(r"[>=]", needed)[0] for needed in extras[named[1]]]
            assert module.replace("_", "-") in brings
