"""A peer that goes away while nobody receives: seen, and without losing a byte."""

from __future__ import annotations

import functools
import random
import socket
import struct
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from typing import Protocol, TypeAlias, final

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.certificates import HOST, client_context, server_context
from tests.integration.loopback import Record
from tests.tls.peer import Peer
from trio_tcp import CloseReason, Timeouts, codecs, testing

Text: TypeAlias = trio_tcp.Connection[str, str]

LINES = codecs.Lines(max_bytes=1 << 20)
# They cost more than a test, and nobody changes them here.
of_client = functools.cache(client_context)
of_server = functools.cache(server_context)

AHEAD = 64 << 10  # how much is kept for `receive`
ORDERS = 40  # how often what depends on the order of tasks is tried


class Other(Protocol):
    """The other end of a connection, which is none of ours."""

    async def send(self, data: bytes, /) -> None:
        """Send bytes."""
        ...

    async def end(self) -> None:
        """Close the sending direction in order."""
        ...

    async def reset(self) -> None:
        """Break the connection."""
        ...

    async def receive(self) -> bytes:
        """Wait for bytes, or for the end."""
        ...


@final
class Plain:
    """The other end without TLS."""

    def __init__(self, stream: trio.abc.HalfCloseableStream) -> None:
        self._stream = stream

    async def send(self, data: bytes) -> None:
        await self._stream.send_all(data)

    async def end(self) -> None:
        await self._stream.send_eof()

    async def reset(self) -> None:
        await break_stream(self._stream)

    async def receive(self) -> bytes:
        return bytes(await self._stream.receive_some())


