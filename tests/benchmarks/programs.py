"""Servers, good ones and bad ones, run as the benchmarks run theirs."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from benchmarks._catalog import ServerProgram, discover
from benchmarks._processes import running

SERVERS = discover()


def named(name: str, kind: str = "echo") -> ServerProgram:
    """Return one of the benchmarks' servers."""
    [found] = [s for s in SERVERS if (s.name, s.kind) == (name, kind)]
    return found


def program(folder: Path, text: str) -> ServerProgram:
    """Write another one."""
    path = folder / "server.py"
    path.write_text(text, encoding="utf-8")
    [found] = discover([folder])
    return found


BEGINNING = """\
# lab: simple
import socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    client, _ = listener.accept()
"""


@contextmanager
def running_simple(folder: Path, body: str) -> Generator[tuple[int, int], None, None]:
    """Run a server that does this to each ``client`` that connects."""
    indented = "".join(f"    {line}\n" for line in body.splitlines())
    with running(program(folder, BEGINNING + indented)) as (port, pid):
        yield port, pid
