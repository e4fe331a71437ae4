"""What another process has taken: CPU and memory, by what the system has for it."""

from __future__ import annotations

import platform
import subprocess
import time
from pathlib import Path

__all__ = ["cpu_seconds", "resident_kib", "seconds_of_ps"]


def cpu_seconds(pid: int) -> float:
    """Return the seconds of CPU of a process: user, system, and all its threads."""
    if platform.system() == "Linux":
        # The clock that clock_getcpuclockid(3) names. Unlike /proc/PID/stat, which
        # counts in hundredths of a second, it is exact.
        return time.clock_gettime((~pid << 3) | 2)
    return seconds_of_ps(_ps(pid, "time"))


def resident_kib(pid: int) -> int:
    """Return how much memory a process has, in KiB."""
    if platform.system() == "Linux":
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmRSS:")[2].split(maxsplit=1)[0])
    return int(_ps(pid, "rss"))


def seconds_of_ps(text: str) -> float:
    """Read a time as ``ps`` prints it: ``[[days-]hours:]minutes:seconds``."""
    days, _, clock = text.strip().rpartition("-")
    seconds = 0.0
    for part in clock.split(":"):
        seconds = seconds * 60 + float(part)
    return int(days or 0) * 86_400 + seconds


def _ps(pid: int, column: str) -> str:
    command = ["ps", "-o", f"{column}=", "-p", str(pid)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
