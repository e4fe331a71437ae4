"""What `broadcast` and `broadcast_nowait` promise, over streams in memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeAlias, final

import pytest
import trio
from trio.testing import assert_no_checkpoints, wait_all_tasks_blocked

import trio_tcp
from trio_tcp import codecs, testing

Text: TypeAlias = trio_tcp.Connection[str, str]
Texts: TypeAlias = list[tuple[Text, testing.MemoryStream]]

LINES = codecs.Lines(max_bytes=1 << 20)
BIG = "x" * 200_000  # more than a stream and a queue hold


@final
class Counting:
    """Lines, and how many of them were encoded."""

    def __init__(self) -> None:
        self.encoded = 0

    def encode(self, message: str, /) -> bytes:
        self.encoded += 1
        return LINES.encode(message)

    def decode(self, buffer: codecs.Buffer, /) -> codecs.Decoding[str]:
        return LINES.decode(buffer)


@asynccontextmanager
async def opened(
    *of: codecs.Codec[str, str], capacity: int = 64 << 10
) -> AsyncGenerator[Texts, None]:
    """A connection for each codec, and the plain stream at its other end."""
    texts: Texts = []
    async with AsyncExitStack() as stack:
        for codec in of:
            ours, theirs = testing.memory_stream_pair(capacity)
            opening = trio_tcp.open_connection(ours, codec=codec)
            texts.append((await stack.enter_async_context(opening), theirs))
        try:
            yield texts
        finally:
            for connection, _ in texts:
                connection.abort()


def of(texts: Texts) -> list[Text]:
    return [connection for connection, _ in texts]


async def read(peer: testing.MemoryStream, size: int) -> bytes:
    """Read so many bytes, and see that it is not more."""
    received = b""
    while len(received) < size:
        received += await peer.receive_some(1 << 20)
    return received


async def set_it(turn: trio.Event) -> None:
    """Have had one's turn."""
    turn.set()


def sent(connection: Text) -> int:
    return connection.statistics().messages_sent


async def test_everybody_gets_the_message() -> None:
    async with opened(*[LINES] * 3) as texts:
        await trio_tcp.broadcast("hello", of(texts))
        for connection, peer in texts:
            assert await read(peer, 6) == b"hello\n"
            assert sent(connection) == 1


async def test_a_message_is_encoded_once_for_each_codec() -> None:
    one, another = Counting(), Counting()
    async with opened(one, another, one, another, one) as texts:
        await trio_tcp.broadcast("hello", of(texts))
        assert (one.encoded, another.encoded) == (1, 1)
        assert trio_tcp.broadcast_nowait("again", of(texts)) == []
        assert (one.encoded, another.encoded) == (2, 2)
        for _, peer in texts:
            assert await read(peer, 12) == b"hello\nagain\n"


async def test_each_gets_it_in_its_own_codec() -> None:
    async with opened(LINES, codecs.Lines(newline="\r\n")) as texts:
        await trio_tcp.broadcast("hello", of(texts))
        (_, one), (_, another) = texts
        assert await read(one, 6) == b"hello\n"
        assert await read(another, 7) == b"hello\r\n"


async def test_what_one_codec_cannot_carry_is_sent_to_nobody() -> None:
    async with opened(LINES, codecs.Lines(max_bytes=10)) as texts:
        with pytest.raises(trio_tcp.EncodeError):
            await trio_tcp.broadcast("far too long", of(texts))
        with pytest.raises(trio_tcp.EncodeError):
            trio_tcp.broadcast_nowait("far too long", of(texts))
        await trio_tcp.broadcast("short", of(texts))
        for connection, peer in texts:
            assert sent(connection) == 1
            assert await read(peer, 6) == b"short\n"


async def test_those_that_have_ended_are_left_out_also_with_their_codecs() -> None:
    strict = codecs.Lines(max_bytes=10)
    async with opened(LINES, strict, strict, strict) as texts:
        (open_, peer), (closed, _), (aborted, _), (half_closed, _) = texts
        with trio.CancelScope() as at_once:
            at_once.cancel()
            await closed.aclose()
        aborted.abort()
        await half_closed.send_eof()
        await trio_tcp.broadcast("not too long", of(texts))
        assert trio_tcp.broadcast_nowait("for this one", of(texts)) == []
        assert await read(peer, 26) == b"not too long\nfor this one\n"
        assert [sent(each) for each in of(texts)] == [2, 0, 0, 0]
        assert open_.close_reason is None


async def test_nobody_may_be_there() -> None:
    await trio_tcp.broadcast("hello", [])
    assert trio_tcp.broadcast_nowait("hello", []) == []


async def test_others_run_in_between_and_not_after_each() -> None:
    """After 64 at the latest: what is told until then leaves together."""
    async with opened(LINES) as texts, trio.open_nursery() as nursery:
        for _ in range(3):
            turn = trio.Event()
            nursery.start_soon(set_it, turn)
            for _ in range(63):
                await trio_tcp.broadcast("hello", of(texts))
            assert not turn.is_set()
            for _ in range(65):  # two schedule points: it may run after the first
                await trio_tcp.broadcast("hello", of(texts))
            assert turn.is_set()
        with assert_no_checkpoints():
            trio_tcp.broadcast_nowait("hello", of(texts))


async def test_others_run_after_thousands_of_deliveries() -> None:
    async with opened(*[LINES] * 8) as texts, trio.open_nursery() as nursery:
        turn = trio.Event()
        nursery.start_soon(set_it, turn)
        many = of(texts) * 2048
        await trio_tcp.broadcast("x", many)
        assert not turn.is_set()
        for _ in range(3):  # as above
            await trio_tcp.broadcast("x", many)
        assert turn.is_set()


