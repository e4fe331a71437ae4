"""How connections end: what the other end gets, byte for byte."""

from __future__ import annotations

import errno
import socket

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.integration.loopback import (
    LOOPBACK,
    Record,
    connect,
    connect_socket,
    read_all,
    receive_all,
    receive_exactly,
    receive_reset,
    start_server,
    until,
)
from trio_tcp import CloseReason, Timeouts, codecs

PREFIXED = codecs.LengthPrefixed()
LINES = codecs.Lines()

# More than the two small buffers and the connection's queue hold together.
ANSWERS = [b"%d" % number * 50 for number in range(2000)]
ANSWER = b"".join(map(PREFIXED.encode, ANSWERS))
assert len(ANSWER) > 200_000

small_and_large_buffers = pytest.mark.parametrize(
    "small_buffers", [True, False], ids=["small buffers", "large buffers"]
)


async def answer_once(connection: trio_tcp.Connection[bytes, bytes]) -> None:
    """Receive one message, commit a long answer, and return."""
    await connection.receive()
    await connection.send_many(ANSWERS)


def write_then_read(port: int, data: bytes) -> bytes:
    """Be the simplest of clients, with the smallest of buffers."""
    with connect_socket(port, small_buffers=True) as sock:
        sock.sendall(data)
        return read_all(sock)


# A graceful close loses nothing


@small_and_large_buffers
async def test_a_client_that_pipelines_past_the_close_gets_every_committed_byte(
    nursery: trio.Nursery, record: Record, *, small_buffers: bool
) -> None:
    """It reads nothing before it has written everything, most of it for nobody."""
    server = await start_server(
        nursery, answer_once, PREFIXED, observer=record, small_buffers=small_buffers
    )
    requests = PREFIXED.encode(b"request") * 300_000
    received = await trio.to_thread.run_sync(write_then_read, server.port, requests)
    assert received == ANSWER
    [ended] = await record.wait(trio_tcp.ConnectionEnded)
    assert ended.reason is CloseReason.CLOSED
    assert ended.statistics.bytes_received == len(requests)


@small_and_large_buffers
async def test_a_server_that_closes_first_delivers_everything(
    nursery: trio.Nursery, *, small_buffers: bool
) -> None:
    """What its handler has not read does not turn the answer into a reset."""
    server = await start_server(
        nursery, answer_once, PREFIXED, small_buffers=small_buffers
    )
    async with connect(server.port, small_buffers=True) as stream:
        await stream.send_all(PREFIXED.encode(b"request") * 1000)
        assert await receive_all(stream) == ANSWER


@small_and_large_buffers
async def test_a_client_that_closes_first_delivers_everything(
    nursery: trio.Nursery, *, small_buffers: bool
) -> None:
    """At the end of its block, however much the server has still to say."""
    received: list[bytes] = []
    all_received = trio.Event()

    async def collect(connection: trio_tcp.Connection[bytes, bytes]) -> None:
        await connection.send_many(ANSWERS)
        received.extend([message async for message in connection])
        all_received.set()

    server = await start_server(nursery, collect, PREFIXED, small_buffers=small_buffers)
    async with trio_tcp.connect_tcp(
        LOOPBACK, server.port, codec=PREFIXED
    ) as connection:
        await connection.send_many(ANSWERS)
    await all_received.wait()
    assert received == ANSWERS


async def test_a_slow_but_steady_reader_gets_everything(
    clock: MockClock, nursery: trio.Nursery, record: Record
) -> None:
    """The linger timeout is for the next part of what is queued, not for all of it."""
    parts, part = 15, 24_000  # far more than the small buffers hold

    async def answer_once(connection: trio_tcp.Connection[bytes, bytes]) -> None:
        await connection.receive()
        await connection.send(bytes(parts * part))

    server = await start_server(
        nursery,
        answer_once,
        PREFIXED,
        observer=record,
        small_buffers=True,
        timeouts=Timeouts(linger=100),
    )
    async with connect(server.port, small_buffers=True) as stream:
        await stream.send_all(PREFIXED.encode(b"request"))
        received = b""
        for _ in range(parts):
            # Each pause is far from the timeout, and all together are much longer.
            await wait_all_tasks_blocked()  # what there is room for is sent
            clock.jump(50)
            received += await receive_exactly(stream, part)
        assert not record.all(trio_tcp.ConnectionEnded)
        received += await receive_all(stream)
    assert received == PREFIXED.encode(bytes(parts * part))


