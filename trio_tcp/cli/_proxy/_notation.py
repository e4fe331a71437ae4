"""Faults as text: ``latency:seconds=0.2,jitter=0.1@to-client``.

One notation for the command line, the terminal, files of plans and HTTP. It is made of
the faults' own classes: a new one has it at once.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any, Final, cast, final

import attrs
import click

from trio_tcp.cli._parameters import parse_size
from trio_tcp.testing import FaultProxy, Target, faults
from trio_tcp.testing.network import Everything
from trio_tcp.testing.proxy import UNSUITABLE

__all__ = [
    "FAULT",
    "KINDS",
    "NUMBER",
    "FaultText",
    "find_target",
    "parse_fault",
    "parse_words",
    "write_fault",
    "write_target",
]

PLACES: Final = ("to-server", "to-client", "server", "client")
"""Where a fault can be, beside everywhere, and on a connection by its number."""


NUMBER: Final = re.compile(r"[0-9]{1,9}")
"""Of a connection, or a fault. There are never more."""


def _kebab(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()


def _is_kind(value: object) -> bool:
    return isinstance(value, type) and attrs.has(value) and hasattr(value, "begin")


KINDS: Final[dict[str, type[faults.Fault]]] = {
    _kebab(name): kind
    for name in faults.__all__
    if _is_kind(kind := getattr(faults, name))
}
"""All faults by their names; some of them mean nothing to real programs."""


@final
@attrs.frozen
class FaultText:
    """What a text says.

    Attributes:
        fault: what goes wrong.
        place: where: one of `PLACES`, the number of a connection, or nothing for
            everywhere.
    """

    fault: faults.Fault
    place: str

    def __str__(self) -> str:
        return write_fault(self.fault) + (f"@{self.place}" if self.place else "")


def parse_fault(text: str) -> FaultText:
    """Make the fault that a text names.

    Args:
        text: its name; a colon and its options with commas between, where those that
            the class takes by position need no name; ``@`` and a place.

    Raises:
        ValueError: it names no fault, or one that means nothing to real programs, or
            an option is wrong.
    """
    what, at, place = text.partition("@")
    name, _, options = what.partition(":")
    kind = KINDS.get(name)
    if kind is None:
        close = difflib.get_close_matches(name, KINDS, n=1)
        known = ", ".join(n for n, kind in KINDS.items() if kind not in UNSUITABLE)
        hint = f"did you mean {close[0]}?" if close else f"there are {known}"
        raise ValueError(f"there is no fault {name!r}; {hint}")
    if kind in UNSUITABLE:
        raise ValueError(UNSUITABLE[kind])
    if at and place not in PLACES and not NUMBER.fullmatch(place):
        raise ValueError(
            f"{place!r} is no place; there are {', '.join(PLACES)}, and connections "
            "by their numbers"
        )
    if kind is faults.Pause and place not in ("server", "client"):
        raise ValueError("pause is for a host, as in pause@server")
    return FaultText(_make(name, kind, options), place)


def parse_words(words: Sequence[str]) -> FaultText:
    """Make a fault of words as people type them: ``latency 0.2 jitter=0.1 @client``.

    Raises:
        ValueError: as `parse_fault`.
    """
    if not words:
        raise ValueError("which fault? as in: add latency seconds=0.2")
    name, *rest = words
    places = "".join(word for word in rest if word.startswith("@"))
    options = ",".join(word for word in rest if not word.startswith("@"))
    return parse_fault(f"{name}:{options}{places}" if options else name + places)


def _fields(kind: type[Any]) -> dict[str, attrs.Attribute[Any]]:
    return {
        field.name: field
        for field in attrs.fields(kind)
        if "tuple[tuple" not in str(field.type)  # groups of hosts: here are but two
    }


def _make(name: str, kind: type[Any], text: str) -> faults.Fault:
    known = _fields(kind)
    by_position = [field.name for field in known.values() if not field.kw_only]
    values: dict[str, object] = {}
    for part in text.split(",") if text else ():
        option, equals, value = part.partition("=")
        if not equals and by_position and not set(by_position) <= values.keys():
            option, value = next(n for n in by_position if n not in values), part
        if option not in known or option in values:
            raise ValueError(
                f"{name} has no option {option!r}"
                f"{' twice' if option in values else ''}"
                f"; it has {', '.join(known) or 'none'}"
            )
        values[option] = _value(option, str(known[option].type), value)
    missing = [n for n, f in known.items() if f.default is attrs.NOTHING]
    if lacking := [option for option in missing if option not in values]:
        raise ValueError(f"{name} needs {lacking[0]}, as in {name}:{lacking[0]}=…")
    try:
        fault: faults.Fault = kind(**values)
    except ValueError as error:  # of attrs' own validators it has several arguments
        raise ValueError(f"{name}: {error.args[0]}") from error
    return fault


def _value(option: str, kind: str, text: str) -> object:
    """Read a value by what its field is annotated with."""
    try:
        if kind.startswith("tuple"):
            return tuple(parse_size(place) for place in text.split("+"))
        if kind == "bool":
            return {"true": True, "false": False}[text]
        if kind == "int":
            return parse_size(text)
        if kind == "float":
            return _number(text)
    except KeyError:
        raise ValueError(f"{option} is true or false, not {text!r}") from None
    except ValueError as error:
        raise ValueError(f"{option}: {error}") from None
    return text


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return parse_size(text)
    except ValueError:
        raise ValueError(f"{text!r} is no number, as 0.2 or 64KiB are") from None


def write_fault(fault: faults.Fault) -> str:
    """Write a fault as `parse_fault` reads it, without what goes without saying."""
    instance = cast("attrs.AttrsInstance", fault)
    options: list[str] = []
    for field in _fields(type(instance)).values():
        value: object = getattr(instance, field.name)
        if value != _default(field, instance):
            options.append(f"{field.name}={_write_value(value)}")
    name = _kebab(type(instance).__name__)
    return f"{name}:{','.join(options)}" if options else name


def _default(field: attrs.Attribute[Any], instance: attrs.AttrsInstance) -> object:
    default: Any = field.default
    return default.factory(instance) if hasattr(default, "takes_self") else default


def _write_value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "+".join(map(str, cast("tuple[object, ...]", value)))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def find_target(proxy: FaultProxy, place: str) -> Target | None:
    """Find what a place means.

    Raises:
        ValueError: there is no connection of that number.
    """
    if not NUMBER.fullmatch(place):
        places: dict[str, Target] = {
            "to-server": proxy.to_server,
            "to-client": proxy.to_client,
            "server": proxy.server,
            "client": proxy.client,
        }
        return places.get(place)
    connection = proxy.connections.get(int(place))
    if connection is None:
        raise ValueError(f"no connection {place} is open")
    return connection


def write_target(proxy: FaultProxy, target: Target) -> str:
    """Write where a fault is in force."""
    if isinstance(target, Everything):
        return ""
    for place in PLACES:
        if find_target(proxy, place) is target:
            return place
    return str(target).removeprefix("connection ")


@final
class _FaultType(click.ParamType[FaultText]):
    name = "fault"

    def convert(
        self,
        value: object,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> FaultText:
        if isinstance(value, FaultText):
            return value
        try:
            return parse_fault(str(value))
        except (ValueError, TypeError) as error:
            self.fail(f"{error}.", param, ctx)


FAULT: Final = _FaultType()
"""What `parse_fault` reads."""
