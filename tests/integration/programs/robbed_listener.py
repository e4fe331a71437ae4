"""Listen on a Unix socket whose file is exchanged for a link at a given moment.

The arguments are the path, what the link is to point to, and the audit event of Python
at which it happens. Whoever can write to the directory can do so at any time.
"""

from __future__ import annotations

import os
import sys

import trio

import trio_tcp

path, victim, moment = sys.argv[1:]


def exchange(event: str, _: tuple[object, ...]) -> None:
    """Be the attacker, once, when there is a socket."""
    if event == moment and os.path.exists(path) and not os.path.islink(path):
        os.unlink(path)
        os.symlink(victim, path)


async def main() -> None:
    """Listen for a moment."""
    try:
        async with trio_tcp.open_unix_listener(path, mode=0o666):
            sys.stdout.write("listened\n")
    except OSError as error:
        sys.stdout.write(f"refused: {error.strerror}\n")


os.umask(0o077)
sys.addaudithook(exchange)
trio.run(main)