# Half-close


async def test_a_client_that_half_closes_still_gets_its_answers(
    nursery: trio.Nursery,
) -> None:
    """Its FIN ends what it says, not what it hears."""

    async def answer_at_the_end(connection: trio_tcp.Connection[str, str]) -> None:
        lines = [line async for line in connection]
        await connection.send(f"{len(lines)} lines")
        await connection.send("goodbye")

    server = await start_server(nursery, answer_at_the_end, LINES)
    async with connect(server.port) as stream:
        await stream.send_all(b"one\ntwo\n")
        await stream.send_eof()
        assert await receive_all(stream) == b"2 lines\ngoodbye\n"
    async with trio_tcp.connect_tcp(LOOPBACK, server.port, codec=LINES) as connection:
        await connection.send("one")
        await connection.send_eof()
        assert [line async for line in connection] == ["1 lines", "goodbye"]
        with pytest.raises(trio_tcp.ConnectionClosedError):
            await connection.send("two")


async def test_a_server_that_half_closes_still_hears_its_client(
    nursery: trio.Nursery,
) -> None:
    """Its FIN comes after all that it has sent."""
    heard: list[str] = []
    ended = trio.Event()

    async def say_all_then_listen(connection: trio_tcp.Connection[str, str]) -> None:
        for number in range(10_000):
            await connection.send(str(number))
        await connection.send_eof()
        heard.extend([line async for line in connection])
        ended.set()

    server = await start_server(nursery, say_all_then_listen, LINES)
    async with connect(server.port) as stream:
        said = "".join(f"{number}\n" for number in range(10_000)).encode()
        assert await receive_all(stream) == said
        await stream.send_all(b"so many numbers\n")
        await stream.send_eof()
        await ended.wait()
    assert heard == ["so many numbers"]


# Hard ends


async def test_abort_resets(nursery: trio.Nursery, record: Record) -> None:
    """The peer gets ECONNRESET, and nothing that was queued any more."""

    async def abort(connection: trio_tcp.Connection[str, str]) -> None:
        await connection.send(await connection.receive())
        await connection.receive()
        connection.abort()
        with pytest.raises(trio_tcp.ConnectionClosedError):
            await connection.send("too late")
        with pytest.raises(trio_tcp.ConnectionClosedError):
            await connection.receive()

    server = await start_server(nursery, abort, LINES, observer=record)
    async with trio_tcp.connect_tcp(LOOPBACK, server.port, codec=LINES) as connection:
        await connection.send("hello")
        assert await connection.receive() == "hello"
        await connection.send("stop that")
        with pytest.raises(trio_tcp.ConnectionBroken) as caught:
            await connection.receive()
    assert caught.value.errno == errno.ECONNRESET
    assert connection.close_reason is CloseReason.BROKEN
    [ended] = await record.wait(trio_tcp.ConnectionEnded)
    assert ended.reason is CloseReason.CLOSED
    assert not record.all(trio_tcp.HandlerFailed)


async def test_once_broken_a_connection_stays_broken(nursery: trio.Nursery) -> None:
    """Each call says so, also where the reset has come in the middle of a message."""

    async def send_half_and_reset(stream: trio.SocketStream) -> None:
        await stream.send_all(PREFIXED.encode(b"hello")[:6])
        await stream.receive_some()
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    [listener] = await trio.open_tcp_listeners(0, host=LOOPBACK)
    nursery.start_soon(trio.serve_listeners, send_half_and_reset, [listener])
    port: int = listener.socket.getsockname()[1]
    async with trio_tcp.connect_tcp(LOOPBACK, port, codec=PREFIXED) as connection:
        await connection.send(b"hello")
        for _ in range(3):
            with pytest.raises(trio_tcp.ConnectionBroken) as caught:
                await connection.receive()
            assert caught.value.errno == errno.ECONNRESET
        with pytest.raises(trio_tcp.ConnectionBroken):
            await connection.send(b"hello")
    assert connection.close_reason is CloseReason.BROKEN


