"""What the tests of the timeouts share: a server in virtual time, a case of each."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Literal, TypeAlias, final

import attrs
import pytest
import trio

import trio_tcp
from tests.integration.loopback import Record
from trio_tcp import PeerTooSlowError, Timeouts, codecs, testing

Text: TypeAlias = trio_tcp.Connection[str, str]
Handler: TypeAlias = Callable[[Text], Awaitable[object]]
End: TypeAlias = Literal["FIN", "RST"]

LINES = codecs.Lines(max_bytes=1 << 20)
PIECE = 16 << 10  # what a stream is handed at a time, and so the least progress
A_LONG_TIME = 1_000_000

OFF = Timeouts(
    connect=math.inf,
    handshake=math.inf,
    first_message=math.inf,
    idle=math.inf,
    message=math.inf,
    message_rate=1,  # easy to reckon with: a second for each byte
    write=math.inf,
    lifetime=math.inf,
)


def only(**seconds: float) -> Timeouts:
    """Switch all timeouts off but these."""
    return attrs.evolve(OFF, **seconds)


async def receive_all(connection: Text) -> None:
    async for _ in connection:
        pass


async def pour(connection: Text) -> None:
    while True:
        await connection.send("x" * 9999)


async def work(connection: Text) -> None:
    await trio.sleep_forever()


async def echo(connection: Text) -> None:
    async for line in connection:
        await connection.send(line)


async def end_of(stream: trio.abc.ReceiveStream) -> End:
    """Read to the end; say how the other side has ended it."""
    try:
        async for _ in stream:
            pass
    except trio.BrokenResourceError:
        return "RST"
    return "FIN"


async def drip(
    stream: trio.abc.SendStream, piece: bytes, every: float, times: int = 1 << 30
) -> None:
    """Send a piece now, and again every so many seconds."""
    for number in range(times):
        if number:
            await trio.sleep(every)
        await stream.send_all(piece)


@asynccontextmanager
async def serve(
    handler: Handler,
    timeouts: Timeouts,
    *,
    capacity: int = 4 * PIECE,
) -> AsyncGenerator[tuple[testing.MemoryServer[str], Record], None]:
    """Run a server. A handler that fails, fails the test."""
    record = Record()
    async with testing.serve_in_memory(
        handler, LINES, capacity=capacity, timeouts=timeouts, observer=record
    ) as served:
        yield served, record
    for failed in record.all(trio_tcp.HandlerFailed):
        raise failed.error


async def the_end(record: Record) -> trio_tcp.ConnectionEnded:
    """Wait for the end of the only connection, but not for ever."""
    with trio.fail_after(2 * A_LONG_TIME):
        (ended,) = await record.wait(trio_tcp.ConnectionEnded)
    return ended


def late(error: BaseException | None) -> PeerTooSlowError:
    """See that it is the error of a timeout."""
    assert isinstance(error, PeerTooSlowError)
    return error


@final
@attrs.frozen
class Case:
    """A timeout, and a connection that it ends.

    Attributes:
        timeout: its name.
        handler: of the server.
        sent: by the client, at the beginning; it says and reads no more.
        extra: seconds that the client gets on top of the timeout.
        seen: by the client, at the end.
        said: in the log.
    """

    timeout: str
    handler: Handler
    sent: bytes
    extra: int
    seen: End
    said: str


CASES = [
    Case("first_message", receive_all, b"", 0, "FIN", "the peer began no message"),
    Case("idle", receive_all, b"a line\n", 0, "FIN", "neither side sent anything"),
    Case("message", receive_all, b"hal", 3, "FIN", "the peer did not finish its mes"),
    Case("write", pour, b"", 0, "RST", "the peer took nothing of what was sent"),
    Case("lifetime", work, b"", 0, "FIN", "the connection was open"),
]
WHILE_RECEIVING = CASES[:3]
each_about_receiving = pytest.mark.parametrize(
    "case", WHILE_RECEIVING, ids=lambda case: case.timeout
)
