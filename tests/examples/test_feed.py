from __future__ import annotations

import math
import re
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.examples.conftest import Program, Programs

SECONDS = 40


async def start(programs: Programs) -> tuple[Program, int]:
    """Start a feed that has much to say."""
    feed = await programs.start("feed.py", "serve", "--port", 0, "--every", 0.001)
    return feed, await feed.port()


class Client:
    """One who reads lines."""

    def __init__(self, sock: trio.socket.SocketType) -> None:
        self._stream = trio.SocketStream(sock)
        self._unread = b""

    async def says(self, line: str) -> None:
        await self._stream.send_all(line.encode() + b"\n")

    async def reads(self) -> list[str]:
        """Return the words of the next line."""
        with trio.fail_after(SECONDS):
            while b"\n" not in self._unread:
                chunk = await self._stream.receive_some()
                assert chunk, "the end"
                self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode().split()

    async def reads_up_to(self, number: int) -> list[tuple[str, int]]:
        """Read until this publication or a later one; return topics and numbers."""
        got: list[tuple[str, int]] = []
        while not got or got[-1][1] < number:
            topic, found, *_ = await self.reads()
            got.append((topic, int(found)))
        return got


@asynccontextmanager
async def connected(port: int, room: int = 64 << 10) -> AsyncGenerator[Client]:
    """Connect a client, for which the kernel keeps so many bytes."""
    with trio.socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        await sock.connect(("127.0.0.1", port))
        yield Client(sock)


async def test_it_sends_the_prices_that_were_asked_for(programs: Programs) -> None:
    """First each as it is, then each change."""
    feed, port = await start(programs)
    async with connected(port) as everything, connected(port) as euros:
        await everything.says("price.*")
        got = await everything.reads_up_to(300)
        assert len({topic for topic, _ in got}) == 10
        await euros.says("price.eur")
        lines = [await euros.reads() for _ in range(3)]
    assert {line[0] for line in lines} == {"price.eur"}
    numbers = [int(line[1]) for line in lines]
    assert numbers == sorted(set(numbers))
    assert 0.5 < float(lines[0][2]) < 2
    assert (await feed.interrupt()).endswith("closed\n")


async def test_what_is_no_topic_is_told(programs: Programs) -> None:
    _, port = await start(programs)
    async with connected(port) as client:
        await client.says("price..eur")
        assert (await client.reads())[0] == "error:"


async def test_who_did_not_read_gets_the_newest_and_not_all(programs: Programs) -> None:
    """In much fewer lines than there were."""
    _, port = await start(programs)
    async with connected(port) as awake, connected(port, 4096) as asleep:
        await asleep.says("price.*")
        await asleep.reads()
        await awake.says("price.*")
        newest = dict(await awake.reads_up_to(600))
        lines = 0
        while newest:  # until it has these, or newer ones
            topic, number, *_ = await asleep.reads()
            lines += 1
            if int(number) >= newest.get(topic, math.inf):
                del newest[topic]
    assert lines < 100  # 64 KiB alone, which a queue has, are more


async def test_the_demonstration_says_what_has_come_of_it(programs: Programs) -> None:
    demo = await programs.start(
        "feed.py",
        "demo",
        *("--clients", 10, "--slow", 2, "--seconds", 2, "--every", 0.001),
    )
    said = await demo.ends()
    assert said.startswith("10 clients are there, and 2 fall asleep\n")
    found = re.search(r"published: (\d+) prices", said)
    slept = re.search(r"who slept got (\d+) to (\d+) lines", said)
    assert found is not None
    assert slept is not None
    assert int(slept[2]) < int(found[1])
    memory = re.search(r"memory of the feed: ([\d.]+) MB, ([\d.]+) MB", said)
    assert memory is not None
    assert float(memory[2]) < float(memory[1]) * 1.1
