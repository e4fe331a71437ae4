"""What is wrong with a configuration: everything that is, with where it stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, Any, final

import attrs
import click

from trio_tcp.cli._serve._toml_lines import KeyPath

__all__ = ["ConfigurationError", "Problem", "WrongValueError"]


@final
class WrongValueError(ValueError):
    """A value is wrong, or something inside it.

    Attributes:
        path: from the value that was read to the one that is wrong.
    """

    def __init__(self, text: str, path: KeyPath = ()) -> None:
        super().__init__(text)
        self.path = path


@attrs.frozen(order=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        file: in which it stands; empty for the command line.
        line: of the file, from 1; 0 for none in particular.
        text: what is wrong, and what would be right.
    """

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        if not self.file:
            return self.text
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.text}"


@final
class ConfigurationError(click.ClickException):
    """Ends the command before anything listens.

    Attributes:
        problems: all that was found, in the order of the file.
    """

    exit_code = 2

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(problems)
        super().__init__("\n".join(map(str, self.problems)))

    def show(self, file: IO[Any] | None = None) -> None:
        """Write a line for each problem, as compilers do, so that editors find it."""
        count = len(self.problems)
        what = "1 mistake" if count == 1 else f"{count} mistakes"
        click.echo(self.message, file, err=True)
        click.echo(f"trio-tcp serve: {what}; nothing has listened.", file, err=True)
