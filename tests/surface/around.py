"""What users see beside names of Python: the command, its file, and others."""

from __future__ import annotations

import importlib
import re
import tomllib
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeGuard

import attrs
import click

import pytest_trio_tcp
import trio_tcp
from trio_tcp.cli._group import SUBCOMMANDS
from trio_tcp.cli._parameters import HostAddress
from trio_tcp.cli._serve._configuration import Configuration
from trio_tcp.monitoring._metrics import FIGURES

__all__ = ["command", "figures", "service_file", "surroundings"]

ROOT: Final = Path(__file__).parents[2]


def command() -> Iterator[str]:
    """Yield the subcommands of ``trio-tcp``, their arguments and options."""
    for name in SUBCOMMANDS:
        of: click.Command = importlib.import_module(f"trio_tcp.cli._{name}").command
        yield f"trio-tcp {name}"
        with click.Context(of) as context:
            for parameter in of.get_params(context):
                if "--help" not in parameter.opts and not _is_hidden(parameter):
                    yield f"trio-tcp {name} {_parameter(parameter, context)}"


def _is_hidden(parameter: click.Parameter) -> bool:
    return isinstance(parameter, click.Option) and parameter.hidden


def _parameter(parameter: click.Parameter, context: click.Context) -> str:
    shown = parameter.to_info_dict()
    metavar = parameter.make_metavar(context)
    if isinstance(parameter, click.Argument):
        return metavar
    text = ", ".join([*parameter.opts, *parameter.secondary_opts])
    if not shown["is_flag"]:
        text += f" {metavar}"
        if shown["default"]:
            text += f" = {shown['default']}"
    for mark in ("required", "multiple"):
        if shown[mark]:
            text += f"  ({mark})"
    return text


def service_file() -> Iterator[str]:
    """Yield the keys of the file of ``trio-tcp serve``, with their defaults."""
    yield from _keys(Configuration, "")


def _keys(table: type[attrs.AttrsInstance], prefix: str) -> Iterator[str]:
    hints = typing.get_type_hints(table)
    for field in attrs.fields(table):
        key = f"{prefix}{field.name}"
        hint = hints[field.name]
        tables = [part for part in (hint, *typing.get_args(hint)) if _is_table(part)]
        if tables:
            yield f"[{key}]"
            yield from _keys(tables[0], f"{key}.")
        elif field.default is attrs.NOTHING:
            yield f"{key}  (required)"
        else:
            yield f"{key} = {field.default!r}"


def _is_table(part: object) -> TypeGuard[type[attrs.AttrsInstance]]:
    if part is HostAddress:  # a text in the file
        return False
    return isinstance(part, type) and attrs.has(part)


def figures() -> Iterator[str]:
    """Yield what Prometheus gets to see: names, types and labels."""
    for figure in sorted(FIGURES, key=lambda figure: figure.name):
        total = "_total" if figure.kind == "counter" else ""
        yield f"{figure.kind} {figure.name}{total}{{{', '.join(figure.labels)}}}"


def surroundings() -> Iterator[str]:
    """Yield names by which the rest of a system refers to the package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    described: dict[str, Any] = project["project"]
    for name in ("requires-python", "dependencies"):
        yield f"{name}: {described[name]}"
    for extra, needs in described["optional-dependencies"].items():
        yield f"extra {extra}: {needs}"
    for script, target in described["scripts"].items():
        yield f"script {script}: {target}"
    package = Path(trio_tcp.__path__[0])
    sources = [*package.rglob("*.py"), Path(pytest_trio_tcp.__file__)]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    yield from _each("logger", r'getLogger\("([^"]+)"', text)
    yield from _each("variable", r"\b(TRIO_TCP_[A-Z_]+)\b", text)
    yield from _each(
        "pytest's fixture", r"@pytest\.fixture\n(?:async )?def ([a-z]\w+)", text
    )
    yield from _each("pytest's option", r'"(--trio-tcp-[a-z-]+)"', text)
    yield f"pytest's setting {pytest_trio_tcp._OPTION}"


def _each(what: str, pattern: str, text: str) -> Iterator[str]:
    for name in sorted(set(re.findall(pattern, text))):
        yield f"{what} {name}"