@final
class Secure:
    """The other end with TLS."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    async def send(self, data: bytes) -> None:
        await self._peer.send(data)

    async def end(self) -> None:
        await self._peer.end()

    async def reset(self) -> None:
        await break_stream(self._peer.stream)

    async def receive(self) -> bytes:
        return await self._peer.receive()


async def break_stream(stream: trio.abc.Stream) -> None:
    """Reset it."""
    if isinstance(stream, trio.SocketStream):
        linger_zero = struct.pack("ii", 1, 0)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_zero)
        stream.socket.close()
    else:
        assert isinstance(stream, testing.MemoryStream)
        stream.reset()
    await trio.lowlevel.checkpoint()


Streams: TypeAlias = tuple[trio.abc.Stream, trio.abc.HalfCloseableStream]
Open: TypeAlias = Callable[[], AbstractAsyncContextManager[tuple[Text, Other]]]


async def streams_in_memory() -> Streams:
    return testing.memory_stream_pair(4 * AHEAD)


async def streams_of_sockets() -> Streams:
    """Over TCP, which knows resets."""
    with trio.socket.socket() as listener:
        await listener.bind(("127.0.0.1", 0))
        listener.listen()
        ours = await trio.open_tcp_stream(*listener.getsockname())
        theirs, _ = await listener.accept()
    return ours, trio.SocketStream(theirs)


@asynccontextmanager
async def plain_pair(streams: Streams) -> AsyncGenerator[tuple[Text, Other], None]:
    ours, theirs = streams
    async with trio_tcp.open_connection(ours, codec=LINES) as connection:
        try:
            yield connection, Plain(theirs)
        finally:
            await trio.aclose_forcefully(theirs)


@asynccontextmanager
async def secure_pair(streams: Streams) -> AsyncGenerator[tuple[Text, Other], None]:
    ours, theirs = streams
    peer = Peer(theirs, of_server())
    shaken = trio.Event()

    async def shake_hands() -> None:
        await peer.shake_hands()
        shaken.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(shake_hands)
        async with trio_tcp.open_connection(
            ours, codec=LINES, tls=of_client(), server_hostname=HOST
        ) as connection:
            await shaken.wait()
            try:
                yield connection, Secure(peer)
            finally:
                await trio.aclose_forcefully(theirs)


@asynccontextmanager
async def over_memory() -> AsyncGenerator[tuple[Text, Other], None]:
    """A connection over streams in memory."""
    async with plain_pair(await streams_in_memory()) as both:
        yield both


@asynccontextmanager
async def over_sockets() -> AsyncGenerator[tuple[Text, Other], None]:
    """A connection over TCP."""
    async with plain_pair(await streams_of_sockets()) as both:
        yield both


@asynccontextmanager
async def over_tls() -> AsyncGenerator[tuple[Text, Other], None]:
    """A connection over TLS in memory."""
    async with secure_pair(await streams_in_memory()) as both:
        yield both


@asynccontextmanager
async def over_tls_over_sockets() -> AsyncGenerator[tuple[Text, Other], None]:
    """A connection over TLS over TCP."""
    async with secure_pair(await streams_of_sockets()) as both:
        yield both


@pytest.fixture(params=[over_memory, over_sockets, over_tls, over_tls_over_sockets])
def open_text(request: pytest.FixtureRequest) -> Open:
    """Each kind of stream in turn."""
    kind: Open = request.param
    return kind


async def set_when_gone(connection: Text, gone: trio.Event) -> None:
    await connection.wait_disconnected()
    gone.set()


async def work() -> None:
    """Go on until cancelled; type checkers believe that it may return."""
    await trio.sleep_forever()


def line(number: int, size: int = 1000) -> str:
    """Make a line that is like no other."""
    return f"{number} ".ljust(size - 1, "x")


def encoded(*lines: str) -> bytes:
    return b"".join(map(LINES.encode, lines))


# wait_disconnected: what counts as the end ------------------------------------------


async def test_a_peer_that_closes_is_gone(open_text: Open) -> None:
    async with open_text() as (connection, peer):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.wait_disconnected)
            await wait_all_tasks_blocked()
            await peer.end()
        assert connection.close_reason is None  # nobody has received the end yet
        with pytest.raises(trio_tcp.PeerClosed):
            await connection.receive()
        assert connection.close_reason is CloseReason.PEER_CLOSED


async def test_a_peer_that_half_closes_still_gets_answers(open_text: Open) -> None:
    async with open_text() as (connection, peer):
        await peer.send(b"question\n")
        await peer.end()
        await connection.wait_disconnected()
        assert await connection.receive() == "question"
        await connection.send("answer")
        assert await peer.receive() == b"answer\n"


async def test_a_peer_that_resets_is_gone(open_text: Open) -> None:
    async with open_text() as (connection, peer):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.wait_disconnected)
            await wait_all_tasks_blocked()
            await peer.reset()
        with pytest.raises(trio_tcp.ConnectionBroken):
            await connection.receive()
        assert connection.close_reason is CloseReason.BROKEN


async def test_a_tls_stream_that_just_ends_is_gone_and_truncated() -> None:
    ours, theirs = testing.memory_stream_pair()
    async with secure_pair((ours, theirs)) as (connection, peer):
        await peer.send(b"whole\n")
        await theirs.send_eof()
        await connection.wait_disconnected()
        assert await connection.receive() == "whole"
        with pytest.raises(trio_tcp.CloseNotifyMissingError):
            await connection.receive()
        assert connection.close_reason is CloseReason.TRUNCATED


@pytest.mark.parametrize("how", ["aclose", "abort"])
async def test_closing_on_this_side_is_an_end_too(open_text: Open, how: str) -> None:
    async with open_text() as (connection, peer):
        async with trio.open_nursery() as nursery:
            gone = trio.Event()
            nursery.start_soon(set_when_gone, connection, gone)
            await wait_all_tasks_blocked()
            if how == "abort":
                connection.abort()
            else:
                # The peer does not close: nobody waits for that here.
                nursery.start_soon(connection.aclose)
            await gone.wait()
            if how == "aclose":
                await peer.end()
    await connection.wait_disconnected()


async def test_all_who_wait_are_told(open_text: Open) -> None:
    async with open_text() as (connection, peer):
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(connection.wait_disconnected)
            await wait_all_tasks_blocked()
            await peer.send(b"hello\n")
            await wait_all_tasks_blocked()
            await peer.end()
        assert await connection.receive() == "hello"


async def test_another_goes_on_when_the_one_that_reads_is_cancelled(
    open_text: Open,
) -> None:
    async with open_text() as (connection, peer):
        async with trio.open_nursery() as nursery:
            scopes: list[trio.CancelScope] = []
            gone = [trio.Event() for _ in range(5)]

            async def watch(number: int) -> None:
                with trio.CancelScope() as scope:
                    scopes.append(scope)
                    await set_when_gone(connection, gone[number])

            for number in range(5):
                nursery.start_soon(watch, number)
            await wait_all_tasks_blocked()
            for scope in scopes[:4]:
                scope.cancel()
                await wait_all_tasks_blocked()
            assert not any(event.is_set() for event in gone)
            await peer.end()
        assert sum(event.is_set() for event in gone) == 1


@pytest.mark.parametrize("how", ["end", "reset"])
async def test_who_asks_after_the_end_is_told_at_once(
    open_text: Open, how: str
) -> None:
    async with open_text() as (connection, peer):
        await (peer.end() if how == "end" else peer.reset())
        with pytest.raises(trio_tcp.ConnectionFault):
            await connection.receive()
        await connection.wait_disconnected()
        async with connection.cancel_on_disconnect() as scope:
            await work()
        assert scope.cancelled_caught


# wait_disconnected: nothing is lost by it -------------------------------------------


async def test_what_comes_before_the_end_is_kept_in_order(open_text: Open) -> None:
    lines = [line(number) for number in range(60)]
    async with open_text() as (connection, peer):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.wait_disconnected)
            for text in lines:
                await peer.send(encoded(text))
                await trio.lowlevel.checkpoint()
            await peer.end()
        assert [text async for text in connection] == lines


async def test_what_was_read_before_a_reset_is_kept(open_text: Open) -> None:
    async with open_text() as (connection, peer):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.wait_disconnected)
            await wait_all_tasks_blocked()
            await peer.send(b"one\ntwo\n")
            await wait_all_tasks_blocked()
            await peer.reset()
        assert await connection.receive() == "one"
        assert connection.receive_nowait() == "two"
        with pytest.raises(trio_tcp.ConnectionBroken):
            await connection.receive()


async def test_an_end_inside_a_message_stays_one(open_text: Open) -> None:
    async with open_text() as (connection, peer):
        await peer.send(b"whole\nunfin")
        await peer.end()
        await connection.wait_disconnected()
        assert await connection.receive() == "whole"
        with pytest.raises(trio_tcp.TruncatedError):
            await connection.receive()


async def test_another_task_may_receive_meanwhile(open_text: Open) -> None:
    lines = [line(number) for number in range(200)]
    received: list[str] = []
    async with open_text() as (connection, peer):

        async def receive() -> None:
            received.extend([text async for text in connection])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.wait_disconnected)
            await wait_all_tasks_blocked()
            nursery.start_soon(receive)
            for text in lines:
                await peer.send(encoded(text))
                await trio.lowlevel.checkpoint()
            await peer.end()
        assert received == lines


async def test_it_may_begin_while_a_task_receives(open_text: Open) -> None:
    received: list[str] = []
    async with open_text() as (connection, peer):

        async def receive() -> None:
            async for text in connection:
                received.append(text)  # noqa: PERF401 - each as it comes

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            await wait_all_tasks_blocked()
            nursery.start_soon(connection.wait_disconnected)
            await wait_all_tasks_blocked()
            await peer.send(b"one\n")
            await wait_all_tasks_blocked()
            assert received == ["one"]
            await peer.send(b"two\n")
            await peer.end()
        assert received == ["one", "two"]
        assert connection.close_reason is CloseReason.PEER_CLOSED


async def test_it_may_begin_in_the_moment_in_which_something_comes(
    open_text: Open,
) -> None:
    """Whoever reads first, the receiver or the one that watches."""
    for _ in range(ORDERS):
        received: list[str] = []
        async with open_text() as (connection, peer):

            async def receive(
                connection: Text = connection, received: list[str] = received
            ) -> None:
                received.extend([text async for text in connection])

            async with trio.open_nursery() as nursery:
                nursery.start_soon(receive)
                await wait_all_tasks_blocked()
                nursery.start_soon(connection.wait_disconnected)
                nursery.start_soon(peer.send, b"one\n")
                await wait_all_tasks_blocked()
                await peer.end()
            assert received == ["one"]


async def test_a_receiver_that_is_cancelled_as_it_begins_leaves_the_stream_to_it(
    open_text: Open,
) -> None:
    for _ in range(ORDERS):
        async with open_text() as (connection, peer):
            async with trio.open_nursery() as nursery:
                with trio.CancelScope() as scope:

                    async def begin(
                        scope: trio.CancelScope = scope,
                        connection: Text = connection,
                        nursery: trio.Nursery = nursery,
                    ) -> None:
                        await wait_all_tasks_blocked()
                        nursery.start_soon(connection.wait_disconnected)
                        nursery.start_soon(trio.lowlevel.checkpoint)
                        await trio.lowlevel.checkpoint()
                        scope.cancel()

                    nursery.start_soon(begin)
                    await connection.receive()
                await peer.send(b"one\n")
                await peer.end()
            assert [text async for text in connection] == ["one"]


async def test_cancelled_it_loses_nothing(open_text: Open) -> None:
    lines = [line(number, 100) for number in range(100)]
    async with open_text() as (connection, peer):
        for text in lines:
            data = encoded(text)
            cut = random.randrange(len(data))
            for piece in (data[:cut], data[cut:]):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(connection.wait_disconnected)
                    for _ in range(random.randrange(3)):
                        await trio.lowlevel.checkpoint()
                    if piece:
                        await peer.send(piece)
                    for _ in range(random.randrange(3)):
                        await trio.lowlevel.checkpoint()
                    nursery.cancel_scope.cancel()
        await peer.end()
        assert [text async for text in connection] == lines


async def test_behind_too_much_the_end_is_out_of_sight_until_it_is_received(
    open_text: Open,
) -> None:
    lines = [line(number) for number in range(200)]
    async with open_text() as (connection, peer):
        async with trio.open_nursery() as nursery:
            gone = trio.Event()
            nursery.start_soon(set_when_gone, connection, gone)
            await peer.send(encoded(*lines))
            await peer.end()
            await wait_all_tasks_blocked()
            assert not gone.is_set()
            assert [await connection.receive() for _ in lines] == lines
            await gone.wait()


@pytest.mark.parametrize("how", ["aclose", "abort"])
async def test_behind_too_much_the_end_on_this_side_is_seen(
    open_text: Open, how: str
) -> None:
    async with open_text() as (connection, peer):
        async with trio.open_nursery() as nursery:
            gone = trio.Event()
            nursery.start_soon(set_when_gone, connection, gone)
            await peer.send(bytes(2 * AHEAD))
            await wait_all_tasks_blocked()
            if how == "abort":
                connection.abort()
            else:
                nursery.start_soon(connection.aclose)
            await gone.wait()
            if how == "aclose":
                await peer.end()


async def test_it_takes_no_more_than_a_little_from_a_peer_that_pours() -> None:
    """What nobody receives waits at the peer, as ever."""
    ours, theirs = testing.memory_stream_pair(capacity=1000)
    async with trio_tcp.open_connection(ours, codec=LINES) as connection:
        sent = 0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.wait_disconnected)

            async def pour() -> None:
                nonlocal sent
                while True:
                    await theirs.send_all(bytes(1000))
                    sent += 1000

            nursery.start_soon(pour)
            await wait_all_tasks_blocked()
            # What is kept, up to a read more, what is on its way, and what waits.
            assert AHEAD <= sent <= AHEAD + 3000
            nursery.cancel_scope.cancel()
        connection.abort()


# wait_disconnected: beside everything else ------------------------------------------


@pytest.mark.parametrize("how", ["aclose", "abort"])
async def test_whoever_begins_to_receive_as_it_is_closed_is_sent_away_at_once(
    open_text: Open, how: str
) -> None:
    """Also while the one that watches has not yet left the stream to the receiver."""
    for _ in range(ORDERS):
        async with open_text() as (connection, peer):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(connection.wait_disconnected)
                await wait_all_tasks_blocked()
                sent_away = trio.Event()

                async def receive(
                    connection: Text = connection, sent_away: trio.Event = sent_away
                ) -> None:
                    with pytest.raises(trio_tcp.ConnectionClosedError):
                        await connection.receive()
                    sent_away.set()

                async def close(connection: Text = connection) -> None:
                    if how == "abort":
                        await trio.lowlevel.checkpoint()
                        connection.abort()
                    else:
                        await connection.aclose()

                nursery.start_soon(receive)
                nursery.start_soon(close)
                await sent_away.wait()
                if how == "aclose":
                    assert await peer.receive() == b""
                    await peer.end()


async def test_timeouts_go_on_while_somebody_watches(autojump_clock: MockClock) -> None:
    timeouts = Timeouts(idle=7, message=3)
    for begun in (b"", b"unfin"):
        ours, theirs = testing.memory_stream_pair()
        began_at = trio.current_time()
        async with trio_tcp.open_connection(
            ours, codec=LINES, timeouts=timeouts
        ) as connection:
            await theirs.send_all(begun)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(connection.wait_disconnected)
                await wait_all_tasks_blocked()
                with pytest.raises(trio_tcp.PeerTooSlowError) as caught:
                    await connection.receive()
                nursery.cancel_scope.cancel()
            waited = trio.current_time() - began_at
            assert waited == pytest.approx(caught.value.seconds)
            assert caught.value.timeout == ("message" if begun else "idle")
            connection.abort()


async def test_a_timeout_of_nothing_is_noticed_by_who_begins_to_receive(
    autojump_clock: MockClock,
) -> None:
    """It runs out before the one that watches has left the stream to the receiver."""
    for _ in range(ORDERS):
        ours, _theirs = testing.memory_stream_pair()
        async with trio_tcp.open_connection(
            ours, codec=LINES, timeouts=Timeouts(idle=0)
        ) as connection:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(connection.wait_disconnected)
                await wait_all_tasks_blocked()
                with pytest.raises(trio_tcp.PeerTooSlowError):
                    await connection.receive()
                nursery.cancel_scope.cancel()
            connection.abort()


async def test_a_write_that_is_given_up_is_an_end(autojump_clock: MockClock) -> None:
    ours, _theirs = testing.memory_stream_pair(capacity=100)
    async with trio_tcp.open_connection(
        ours, codec=LINES, timeouts=Timeouts(write=5)
    ) as connection:
        await connection.send(line(1))
        await connection.wait_disconnected()
        assert trio.current_time() == 5
        assert connection.close_reason is CloseReason.TIMED_OUT


async def test_an_eviction_is_an_end() -> None:
    listener = testing.MemoryListener()
    seen: list[CloseReason | None] = []

    async def handler(connection: Text) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.wait_disconnected)
            with suppress(trio_tcp.EvictedError):
                await connection.receive()
        seen.append(connection.close_reason)

    serve = partial(
        trio_tcp.serve_listeners,
        handler,
        [listener],
        codec=LINES,
        limits=trio_tcp.Limits(max_buffered_bytes=10_000),
    )
    async with trio.open_nursery() as nursery:
        server: trio_tcp.Server = await nursery.start(serve)
        client = await listener.connect()
        await client.send_all(b"x" * 20_000)
        with pytest.raises(trio.BrokenResourceError):
            await client.receive_some()
        assert seen == [CloseReason.EVICTED]
        await server.drain()


async def test_what_was_read_ahead_counts_as_held() -> None:
    """Handlers that watch must not be a way round `Limits.max_buffered_bytes`."""
    listener = testing.MemoryListener()
    record = Record()

    async def handler(connection: Text) -> None:
        await connection.wait_disconnected()

    serve = partial(
        trio_tcp.serve_listeners,
        handler,
        [listener],
        codec=LINES,
        limits=trio_tcp.Limits(max_buffered_bytes=100_000),
        observer=record,
    )
    async with trio.open_nursery() as nursery:
        server: trio_tcp.Server = await nursery.start(serve)
        clients = [await listener.connect() for _ in range(3)]
        await clients[0].send_all(b"x" * 30_000)
        await wait_all_tasks_blocked()
        assert server.statistics().bytes_buffered == 30_000
        await clients[1].send_all(b"x" * 50_000)
        await wait_all_tasks_blocked()
        assert server.statistics().bytes_buffered == 80_000
        await clients[2].send_all(b"x" * 40_000)
        with pytest.raises(trio.BrokenResourceError):
            await clients[1].receive_some()
        await wait_all_tasks_blocked()
        assert server.statistics().bytes_buffered == 70_000
        [ended] = record.all(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.EVICTED
        await clients[0].aclose()
        await clients[2].aclose()
        await record.wait(trio_tcp.ConnectionEnded, 3)
        assert server.statistics().bytes_buffered == 0
        await server.drain()


async def test_statistics_count_what_was_read_ahead(open_text: Open) -> None:
    async with open_text() as (connection, peer):
        await peer.send(b"one\ntwo\n")
        await peer.end()
        await connection.wait_disconnected()
        assert connection.statistics().bytes_received == 8
        assert await connection.receive() == "one"
        assert connection.statistics().bytes_received == 8


async def test_another_codec_begins_behind_the_last_message(open_text: Open) -> None:
    async with open_text() as (connection, peer):
        await peer.send(b"switch\n5:hello,5:wor")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.wait_disconnected)
            await wait_all_tasks_blocked()
            assert await connection.receive() == "switch"
            switched = connection.switch_codec(codecs.Netstrings())
            await peer.send(b"ld,")
            await wait_all_tasks_blocked()
            assert await switched.receive() == b"hello"
            assert await switched.receive() == b"world"
            nursery.cancel_scope.cancel()


async def test_detach_hands_over_what_was_read_ahead(open_text: Open) -> None:
    async with open_text() as (connection, peer):
        await peer.send(b"first\nsecond")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.wait_disconnected)
            await wait_all_tasks_blocked()
            assert await connection.receive() == "first"
            await peer.send(b"third")
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        stream, unread = await connection.detach()
        assert unread == b"secondthird"
        await peer.send(b"fourth")
        assert await stream.receive_some() == b"fourth"
        await trio.aclose_forcefully(stream)


async def test_detach_is_refused_while_somebody_watches(open_text: Open) -> None:
    async with open_text() as (connection, peer):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.wait_disconnected)
            await wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await connection.detach()
            await peer.send(b"unharmed\n")
            assert await connection.receive() == "unharmed"
            await peer.end()


async def test_tls_begins_with_what_was_read_ahead() -> None:
    """The request for TLS, and TLS's own first bytes, in one piece."""
    ours, theirs = testing.memory_stream_pair()
    peer = Peer(theirs, client_context(), server_hostname=HOST)
    async with trio_tcp.open_connection(ours, codec=LINES) as connection:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.wait_disconnected)
            await theirs.send_all(b"STARTTLS\n" + peer.hello())
            await wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await connection.start_tls(server_context())
            nursery.cancel_scope.cancel()
        assert await connection.receive() == "STARTTLS"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.shake_hands)
            await connection.start_tls(server_context())
        await peer.send(b"secret\n")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.wait_disconnected)
            await wait_all_tasks_blocked()
            assert await connection.receive() == "secret"
            await peer.end()
        with pytest.raises(trio_tcp.PeerClosed):
            await connection.receive()


