"""The pictures of docs/how-to/connect.md: real sessions at a terminal.

Each session runs in tmux, with the command as users have it and a server of ours; what
is on the screen at its end becomes a picture, in its colours.
"""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import trio

import trio_tcp
from tests.certificates import HOST, certificate, server_context, write_files
from tests.docs.page import ROOT
from tests.docs.pictures.terminal import terminal
from tests.tmux import Tmux, open_tmux, trio_tcp_command
from trio_tcp import codecs

__all__ = ["draw_sessions"]

COLUMNS: Final = 92
ROWS: Final = 60
PORT: Final = "8888"
"""What a reader would listen on; the system gave another."""

Scene = Callable[[Tmux], Awaitable[str]]


def draw_sessions() -> None:
    """Draw all of them."""
    trio.run(_draw_all)


async def _draw_all() -> None:
    await _draw(
        "connect.svg",
        "A session with a server of JSON: messages, their bytes, and one that is bad",
        partial(trio_tcp.serve_tcp, calculate, codec=codecs.Lines()),
        ["--codec", "json"],
        talk_json,
    )
    context = server_context()
    context.set_alpn_protocols(["echo"])
    with tempfile.TemporaryDirectory() as folder:
        authority = write_files(certificate(HOST), Path(folder))[2]
        await _draw(
            "connect_tls.svg",
            "A session over TLS, which begins with whom it talks to",
            partial(trio_tcp.serve_tcp, echo, codec=codecs.Lines(), tls=context),
            ["--ca", str(authority), "--alpn", "echo"],
            talk_tls,
        )


# The servers, and what is typed


async def calculate(connection: trio_tcp.Connection[str, str]) -> None:
    """Answer as a service of JSON, which once forgets a bracket."""
    async for _ in connection:
        await connection.send('{"id":1,"result":3}')
        await connection.receive()
        await connection.send('{"id":2,"result":')
        await connection.receive()
        await connection.send('{"id":3,"result":"\\u001b[2Jnothing is cleared"}')


async def echo(connection: trio_tcp.Connection[str, str]) -> None:
    """Send every line back."""
    async for line in connection:
        await connection.send(line)


async def talk_json(tmux: Tmux) -> str:
    """Ask three times, see the bytes once, and end in order."""
    await tmux.enters('{"id": 1, "add": [1, 2]}')
    await tmux.shows("< .*result.:3")
    await tmux.enters('{"id": 2, "add": [1]}')
    await tmux.shows(r"\|:\.\|$")
    await tmux.enters("/hex")
    await tmux.enters('{"id": 3}')
    await tmux.shows(r"< .*cleared")
    await tmux.enters("/hex")
    await tmux.enters("/stats")
    await tmux.shows("bytes_skipped")
    await tmux.presses("C-d")
    await tmux.shows("exit code 0$")
    return await tmux.colours()


async def talk_tls(tmux: Tmux) -> str:
    """Say something, and leave."""
    await tmux.enters("hello")
    await tmux.shows("< hello")
    await tmux.enters("/quit")
    await tmux.shows("exit code 0$")
    return await tmux.colours()


# From a screen to a picture


async def _draw(
    name: str,
    title: str,
    serve: Callable[..., Any],
    arguments: list[str],
    scene: Scene,
) -> None:
    async with trio.open_nursery() as nursery:
        server: trio_tcp.Server = await nursery.start(partial(serve, port=0, host=HOST))
        address = f"{HOST}:{server.port}"
        with tempfile.TemporaryDirectory() as folder:
            program = trio_tcp_command("connect", address, *arguments, "--no-history")
            async with open_tmux(
                Path(folder), program, columns=COLUMNS, rows=ROWS
            ) as tmux:
                await tmux.shows("^> ?$")
                screen = await scene(tmux)
        nursery.cancel_scope.cancel()
    shown = [argument.rpartition("/")[2] for argument in arguments]
    command = " ".join(["$ trio-tcp connect", address, *shown])
    _save(
        ROOT / "docs" / "how-to" / name,
        title,
        f"{command}\n{_until_the_end(screen)}".replace(str(server.port), PORT),
    )


def _until_the_end(screen: str) -> str:
    """Return the screen up to the last line of the session."""
    lines = screen.rstrip().splitlines()
    (last, *_) = (n for n, line in enumerate(lines) if line.endswith("exit code 0"))
    return "\n".join(lines[: last + 1])


def _save(path: Path, description: str, text: str) -> None:
    title, columns = "trio-tcp connect", COLUMNS
    picture = terminal(text, title=title, description=description, columns=columns)
    path.write_text(picture, encoding="utf-8")
