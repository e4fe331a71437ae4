"""Serve what was handed down: the descriptors that are given, or systemd's."""

from __future__ import annotations

import sys

import trio

import trio_tcp
from trio_tcp import codecs

CHILD = """
import os
print([n for n in os.environ if n.startswith("LISTEN_")], end=" ")
print([fd for fd in range(3, 200) if os.path.exists(f"/dev/fd/{fd}")
       and os.readlink(f"/dev/fd/{fd}").startswith("socket:")])
"""


async def answer(connection: trio_tcp.Connection[str, str]) -> None:
    """Send back every line; "child" asks what a child process has of all this."""
    async for line in connection:
        if line == "child":
            child = await trio.run_process(
                [sys.executable, "-c", CHILD],
                capture_stdout=True,
                close_fds=False,
            )
            await connection.send(child.stdout.decode().strip())
        else:
            await connection.send(line)


async def main(descriptors: list[int]) -> None:
    """Serve until killed."""
    listeners = (
        [trio_tcp.listener_from_fd(fd) for fd in descriptors]
        if descriptors
        else trio_tcp.inherited_listeners()
    )
    await trio_tcp.serve_listeners(answer, listeners, codec=codecs.Lines())


trio.run(main, [int(word) for word in sys.argv[1:]])
