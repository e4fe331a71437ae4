"""Make the pictures of the chat, the page and the terminal, in one talk.

    python -m tests.examples.chat.pictures [FOLDER]

With a folder, they go there, together with the page at all sizes and in all colours,
to be looked at.
"""

from __future__ import annotations

import re
import sys
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

import trio
from rich.console import Console
from rich.text import Text

from tests.examples.chat.browser import Page, open_browser
from tests.examples.chat.stage import join_in_terminal, open_server
from tests.tmux import ROOT

COLUMNS: Final = 72
ROWS: Final = 14


def draw(screen: str) -> str:
    """Return a terminal's screen as SVG."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
    console.print(Text.from_ansi(screen.rstrip("\n")))
    svg = console.export_svg(title="python -m examples.chat.client tess", unique_id="t")
    # A picture loads nothing from elsewhere: any font of equal widths will do.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    return re.sub(r"(<svg [^>]*>)", r"\1\n<title>The chat in a terminal</title>", svg)


async def join(page: Page, nick: str) -> None:
    """Join from a page."""
    await page.enters(nick)
    await page.shows(f"{nick} has joined")


async def make(folder: trio.Path, is_to_be_looked_at: bool) -> None:
    """Have people talk, and take pictures of it."""
    with TemporaryDirectory() as profile:
        async with open_server() as server, open_browser(Path(profile)) as browser:
            url = f"http://127.0.0.1:{server.web_port}/"
            ann, ben = await browser.open(url), await browser.open(url)
            await ann.looks(width=720, height=420, scheme="light")
            if is_to_be_looked_at:
                await (folder / "join.png").write_bytes(await ann.picture())
            await join(ann, "ann")
            async with join_in_terminal(
                "tess", server.port, columns=COLUMNS, rows=ROWS
            ) as tess:
                await tess.shows("tess has joined")
                await join(ben, "ben")
                await ann.enters("Is anybody using a terminal?")
                await tess.shows("Is anybody")
                await tess.enters("I am. Lines of mine stay whole while you talk.")
                await ben.shows("stay whole")
                await ben.enters("/msg ann She means it.")
                await ben.shows("She means it.")
                await ann.enters("/who")
                await ann.shows("in lobby:")
                await ann.enters("And if the server is restarted?")
                await tess.shows("restarted")
                await tess.types("Then we all come ba")
                await tess.shows("come ba$")
                svg = draw(await tess.colours())
                await (folder / "chat_terminal.svg").write_text(svg, encoding="utf-8")
                await (folder / "chat_page.png").write_bytes(await ann.picture())
                if is_to_be_looked_at:
                    await look(ann, folder)
                    await server.kill()
                    await ann.shows("trying again")
                    await (folder / "broken.png").write_bytes(await ann.picture())


async def look(page: Page, folder: trio.Path) -> None:
    """Take a picture of the page in each way to see it."""
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for width, height in ((320, 568), (1280, 800)):
        for scheme in schemes:
            await page.looks(width=width, height=height, scheme=scheme)
            name = f"{width}_{scheme}.png"
            await (folder / name).write_bytes(await page.picture())


def main() -> None:
    """Read the command line."""
    folder = Path(sys.argv[1]) if sys.argv[1:] else ROOT / "docs" / "how-to"
    trio.run(make, trio.Path(folder), len(sys.argv) > 1)


if __name__ == "__main__":
    main()
