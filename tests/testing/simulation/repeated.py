"""A program that does much at once, to be repeated.

As a command: ``python -m tests.testing.simulation.repeated SEED REPEATS`` prints, for
each repeat, the fingerprints of all that could be seen of it.
"""

from __future__ import annotations

import hashlib
import random
import secrets
import sys
import tempfile
import time
import uuid
from functools import partial
from pathlib import Path
from typing import final

import trio

import trio_tcp
from trio_tcp import codecs
from trio_tcp.testing import faults
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import run_simulation

__all__ = ["chat", "fingerprints"]

LINES = codecs.Lines(max_bytes=1 << 12)
CLIENTS = 5
ROUNDS = 3


@final
class Chat:
    """Clients of a server of ours, on a bad network.

    Whom an event wakes, what times out, what is reset when, who is cancelled, and in
    which order all of that happens is up to the seed. So is what the clients say.

    Attributes:
        log: What the program has seen, in the order in which it did.
    """

    def __init__(self) -> None:
        self.log: list[str] = []
        self._round = trio.Event()
        self._members: set[trio_tcp.Connection[str, str]] = set()

    def note(self, *words: object) -> None:
        """Write a line, with the time."""
        self.log.append(f"{trio.current_time():.9f} {' '.join(map(str, words))}")

    async def run(self, net: VirtualNetwork) -> list[str]:
        """Let everybody talk, then drain the server; returns the log."""
        net.set_links(latency=0.02, jitter=0.03, loss=0.05, mss=100)
        net.inject(faults.Slice(1, 60))
        serve = partial(
            trio_tcp.serve_tcp, self._serve, 80, codec=LINES, observer=self._observe
        )
        async with trio.open_nursery() as nursery:
            server = await nursery.start(net.host("server").run, serve)
            async with trio.open_nursery() as talking:
                for number in range(CLIENTS):
                    host = net.host(f"client{number}")
                    talking.start_soon(host.run, self._talk, host.name)
                talking.start_soon(self._disturb, net)
                for _ in range(ROUNDS):
                    await trio.sleep(1)
                    current, self._round = self._round, trio.Event()
                    current.set()
            self.note(await server.drain(grace=0.1))
        return self.log

    async def _serve(self, connection: trio_tcp.Connection[str, str]) -> None:
        self._members.add(connection)
        try:
            async for line in connection:
                for member in sorted(self._members, key=lambda member: member.id):
                    with trio.move_on_after(random.uniform(0.001, 0.1)):
                        await member.send(line)
                        await member.flush()
        finally:
            self._members.remove(connection)

    async def _talk(self, name: str) -> None:
        while True:
            try:
                async with trio_tcp.connect_tcp(
                    "server", 80, codec=LINES, observer=self._observe
                ) as connection:
                    await self._say_and_hear(name, connection)
                    return
            except* (OSError, trio.BrokenResourceError) as broken:
                self.note(name, "begins again:", repr(broken))

    async def _say_and_hear(
        self, name: str, connection: trio_tcp.Connection[str, str]
    ) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._hear, name, connection)
            for _ in range(ROUNDS - 1):
                with trio.move_on_after(3):
                    await self._round.wait()
                text = f"{name} {uuid.uuid4().hex} {secrets.token_hex(3)} {time.time()}"
                await connection.send(text)
            await trio.sleep(random.random())
            nursery.cancel_scope.cancel()

    async def _hear(self, name: str, connection: trio_tcp.Connection[str, str]) -> None:
        async for line in connection:
            self.note(name, "hears", line)

    async def _disturb(self, net: VirtualNetwork) -> None:
        """Reset one connection after another; hold one host back for a while."""
        for _ in range(ROUNDS):
            await trio.sleep(random.uniform(0.3, 1.2))
            connections = net.connections()
            if connections:
                random.choice(connections).reset()
            host = net.host(f"client{random.randrange(CLIENTS)}")
            with net.inject(faults.Hold(), on=host):
                await trio.sleep(0.2)

    def _observe(self, event: trio_tcp.Event, /) -> None:
        self.note(event)


async def chat(net: VirtualNetwork) -> list[str]:
    """Run a chat."""
    return await Chat().run(net)


def fingerprints(seed: int, folder: Path) -> tuple[str, str, str]:
    """Run it; return fingerprints of the trace, of the capture and of the log."""
    result = run_simulation(chat, seed=seed)
    capture = folder / "capture.pcap"
    result.trace.to_pcap(capture)
    log = "\n".join(result.value).encode()
    return result.trace.digest(), _hash(capture.read_bytes()), _hash(log)


def _hash(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _main(seed: int, repeats: int) -> None:
    litter: list[object] = []
    with tempfile.TemporaryDirectory() as folder:
        for repeat in range(repeats):
            # Objects of the next run lie elsewhere, in another order.
            litter += [bytearray(size % 700) for size in range(repeat * 997)]
            del litter[:: repeat + 2]
            sys.stdout.write(" ".join(fingerprints(seed, Path(folder))) + "\n")


if __name__ == "__main__":
    _main(int(sys.argv[1]), int(sys.argv[2]))