async def test_one_that_is_cancelled_already_has_sent_nothing() -> None:
    async with opened(LINES) as texts:
        with trio.CancelScope() as scope:
            scope.cancel()
            await trio_tcp.broadcast("hello", of(texts))
        assert scope.cancelled_caught
        assert sent(texts[0][0]) == 0


async def test_messages_keep_their_order_with_what_is_sent_otherwise() -> None:
    async with opened(LINES, LINES) as texts:
        (first, peer), _ = texts
        await first.send("1")
        await trio_tcp.broadcast("2", of(texts))
        first.send_nowait("3")
        trio_tcp.broadcast_nowait("4", of(texts))
        await first.send("5")
        assert await read(peer, 10) == b"1\n2\n3\n4\n5\n"


async def test_the_slow_are_waited_for_each_by_itself() -> None:
    async with opened(*[LINES] * 3) as texts, trio.open_nursery() as nursery:
        (slow, slow_peer), (slower, slower_peer), (fast, fast_peer) = texts
        await slow.send(BIG)
        await slower.send(BIG)
        is_over = trio.Event()

        async def tell() -> None:
            await trio_tcp.broadcast("hello", [slower, slow, fast])
            is_over.set()

        nursery.start_soon(tell)
        await wait_all_tasks_blocked()
        assert await read(fast_peer, 6) == b"hello\n"
        assert [sent(each) for each in of(texts)] == [1, 1, 1]
        assert await read(slow_peer, len(BIG) + 7) == f"{BIG}\nhello\n".encode()
        assert sent(slow) == 2
        assert not is_over.is_set()
        assert await read(slower_peer, len(BIG) + 7) == f"{BIG}\nhello\n".encode()
        await is_over.wait()
        assert sent(slower) == 2


async def test_cancelled_while_it_waits_it_leaves_no_trace_on_the_slow() -> None:
    async with opened(LINES, LINES) as texts:
        (slow, slow_peer), (fast, fast_peer) = texts
        await slow.send(BIG)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio_tcp.broadcast, "hello", [slow, fast])
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert [sent(slow), sent(fast)] == [1, 1]
        assert await read(slow_peer, len(BIG) + 1) == f"{BIG}\n".encode()
        await slow.send("next")
        assert await read(slow_peer, 5) == b"next\n"
        assert await read(fast_peer, 6) == b"hello\n"


async def test_one_that_breaks_while_it_is_waited_for_is_left_out() -> None:
    async with opened(*[LINES] * 3) as texts, trio.open_nursery() as nursery:
        (broken, broken_peer), (closed, _), (_, slow_peer) = texts
        for connection in of(texts):
            await connection.send(BIG)
        nursery.start_soon(trio_tcp.broadcast, "hello", of(texts))
        await wait_all_tasks_blocked()
        broken_peer.reset()
        closed.abort()
        assert await read(slow_peer, len(BIG) + 7) == f"{BIG}\nhello\n".encode()
        await wait_all_tasks_blocked()
        assert [sent(each) for each in of(texts)] == [1, 1, 2]
        assert isinstance(broken.close_error, trio_tcp.ConnectionBroken)


async def test_nowait_returns_those_that_have_no_room() -> None:
    async with opened(*[LINES] * 3) as texts:
        (one, _), (full, peer), _ = texts
        await full.send(BIG)
        await wait_all_tasks_blocked()
        assert trio_tcp.broadcast_nowait("hello", of(texts)) == [full]
        assert [sent(each) for each in of(texts)] == [1, 1, 1]
        assert await read(peer, len(BIG) + 1) == f"{BIG}\n".encode()
        assert trio_tcp.broadcast_nowait("again", of(texts)) == []
        assert await read(peer, 6) == b"again\n"
        assert sent(one) == 2


async def test_the_connections_may_change_while_it_waits() -> None:
    async with opened(LINES, LINES) as texts, trio.open_nursery() as nursery:
        (slow, slow_peer), _ = texts
        members = of(texts)
        await slow.send(BIG)
        nursery.start_soon(trio_tcp.broadcast, "hello", members)
        await wait_all_tasks_blocked()
        members.clear()
        assert await read(slow_peer, len(BIG) + 7) == f"{BIG}\nhello\n".encode()


async def test_those_that_are_ended_as_they_hold_too_much_are_left_out() -> None:
    """By this very message, of which they would hold the most."""
    limits = trio_tcp.Limits(max_buffered_bytes=250_000)

    async def wait(connection: Text) -> None:
        await connection.wait_disconnected()

    async with testing.serve_in_memory(wait, LINES, limits=limits) as served:
        clients = [await served.listener.connect() for _ in range(3)]
        await wait_all_tasks_blocked()
        first, *others = served.server.connections
        await first.send(BIG[:100_000])
        await trio_tcp.broadcast(BIG, others)
        evicted = trio_tcp.CloseReason.EVICTED
        assert [each.close_reason for each in others] == [evicted, evicted]
        assert first.close_reason is None
        assert trio_tcp.broadcast_nowait("hello", [first, *others]) == [first]
        for client in clients:
            await client.aclose()


async def test_a_thousand_get_it() -> None:
    async with opened(*[LINES] * 1000) as texts:
        await trio_tcp.broadcast("hello", of(texts))
        for _, peer in texts:
            assert await read(peer, 6) == b"hello\n"
