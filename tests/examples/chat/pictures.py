"""Make the pictures of the chat, the page and the terminal, in one talk.

    python -m tests.examples.chat.pictures [FOLDER]

Without a folder, they go where they are shown; with one they go there, together with
the page at all sizes and in all colours, to be looked at.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

import trio

from tests.docs.pictures.terminal import terminal
from tests.examples.chat.browser import Page, open_browser
from tests.examples.chat.stage import join_in_terminal, open_server
from tests.tmux import ROOT

COLUMNS: Final = 72
ROWS: Final = 14


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
                svg = terminal(
                    await tess.colours(),
                    title="python -m examples.chat.client tess",
                    description="The chat in a terminal: what others say, and what "
                    "tess says; at the end the line that she is typing.",
                    columns=COLUMNS,
                )
                await (folder / "chat_terminal.svg").write_text(svg, encoding="utf-8")
                await (folder / "chat_page.png").write_bytes(await ann.picture())
                await ann.looks(width=720, height=420, scheme="dark")
                await (folder / "chat_page_dark.png").write_bytes(await ann.picture())
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


def draw_chat() -> None:
    """Draw what the pages show."""
    trio.run(make, trio.Path(ROOT / "docs" / "how-to"), False)


def main() -> None:
    """Read the command line."""
    if sys.argv[1:]:
        trio.run(make, trio.Path(sys.argv[1]), True)
    else:
        draw_chat()


if __name__ == "__main__":
    main()
