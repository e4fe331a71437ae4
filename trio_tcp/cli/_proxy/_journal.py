"""What happens, line by line, where there is no terminal."""

from __future__ import annotations

from types import TracebackType
from typing import final

import click

from trio_tcp.cli._proxy._desk import Desk

__all__ = ["Journal"]


@final
class Journal:
    """Writes a line for all that happens, with the seconds since the beginning.

    Args:
        title: what is written first.
        desk: the proxy.
    """

    def __init__(self, title: str, desk: Desk) -> None:
        self._title = title
        self._desk = desk

    def __enter__(self) -> Journal:
        self.tell(f"listening on {self._title}")
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def tell(self, text: str) -> None:
        """Write what happened."""
        now = self._desk.proxy.network.now()
        for line in text.splitlines():
            click.echo(f"{now:10.3f}  {line}")

    def refresh(self) -> None:
        """Do nothing: what is written stays."""
