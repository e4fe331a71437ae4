"""What a message costs on real sockets, beside plain Trio: instructions, not seconds.

Both servers and their clients run in one process, and the clients' part is the same. So
a ratio says less than a benchmark would, but says it on every machine.
"""

from __future__ import annotations

import struct
import tracemalloc
from functools import partial

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.test_cost import Instructions
from trio_tcp import codecs

HEADER = struct.Struct("!I")
FRAME = HEADER.pack(64) + bytes(64)
CLIENTS = 16
ROUNDS = 5


async def echo(connection: trio_tcp.Connection[bytes, bytes]) -> None:
    async for message in connection:
        await connection.send(message)


def same(message: bytes) -> bytes:
    return message


async def plain(stream: trio.SocketStream) -> None:
    """Echo as it is written by hand."""
    buffer = bytearray()
    async for chunk in stream:
        buffer += chunk
        while len(buffer) >= HEADER.size:
            (size,) = HEADER.unpack_from(buffer)
            end = HEADER.size + size
            if len(buffer) < end:
                break
            message = bytes(buffer[HEADER.size : end])
            del buffer[:end]
            await stream.send_all(HEADER.pack(len(message)) + message)


async def start(nursery: trio.Nursery, server: str) -> int:
    """Start one of the servers; return its port."""
    if server == "plain":
        serve_plain = partial(trio.serve_tcp, plain, 0, host="127.0.0.1")
        (listener,) = await nursery.start(serve_plain)
        port: int = listener.socket.getsockname()[1]
        return port
    handler = echo if server == "async" else trio_tcp.respond(same)
    serve = partial(trio_tcp.serve_tcp, host="127.0.0.1", codec=codecs.LengthPrefixed())
    started: trio_tcp.Server = await nursery.start(serve, handler, 0)
    return started.port


def instructions_per_message(server: str, *, together: int) -> float:
    """Count while clients take turns, each with so many messages under way."""
    instructions = Instructions()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            port = await start(nursery, server)
            clients = [
                await trio.open_tcp_stream("127.0.0.1", port) for _ in range(CLIENTS)
            ]

            async def play(rounds: int) -> None:
                for _ in range(rounds):
                    for client in clients:
                        await client.send_all(FRAME * together)
                    for client in clients:
                        missing = len(FRAME) * together
                        while missing:
                            missing -= len(await client.receive_some())

            await play(3)
            with instructions.counted():
                await play(ROUNDS)
            for client in clients:
                await client.aclose()
            nursery.cancel_scope.cancel()

    trio.run(main)
    return instructions.count / (ROUNDS * CLIENTS * together)


@pytest.mark.parametrize(
    ("server", "together", "most"),
    [
        ("async", 1, 1.15),
        ("async", 32, 0.65),
        ("respond", 1, 1.0),
        ("respond", 32, 0.42),
    ],
)
def test_a_message_does_not_become_dearer(
    server: str, together: int, most: float
) -> None:
    """Against one by hand, which has no timeouts, limits or observer; ours has them."""
    by_hand = instructions_per_message("plain", together=together)
    assert instructions_per_message(server, together=together) < by_hand * most


def bytes_per_connection(server: str) -> float:
    """Measure what Python holds for each idle connection, its client's socket too."""
    count = 200
    held = 0

    async def main() -> None:
        nonlocal held
        async with trio.open_nursery() as nursery:
            port = await start(nursery, server)
            others = [trio.socket.socket() for _ in range(count + CLIENTS)]

            async def ask_once(other: trio.socket.SocketType) -> None:
                await other.connect(("127.0.0.1", port))
                await other.send(FRAME)
                assert await other.recv(len(FRAME)) == FRAME

            for other in others[:CLIENTS]:
                await ask_once(other)
            tracemalloc.start()
            for other in others[CLIENTS:]:
                await ask_once(other)
            await wait_all_tasks_blocked()
            held, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            for other in others:
                other.close()
            nursery.cancel_scope.cancel()

    trio.run(main)
    return held / count


def test_an_idle_connection_that_is_only_answered_is_smaller_than_a_task() -> None:
    by_hand = bytes_per_connection("plain")
    assert bytes_per_connection("respond") < by_hand * 0.65
