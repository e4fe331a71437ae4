"""How long a publication takes to another machine's hub, and how many get there.

Usage: ``python benchmarks/backplane.py [redis://host:port]``; without a URL it starts
the program ``redis-server``. Two hubs in one process publish to each other: through
Redis, and, to compare, through nothing (both ends on one hub). Latency is from before
`publish` until a subscriber has it, one after the other; throughput is of many tasks at
once. Seconds are of the wall: run it on a machine that does nothing else.
"""

from __future__ import annotations

import secrets
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import trio

import trio_tcp
from trio_tcp import codecs

LATENCIES: Final = 2_000
MESSAGES: Final = 20_000
PUBLISHERS: Final = 100
MESSAGE: Final = "x" * 64
HISTORY: Final = {"kept.*": 1000}

Hubs = tuple[trio_tcp.Hub[str], trio_tcp.Hub[str]]


@asynccontextmanager
async def redis_server() -> AsyncGenerator[str, None]:
    """Run a Redis that keeps nothing on the disk; return its URL."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port)]
    process = await trio.lowlevel.open_process(
        [*command, "--save", ""], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    said = b""
    while b"Ready to accept" not in said:
        said += await process.stdout.receive_some()
    try:
        yield f"redis://127.0.0.1:{port}"
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


@asynccontextmanager
async def joined(url: str) -> AsyncGenerator[Hubs, None]:
    """Join two hubs through Redis."""
    open_one = partial(
        trio_tcp.RedisBackplane[str],
        url,
        codec=codecs.Lines(),
        prefix=f"benchmark-{secrets.token_hex(4)}",
    )
    async with open_one() as one, open_one() as other:
        yield (
            trio_tcp.Hub(history=HISTORY, backplane=one),
            trio_tcp.Hub(history=HISTORY, backplane=other),
        )


async def subscribed(hubs: Hubs, topic: str) -> trio_tcp.Subscription[str]:
    """Subscribe on the other side, and wait until that is known here."""
    here, there = hubs
    subscription = there.subscribe(topic, capacity=MESSAGES * 2)
    while True:
        await here.publish(topic, "begin")
        with trio.move_on_after(0.1):
            await subscription.receive()
            return subscription


async def latencies(hubs: Hubs, topic: str) -> list[float]:
    """Measure, one publication after the other; seconds."""
    subscription = await subscribed(hubs, topic)
    seconds: list[float] = []
    for number in range(LATENCIES):
        message = f"{number} {MESSAGE}"
        begin = time.perf_counter()
        await hubs[0].publish(topic, message)
        while True:
            item = await subscription.receive()
            if isinstance(item, trio_tcp.Publication) and item.message == message:
                break
        seconds.append(time.perf_counter() - begin)
    subscription.close()
    return sorted(seconds)


async def rate(hubs: Hubs, topic: str) -> float:
    """Measure how many a second come through, of many publishers."""
    subscription = await subscribed(hubs, topic)

    async def publish() -> None:
        for _ in range(MESSAGES // PUBLISHERS):
            await hubs[0].publish(topic, MESSAGE)

    begin = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for _ in range(PUBLISHERS):
            nursery.start_soon(publish)
        got = 0
        while got < MESSAGES:
            item = await subscription.receive()
            got += isinstance(item, trio_tcp.Publication) and item.message == MESSAGE
    seconds = time.perf_counter() - begin
    subscription.close()
    return MESSAGES / seconds


async def measure(name: str, hubs: Hubs) -> None:
    """Print a line for each kind of topic."""
    for kind, topic in ("no history", "plain"), ("history", "kept.topic"):
        found = await latencies(hubs, topic)
        each = await rate(hubs, topic)
        median = statistics.median(found) * 1e6
        worst = found[int(len(found) * 0.99)] * 1e6
        print(
            f"{name:11} {kind:11} median {median:6.0f} us   99% {worst:6.0f} us   "
            f"{each:9,.0f} messages/s"
        )


async def main(url: str | None) -> None:
    """Measure both."""
    hub: trio_tcp.Hub[str] = trio_tcp.Hub(history=HISTORY)
    await measure("one process", (hub, hub))
    if url is not None:
        async with joined(url) as hubs:
            await measure("Redis", hubs)
        return
    async with redis_server() as started, joined(started) as hubs:
        await measure("Redis", hubs)


if __name__ == "__main__":
    trio.run(main, sys.argv[1] if len(sys.argv) > 1 else None)
