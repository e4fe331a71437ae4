"""One client's misconduct is nobody else's concern.

Each test has a crowd of honest clients that talk to the server all the time, and one
client that does something wrong. Its connection ends, for the right reason; the crowd
loses nothing and goes on; and the server accepts another client afterwards.
"""

from __future__ import annotations

import errno
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, cast

import attrs
import pytest
import trio

import trio_tcp
from tests.integration.loopback import (
    LOOPBACK,
    Record,
    connect,
    receive_all,
    receive_exactly,
    receive_reset,
    reset,
    start_server,
)
from trio_tcp import CloseReason, codecs

CROWD = 40

AnyCodec: TypeAlias = codecs.Codec[Any, Any]
Start: TypeAlias = Callable[[trio.Nursery, AnyCodec, Record], Awaitable[int]]

PREFIXED = codecs.LengthPrefixed()


# The servers, and their handler


async def echo_or_worse(connection: trio_tcp.Connection[Any, Any]) -> None:
    """Send back every message; some are orders to do something else."""
    async for message in connection:
        match message:
            case b"fail":
                fail()
            case b"fail in a nursery":
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(trio.sleep_forever)
                    nursery.start_soon(fail_soon)
            case b"pour":
                while True:
                    await connection.send(bytes(1000))
            case _:
                await connection.send(message)


def fail() -> None:
    """Fail as handlers do."""
    raise LookupError("on request")


async def fail_soon() -> None:
    """Fail in a task."""
    fail()


async def start_ours(nursery: trio.Nursery, codec: AnyCodec, record: Record) -> int:
    """Start a server of this package; return its port."""
    server = await start_server(nursery, echo_or_worse, codec, observer=record)
    return server.port


async def start_trios(nursery: trio.Nursery, codec: AnyCodec, record: Record) -> int:
    """Start a server of Trio's with the same handler; return its port."""
    handler = trio_tcp.framed(echo_or_worse, codec=codec, observer=record)
    listeners: list[trio.SocketListener] = await nursery.start(
        trio.serve_tcp, handler, 0
    )
    port: int = listeners[0].socket.getsockname()[1]
    return port


every_server = pytest.mark.parametrize(
    "start", [start_ours, start_trios], ids=["ours", "trios"]
)


# The crowd


class Crowd:
    """Honest clients that echo continuously, and fail if anything goes wrong."""

    def __init__(self, port: int, codec: AnyCodec, message: object) -> None:
        self._port = port
        self._codec = codec
        self._message = message
        self._leaving = False
        self._answered = trio.Event()
        self.rounds = [0] * CROWD

    async def talk(self, number: int) -> None:
        """Be one of them."""
        async with self._connect() as connection:
            while not self._leaving:
                await self._exchange(connection)
                self.rounds[number] += 1
                self._answered.set()
                self._answered = trio.Event()

    async def go_on(self) -> None:
        """Wait until each of them has been answered again."""
        # Twice: a first answer may have been on its way already.
        goals = [rounds + 2 for rounds in self.rounds]
        while any(now < goal for now, goal in zip(self.rounds, goals, strict=True)):
            await self._answered.wait()

    async def be_joined(self) -> None:
        """Let one more client connect and be answered, once."""
        async with self._connect() as connection:
            await self._exchange(connection)

    def leave(self) -> None:
        """Let all close at the end of their round."""
        self._leaving = True

    def _connect(self) -> Any:  # noqa: ANN401
        return trio_tcp.connect_tcp(LOOPBACK, self._port, codec=self._codec)

    async def _exchange(self, connection: trio_tcp.Connection[Any, Any]) -> None:
        await connection.send(self._message)
        assert await connection.receive() == self._message


@asynccontextmanager
async def crowd_at(
    port: int, codec: AnyCodec = PREFIXED, message: object = b"hello"
) -> AsyncGenerator[Crowd, None]:
    """Have the crowd talk all the time, and see to it that it does after the block."""
    crowd = Crowd(port, codec, message)
    async with trio.open_nursery() as nursery:
        for number in range(CROWD):
            nursery.start_soon(crowd.talk, number)
        await crowd.go_on()
        yield crowd
        await crowd.go_on()
        await crowd.be_joined()
        crowd.leave()


async def the_one_that_ended(record: Record) -> trio_tcp.ConnectionEnded:
    """Wait for the end of a connection; the crowd's are all open."""
    [ended] = await record.wait(trio_tcp.ConnectionEnded)
    return ended


async def all_others_end_well(record: Record) -> None:
    """Check how the crowd's connections have ended, and the one that came last."""
    _, *others = await record.wait(trio_tcp.ConnectionEnded, CROWD + 2)
    assert {ended.reason for ended in others} == {CloseReason.PEER_CLOSED}


# The tests