async def test_it_may_begin_during_a_tls_handshake() -> None:
    ours, theirs = testing.memory_stream_pair()
    peer = Peer(theirs, client_context(), server_hostname=HOST)
    async with trio_tcp.open_connection(ours, codec=LINES) as connection:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.start_tls, server_context())
            await wait_all_tasks_blocked()
            gone = trio.Event()
            nursery.start_soon(set_when_gone, connection, gone)
            await wait_all_tasks_blocked()
            await peer.shake_hands()
            await peer.send(b"secret\n")
            await wait_all_tasks_blocked()
            assert not gone.is_set()
            await peer.end()
            await gone.wait()
        assert [text async for text in connection] == ["secret"]


# cancel_on_disconnect ---------------------------------------------------------------


@pytest.mark.parametrize("how", ["end", "reset"])
async def test_a_block_is_cancelled_when_the_peer_is_gone(
    open_text: Open, how: str
) -> None:
    async with open_text() as (connection, peer):
        async with connection.cancel_on_disconnect() as scope:
            await wait_all_tasks_blocked()
            await (peer.end() if how == "end" else peer.reset())
            await work()
        assert scope.cancelled_caught


async def test_a_block_that_is_done_first_leaves_the_connection_as_it_was(
    open_text: Open,
) -> None:
    async with open_text() as (connection, peer):
        for number in range(3):
            async with connection.cancel_on_disconnect() as scope:
                await peer.send(b"%d\n" % number)
                await wait_all_tasks_blocked()
            assert not scope.cancelled_caught
            assert await connection.receive() == str(number)
            await connection.send("thanks")
            assert await peer.receive() == b"thanks\n"
        await peer.end()
        with pytest.raises(trio_tcp.PeerClosed):
            await connection.receive()


