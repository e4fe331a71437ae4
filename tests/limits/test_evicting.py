"""`max_buffered_bytes`: the connection that holds the most makes room."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import final

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.drain.draining import exactly
from tests.limits.limiting import (
    PATIENT,
    Serving,
    Text,
    buffered,
    everything,
    is_reset,
    receive_all,
    serve,
)
from trio_tcp import CloseReason, EvictedError, codecs, testing


async def hold(serving: Serving, size: int) -> testing.MemoryStream:
    """Connect a client that sends so much of a message, and not its end."""
    client = await serving.connect()
    await client.send_all(b"x" * size)
    await wait_all_tasks_blocked()
    return client


async def test_the_connection_that_holds_the_most_makes_room(
    autojump_clock: MockClock,
) -> None:
    errors: list[EvictedError] = []
    reasons: list[CloseReason | None] = []
    received: list[int] = []

    async def receive_one(connection: Text) -> None:
        try:
            received.append(len(await connection.receive()))
        except EvictedError as error:
            errors.append(error)
            reasons.append(connection.close_reason)
            raise

    async with serve(buffered(100_000), receive_one, timeouts=PATIENT) as serving:
        honest = [await hold(serving, 30_000)]
        greedy = await hold(serving, 50_000)
        assert serving.server.statistics().bytes_buffered == 80_000
        assert errors == []
        honest.append(await hold(serving, 40_000))
        assert [(error.held, error.limit) for error in errors] == [(50_000, 100_000)]
        assert reasons == [CloseReason.EVICTED]
        assert serving.server.statistics().bytes_buffered == 70_000
        assert await is_reset(greedy)
        for client in honest:
            await client.send_all(b"!\n")
            assert await everything(client) == b""
            await client.aclose()
        assert received == [30_001, 40_001]
        await wait_all_tasks_blocked()
        (evicted, *_) = serving.record.all(trio_tcp.ConnectionEnded)
        assert evicted.reason is CloseReason.EVICTED
        assert isinstance(evicted.error, EvictedError)
        assert errors[0].connection_id == evicted.id
        assert serving.server.statistics().bytes_buffered == 0


async def test_it_may_be_the_one_that_is_just_receiving(
    autojump_clock: MockClock,
) -> None:
    async with serve(buffered(100_000), receive_all, timeouts=PATIENT) as serving:
        small = await hold(serving, 20_000)
        with pytest.raises(trio.BrokenResourceError):
            await hold(serving, 1_000_000)
        await wait_all_tasks_blocked()
        (ended,) = serving.record.all(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.EVICTED
        assert serving.server.statistics().bytes_buffered == 20_000
        await small.send_all(b"\n")
        await wait_all_tasks_blocked()
        (connection,) = serving.server.connections
        assert connection.statistics().messages_received == 1


@final
class Growing(codecs.Codec[bytes, bytes]):
    """A codec that relies on having more bytes, or the end, when it has asked."""

    def encode(self, message: bytes, /) -> bytes:
        """Not used."""
        raise AssertionError

    def decode(self, buffer: codecs.Buffer, /) -> codecs.Decoding[bytes]:
        """Yield nothing."""
        seen = 0
        while True:
            yield codecs.NEED_MORE
            assert buffer.ended or len(buffer.data) > seen
            seen = len(buffer.data)


async def test_its_codec_is_not_asked_to_go_on_with_less_than_it_had() -> None:
    errors: list[EvictedError] = []

    async def handler(connection: trio_tcp.Connection[bytes, bytes]) -> None:
        with pytest.raises(EvictedError) as caught:
            await connection.receive()
        errors.append(caught.value)

    async with testing.serve_in_memory(
        handler, Growing(), limits=buffered(10_000)
    ) as served:
        client = await served.listener.connect()
        for size in 6000, 4001:
            await client.send_all(b"x" * size)
            await wait_all_tasks_blocked()
        assert [error.held for error in errors] == [10_001]


async def test_bytes_that_come_while_it_is_evicted_are_nobodys(
    autojump_clock: MockClock,
) -> None:
    for _ in range(20):  # tasks run in any order
        async with serve(buffered(25_000), receive_all, timeouts=PATIENT) as serving:
            greedy = await serving.connect()
            await greedy.send_all(b"whole\n" + b"x" * 15_000)
            honest = await hold(serving, 9000)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(greedy.send_all, b"x" * 100)
                nursery.start_soon(honest.send_all, b"x" * 3000)
            assert await is_reset(greedy)
            await wait_all_tasks_blocked()
            (connection,) = serving.server.connections
            assert connection.statistics().bytes_received == 12_000
            assert serving.server.statistics().bytes_buffered == 12_000
            (ended,) = serving.record.all(trio_tcp.ConnectionEnded)
            assert ended.reason is CloseReason.EVICTED


async def test_a_busy_handler_is_told_when_it_looks_up(
    autojump_clock: MockClock,
) -> None:
    """What its connection holds is let go at once."""
    failed: list[str] = []

    async def work(connection: Text) -> None:
        assert await connection.receive() == "begin"
        await trio.sleep(10)
        for name, call in (
            ("receive", connection.receive),
            ("send", partial(connection.send, "x")),
            ("flush", connection.flush),
            ("detach", connection.detach),
        ):
            with pytest.raises(EvictedError):
                await call()
            failed.append(name)

    async with serve(buffered(50_000), work, timeouts=PATIENT) as serving:
        busy = await serving.connect()
        # With the first message came the beginning of another.
        await busy.send_all(b"begin\n" + b"x" * 16_000)
        await trio.sleep(1)
        assert serving.server.statistics().bytes_buffered > 16_000
        serving.server.limits = buffered(16_001)
        await hold(serving, 10_000)
        assert serving.server.statistics().bytes_buffered == 10_000
        assert len(serving.server.connections) == 2
        await trio.sleep(10)
        assert failed == ["receive", "send", "flush", "detach"]
        assert await is_reset(busy)


async def test_what_waits_to_be_sent_counts_as_well(
    autojump_clock: MockClock,
) -> None:
    async def receive_and_send(connection: Text) -> None:
        if await connection.receive() == "more":
            await connection.send("x" * 60_000)
        await receive_all(connection)

    async with serve(
        buffered(100_000), receive_and_send, timeouts=PATIENT, capacity=1000
    ) as serving:
        deaf = await serving.connect()
        await deaf.send_all(b"more\n")
        await wait_all_tasks_blocked()
        assert serving.server.statistics().bytes_buffered == 59_001 + 1000
        honest = await hold(serving, 30_000)
        assert serving.server.statistics().open == 2
        with suppress(trio.BrokenResourceError):
            await honest.send_all(b"x" * 20_000)
        await wait_all_tasks_blocked()
        assert await is_reset(deaf)
        (connection,) = serving.server.connections
        assert connection.close_reason is None
        assert serving.server.statistics().bytes_buffered == 50_000


async def test_a_message_too_large_for_the_rest_evicts_whoever_holds_the_most(
    autojump_clock: MockClock,
) -> None:
    """With nothing queued a connection may send whatever it likes, but not for ever."""

    async def send(connection: Text) -> None:
        await connection.send("x" * int(await connection.receive()))
        await receive_all(connection)

    async with serve(
        buffered(100_000), send, timeouts=PATIENT, capacity=100
    ) as serving:
        clients: list[testing.MemoryStream] = []
        for size in (30_000, 50_000, 40_000):
            clients.append(await serving.connect())
            await clients[-1].send_all(b"%d\n" % size)
            await wait_all_tasks_blocked()
        (ended,) = serving.record.all(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.EVICTED
        assert await is_reset(clients[1])
        assert len(await clients[0].receive_some()) == 100
        assert len(await clients[2].receive_some()) == 100


async def test_as_many_go_as_it_takes(autojump_clock: MockClock) -> None:
    async with serve(buffered(1_000_000), receive_all, timeouts=PATIENT) as serving:
        clients = [await hold(serving, size) for size in range(10_000, 60_000, 10_000)]
        serving.server.limits = buffered(70_000)
        await wait_all_tasks_blocked()
        assert len(serving.server.connections) == 5  # a lower limit evicts nobody
        clients.append(await hold(serving, 20_000))
        # 50,000 and 40,000 and 30,000 are gone.
        assert serving.server.statistics().bytes_buffered == 50_000
        assert [await is_reset(client) for client in clients[2:5]] == [True] * 3
        assert len(serving.server.connections) == 3


async def test_honest_small_clients_are_never_evicted(
    autojump_clock: MockClock,
) -> None:
    """However many there are: what they hold is little."""
    async with serve(buffered(100_000), timeouts=PATIENT) as serving:
        honest = [await hold(serving, 3000) for _ in range(200)]
        for _ in range(20):
            with suppress(trio.BrokenResourceError):
                await hold(serving, 200_000)
        for client in honest:
            await client.send_all(b"\n")
            await exactly(client, b"x" * 3000 + b"\n")
        await wait_all_tasks_blocked()
        assert serving.server.statistics().ended == {CloseReason.EVICTED: 20}
        assert serving.server.statistics().bytes_buffered == 0


async def test_what_is_delivered_is_not_held(autojump_clock: MockClock) -> None:
    async with serve(buffered(100_000), receive_all, timeouts=PATIENT) as serving:
        for _ in range(10):
            client = await hold(serving, 60_000)
            await client.send_all(b"\n")
            await wait_all_tasks_blocked()
            assert serving.server.statistics().bytes_buffered == 0
        assert serving.server.statistics().messages_received == 10