async def test_a_block_that_raises_resets(nursery: trio.Nursery) -> None:
    """The exception leaves the block as itself."""
    outcomes: list[BaseException] = []
    ended = trio.Event()

    async def note_the_end(connection: trio_tcp.Connection[str, str]) -> None:
        try:
            await connection.receive()
            await connection.receive()
        except trio_tcp.ConnectionBroken as error:
            outcomes.append(error)
        ended.set()

    server = await start_server(nursery, note_the_end, LINES)
    with pytest.raises(LookupError, match="in the block"):
        async with trio_tcp.connect_tcp(
            LOOPBACK, server.port, codec=LINES
        ) as connection:
            await connection.send("hello")
            raise LookupError("in the block")
    await ended.wait()
    [error] = outcomes
    assert isinstance(error, trio_tcp.ConnectionBroken)
    assert error.errno == errno.ECONNRESET


async def test_a_close_that_is_cancelled_resets(
    nursery: trio.Nursery, record: Record
) -> None:
    """It waits for nothing, and what was still to be sent is lost."""

    async def answer_in_a_hurry(
        connection: trio_tcp.Connection[bytes, bytes],
    ) -> None:
        await connection.receive()
        await connection.send_many(ANSWERS)
        with trio.CancelScope() as scope:
            scope.cancel()
            await connection.aclose()
        assert scope.cancelled_caught

    server = await start_server(
        nursery, answer_in_a_hurry, PREFIXED, observer=record, small_buffers=True
    )
    async with connect(server.port, small_buffers=True) as stream:
        await stream.send_all(PREFIXED.encode(b"request"))
        received = await receive_reset(stream)
    assert ANSWER.startswith(received)
    [ended] = await record.wait(trio_tcp.ConnectionEnded)
    assert ended.reason is CloseReason.CLOSED


async def test_a_peer_that_never_closes_is_waited_for_no_longer_than_linger(
    nursery: trio.Nursery, record: Record
) -> None:
    """It still has what it was sent."""

    async def say_goodbye(connection: trio_tcp.Connection[str, str]) -> None:
        await connection.send("goodbye")

    timeouts = Timeouts(linger=0.1)
    server = await start_server(
        nursery, say_goodbye, LINES, observer=record, timeouts=timeouts
    )
    async with connect(server.port) as stream:
        [ended] = await record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.CLOSED
        assert await receive_all(stream) == b"goodbye\n"


async def test_a_peer_that_never_reads_is_waited_for_no_longer_than_linger(
    nursery: trio.Nursery, record: Record
) -> None:
    """What it does not take is given up, with a reset."""
    server = await start_server(
        nursery,
        answer_once,
        PREFIXED,
        observer=record,
        timeouts=Timeouts(linger=0.1),
        small_buffers=True,
    )
    async with connect(server.port, small_buffers=True) as stream:
        await stream.send_all(PREFIXED.encode(b"request"))
        [ended] = await record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.CLOSED
        assert ended.statistics.bytes_sent < len(ANSWER)
        assert ANSWER.startswith(await receive_reset(stream))