async def test_the_end_after_a_block_is_none_of_its_business(open_text: Open) -> None:
    async with open_text() as (connection, peer):
        async with connection.cancel_on_disconnect() as scope:
            await wait_all_tasks_blocked()
        await peer.end()
        await connection.wait_disconnected()
        assert not scope.cancelled_caught
        assert not scope.cancel_called


async def test_what_comes_meanwhile_can_be_received_in_the_block(
    open_text: Open,
) -> None:
    lines = [line(number) for number in range(100)]
    received: list[str] = []
    async with open_text() as (connection, peer):
        async with trio.open_nursery() as nursery:

            async def talk() -> None:
                for text in lines:
                    await peer.send(encoded(text))
                    await peer.receive()
                await peer.end()

            nursery.start_soon(talk)
            async with connection.cancel_on_disconnect() as scope:
                for _ in lines:
                    received.append(await connection.receive())
                    await connection.send("next")
                await work()
            assert scope.cancelled_caught
        assert received == lines


async def test_an_end_that_is_received_in_the_block_leaves_it_as_itself(
    open_text: Open,
) -> None:
    """Or cancels it: both are there at the same moment."""
    seen: set[bool] = set()
    for _ in range(ORDERS):
        async with open_text() as (connection, peer):
            await peer.end()
            try:
                async with connection.cancel_on_disconnect() as scope:
                    await connection.receive()
            except trio_tcp.PeerClosed:
                seen.add(False)
            else:
                assert scope.cancelled_caught
                seen.add(True)
    assert seen


