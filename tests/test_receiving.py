"""What `Connection.receive` promises, over memory and over real sockets."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from trio_tcp import codecs, testing

Text: TypeAlias = trio_tcp.Connection[str, str]
Open: TypeAlias = Callable[
    [], AbstractAsyncContextManager[tuple[Text, trio.abc.Stream]]
]


@asynccontextmanager
async def over_memory() -> AsyncGenerator[tuple[Text, trio.abc.Stream], None]:
    """A connection, and the plain stream at its other end."""
    ours, theirs = testing.memory_stream_pair()
    async with trio_tcp.open_connection(ours, codec=codecs.Lines()) as connection:
        try:
            yield connection, theirs
        finally:
            await trio.aclose_forcefully(theirs)


@asynccontextmanager
async def over_sockets() -> AsyncGenerator[tuple[Text, trio.abc.Stream], None]:
    """The same over a pair of sockets in the kernel."""
    ours, theirs = map(trio.SocketStream, trio.socket.socketpair())
    async with trio_tcp.open_connection(ours, codec=codecs.Lines()) as connection:
        try:
            yield connection, theirs
        finally:
            await trio.aclose_forcefully(theirs)


@pytest.fixture(params=[over_memory, over_sockets])
def open_text(request: pytest.FixtureRequest) -> Open:
    """Each kind of stream in turn."""
    kind: Open = request.param
    return kind


async def test_async_for_ends_where_the_peer_closes(open_text: Open) -> None:
    async with open_text() as (connection, peer):
        await peer.send_all(b"one\ntwo\n")
        await peer.aclose()
        assert [line async for line in connection] == ["one", "two"]
        assert connection.close_reason is trio_tcp.CloseReason.PEER_CLOSED
        with pytest.raises(trio_tcp.PeerClosed):
            await connection.receive()


async def test_an_end_inside_a_message_is_an_error_of_its_own(open_text: Open) -> None:
    async with open_text() as (connection, peer):
        await peer.send_all(b"whole\nhal")
        await peer.aclose()
        assert await connection.receive() == "whole"
        for _ in range(2):
            with pytest.raises(trio_tcp.TruncatedError) as caught:
                await connection.receive()
            assert caught.value.received == 3
        assert connection.close_reason is trio_tcp.CloseReason.TRUNCATED
        assert isinstance(connection.close_error, trio_tcp.TruncatedError)


async def test_a_cancelled_receive_loses_nothing(open_text: Open) -> None:
    async with open_text() as (connection, peer):
        for chunk in (b"o", b"n", b"e\ntwo\n"):
            with trio.move_on_after(0) as scope:
                await connection.receive()
            assert scope.cancelled_caught
            async with trio.open_nursery() as nursery:
                nursery.start_soon(connection.receive)
                await wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
            await peer.send_all(chunk)
        assert [await connection.receive() for _ in range(2)] == ["one", "two"]


@given(st.data())
def test_cancelled_at_any_byte_a_receive_loses_nothing(data: st.DataObject) -> None:
    lines = data.draw(st.lists(st.text("abc", max_size=5), min_size=1, max_size=6))
    stream = "".join(f"{line}\n" for line in lines).encode()
    cuts = data.draw(st.lists(st.integers(1, 4), min_size=len(stream)))

    async def main() -> list[str]:
        received: list[str] = []
        async with over_memory() as (connection, peer):
            rest = stream
            for cut in cuts:
                await peer.send_all(rest[:cut])
                rest = rest[cut:]
                with trio.CancelScope() as scope:
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(_receive_all, connection, received)
                        await wait_all_tasks_blocked()
                        scope.cancel()
                if not rest:
                    break
        return received

    assert trio.run(main) == lines


async def _receive_all(connection: Text, into: list[str]) -> None:
    while True:
        into.append(await connection.receive())


async def test_only_one_task_at_a_time_receives(open_text: Open) -> None:
    async with open_text() as (connection, peer), trio.open_nursery() as nursery:
        received: list[str] = []

        async def receive() -> None:
            received.append(await connection.receive())

        nursery.start_soon(receive)
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await connection.receive()
        with pytest.raises(trio.BusyResourceError):
            connection.receive_nowait()
        await peer.send_all(b"still works\n")
        await wait_all_tasks_blocked()
        assert received == ["still works"]


async def test_receive_nowait_returns_what_came_along(open_text: Open) -> None:
    async with open_text() as (connection, peer):
        with pytest.raises(trio.WouldBlock):
            connection.receive_nowait()
        await peer.send_all(b"one\ntwo\nthr")
        assert await connection.receive() == "one"
        assert connection.receive_nowait() == "two"
        with pytest.raises(trio.WouldBlock):
            connection.receive_nowait()
        await peer.send_all(b"ee\n")
        assert await connection.receive() == "three"
        await peer.aclose()
        with pytest.raises(trio.EndOfChannel):
            await connection.receive()
        with pytest.raises(trio.EndOfChannel):
            connection.receive_nowait()


async def test_receive_nowait_tells_what_receive_would_raise(
    autojump_clock: MockClock,
) -> None:
    ours, theirs = testing.memory_stream_pair()
    async with trio_tcp.open_connection(
        ours, codec=codecs.Lines(), timeouts=trio_tcp.Timeouts(idle=5)
    ) as connection:
        with pytest.raises(trio_tcp.PeerTooSlowError):
            await connection.receive()
        with pytest.raises(trio_tcp.PeerTooSlowError):
            connection.receive_nowait()
        theirs.reset()

    ours, theirs = testing.memory_stream_pair()
    async with trio_tcp.open_connection(ours, codec=codecs.Lines()) as connection:
        theirs.reset()
        with pytest.raises(trio_tcp.ConnectionBroken):
            await connection.receive()
        with pytest.raises(trio_tcp.ConnectionBroken):
            connection.receive_nowait()


async def test_what_was_whole_comes_before_the_error(open_text: Open) -> None:
    async with open_text() as (connection, peer):
        connection.switch_codec(codecs.Lines(max_bytes=4))
        await peer.send_all(b"good\ntoo long\nnever seen\n")
        assert await connection.receive() == "good"
        for _ in range(2):
            with pytest.raises(trio_tcp.FrameTooLargeError, match="max_bytes"):
                await connection.receive()
        assert connection.close_reason is trio_tcp.CloseReason.PROTOCOL_ERROR
        await connection.send("bye")  # the other direction still works
        assert await peer.receive_some() == b"bye\n"


async def test_a_malformed_message_does_not_end_the_stream(open_text: Open) -> None:
    async with open_text() as (connection, peer):
        await peer.send_all(b"good\n\xff\xfe\nalso good\n")
        assert await connection.receive() == "good"
        with pytest.raises(trio_tcp.MalformedMessageError) as caught:
            await connection.receive()
        assert isinstance(caught.value.__cause__, UnicodeDecodeError)
        assert caught.value.connection_id == connection.id
        assert await connection.receive() == "also good"
        assert connection.close_reason is None


async def test_a_reset_is_not_a_clean_end() -> None:
    ours, theirs = testing.memory_stream_pair()
    async with trio_tcp.open_connection(ours, codec=codecs.Lines()) as connection:
        await theirs.send_all(b"one\ntwo\n")
        assert await connection.receive() == "one"
        theirs.reset()
        assert await connection.receive() == "two"  # it had been read already
        for _ in range(2):
            with pytest.raises(trio_tcp.ConnectionBroken):
                await connection.receive()
        with pytest.raises(trio.BrokenResourceError):
            await connection.send("x")
        with pytest.raises(trio_tcp.ConnectionBroken):
            await connection.flush()
        assert connection.close_reason is trio_tcp.CloseReason.BROKEN


async def test_a_stream_that_breaks_in_its_own_way_counts_as_broken() -> None:
    class Strange(trio.abc.Stream):
        async def receive_some(self, max_bytes: int | None = None) -> bytes:
            await trio.lowlevel.checkpoint()
            raise RuntimeError("the wrong kind of error")

        async def send_all(self, data: bytes | bytearray | memoryview) -> None:
            await trio.lowlevel.checkpoint()
            raise RuntimeError("the wrong kind of error")

        async def wait_send_all_might_not_block(self) -> None:
            await trio.lowlevel.checkpoint()

        async def aclose(self) -> None:
            await trio.lowlevel.checkpoint()

    for first in ("receive", "send"):
        async with trio_tcp.open_connection(
            Strange(), codec=codecs.Lines()
        ) as connection:
            if first == "send":
                await connection.send("accepted, but never delivered")
                await wait_all_tasks_blocked()
            with pytest.raises(trio_tcp.ConnectionBroken) as caught:
                await connection.receive()
            assert isinstance(caught.value.__cause__, RuntimeError)
            with pytest.raises(trio_tcp.ConnectionBroken):
                await connection.send("refused")


async def test_switch_codec_goes_on_at_the_first_undelivered_byte(
    open_text: Open,
) -> None:
    async with open_text() as (connection, peer):
        await peer.send_all(b"upgrade\n\x00\x05raw\nXtext again\n")
        assert await connection.receive() == "upgrade"
        binary = connection.switch_codec(codecs.LengthPrefixed(2))
        assert binary.id == connection.id
        assert await binary.receive() == b"raw\nX"
        assert await binary.switch_codec(codecs.Lines()).receive() == "text again"


async def test_switch_codec_reads_again_what_the_old_one_had_begun(
    open_text: Open,
) -> None:
    async with open_text() as (connection, peer):
        await peer.send_all(b"ab")
        with trio.move_on_after(0.01):
            await connection.receive()
        fixed = connection.switch_codec(codecs.FixedLength(3))
        await peer.send_all(b"c")
        assert await fixed.receive() == b"abc"


async def test_switch_codec_at_the_end_still_notices_what_is_unfinished(
    open_text: Open,
) -> None:
    async with open_text() as (connection, peer):
        await peer.send_all(b"last line\nab")
        await peer.aclose()
        assert await connection.receive() == "last line"
        with pytest.raises(trio_tcp.TruncatedError):
            await connection.receive()
        fixed = connection.switch_codec(codecs.FixedLength(1))
        assert [message async for message in fixed] == [b"a", b"b"]
        with pytest.raises(trio_tcp.PeerClosed):
            await connection.switch_codec(codecs.FixedLength(2)).receive()


async def test_detach_returns_the_stream_and_the_bytes_not_delivered(
    open_text: Open,
) -> None:
    async with open_text() as (connection, peer):
        await peer.send_all(b"first\nnot a line")
        assert await connection.receive() == "first"
        await connection.send("last words")
        stream, rest = await connection.detach()
        assert rest == b"not a line"
        assert await peer.receive_some() == b"last words\n"
        await stream.send_all(b"from the stream")
        assert await peer.receive_some() == b"from the stream"
        await peer.send_all(b"to the stream")
        assert await stream.receive_some() == b"to the stream"
        assert connection.close_reason is trio_tcp.CloseReason.DETACHED
        for use in (connection.receive, connection.detach):
            with pytest.raises(trio.ClosedResourceError):
                await use()
        with pytest.raises(trio.ClosedResourceError):
            await connection.send("x")
        await connection.aclose()
        await stream.send_all(b"still open")
        assert await peer.receive_some() == b"still open"
        await stream.aclose()


async def test_detach_is_refused_while_a_task_receives(open_text: Open) -> None:
    async with open_text() as (connection, _), trio.open_nursery() as nursery:
        nursery.start_soon(connection.receive)
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await connection.detach()
        nursery.cancel_scope.cancel()


async def test_receive_lets_other_tasks_run_at_least_every_64th_time(
    open_text: Open,
) -> None:
    async with open_text() as (connection, peer):
        await peer.send_all(b"x\n" * 1000)
        passes = 0

        async def count() -> None:
            nonlocal passes
            while True:
                await trio.lowlevel.checkpoint()
                passes += 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(count)
            for _ in range(640):
                await connection.receive()
            assert passes >= 640 // 64 - 1  # the first may only have started it
            nursery.cancel_scope.cancel()


async def test_a_large_message_that_is_there_already_lets_other_tasks_run() -> None:
    ours, theirs = map(trio.SocketStream, trio.socket.socketpair())
    size = 400_000
    for option, stream in (("SO_SNDBUF", theirs), ("SO_RCVBUF", ours)):
        stream.setsockopt(
            trio.socket.SOL_SOCKET, getattr(trio.socket, option), 2 * size
        )
    ran: list[str] = []

    async def other() -> None:
        while True:
            await trio.lowlevel.checkpoint()
            ran.append("other")

    async with trio_tcp.open_connection(ours, codec=codecs.FixedLength(size)) as there:
        await theirs.send_all(bytes(size))
        await theirs.send_eof()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(other)
            await there.receive()
            ran_meanwhile = len(ran)
            nursery.cancel_scope.cancel()
    await theirs.aclose()
    # Reading starts with one schedule point in any case.
    assert ran_meanwhile >= 2


async def test_receive_checks_for_cancellation_every_time(open_text: Open) -> None:
    async with open_text() as (connection, peer):
        await peer.send_all(b"one\ntwo\n")
        assert await connection.receive() == "one"
        with trio.CancelScope() as scope:
            scope.cancel()
            await connection.receive()
        assert scope.cancelled_caught
        assert await connection.receive() == "two"


async def test_statistics_count_messages_and_bytes(open_text: Open) -> None:
    async with open_text() as (connection, peer):
        await peer.send_all(b"one\ntwo\n")
        await connection.receive()
        await connection.send("three")
        await connection.flush()
        assert await peer.receive_some() == b"three\n"
        assert connection.statistics() == trio_tcp.ConnectionStatistics(
            messages_received=1,
            messages_sent=1,
            bytes_received=8,
            bytes_sent=6,
            bytes_queued=0,
            bytes_skipped=0,
        )
