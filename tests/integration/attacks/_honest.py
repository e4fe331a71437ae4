"""Honest clients, as a program: they ask, check the answer, pause, and ask again.

It uses nothing but the standard library, neither Trio nor this package. Its argument is
JSON, for a `Crowd`. It prints a line when all have been answered. Each line that it
reads is the name of a phase that begins. At the end of its input the clients finish
what they are at and close; then it prints what each phase was like, as JSON.

Regulars stay connected. Newcomers connect anew for every request.
"""

from __future__ import annotations

import asyncio
import json
import random
import ssl
import sys
import time
from collections import defaultdict
from contextlib import suppress
from typing import Any, Final

PATIENCE: Final = 30.0
"""Seconds that a request may take. Newcomers wait long while a server is full."""

PAUSE: Final = 0.04
"""Seconds between two requests, on average."""


class Crowd:
    """All of them.

    Args:
        places: where they go: ``port``, ``hello``, ``preamble`` (both in hexadecimal),
            and ``tls``.
        regulars: how many.
        newcomers: how many.

    Attributes:
        tls: their context.
        phase: what goes on.
        leaving: set when they are to go.
        seconds: how long requests took, for each phase and kind of client.
        errors: what went wrong.
    """

    def __init__(
        self, places: list[dict[str, Any]], regulars: int, newcomers: int
    ) -> None:
        kinds = ["regulars"] * regulars + ["newcomers"] * newcomers
        self._clients = [
            Client(self, kind, places[number % len(places)])
            for number, kind in enumerate(kinds)
        ]
        self.tls = _tls()
        self.phase = ""
        self.leaving = asyncio.Event()
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.errors: list[str] = []

    async def run(self) -> None:
        """Let them work until the input ends."""
        tasks = [asyncio.create_task(client.run()) for client in self._clients]
        ready = asyncio.create_task(self._say_when_ready())
        await self._follow_the_phases()
        ready.cancel()
        self.leaving.set()
        await asyncio.gather(*tasks)
        phases = {name: _summary(each) for name, each in self.seconds.items()}
        _say({"phases": phases, "errors": self.errors})

    async def _say_when_ready(self) -> None:
        for client in self._clients:
            await client.answered.wait()
        _say("ready")

    async def _follow_the_phases(self) -> None:
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
        )
        while line := await reader.readline():
            self.phase = line.decode().strip()


class Client:
    """One of them."""

    def __init__(self, crowd: Crowd, kind: str, place: dict[str, Any]) -> None:
        self.answered = asyncio.Event()
        self._crowd = crowd
        self._kind = kind
        self._place = place
        self._hello = bytes.fromhex(place["hello"])
        self._phase = ""
        self._began_at = 0.0

    async def run(self) -> None:
        """Ask again and again. What goes wrong is noted, and then it starts anew."""
        while not self._crowd.leaving.is_set():
            self._begin()
            try:
                await self._visit()
            except (OSError, EOFError, ValueError) as error:
                what = f"{self._kind} at port {self._place['port']}, {self._phase}"
                self._crowd.errors.append(f"{what}: {error!r}")
                await self._pause()

    async def _visit(self) -> None:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await self._connect()
        try:
            while True:
                async with asyncio.timeout(PATIENCE):
                    await self._ask(reader, writer)
                self._end()
                await self._pause()
                if self._kind == "newcomers" or self._crowd.leaving.is_set():
                    break
                self._begin()
        finally:
            with suppress(OSError):
                writer.close()
                await writer.wait_closed()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            self._place["port"],
            ssl=self._crowd.tls if self._place["tls"] else None,
        )
        writer.write(bytes.fromhex(self._place["preamble"]))
        return reader, writer

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(self._hello)
        await writer.drain()
        answer = await reader.readexactly(len(self._hello))
        if answer != self._hello:
            raise ValueError(f"answered {answer!r}, not {self._hello!r}")

    def _begin(self) -> None:
        """Start the clock of a request; it counts for the phase in which it began."""
        self._phase, self._began_at = self._crowd.phase, time.perf_counter()

    def _end(self) -> None:
        seconds = time.perf_counter() - self._began_at
        self._crowd.seconds[f"{self._phase} {self._kind}"].append(seconds)
        self.answered.set()

    async def _pause(self) -> None:
        seconds = random.uniform(0.5, 1.5) * PAUSE
        with suppress(TimeoutError):
            await asyncio.wait_for(self._crowd.leaving.wait(), seconds)


def _tls() -> ssl.SSLContext:
    """Make a context that takes any certificate, and so loads none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _summary(seconds: list[float]) -> dict[str, float]:
    seconds.sort()
    return {
        "requests": len(seconds),
        "p50": seconds[len(seconds) // 2],
        "p99": seconds[len(seconds) * 99 // 100],
        "most": seconds[-1],
    }


def _say(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(Crowd(**json.loads(sys.argv[1])).run())
