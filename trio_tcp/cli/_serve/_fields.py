"""How each key of the file, and each option, is read.

`cattrs` goes through the tree; how it reads a field is decided here, once: what a class
says about a field (its type, its converter, its validator) is asked field by field, so
that one mistake does not hide the next, and so that a new field of `Limits` or
`Timeouts` is a new key by itself.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from types import NoneType
from typing import Any, Final, Literal, TypeAlias, cast

import attrs
import cattrs
from cattrs.gen import make_dict_structure_fn, override

from trio_tcp import KeepAlive, Limits, ProxyProtocol, Timeouts, monitoring
from trio_tcp.cli._parameters import (
    HostAddress,
    parse_codec,
    parse_listen_address,
    parse_size,
)
from trio_tcp.cli._serve._addresses import parse_addresses
from trio_tcp.cli._serve._configuration import Configuration, Log
from trio_tcp.cli._serve._handler import load_handler
from trio_tcp.cli._serve._problems import WrongValueError
from trio_tcp.cli._serve._server_tls import ServerTls

__all__ = ["CONVERTER"]

Read: TypeAlias = Callable[[Any], Any]


def _table(cls: type) -> Callable[[Any, Any], Any]:
    """Make what reads a table into a class, field by field."""
    attrs.resolve_types(cls)
    fields: dict[str, Any] = {
        field.name: override(struct_hook=_hook(cls, field))
        for field in attrs.fields(cls)
    }
    make: Any = make_dict_structure_fn  # of a type that cannot be named
    structure = make(cls, CONVERTER, _cattrs_forbid_extra_keys=True, **fields)

    def read(value: Any, kind: Any) -> Any:  # noqa: ANN401 - of this class
        if not isinstance(value, dict):
            raise WrongValueError(f"must be a table, with keys, not {value!r}")
        return structure(value, kind)

    return read


def _hook(cls: type, field: Any) -> Callable[[Any, Any], Any]:  # noqa: ANN401 - of any type
    read = _reader(field.name, field.type)
    if cls is Configuration:
        read = READ_FIELD.get(field.name, read)
    converter: Read | None = field.converter

    def hook(value: object, _: object) -> Any:  # noqa: ANN401 - what the field holds
        result = read(value)
        if converter is not None:  # to hear now what it has to say
            converter(result)
        if field.validator is not None:
            field.validator(None, field, result)
        return result

    return hook


def _reader(name: str, kind: Any) -> Read:  # noqa: ANN401, PLR0911 - one for each kind
    """Return what reads a value of a type."""
    kinds = [one for one in typing.get_args(kind) if one is not NoneType]
    if typing.get_origin(kind) is Literal:
        return _one_of(kinds)
    if NoneType in typing.get_args(kind):
        return _reader(name, kinds[0])
    if attrs.has(kind):
        return lambda value: CONVERTER.structure(value, kind)
    if typing.get_origin(kind) is tuple:
        return _texts
    if kind is str:
        return _text
    if kind is bytes:
        return lambda value: _text(value).encode()
    if name.endswith("_bytes"):
        return _size
    return lambda value: value  # a number: the field's validator judges


def _one_of(choices: list[Any]) -> Read:
    def read(value: object) -> object:
        if value not in choices:
            raise WrongValueError(f"must be {' or '.join(choices)}, not {value!r}")
        return value

    return read


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise WrongValueError(f'must be a text, as in "…", not {value!r}')
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise WrongValueError(f'must be a list, as in ["…"], not {value!r}')
    return tuple(map(_text, cast("list[object]", value)))


def _size(value: object) -> object:
    return parse_size(value) if isinstance(value, str) else value


def _codec(value: object) -> object:
    name = _text(value)
    try:
        return parse_codec(name)
    except (ValueError, ImportError) as error:
        raise WrongValueError(str(error)) from error
    except (Exception, SystemExit) as error:  # of the user's own module
        reason = f"{type(error).__name__}: {error}"
        raise WrongValueError(f"making {name} failed with {reason}") from error


def _status(value: object) -> HostAddress:
    try:
        _ = monitoring.serve_status
    except ModuleNotFoundError as error:  # it says which extra it needs
        raise WrongValueError(str(error)) from error
    address = parse_listen_address(_text(value))
    if not isinstance(address, HostAddress):
        raise WrongValueError(f"must be HOST:PORT, not {address}")
    return address


def _tls(value: object) -> ServerTls:
    tls = CONVERTER.structure(value, ServerTls)
    tls.context()  # to hear what is wrong with the files
    return tls


READ_FIELD: Final[dict[str, Read]] = {
    "handler": lambda value: load_handler(_text(value)),
    "codec": _codec,
    "listen": lambda value: parse_addresses(_texts(value)),
    "status": _status,
    "tls": _tls,
}
"""Fields of `Configuration` whose text stands for something else."""

CONVERTER: Final = cattrs.Converter(forbid_extra_keys=True)

for _class in (Log, ServerTls, Limits, Timeouts, KeepAlive, ProxyProtocol):
    CONVERTER.register_structure_hook(_class, _table(_class))
CONVERTER.register_structure_hook(Configuration, _table(Configuration))
