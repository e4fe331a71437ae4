"""Programs that the tests of simulations run, also in other processes."""

from __future__ import annotations

import os
import random
import time

import trio

from trio_tcp.testing.network import VirtualNetwork

CLIENTS = 6


async def chat(net: VirtualNetwork) -> list[tuple[float, str]]:
    """Let clients talk at once, whose order depends on everything there is to seed."""
    net.set_links(latency=0.01, jitter=0.02)
    heard: list[tuple[float, str]] = []
    everybody = trio.Event()

    async def serve(stream: trio.SocketStream) -> None:
        async for chunk in stream:
            heard.append((trio.current_time(), chunk.decode()))
            await stream.send_all(chunk)

    async def talk(name: str) -> None:
        await everybody.wait()
        stream = await trio.open_tcp_stream("server", 80)
        async with stream:
            for number in range(4):
                await stream.send_all(f"{name}{number}".encode())
                await stream.receive_some()
                await trio.lowlevel.checkpoint()

    net.host("server").start(trio.serve_tcp, serve, 80)
    await net.settle()
    async with trio.open_nursery() as nursery:
        for number in range(CLIENTS):
            name = f"client{number}"
            nursery.start_soon(net.host(name).run, talk, name)
        await net.settle()
        everybody.set()
    return heard


async def fail_by_chance(net: VirtualNetwork) -> None:
    """Fail under some seeds, and say under which by what was drawn."""
    drawn = random.random()
    await trio.sleep(drawn)
    if drawn < 0.4:
        raise ValueError(f"drew {drawn}")


async def die(net: VirtualNetwork) -> None:
    """End the process that runs it, without a word."""
    os._exit(1)


async def take_real_time(net: VirtualNetwork) -> None:
    """Say on stdout that it runs, and keep the process busy."""
    os.write(1, b"running\n")
    time.sleep(0.01)  # noqa: ASYNC251 - a program that computes