@pytest.mark.parametrize(
    "error",
    [
        ValueError("mine"),
        KeyboardInterrupt("mine"),
        trio_tcp.PeerClosed("of another connection"),
        ExceptionGroup("mine", [ValueError(), KeyError()]),
    ],
)
async def test_what_the_block_raises_leaves_as_itself(
    open_text: Open, error: BaseException
) -> None:
    async with open_text() as (connection, peer):
        with pytest.raises(type(error)) as caught:
            async with connection.cancel_on_disconnect():
                await wait_all_tasks_blocked()
                raise error
        assert caught.value is error
        await peer.send(b"unharmed\n")
        assert await connection.receive() == "unharmed"


async def test_what_the_block_raises_when_it_is_cancelled_leaves_as_itself(
    open_text: Open,
) -> None:
    async with open_text() as (connection, peer):
        error = ValueError("in the middle of cleaning up")
        with pytest.raises(ValueError, match="cleaning up") as caught:
            async with connection.cancel_on_disconnect():
                try:
                    await peer.end()
                    await work()
                finally:
                    raise error
        assert caught.value is error


async def test_a_block_may_be_left_by_return_and_break(open_text: Open) -> None:
    async with open_text() as (connection, _peer):

        async def answer() -> int:
            async with connection.cancel_on_disconnect():
                await wait_all_tasks_blocked()
                return 42

        assert await answer() == 42
        while True:
            async with connection.cancel_on_disconnect():
                break
        assert connection.close_reason is None


