"""The picture of docs/how-to/proxy.md: its screen, with four clients and two faults."""

from __future__ import annotations

import re
import tempfile
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Final

import trio

import trio_tcp
from tests.docs.page import ROOT
from tests.docs.pictures.terminal import terminal
from tests.tmux import Tmux, open_tmux, trio_tcp_command
from trio_tcp import codecs

__all__ = ["draw_proxy"]

HOST: Final = "127.0.0.1"
COLUMNS: Final = 92
ROWS: Final = 30

Chunks = trio_tcp.Connection[bytes, bytes]


def draw_proxy() -> None:
    """Draw it."""
    trio.run(_draw)


async def _draw() -> None:
    async with trio.open_nursery() as nursery:
        serve = partial(trio_tcp.serve_tcp, _echo, 0, host=HOST, codec=codecs.Chunks())
        server: trio_tcp.Server = await nursery.start(serve)
        target = f"{HOST}:{server.port}"
        program = trio_tcp_command("proxy", f"{HOST}:0", target, "--seed", "7")
        with tempfile.TemporaryDirectory() as folder:
            async with open_tmux(
                Path(folder), program, columns=COLUMNS, rows=ROWS
            ) as tmux:
                screen = await tmux.shows(rf"{HOST}:\d+, before {target}")
                [port] = re.findall(rf"{HOST}:(\d+), before", screen)
                drawn = await _have_traffic(tmux, int(port))
        nursery.cancel_scope.cancel()
    lines = [line for line in drawn.splitlines() if line.strip()]
    picture = terminal(
        "\n".join(lines).replace(target, "127.0.0.1:6379").replace(port, "6380"),
        title="trio-tcp proxy :6380 localhost:6379",
        description="A table of the faults in force, a table of the connections with "
        "how many bytes have got through and how many are on their way, what happened "
        "last, and a command that is being typed.",
        columns=COLUMNS,
    )
    path = ROOT / "docs" / "how-to" / "proxy.svg"
    path.write_text(picture, encoding="utf-8")


async def _echo(connection: Chunks) -> None:
    async for chunk in connection:
        await connection.send(chunk)


async def _have_traffic(tmux: Tmux, port: int) -> str:
    """Connect, talk, break one, put faults on the others, and type a command."""
    async with AsyncExitStack() as stack:
        clients: list[Chunks] = []
        for number in range(1, 5):
            connect = trio_tcp.connect_tcp(HOST, port, codec=codecs.Chunks())
            client = await stack.enter_async_context(connect)
            clients.append(client)
            size = 30_000 * number
            await client.send(bytes(size))
            while size:
                size -= len(await client.receive())
        clients[2].abort()
        await tmux.shows("connection 3 ends")
        await tmux.enters("add latency seconds=5 @to-client")
        await tmux.shows("fault 1 begins")
        await tmux.enters("add stall @2")
        await tmux.shows("fault 2 begins")
        for number in (1, 2, 4):
            await clients[number - 1].send(bytes(12_345 * number))
        await tmux.types("add cut after_bytes=1KiB")
        await tmux.shows("1KiB")
        for row in (r"42,345 .* 12,345 ", r"60,000 .* 24,690 ", r"169,380 .* 49,380 "):
            await tmux.shows(row)  # each has gone as far as it can
        drawn = await tmux.colours()
        for client in clients:
            client.abort()
        return drawn
