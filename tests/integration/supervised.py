"""What the tests of several processes share: a service, its supervisor, its clients."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import trio

from tests.integration.loopback import Program, connect, run_program

SECONDS: Final = 40
"""How long anything may take on a slow machine. Nothing waits for it to pass."""

SERVICE: Final = """
import functools, os, signal, sys, time
import trio
import trio_tcp
from trio_tcp import codecs

VERSION = "first"

async def obey(connection):
    async for line in connection:
        match line:
            case "pid":
                await connection.send(str(os.getpid()))
            case "version":
                await connection.send(VERSION)
            case "work":
                await connection.send("working")
                await connection.draining.wait()
                await connection.send("done")
            case "work until told":
                await connection.send("working")
                with connection.busy():
                    await connection.receive()
                await connection.send("done")
            case "work for ever":
                await connection.send("working")
                with trio.CancelScope(shield=True):
                    await trio.sleep_forever()
            case "environment":
                await connection.send(" ".join(sorted(os.environ)))
            case "block":
                await connection.send("blocking")
                await connection.flush()
                time.sleep(1000)
            case _:
                await connection.send(line)

serve = functools.partial(
    trio_tcp.serve_listeners, obey, codec=codecs.Lines(), observer=lambda event: None
)
"""
"""A module for workers: it does what a line says, and sends back what it knows not."""


class Service:
    """A supervisor, what it tells, and where its service listens.

    Attributes:
        program: the supervisor's.
        port: of the service.
        told: what was told until now: names of records, and their fields.
    """

    def __init__(self, program: Program, folder: Path) -> None:
        self.program = program
        self.port = 0
        self.told: list[tuple[str, dict[str, Any]]] = []
        self._folder = folder

    def write(self, source: str) -> None:
        """Change the module of the workers."""
        write(self._folder, source)

    def send_signal(self, number: int) -> None:
        """Send a signal to the supervisor."""
        self.program.process.send_signal(number)

    async def wait(self, name: str, **fields: object) -> dict[str, Any]:
        """Wait for the next record of a kind, with some fields as they are here."""
        with trio.fail_after(SECONDS):
            while kind := await self._next():
                found = self.told[-1][1]
                if kind == name and fields.items() <= found.items():
                    return found
        raise AssertionError(f"it ended without {name} {fields} after {self.told}")

    def all(self, name: str) -> list[dict[str, Any]]:
        """Return the records of a kind that were waited for, or passed over."""
        return [fields for kind, fields in self.told if kind == name]

    async def end(self) -> int:
        """Wait until it has ended, and return its exit status."""
        with trio.fail_after(SECONDS):
            while await self._next():
                pass
            return await self.program.process.wait()

    async def _next(self) -> str:
        """Take note of one more record; return its name, or nothing at the end."""
        kind, _, fields = (await self.program.line()).partition(" ")
        if kind:
            self.told.append((kind, json.loads(fields)))
        return kind


def write(folder: Path, source: str) -> None:
    """Write the module of the workers, at once and so that no cache hides it."""
    new = folder / "service.new"
    new.write_text(source, encoding="utf-8")
    os.replace(new, folder / "service.py")


@asynccontextmanager
async def supervisor(
    folder: Path, source: str = SERVICE, **options: object
) -> AsyncGenerator[Service, None]:
    """Run a supervisor; see ``programs/supervisor.py`` for the options."""
    write(folder, source)
    async with run_program("supervisor.py", folder, json.dumps(options)) as program:
        yield Service(program, folder)


@asynccontextmanager
async def supervised(
    folder: Path, source: str = SERVICE, **options: object
) -> AsyncGenerator[Service, None]:
    """Run a supervisor, and wait until its service is there."""
    async with supervisor(folder, source, **options) as service:
        started = await service.wait("SupervisorStarted")
        service.port = started["addresses"][0][1]
        yield service


class Client:
    """A plain client, which knows nothing but lines.

    Attributes:
        stream: its connection.
    """

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._unread = b""

    async def ask(self, line: str) -> str:
        """Send a line, and return the next one."""
        await self.stream.send_all(line.encode() + b"\n")
        return await self.line()

    async def line(self) -> str:
        """Return the next line, or ``""`` at the end."""
        with trio.fail_after(SECONDS):
            while b"\n" not in self._unread:
                chunk = await self.stream.receive_some()
                if not chunk:
                    assert not self._unread, f"it ended after {self._unread!r}"
                    return ""
                self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode()


@asynccontextmanager
async def client_of(service: Service) -> AsyncGenerator[Client, None]:
    """Connect a client."""
    async with connect(service.port) as stream:
        yield Client(stream)


def exists(pid: int) -> bool:
    """Say whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def wait_until_ended(*pids: int) -> None:
    """Wait until these processes have ended, whosever children they are."""
    for pid in pids:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            with trio.fail_after(SECONDS):
                await trio.lowlevel.wait_readable(descriptor)
        finally:
            os.close(descriptor)


def sockets_of(pid: int) -> set[str]:
    """List the sockets that a process has open."""
    links: set[str] = set()
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since it was listed
            links.add(os.readlink(file))
    return {link for link in links if link.startswith("socket:")}