async def test_a_block_cancelled_from_outside_is_not_cancelled_by_the_peer(
    open_text: Open,
) -> None:
    async with open_text() as (connection, peer):
        with trio.CancelScope() as outer:
            async with connection.cancel_on_disconnect():
                await wait_all_tasks_blocked()
                outer.cancel()
                await work()
            pytest.fail("it was the outer scope's to catch")
        assert outer.cancelled_caught
        await peer.send(b"unharmed\n")
        assert await connection.receive() == "unharmed"


async def test_blocks_inside_each_other_are_all_cancelled(open_text: Open) -> None:
    async with open_text() as (connection, peer):
        async with connection.cancel_on_disconnect() as outer:
            async with connection.cancel_on_disconnect() as inner:
                await wait_all_tasks_blocked()
                await peer.end()
                await work()
            await work()
        assert inner.cancel_called
        assert outer.cancelled_caught


async def test_of_blocks_inside_each_other_the_outer_one_goes_on(
    open_text: Open,
) -> None:
    async with open_text() as (connection, peer):
        async with connection.cancel_on_disconnect() as outer:
            async with connection.cancel_on_disconnect() as inner:
                await wait_all_tasks_blocked()
            await wait_all_tasks_blocked()
            await peer.send(b"still there\n")
            assert await connection.receive() == "still there"
            await peer.end()
            await work()
        assert not inner.cancelled_caught
        assert outer.cancelled_caught


