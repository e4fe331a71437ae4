"""What is sent, and which replies are right, as the command line says it."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import click

from trio_tcp import codecs
from trio_tcp.cli._bench._plan import expect_anything
from trio_tcp.cli._parameters import Notation, parse_size

__all__ = ["encode_all", "expectation", "message_of_size", "read_messages"]

IsExpected: TypeAlias = Callable[[int, object], bool]

LETTERS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
"""What messages of a given size are made of: any framing can carry these."""

QUOTED: Final[dict[str, Callable[[str], str]]] = {
    "json": json.dumps,
    "python": repr,
    "hex": lambda text: text.encode().hex(),
}
"""How letters are written in notations that do not have them as they are."""


def read_messages(
    notation: Notation, texts: Sequence[str], file: Path | None, size: str | None
) -> list[object]:
    """Return the messages to send in turn, wherever they come from.

    Raises:
        click.UsageError: there are none, or from several places, or one is none of
            the codec's.
    """
    if sum((bool(texts), file is not None, size is not None)) != 1:
        raise click.UsageError(
            "What is to be sent? One of --message, --messages and --size says it."
        )
    if size is not None:
        return [message_of_size(notation, size)]
    if file is not None:
        return _lines(notation, file, "--messages")
    return [_read(notation, text, "--message") for text in texts]


def message_of_size(notation: Notation, text: str) -> object:
    """Make a message of so many letters, the same in every run.

    Raises:
        click.UsageError: the text is no size.
    """
    try:
        size = parse_size(text)
    except ValueError as error:
        raise click.UsageError(f"--size: {error}.") from error
    letters = "".join(random.Random(size).choices(LETTERS, k=size))
    return notation.read(QUOTED.get(notation.name, str)(letters))


def _lines(notation: Notation, file: Path, option: str) -> list[object]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{option} {file}: {error}") from error
    if not lines:
        raise click.UsageError(f"{option}: {file} is empty.")
    return [
        _read(notation, line, f"{option} {file}, line {number}")
        for number, line in enumerate(lines, start=1)
    ]


def _read(notation: Notation, text: str, where: str) -> object:
    try:
        return notation.read(text)
    except ValueError as error:
        raise click.UsageError(f"{where}: {error}.") from error


def encode_all(
    codec: codecs.Codec[Any, Any], messages: Sequence[object]
) -> tuple[bytes, ...]:
    """Encode the messages.

    Raises:
        click.UsageError: the codec cannot carry one.
    """
    frames: list[bytes] = []
    for number, message in enumerate(messages, start=1):
        try:
            frames.append(codec.encode(message))
        except (ValueError, TypeError) as error:
            raise click.UsageError(f"message {number}: {error}.") from error
    return tuple(frames)


def expectation(
    text: str | None, notation: Notation, messages: Sequence[object]
) -> IsExpected:
    """Return what says whether a reply is right.

    Args:
        text: ``same``: as what was sent. ``/REGEX/``: somewhere in the reply, as it is
            written. ``@FILE``: the replies to the messages in turn, a line each. None:
            any reply is right.
        notation: how messages are written.
        messages: what is sent in turn.

    Raises:
        click.UsageError: it is nothing of the kind.
    """
    if text is None:
        return expect_anything
    if text == "same":
        return _expect_each(messages)
    if text.startswith("@"):
        replies = _lines(notation, Path(text[1:]), "--expect")
        if len(replies) != len(messages):
            raise click.UsageError(
                f"--expect {text} has {len(replies)} replies, and there are "
                f"{len(messages)} messages."
            )
        return _expect_each(replies)
    if text.startswith("/") and text.endswith("/") and len(text) > len("//"):
        return _expect_match(notation, text[1:-1])
    raise click.UsageError(f"--expect is same, /REGEX/ or @FILE, not {text!r}.")


def _expect_each(replies: Sequence[object]) -> IsExpected:
    def is_expected(number: int, reply: object) -> bool:
        return reply == replies[number]

    return is_expected


def _expect_match(notation: Notation, text: str) -> IsExpected:
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise click.UsageError(f"--expect /{text}/: {error}.") from error

    def is_expected(_number: int, reply: object) -> bool:
        return pattern.search(notation.write(reply)) is not None

    return is_expected
