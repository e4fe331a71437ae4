"""The servers: programs that say in their first lines what they are.

A line is ``# lab: NAME [for=KIND] [args=a,b] [only=pp64,pipe]``, where the kind is
``echo`` unless it says otherwise. A program may have several. It is started as
``FILE PORT a b`` and listens on 127.0.0.1.

Those of the kind ``requester`` are clients instead: see `benchmarks._requesters`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks._workloads import Workload

__all__ = ["FOLDERS", "ServerProgram", "discover"]

FOLDERS: Final = tuple(
    Path(__file__).with_name(name) for name in ("servers", "peers", "clients")
)
ANNOUNCEMENT: Final = re.compile(r"^# lab: (\S+)(.*)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class ServerProgram:
    """One server, or one client where these are what is measured.

    Attributes:
        name: what it is called in tables; one of each kind may have it.
        kind: what it does; see `benchmarks._workloads.Kind`.
        path: the program.
        args: after the port.
        only: the workloads that it is for, if not all of its kind.
    """

    name: str
    kind: str
    path: Path
    args: tuple[str, ...]
    only: frozenset[str]

    @property
    def is_ours(self) -> bool:
        """Whether it is a server of this package."""
        return self.name.startswith("trio_tcp")

    def takes(self, workload: Workload) -> bool:
        """Say whether this is a server for that workload."""
        fits = not self.only or workload.name in self.only
        return fits and workload.kind == self.kind


def discover(folders: Iterable[Path] = FOLDERS) -> list[ServerProgram]:
    """Read what the programs in some folders announce."""
    return [
        _announced(path, match[1], match[2])
        for folder in folders
        for path in sorted(folder.glob("*.py"))
        for match in ANNOUNCEMENT.finditer(path.read_text(encoding="utf-8"))
    ]


def _announced(path: Path, name: str, rest: str) -> ServerProgram:
    options = dict(word.split("=", 1) for word in rest.split())
    return ServerProgram(
        name=name,
        kind=options.get("for", "echo"),
        path=path,
        args=tuple(word for word in options.get("args", "").split(",") if word),
        only=frozenset(word for word in options.get("only", "").split(",") if word),
    )
