"""A handler by its name, ``module:object``, and whether it is one."""

from __future__ import annotations

import functools
import inspect
import traceback
from collections.abc import Callable
from typing import Any, cast

from trio_tcp.cli._parameters import NoSuchObjectError, load
from trio_tcp.cli._serve._configuration import AnyHandler
from trio_tcp.cli._serve._problems import WrongValueError

__all__ = ["load_handler", "load_object"]


def load_object(name: str) -> Any:  # noqa: ANN401 - whatever it is
    """Import what ``module:object`` names, also if the module is a bad one.

    Raises:
        WrongValueError: there is none, or importing it failed, for any reason.
    """
    try:
        return load(name)
    except NoSuchObjectError as error:
        raise WrongValueError(str(error)) from error
    except (Exception, SystemExit) as error:
        raise _import_failure(name, error) from error


def _import_failure(name: str, error: BaseException) -> WrongValueError:
    module = name.partition(":")[0]
    where = ""
    if not isinstance(error, SyntaxError):  # it says so itself
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f" ({last.filename}:{last.lineno})"
    reason = f"{type(error).__name__}: {error}{where}"
    return WrongValueError(f"importing {module} failed with {reason}")


def load_handler(name: str) -> AnyHandler:
    """Import a handler: an async function of one connection.

    Raises:
        WrongValueError: there is none of this name, or it cannot be one.
    """
    found: Any = load_object(name)
    if inspect.isclass(found) or not callable(found):
        what = "a class" if inspect.isclass(found) else repr(found)
        raise WrongValueError(
            f"{name} is {what}; a handler is an async function of one connection"
        )
    if inspect.isasyncgenfunction(found):
        raise WrongValueError(f"{name} has a yield in it; a handler returns nothing")
    if not _is_async(found):
        raise WrongValueError(
            f"{name} is a plain function, not an async one; if it answers requests, "
            "name what trio_tcp.respond() makes of it"
        )
    _check_arguments(name, found)
    return cast("AnyHandler", found)


def _is_async(function: Callable[..., Any]) -> bool:
    function = inspect.unwrap(function)
    while isinstance(function, functools.partial):
        function = inspect.unwrap(function.func)
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        type(function).__call__  # an object with an async one
    )


def _check_arguments(name: str, handler: Callable[..., Any]) -> None:
    try:
        signature = inspect.signature(handler)
    except ValueError:  # of what is written in C nothing may be known
        return
    try:
        signature.bind(object())
    except TypeError as error:
        raise WrongValueError(
            f"{name}{signature} cannot be called with one connection ({error}); if it "
            "answers requests, name what trio_tcp.respond() makes of it"
        ) from error
