"""Try to run a server outside the main thread, and print what it raises."""

from __future__ import annotations

import sys
import traceback
from concurrent.futures import ThreadPoolExecutor

import trio_tcp
from trio_tcp import codecs


async def handle(_connection: trio_tcp.Connection[str, str]) -> None:
    """Do nothing."""


def run() -> None:
    """Run a server, which fails."""
    try:
        trio_tcp.run_server(handle, 0, host="127.0.0.1", codec=codecs.Lines())
    except (RuntimeError, ExceptionGroup) as error:
        sys.stdout.writelines(traceback.format_exception(error))


with ThreadPoolExecutor(1) as other_thread:
    other_thread.submit(run).result()
