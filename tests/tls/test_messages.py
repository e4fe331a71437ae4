"""Over TLS messages go both ways, whole and in order, and senders are held back."""

from __future__ import annotations

import random
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar, final

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.certificates import HOST, client_context, each_version, server_context
from tests.integration.loopback import echo
from tests.tls.peer import Bytes, serving
from trio_tcp import CloseReason, codecs, testing

T = TypeVar("T")

HIGH_WATER_BYTES = 64 << 10
"""At so many bytes `send` waits, as its docstring has it."""


async def both(
    here: Callable[[Bytes], Awaitable[None]],
    there: Callable[[Bytes], Awaitable[None]],
    *,
    capacity: int = 64 << 10,
    version: ssl.TLSVersion | None = None,
) -> None:
    """Run a client and a server over TLS, each in a task, until both have ended."""

    async def run(
        stream: trio.abc.Stream,
        context: ssl.SSLContext,
        host: str | None,
        side: Callable[[Bytes], Awaitable[None]],
    ) -> None:
        async with trio_tcp.open_connection(
            stream, codec=codecs.LengthPrefixed(), tls=context, server_hostname=host
        ) as connection:
            await side(connection)

    ours, theirs = testing.memory_stream_pair(capacity)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, ours, client_context(version=version), HOST, here)
        nursery.start_soon(run, theirs, server_context(), None, there)


@each_version
@pytest.mark.parametrize("capacity", [1, 100, 64 << 10])
async def test_messages_go_both_ways(version: ssl.TLSVersion, capacity: int) -> None:
    codec = codecs.LengthPrefixed()
    messages = [b"", b"a", b"b" * 1000, b"\0\xff" * min(100_000, capacity * 100)]
    async with serving(
        echo, codec, tls=server_context(version=version), capacity=capacity
    ) as served:
        async with served.connect() as client:
            for message in messages:
                await client.send(message)
                assert await client.receive() == message
        (ended,) = await served.record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.PEER_CLOSED
        # The counters are of messages and their bytes, not of TLS's.
        size = sum(4 + len(message) for message in messages)
        assert ended.statistics.bytes_received == size
        assert ended.statistics.bytes_sent == size


@each_version
async def test_large_messages_go_both_ways_at_once(version: ssl.TLSVersion) -> None:
    """Neither side reads before it has sent; what it sends fits into no buffer."""
    message = random.Random(1).randbytes(1_000_000)

    async def swap(connection: Bytes) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.send_many, [message, b"next"])
            assert await connection.receive() == message
            assert await connection.receive() == b"next"

    await both(swap, swap, capacity=5000, version=version)


async def impatient(rng: random.Random, call: Callable[[], Awaitable[T]]) -> list[T]:
    """Call, and cancel that at once or after a few passes of the scheduler.

    Returns:
        What the call returned; nothing if it was cancelled.
    """
    passes = rng.choice([-1, 0, 1, 2, 3, 5, 8, 20])
    result: list[T] = []
    with trio.CancelScope() as scope:
        if passes < 0:
            scope.cancel()
        async with trio.open_nursery() as nursery:

            async def cancel() -> None:
                for _ in range(passes):
                    await trio.lowlevel.checkpoint()
                scope.cancel()

            nursery.start_soon(cancel)
            result.append(await call())
            nursery.cancel_scope.cancel()
    return result


@final
class Traffic:
    """What one side sends and receives at the same time, with all calls cancelled.

    Attributes:
        sent: the messages that were accepted.
        received: those of the other side.
        cancelled: how many calls of both kinds were cancelled.
    """

    def __init__(self, name: str, capacity: int) -> None:
        self.sent: list[bytes] = []
        self.received: list[bytes] = []
        self.cancelled = Counter[str]()
        self._name = name
        # The largest fill the queue: those behind them wait in line.
        self._sizes = [0, 1, 10, 50, 300, 4000 * capacity]
        self._left = 3000 * capacity  # bytes that go through the pipe

    async def run(self, connection: Bytes) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send, connection)
            nursery.start_soon(self._receive, connection)

    async def _send(self, connection: Bytes) -> None:
        rng = random.Random(f"{self._name} sends")
        for number in range(60):
            if self._left < 0 and number >= 20:
                break
            size = rng.choice(self._sizes)
            message = f"{self._name} {number} ".encode() + rng.randbytes(size)
            if await impatient(rng, partial(connection.send, message)):
                self.sent.append(message)
                self._left -= len(message)
            else:
                self.cancelled["send"] += 1
            if rng.random() < 0.1:
                await impatient(rng, connection.flush)
        await connection.send_eof()

    async def _receive(self, connection: Bytes) -> None:
        rng = random.Random(f"{self._name} receives")
        try:
            while True:
                message = await impatient(rng, connection.receive)
                self.received += message
                self.cancelled["receive"] += not message
        except* trio_tcp.PeerClosed:
            pass


