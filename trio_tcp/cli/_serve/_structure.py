"""From what the user has set to a `Configuration`, or to everything that is wrong."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Final

import attrs
from cattrs.errors import ClassValidationError, ForbiddenExtraKeysError

from trio_tcp.cli._serve._configuration import Configuration
from trio_tcp.cli._serve._fields import CONVERTER
from trio_tcp.cli._serve._problems import (
    ConfigurationError,
    Problem,
    WrongValueError,
)
from trio_tcp.cli._serve._settings import Settings
from trio_tcp.cli._serve._toml_lines import KeyPath

__all__ = ["configure"]

REQUIRED: Final = {
    "handler": 'an async function of one connection, as in handler = "service:echo"',
    "codec": 'what makes messages of bytes: --codec lines, or codec = "lines"',
    "listen": 'where: --listen localhost:8888, or listen = ["localhost:8888"]',
    "cert": 'the file: --tls-cert cert.pem, or cert = "cert.pem"',
    "trusted": 'whom: --proxy-trusted 10.0.0.0/8, or trusted = ["10.0.0.0/8"]',
}


def configure(settings: Settings) -> Configuration:
    """Make a configuration of what the user has set.

    Imports the handler, and reads the files of TLS.

    Raises:
        ConfigurationError: something is wrong; all of it is said.
    """
    try:
        return CONVERTER.structure(settings.tree, Configuration)
    except ClassValidationError as error:
        raise ConfigurationError(list(_problems(error, (), settings))) from error


def _problems(
    error: BaseException, path: KeyPath, settings: Settings
) -> Iterator[Problem]:
    """Iterate over all that is wrong at a place, and in it."""
    match error:
        case ClassValidationError():
            named, others = error.group_exceptions()
            within = [(inner, (*path, note.name)) for inner, note in named]
            within += [(inner, path) for inner in others]
        case ExceptionGroup():
            within = [(inner, path) for inner in error.exceptions]
        case _:
            yield from _mistakes(error, path, settings)
            return
    for inner, place in within:
        yield from _problems(inner, place, settings)


def _mistakes(
    error: BaseException, path: KeyPath, settings: Settings
) -> Iterator[Problem]:
    """Iterate over what one error means; that is one thing, but for unknown keys."""
    match error:
        case ForbiddenExtraKeysError():
            for key in error.extra_fields:
                yield settings.problem((*path, key), _unknown(key, error.cl))
        case WrongValueError():
            yield settings.problem((*path, *error.path), str(error))
        case KeyError():
            yield settings.problem(path, f"is missing; {REQUIRED[str(path[-1])]}")
        case _:
            # Validators speak as Python does, and begin with the name of the field.
            text = str(error).replace("math.inf", "inf").replace("None", "left out")
            yield settings.problem(path, text.removeprefix(f"{path[-1]} "))


def _unknown(key: str, of: type) -> str:
    names = [field.name for field in attrs.fields(of)]
    close = difflib.get_close_matches(key.replace("-", "_"), names, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(names)}"
    return f"there is no such key; {hint}"
