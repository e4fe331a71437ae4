"""A server that takes itself for process 1, as it would be in a container.

It prints its port, and that it drains.
"""

from __future__ import annotations

import os
import sys

import trio_tcp
from trio_tcp import codecs

os.getpid = lambda: 1


def observe(event: trio_tcp.Event) -> None:
    """Print what the test waits for."""
    match event:
        case trio_tcp.ServerStarted(addresses=(trio_tcp.TcpAddress(port=port),)):
            sys.stdout.write(f"{port}\n")
        case trio_tcp.DrainStarted():
            sys.stdout.write("draining\n")
        case _:
            pass
    sys.stdout.flush()


async def stay(connection: trio_tcp.Connection[str, str]) -> None:
    """Have the drain wait."""
    with connection.busy():
        await connection.wait_disconnected()


trio_tcp.run_server(
    stay, 0, host="127.0.0.1", codec=codecs.Lines(), grace=600, observer=observe
)