async def test_a_close_inside_the_block_delivers_everything() -> None:
    """It is this side's own doing, and graceful: not the peer's end."""
    ours, theirs = testing.memory_stream_pair(capacity=100)
    received = b""
    lines = [line(number) for number in range(20)]

    async def read_slowly() -> None:
        nonlocal received
        while chunk := await theirs.receive_some(50):
            received += chunk
            await trio.lowlevel.checkpoint()
        await theirs.aclose()

    async with trio_tcp.open_connection(ours, codec=LINES) as connection:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_slowly)
            async with connection.cancel_on_disconnect():
                for text in lines:
                    await connection.send(text)
                await connection.aclose()
    assert received == encoded(*lines)


@pytest.mark.parametrize("how", ["aclose", "abort"])
async def test_a_close_by_another_task_cancels_the_block(
    open_text: Open, how: str
) -> None:
    async with open_text() as (connection, peer):
        async with trio.open_nursery() as nursery:

            async def close() -> None:
                await wait_all_tasks_blocked()
                if how == "abort":
                    connection.abort()
                else:
                    await peer.end()
                    await connection.aclose()

            nursery.start_soon(close)
            async with connection.cancel_on_disconnect() as scope:
                await work()
            assert scope.cancelled_caught


# All of it, in any order ------------------------------------------------------------


