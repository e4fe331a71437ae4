"""Faults with their times, in a file of TOML.

It has a table for each::

    [[fault]]
    at = 1.5
    seconds = 10
    fault = "latency:seconds=0.2@to-client"
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast, final

import attrs
import click

from trio_tcp.cli._proxy._notation import FaultText, find_target, parse_fault
from trio_tcp.testing import FaultProxy, faults

__all__ = ["PLAN", "PlannedFault", "make_plan"]

KEYS: Final = {"at", "seconds", "fault"}


@final
@attrs.frozen
class PlannedFault:
    """One entry of the file: a step of a `faults.Plan`, whose place has but a name."""

    at: float
    seconds: float
    text: FaultText


def make_plan(proxy: FaultProxy, planned: tuple[PlannedFault, ...]) -> faults.Plan:
    """Make a plan for a proxy."""
    return faults.Plan(
        faults.Step(
            at=each.at,
            seconds=each.seconds,
            fault=each.text.fault,
            on=find_target(proxy, each.text.place),
        )
        for each in planned
    )


def read_plan(path: Path) -> tuple[PlannedFault, ...]:
    """Read a file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no plan; the text says where.
    """
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    entries = content.pop("fault", None)
    if content or not isinstance(entries, list) or not entries:
        raise ValueError("a plan consists of [[fault]] tables, and nothing else")
    steps: list[PlannedFault] = []
    for number, entry in enumerate(cast("list[object]", entries), 1):
        try:
            steps.append(_read(entry))
        except (ValueError, TypeError) as error:
            raise ValueError(f"[[fault]] number {number}: {error}") from error
    return tuple(steps)


def _read(entry: object) -> PlannedFault:
    if not isinstance(entry, dict):
        raise ValueError("it is no table")  # noqa: TRY004 - the file's fault
    table = cast("Mapping[str, object]", entry)
    if unknown := table.keys() - KEYS:
        raise ValueError(f"it has no key {min(unknown)!r}; it has {sorted(KEYS)}")
    fault = table.get("fault")
    if not isinstance(fault, str):
        raise ValueError("fault is a text, as in fault = 'latency:seconds=0.2'")  # noqa: TRY004 - likewise
    text = parse_fault(fault)
    if text.place.isdecimal():
        raise ValueError("the connections of a plan have no numbers yet")
    step = faults.Step(  # holds the numbers against what they may be
        at=_seconds(table, "at"), seconds=_seconds(table, "seconds"), fault=text.fault
    )
    return PlannedFault(step.at, step.seconds, text)


def _seconds(table: Mapping[str, object], key: str) -> float:
    value = table.get(key, 0)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{key} is a number of seconds, not {value!r}")  # noqa: TRY004 - likewise
    return float(value)


@final
class _PlanType(click.ParamType[tuple[PlannedFault, ...]]):
    name = "file"

    def convert(
        self,
        value: object,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[PlannedFault, ...]:
        if isinstance(value, tuple):
            return cast("tuple[PlannedFault, ...]", value)
        try:
            return read_plan(Path(str(value)))
        except (OSError, ValueError) as error:
            self.fail(f"{value}: {error}.", param, ctx)


PLAN: Final = _PlanType()
"""What `read_plan` reads."""