@pytest.mark.parametrize("order", [b"fail", b"fail in a nursery"])
@every_server
async def test_a_handler_that_raises_ends_its_own_connection(
    nursery: trio.Nursery, record: Record, start: Start, order: bytes
) -> None:
    """It is reported, once, as it left the handler: also as a group."""
    port = await start(nursery, PREFIXED, record)
    async with crowd_at(port):
        async with connect(port) as stream:
            await stream.send_all(PREFIXED.encode(order))
            await receive_reset(stream)
        ended = await the_one_that_ended(record)
    await all_others_end_well(record)
    [failed] = record.all(trio_tcp.HandlerFailed)
    assert ended.reason is CloseReason.HANDLER_FAILED
    assert ended.id == failed.id
    assert ended.error is failed.error
    error: BaseException = failed.error
    if order == b"fail in a nursery":
        assert isinstance(error, ExceptionGroup)
        [error] = cast("ExceptionGroup[Exception]", error).exceptions
    assert isinstance(error, LookupError)


async def reset_before_a_message(stream: trio.SocketStream, record: Record) -> None:
    """Be there, say nothing, be gone."""
    await record.wait(trio_tcp.ConnectionOpened, CROWD + 1)
    reset(stream)


async def reset_inside_a_frame(stream: trio.SocketStream, _record: Record) -> None:
    """Say something and a half."""
    frame = PREFIXED.encode(b"hello")
    await stream.send_all(frame + frame[:6])
    # The server has read both when it answers the first.
    assert await receive_exactly(stream, len(frame)) == frame
    reset(stream)


async def reset_while_the_server_sends(
    stream: trio.SocketStream, _record: Record
) -> None:
    """Hear some of an endless answer."""
    await stream.send_all(PREFIXED.encode(b"pour"))
    await receive_exactly(stream, 10_000)
    reset(stream)


@pytest.mark.parametrize(
    "misconduct",
    [reset_before_a_message, reset_inside_a_frame, reset_while_the_server_sends],
)
@every_server
async def test_a_reset_ends_its_own_connection(
    nursery: trio.Nursery,
    record: Record,
    start: Start,
    misconduct: Callable[[trio.SocketStream, Record], Awaitable[None]],
) -> None:
    """In whatever phase it comes, it is the network's doing, and no failure here."""
    port = await start(nursery, PREFIXED, record)
    async with crowd_at(port):
        async with connect(port) as stream:
            await misconduct(stream, record)
        ended = await the_one_that_ended(record)
    await all_others_end_well(record)
    assert not record.all(trio_tcp.HandlerFailed)
    assert ended.reason is CloseReason.BROKEN
    assert isinstance(ended.error, trio_tcp.ConnectionBroken)
    assert ended.error.errno in {errno.ECONNRESET, errno.EPIPE}


@every_server
async def test_a_truncated_frame_ends_its_own_connection(
    nursery: trio.Nursery, record: Record, start: Start
) -> None:
    """The FIN comes in the middle of a message."""
    port = await start(nursery, PREFIXED, record)
    async with crowd_at(port):
        async with connect(port) as stream:
            await stream.send_all(PREFIXED.encode(b"hello")[:6])
            await stream.send_eof()
            await receive_reset(stream)
        ended = await the_one_that_ended(record)
    await all_others_end_well(record)
    assert not record.all(trio_tcp.HandlerFailed)
    assert ended.reason is CloseReason.TRUNCATED
    assert isinstance(ended.error, trio_tcp.TruncatedError)
    assert ended.error.received == 6


@every_server
async def test_an_oversized_frame_ends_its_own_connection(
    nursery: trio.Nursery, record: Record, start: Start
) -> None:
    """It is refused when it is announced."""
    codec = codecs.LengthPrefixed(max_bytes=1000)
    port = await start(nursery, codec, record)
    async with crowd_at(port, codec):
        async with connect(port) as stream:
            await stream.send_all((1001).to_bytes(4, "big"))
            await receive_reset(stream)
        ended = await the_one_that_ended(record)
    await all_others_end_well(record)
    assert not record.all(trio_tcp.HandlerFailed)
    assert ended.reason is CloseReason.PROTOCOL_ERROR
    assert isinstance(ended.error, trio_tcp.FrameTooLargeError)
    assert (ended.error.size, ended.error.limit) == (1001, 1000)


def only_hello(content: bytes) -> bytes:
    """Refuse everything else, as a checksum would."""
    if content != b"hello":
        raise ValueError(content)
    return content


@attrs.frozen
class Garbage:
    """Bytes that are no messages of a codec, and a message that is one."""

    codec: AnyCodec
    message: object
    garbage: bytes
    error: type[trio_tcp.ConnectionFault]


