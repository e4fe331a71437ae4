"""The command, as a script and as a module."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = str(Path(sys.executable).with_name("trio-tcp"))


def output(*command: str) -> str:
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    return ended.stdout


for name in ("serve", "connect", "proxy", "bench"):
    assert name in output(SCRIPT, name, "--help")
assert "chat" in output(sys.executable, "-I", "-m", "trio_tcp", "demo")
