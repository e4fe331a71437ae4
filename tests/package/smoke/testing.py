"""A search through seeds, with its progress on a terminal."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import trio

from trio_tcp import testing


async def program(net: testing.VirtualNetwork) -> None:
    await trio.sleep(1)


terminal, inner = os.openpty()
os.dup2(inner, sys.stderr.fileno())
os.environ["TERM"] = "xterm"
testing.explore(program, range(20), jobs=1).check()
os.write(inner, b"end")
shown = b""
while not shown.endswith(b"end"):
    shown += os.read(terminal, 10_000)
assert b"20/20" in shown, shown
assert Path(testing.__path__[0]).is_relative_to(sys.prefix)