@each_version
@pytest.mark.parametrize("capacity", [1, 17, 100])
@pytest.mark.parametrize("seed", range(2))
async def test_cancellation_loses_nothing_and_tears_nothing(
    version: ssl.TLSVersion, capacity: int, seed: int
) -> None:
    """Both sides send and receive at once; every call of both is cancelled at random.

    What is received is what was sent, in order; a message whose `send` was cancelled
    is not among it.
    """
    here = Traffic(f"here {seed}", capacity)
    there = Traffic(f"there {seed}", capacity)
    await both(here.run, there.run, capacity=capacity, version=version)
    assert there.received == here.sent
    assert here.received == there.sent
    for side in (here, there):
        assert side.sent
        assert side.cancelled["send"]
        assert side.cancelled["receive"]


async def test_a_cancelled_send_was_never_sent() -> None:
    """It waited in line behind a full queue; the messages around it arrive."""

    async def fill(connection: Bytes) -> None:
        large = b"x" * HIGH_WATER_BYTES
        await connection.send(large)
        with trio.move_on_after(0) as scope:
            await connection.send(b"cancelled")
        assert scope.cancelled_caught
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(connection.send, b"cancelled too")
                await wait_all_tasks_blocked()
                scope.cancel()
        await connection.send(b"last")

    async def read(connection: Bytes) -> None:
        await wait_all_tasks_blocked(0.01)  # until the other side has done its worst
        assert [len(message) async for message in connection] == [HIGH_WATER_BYTES, 4]

    await both(read, fill, capacity=100)


@each_version
async def test_what_is_answered_together_leaves_in_one_record(
    version: ssl.TLSVersion,
) -> None:
    context = server_context(version=version)
    context.num_tickets = 0  # which would be records, too
    async with serving(echo, codecs.Lines(), tls=context) as served:
        peer = await served.connect_peer()
        lines = b"".join(b"line %d\n" % number for number in range(20))
        await peer.send(lines)
        await wait_all_tasks_blocked()
        ciphertext = await peer.stream.receive_some()
        size = int.from_bytes(ciphertext[3:5], "big")
        assert len(ciphertext) == 5 + size
        assert peer.decrypt(ciphertext) == lines


async def test_a_peer_that_does_not_read_makes_senders_wait() -> None:
    capacity, frame = 100, 1004

    async def flood(connection: Bytes) -> None:
        for _ in range(200):
            await connection.send(bytes(1000))

    async with serving(flood, codecs.LengthPrefixed(), capacity=capacity) as served:
        peer = await served.connect_peer()
        await wait_all_tasks_blocked()
        (connection,) = served.server.connections
        statistics = connection.statistics()
        assert statistics.bytes_queued < HIGH_WATER_BYTES + frame
        assert statistics.bytes_sent <= capacity
        assert statistics.messages_sent < 200
        assert (
            await peer.receive_exactly(200 * frame)
            == (b"\0\0\x03\xe8" + bytes(1000)) * 200
        )
        await peer.end()
        assert await peer.receive_all() == b""


async def test_flush_waits_until_the_stream_has_all_of_it() -> None:
    """All of the ciphertext, that is: what is encrypted has not left."""
    capacity = 100
    flushed = trio.Event()

    async def send(connection: Bytes) -> None:
        await connection.send(bytes(50_000))
        await connection.flush()
        assert connection.statistics().bytes_queued == 0
        flushed.set()
        await connection.receive()

    async with serving(send, codecs.LengthPrefixed(), capacity=capacity) as served:
        peer = await served.connect_peer()
        plaintext = b""
        while not flushed.is_set():
            plaintext += peer.decrypt(await peer.stream.receive_some())
            await wait_all_tasks_blocked()
        before = len(plaintext)
        plaintext += peer.decrypt(await peer.stream.receive_some(capacity))
        assert before < len(plaintext) == 50_004