GARBAGE = {
    "LengthPrefixed": Garbage(
        codecs.LengthPrefixed(),
        b"hello",
        b"GET / HTTP/1.1\r\n\r\n",
        trio_tcp.FrameTooLargeError,
    ),
    "VarintPrefixed": Garbage(
        codecs.VarintPrefixed(), b"hello", b"\xff" * 11, trio_tcp.InvalidFrameError
    ),
    "Netstrings": Garbage(
        codecs.Netstrings(), b"hello", b"05:hello,", trio_tcp.InvalidFrameError
    ),
    "LengthField": Garbage(
        codecs.LengthField(offset=2, magic=b"\xaa\x55", strip_header=6),
        b"hello",
        b"\x55\xaa\0\0\0\5hello",
        trio_tcp.InvalidFrameError,
    ),
    "LengthField, resynchronising": Garbage(
        codecs.LengthField(
            offset=2, magic=b"\xaa\x55", strip_header=6, max_garbage_bytes=100
        ),
        b"hello",
        bytes(101),
        trio_tcp.InvalidFrameError,
    ),
    "Delimited": Garbage(
        codecs.Delimited(b";", max_bytes=100),
        b"hello",
        bytes(101),
        trio_tcp.FrameTooLargeError,
    ),
    "Lines, too long": Garbage(
        codecs.Lines(max_bytes=100), "hello", bytes(101), trio_tcp.FrameTooLargeError
    ),
    "Lines, no text": Garbage(
        codecs.Lines(), "hello", b"\xff\n", trio_tcp.MalformedMessageError
    ),
    "Json": Garbage(codecs.Json(), ["hello"], b"[\n", trio_tcp.MalformedMessageError),
    "MessagePack": Garbage(
        codecs.MessagePack(),
        ["hello"],
        PREFIXED.encode(b"\xc1"),
        trio_tcp.MalformedMessageError,
    ),
    "Mapped": Garbage(
        codecs.Mapped(codecs.FixedLength(5), decode=only_hello, encode=only_hello),
        b"hello",
        b"olleh",
        trio_tcp.MalformedMessageError,
    ),
}


@pytest.mark.parametrize("case", GARBAGE.values(), ids=GARBAGE.keys())
async def test_garbage_ends_its_own_connection(
    nursery: trio.Nursery, record: Record, case: Garbage
) -> None:
    """Whatever the codec calls garbage, it is the peer's doing, and no failure here."""
    port = await start_ours(nursery, case.codec, record)
    async with crowd_at(port, case.codec, case.message):
        async with connect(port) as stream:
            await stream.send_all(case.garbage)
            await receive_reset(stream)
        ended = await the_one_that_ended(record)
    await all_others_end_well(record)
    assert not record.all(trio_tcp.HandlerFailed)
    assert ended.reason is CloseReason.PROTOCOL_ERROR
    assert type(ended.error) is case.error


async def test_garbage_that_can_be_skipped_ends_nothing(
    nursery: trio.Nursery, record: Record
) -> None:
    """It is counted and reported; the message behind it is answered."""
    codec = codecs.LengthField(
        offset=2, magic=b"\xaa\x55", strip_header=6, max_garbage_bytes=100
    )
    port = await start_ours(nursery, codec, record)
    frame = codec.encode(b"hello")
    async with crowd_at(port, codec), connect(port) as stream:
        await stream.send_all(bytes(100) + frame)
        assert await receive_exactly(stream, len(frame)) == frame
        assert not record.all(trio_tcp.ConnectionEnded)
        await stream.send_eof()
        assert await receive_all(stream) == b""
        ended = await the_one_that_ended(record)
    await all_others_end_well(record)
    assert ended.reason is CloseReason.PEER_CLOSED
    assert ended.statistics.bytes_skipped == 100
    assert sum(skip.count for skip in record.all(trio_tcp.GarbageSkipped)) == 100


async def test_the_statistics_of_a_server_add_up(
    nursery: trio.Nursery, record: Record
) -> None:
    """Whatever its clients did, all is counted, and once."""
    server = await start_server(nursery, echo_or_worse, PREFIXED, observer=record)
    frame = PREFIXED.encode(b"hello")
    async with crowd_at(server.port) as crowd:
        for bad in [PREFIXED.encode(b"fail"), b"\xff" * 4, frame + frame[:6]]:
            async with connect(server.port) as stream:
                await stream.send_all(bad)
                await stream.send_eof()
                await receive_reset(stream)
        async with connect(server.port) as stream:
            await reset_inside_a_frame(stream, record)
        ended = await record.wait(trio_tcp.ConnectionEnded, 4)
        statistics = server.statistics()
        assert statistics.accepted == CROWD + 4
        assert statistics.open == CROWD == len(server.connections)
        assert {each.id for each in server.connections}.isdisjoint(
            each.id for each in ended
        )
    ended = await record.wait(trio_tcp.ConnectionEnded, CROWD + 5)
    statistics = server.statistics()
    assert statistics.accepted == CROWD + 5
    assert statistics.open == 0
    assert server.connections == ()
    assert statistics.ended == {
        CloseReason.HANDLER_FAILED: 1,
        CloseReason.PROTOCOL_ERROR: 1,
        CloseReason.TRUNCATED: 1,
        CloseReason.BROKEN: 1,
        CloseReason.PEER_CLOSED: CROWD + 1,
    }
    # Of the crowd, of the one that came last, and of the bad ones.
    assert statistics.messages_received == sum(crowd.rounds) + 1 + 3
    assert statistics.messages_sent == sum(crowd.rounds) + 1 + 2
    assert statistics.bytes_sent <= len(frame) * statistics.messages_sent
    for counter in (
        "messages_received",
        "messages_sent",
        "bytes_received",
        "bytes_sent",
    ):
        total = sum(getattr(each.statistics, counter) for each in ended)
        assert total == getattr(statistics, counter), counter
