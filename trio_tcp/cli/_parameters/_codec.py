"""Codecs by name, with their options: ``length-prefixed:prefix_size=2``."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from typing import Any, Final, TypeAlias, final

import click

from trio_tcp import codecs
from trio_tcp.cli._parameters._escapes import unescape
from trio_tcp.cli._parameters._load import load
from trio_tcp.cli._parameters._size import parse_size
from trio_tcp.codecs._limits import DEFAULT_MAX_LINE_BYTES

__all__ = ["CODEC", "CODEC_HELP", "AnyCodec", "parse_codec"]

AnyCodec: TypeAlias = codecs.Codec[Any, Any]


def _delimited(
    *, delimiter: bytes, max_bytes: int = DEFAULT_MAX_LINE_BYTES
) -> AnyCodec:
    return codecs.Delimited(delimiter, max_bytes=max_bytes)


FACTORIES: Final[dict[str, Callable[..., AnyCodec]]] = {
    "lines": codecs.Lines,
    "delimited": _delimited,
    "fixed-length": codecs.FixedLength,
    "length-prefixed": codecs.LengthPrefixed,
    "length-field": codecs.LengthField,
    "varint-prefixed": codecs.VarintPrefixed,
    "netstrings": codecs.Netstrings,
    "chunks": codecs.Chunks,
    "json": codecs.Json,
    "message-pack": codecs.MessagePack,
}
"""By their names on the command line."""

NOT_AS_TEXT: Final = {"type"}
"""Options whose value is a type: these are for ``module:object``."""

CODEC_HELP: Final = (
    f"{', '.join(FACTORIES)}; with options, as in length-prefixed:prefix_size=2,"
    "max_bytes=64KiB; or your own, module:object."
)


def parse_codec(text: str) -> AnyCodec:
    """Make the codec that a text names.

    Args:
        text: a name of `FACTORIES`; with options, a colon and ``option=value`` with
            commas between. The option ``framing`` is a codec itself, and the last one:
            ``json:framing=length-prefixed:prefix_size=2``. Or ``module:object``, where
            the object is a codec, or makes one when it is called.

    Raises:
        ValueError: it names no codec, or an option is wrong.
        ImportError: the codec needs something that is not installed.
    """
    name, colon, rest = text.partition(":")
    factory = FACTORIES.get(name)
    if factory is not None:
        return _make(name, factory, _options(name, factory, rest))
    if not colon or "=" in rest:
        close = difflib.get_close_matches(name, FACTORIES, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {_names()}"
        raise ValueError(f"there is no codec {name!r}; {hint}")
    return _own(text)


def _names() -> str:
    return ", ".join(FACTORIES)


def _options(name: str, factory: Callable[..., AnyCodec], text: str) -> dict[str, Any]:
    known = {
        option: str(parameter.annotation)
        for option, parameter in inspect.signature(factory).parameters.items()
        if option not in NOT_AS_TEXT
    }
    options: dict[str, Any] = {}
    while text:
        option, equals, text = text.partition("=")
        if option not in known or not equals:
            raise ValueError(
                f"{name} has no option {option!r}; it has {', '.join(known) or 'none'}"
            )
        if option == "framing":
            options[option] = parse_codec(text)
            break
        value, _, text = text.partition(",")
        options[option] = _value(option, known[option], value)
    return options


def _value(option: str, annotation: str, text: str) -> object:
    """Read a value by what its parameter is annotated with."""
    if "bytes" in annotation:
        return unescape(text)
    if "Literal" in annotation or "str" in annotation or "ByteOrder" in annotation:
        return unescape(text).decode()
    if "bool" in annotation:
        if text not in ("true", "false"):
            raise ValueError(f"{option} is true or false, not {text!r}")
        return text == "true"
    sign = -1 if text.startswith("-") else 1
    try:
        return sign * parse_size(text.removeprefix("-"))
    except ValueError as error:
        raise ValueError(f"{option}: {error}") from error


def _make(
    name: str, factory: Callable[..., AnyCodec], options: dict[str, Any]
) -> AnyCodec:
    try:
        inspect.signature(factory).bind(**options)
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from error
    try:
        return factory(**options)
    except (TypeError, LookupError) as error:
        raise ValueError(f"{name}: {error}") from error


def _own(text: str) -> AnyCodec:
    found: Any = load(text)
    if not _is_codec(found) and callable(found):
        found = found()
    if not _is_codec(found):
        raise ValueError(f"{text} is {found!r}, which is no codec and makes none")
    codec: AnyCodec = found
    return codec


def _is_codec(value: Any) -> bool:  # noqa: ANN401 - whatever it is
    if isinstance(value, type):
        return False
    return hasattr(value, "encode") and hasattr(value, "decode")


@final
class _CodecType(click.ParamType[AnyCodec]):
    name = "codec"

    def convert(
        self,
        value: object,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> AnyCodec:
        if not isinstance(value, str):
            return value  # type: ignore[return-value] # click converts defaults again
        try:
            return parse_codec(value)
        except (ValueError, ImportError) as error:
            self.fail(f"{error}.", param, ctx)


CODEC: Final = _CodecType()
"""What `parse_codec` reads."""
