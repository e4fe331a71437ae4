"""Watch a path where nobody may connect; print what it saw."""

from __future__ import annotations

import os
import socket
import stat
import sys

SERVERS = 100
NOBODY = 65534


def watch(path: str) -> str:
    """Try to connect, and look at the permissions, until there were many servers."""
    seen: set[int] = set()
    with socket.socket(socket.AF_UNIX) as client:
        while len(seen) < SERVERS:
            try:
                client.connect(path)
            except (FileNotFoundError, ConnectionRefusedError, PermissionError):
                pass
            else:
                return "connected"
            try:
                found = os.lstat(path)
            except FileNotFoundError:
                continue
            if stat.S_IMODE(found.st_mode) != 0:
                return f"mode {stat.S_IMODE(found.st_mode):#o}"
            seen.add(found.st_mtime_ns)
            os.sched_yield()
    return "nothing"


if os.geteuid() == 0:  # who may do everything
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
sys.stdout.write(f"{watch(sys.argv[1])}\n")
sys.stdout.flush()
