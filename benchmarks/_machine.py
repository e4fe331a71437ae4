"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

__all__ = ["LIBRARIES", "Machine"]

LIBRARIES: Final = (
    "trio-tcp",
    "trio",
    "anyio",
    "uvloop",
    "msgspec",
    "coredis",
    "redis",
    "hiredis",
)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A machine and what is installed on it.

    Attributes:
        processor: its name.
        cores: how many this process may use.
        system: the operating system and its kernel.
        python: implementation and version.
        libraries: their versions, or that they are not installed.
        redis: likewise the version of redis-server.
    """

    processor: str
    cores: int
    system: str
    python: str
    libraries: dict[str, str]
    redis: str

    @classmethod
    def this(cls) -> Machine:
        """Look at this one."""
        return cls(
            processor=_processor(),
            cores=_cores(),
            system=f"{platform.system()} {platform.release()} ({platform.machine()})",
            python=f"{platform.python_implementation()} {platform.python_version()}",
            libraries={name: _version(name) for name in LIBRARIES},
            redis=_redis(),
        )


def _cores() -> int:
    cores = os.cpu_count() or 1
    if sys.platform == "linux":
        cores = len(os.sched_getaffinity(0))
    return cores


def _processor() -> str:
    if platform.system() == "Linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    if platform.system() == "Darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(
            command, check=True, capture_output=True, text=True
        ).stdout.strip()
    return platform.processor() or platform.machine()


def _redis() -> str:
    if shutil.which("redis-server") is None:
        return "not installed"
    command = ["redis-server", "--version"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"v=(\S+)", said)
    return found[1] if found else said.strip()


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "not installed"
