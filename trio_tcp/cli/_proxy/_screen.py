"""The live table: faults, connections, what happened last, and the line being typed."""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import Final, final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from trio_tcp.cli._proxy._desk import Desk
from trio_tcp.cli._proxy._typing import TypedLine, each_key

__all__ = ["Screen"]

LINES_SHOWN: Final = 6
"""Of what happened, the latest."""

LINES_BESIDE: Final = 14
"""What is on the screen beside the rows of connections."""


@final
class Screen:
    """Shows a proxy on a terminal, for the time of a block.

    Args:
        title: what is shown above all.
        desk: the proxy.
        line: what is being typed.
        console: the terminal.
    """

    def __init__(
        self, title: str, desk: Desk, line: TypedLine, console: Console
    ) -> None:
        self._title = title
        self._desk = desk
        self._line = line
        self._console = console
        self._lines: deque[str] = deque(maxlen=LINES_SHOWN)
        self._live = Live(console=console, auto_refresh=False)
        self._keys = each_key()

    def __enter__(self) -> Screen:
        self._keys.__enter__()
        self._live.start()
        self.refresh()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.refresh()
        self._live.stop()
        self._keys.__exit__(exc_type, exc_value, traceback)

    def tell(self, text: str) -> None:
        """Show what happened."""
        self._lines.extend(text.splitlines())

    def refresh(self) -> None:
        """Draw it anew."""
        self._live.update(self.draw(), refresh=True)

    def draw(self) -> RenderableType:
        """Make what is to be seen now."""
        room = self._console.height - LINES_BESIDE - len(self._desk.faults)
        return Group(
            Text(self._title, style="bold"),
            self._faults(),
            self._connections(max(room, 3)),
            Text("\n".join(self._lines), style="dim"),
            Text.assemble(("> ", "bold"), self._line.text, ("▏", "blink")),
        )

    def _faults(self) -> Table:
        table = Table(expand=True, title_justify="left")
        table.add_column("fault", justify="right", width=5)
        table.add_column("in force", ratio=1)
        table.add_column("on")
        for number in self._desk.faults:
            what, _, place = self._desk.describe(number).partition("@")
            where = f"connection {place}" if place.isdecimal() else place
            table.add_row(str(number), Text(what, style="red"), where or "everything")
        if not self._desk.faults:
            table.add_row("", Text("none; type: help", style="dim"), "")
        return table

    def _connections(self, room: int) -> Table:
        proxy = self._desk.proxy
        table = Table(expand=True)
        table.add_column("connection", justify="right", width=10)
        table.add_column("client", ratio=1)
        for name in ("to server", "on its way", "to client", "on its way"):
            table.add_column(name, justify="right")
        latest = list(proxy.connections.values())[-room:]
        for each in latest:
            table.add_row(
                str(each.number),
                Text(str(each.client)),  # brackets of IPv6 are no markup
                f"{each.to_server:,}",
                f"{each.from_client - each.to_server:,}",
                f"{each.to_client:,}",
                f"{each.from_server - each.to_client:,}",
            )
        table.caption = f"{len(proxy.connections)} open of {proxy.accepted}" + (
            f"; the latest {room} are shown" if len(proxy.connections) > room else ""
        )
        return table