@final
class Mixture:
    """One task that receives and watches by turns, as the dice say.

    Attributes:
        received: the messages, in order.
    """

    def __init__(self, connection: Text, dice: random.Random) -> None:
        self.received: list[str] = []
        self._connection = connection
        self._dice = dice

    async def run(self) -> None:
        """Go on to the end of the stream."""
        with suppress(trio_tcp.PeerClosed):
            while True:
                await self._dice.choices(
                    [
                        self._receive,
                        self._receive_and_be_cancelled,
                        self._watch_and_be_cancelled,
                        self._receive_in_a_block,
                        self._receive_as_another_watches,
                        self._receive_nowait,
                        self._pause,
                    ],
                    [3, 3, 3, 2, 2, 1, 2],
                )[0]()

    async def _receive(self) -> None:
        self.received.append(await self._connection.receive())

    async def _receive_nowait(self) -> None:
        with suppress(trio.WouldBlock):
            self.received.append(self._connection.receive_nowait())

    async def _pause(self) -> None:
        for _ in range(self._dice.randrange(4)):
            await trio.lowlevel.checkpoint()

    async def _cancel_soon(self, scope: trio.CancelScope) -> None:
        await self._pause()
        scope.cancel()

    async def _receive_and_be_cancelled(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._cancel_soon, nursery.cancel_scope)
            with suppress(trio_tcp.PeerClosed):
                await self._receive()
            nursery.cancel_scope.cancel()

    async def _watch_and_be_cancelled(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._cancel_soon, nursery.cancel_scope)
            await self._connection.wait_disconnected()
            nursery.cancel_scope.cancel()

    async def _receive_in_a_block(self) -> None:
        async with self._connection.cancel_on_disconnect():
            await self._receive()

    async def _receive_as_another_watches(self) -> None:
        """Let one watch, begin to receive, and let it be cancelled in between."""
        async with trio.open_nursery() as nursery:
            scope = trio.CancelScope()

            async def watch() -> None:
                with scope:
                    await self._connection.wait_disconnected()

            nursery.start_soon(watch)
            await self._pause()
            nursery.start_soon(self._cancel_soon, scope)
            with suppress(trio_tcp.PeerClosed):
                await self._receive()


async def send_in_pieces(
    peer: Other, data: bytes, dice: random.Random, at_once: int
) -> None:
    """Send everything, cut anywhere, with pauses; and the end."""
    while data:
        size = dice.randrange(1, at_once)
        await peer.send(data[:size])
        data = data[size:]
        for _ in range(dice.randrange(5)):
            await trio.lowlevel.checkpoint()
    await peer.end()


@pytest.mark.parametrize("at_once", [30, 300, 3000])
async def test_every_message_arrives_once_and_in_order_whatever_is_cancelled(
    open_text: Open, at_once: int
) -> None:
    for seed in range(25):
        dice = random.Random(seed)
        lines = [line(number, dice.randrange(5, 200)) for number in range(60)]
        async with open_text() as (connection, peer):
            mixture = Mixture(connection, dice)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(send_in_pieces, peer, encoded(*lines), dice, at_once)
                await mixture.run()
            assert mixture.received == lines, f"seed {seed}"
            assert connection.close_reason is CloseReason.PEER_CLOSED
