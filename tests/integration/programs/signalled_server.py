"""A server in a program of its own making, which prints what becomes of it."""

from __future__ import annotations

import signal
import sys
from functools import partial

import trio

import trio_tcp
from trio_tcp import codecs


def say(*words: object) -> None:
    """Print a line at once."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def obey(connection: trio_tcp.Connection[str, str]) -> None:
    """Work until the drain, or fail."""
    async for _ in connection:
        say("working")
        await connection.draining.wait()
        await connection.send("done")


def handled(_number: int, _frame: object) -> None:
    """Show that this handler is there again."""
    say("handled as before")


async def main() -> None:
    """Serve with another task beside it, and go on after the end."""
    serve = partial(trio_tcp.serve_tcp, obey, 0, codec=codecs.Lines(), host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        server: trio_tcp.Server = await nursery.start(
            trio_tcp.serve_until_signalled, serve
        )
        say(server.port)
        if "drain" in sys.argv:
            await server.drain()
    signal.raise_signal(signal.SIGTERM)


signal.signal(signal.SIGTERM, handled)
trio.run(main)
say("returned")