async def test_a_peer_that_never_stops_sending_is_cut_off(
    nursery: trio.Nursery, record: Record
) -> None:
    """Nobody listens to it any more; others are served meanwhile."""

    async def leave_if_told_to(connection: trio_tcp.Connection[bytes, bytes]) -> None:
        async for message in connection:
            if message == b"leave":
                return
            await connection.send(message)

    def flood(port: int) -> None:
        with connect_socket(port) as sock:
            sock.sendall(PREFIXED.encode(b"leave"))
            with pytest.raises(ConnectionError):
                while True:
                    sock.sendall(bytes(1 << 16))

    server = await start_server(
        nursery,
        leave_if_told_to,
        PREFIXED,
        observer=record,
        timeouts=Timeouts(linger=0.5),
    )
    async with trio_tcp.connect_tcp(LOOPBACK, server.port, codec=PREFIXED) as honest:
        async with trio.open_nursery() as flooding:
            flooding.start_soon(trio.to_thread.run_sync, flood, server.port)
            rounds = 0
            while not (ended := record.all(trio_tcp.ConnectionEnded)):
                await honest.send(b"hello")
                assert await honest.receive() == b"hello"
                rounds += 1
    assert rounds > 1
    assert [each.reason for each in ended] == [CloseReason.CLOSED]


# While others use it


async def test_closing_sends_the_task_away_that_receives(
    nursery: trio.Nursery, record: Record
) -> None:
    """The peer gets all that was sent before, and the end."""
    outcomes: list[BaseException] = []

    async def receive(connection: trio_tcp.Connection[bytes, bytes]) -> None:
        try:
            await connection.receive()
        except trio_tcp.ConnectionClosedError as error:
            outcomes.append(error)

    async def answer_then_close(
        connection: trio_tcp.Connection[bytes, bytes],
    ) -> None:
        await connection.receive()
        async with trio.open_nursery() as inner:
            inner.start_soon(receive, connection)
            await wait_all_tasks_blocked()
            await connection.send_many(ANSWERS)
            await connection.aclose()

    server = await start_server(
        nursery, answer_then_close, PREFIXED, observer=record, small_buffers=True
    )
    async with connect(server.port, small_buffers=True) as stream:
        await stream.send_all(PREFIXED.encode(b"request"))
        assert await receive_all(stream) == ANSWER
    [ended] = await record.wait(trio_tcp.ConnectionEnded)
    assert len(outcomes) == 1
    assert ended.reason is CloseReason.CLOSED


async def test_a_server_that_is_cancelled_closes_its_connections_at_once(
    record: Record,
) -> None:
    """With a reset where an answer is incomplete. Nothing is left listening."""

    async def answer_and_sleep(
        connection: trio_tcp.Connection[bytes, bytes],
    ) -> None:
        if await connection.receive() == b"request":
            await connection.send_many(ANSWERS)
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        server = await start_server(
            nursery, answer_and_sleep, PREFIXED, observer=record, small_buffers=True
        )
        port = server.port
        idle, answered = connect(port), connect(port, small_buffers=True)
        await idle.send_all(PREFIXED.encode(b"hello"))
        await answered.send_all(PREFIXED.encode(b"request"))
        await until(lambda: server.statistics().messages_sent == len(ANSWERS))
        nursery.cancel_scope.cancel()
    async with idle, answered:
        assert await receive_all(idle) == b""
        assert ANSWER.startswith(await receive_reset(answered))
    ended = record.all(trio_tcp.ConnectionEnded)
    assert [each.reason for each in ended] == [CloseReason.CLOSED] * 2
    with pytest.raises(ConnectionRefusedError):
        connect_socket(port)


async def test_a_server_has_stopped_when_all_its_connections_have_ended(
    record: Record,
) -> None:
    """Also where a handler takes its time to be cancelled."""

    async def linger(connection: trio_tcp.Connection[bytes, bytes]) -> None:
        try:
            await connection.receive()
        finally:
            with trio.CancelScope(shield=True):
                for _ in range(10):
                    await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        server = await start_server(nursery, linger, PREFIXED, observer=record)
        async with connect(server.port):
            await record.wait(trio_tcp.ConnectionOpened)
            nursery.cancel_scope.cancel()
    [stopped] = record.all(trio_tcp.ServerStopped)
    assert stopped.accepted == 1
    assert record.events[-1] is stopped
