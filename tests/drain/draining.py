"""What the tests of a drain share: a server in memory, its handlers, its clients."""

from __future__ import annotations

import functools
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Literal, Protocol, TypeAlias, final

import trio

import trio_tcp
from tests.certificates import HOST, client_context, server_context
from tests.integration.loopback import Record
from tests.tls.peer import Peer
from trio_tcp import DrainReport, codecs, testing

Text: TypeAlias = trio_tcp.Connection[str, str]
Handler: TypeAlias = Callable[[Text], Awaitable[object]]
End: TypeAlias = Literal["FIN", "RST"]

LINES = codecs.Lines(max_bytes=1 << 20)
ORDERS = 40  # how often what depends on the order of tasks is tried
ABORT_SECONDS = 5
A_LONG_TIME = 1000

# They cost more than a test, and nobody changes them here.
of_client = functools.cache(client_context)
of_server = functools.cache(server_context)


@final
class Served:
    """A server in memory, and what became of it.

    Attributes:
        server: itself.
        listener: the way to it.
        record: what has happened.
        returned: set when `serve_listeners` has.
        returned_at: when that was.
    """

    def __init__(
        self, server: trio_tcp.Server, listener: testing.MemoryListener, record: Record
    ) -> None:
        self.server = server
        self.listener = listener
        self.record = record
        self.returned = trio.Event()
        self.returned_at = -1.0

    def ends(self) -> list[trio_tcp.ConnectionEnded]:
        """How the connections have ended that were open when the drain began."""
        events = self.record.events
        [start] = [
            n for n, e in enumerate(events) if isinstance(e, trio_tcp.DrainStarted)
        ]
        return [e for e in events[start:] if isinstance(e, trio_tcp.ConnectionEnded)]

    def agrees_with(self, report: DrainReport) -> bool:
        """Say whether the events tell the same as the report."""
        [reported] = self.record.all(DrainReport)
        total = report.finished + report.cancelled + report.aborted
        return reported is report and total == len(self.ends())


@asynccontextmanager
async def serving(
    handler: Handler,
    *,
    capacity: int = 64 << 10,
    listeners: Sequence[trio.abc.Listener[trio.abc.Stream]] = (),
    observer: trio_tcp.Observer | None = None,
    tls: ssl.SSLContext | None = None,
    limits: trio_tcp.Limits | None = None,
    timeouts: trio_tcp.Timeouts | None = None,
    handler_nursery: trio.Nursery | None = None,
) -> AsyncGenerator[Served, None]:
    """Run a server; at the end of the block, cancel it if it still runs."""
    listener = testing.MemoryListener(capacity)
    record = Record()
    served: Served | None = None

    async def serve(*, task_status: trio.TaskStatus[trio_tcp.Server]) -> None:
        await trio_tcp.serve_listeners(
            handler,
            listeners or [listener],
            codec=LINES,
            tls=tls,
            limits=limits or trio_tcp.Limits(),
            timeouts=timeouts or trio_tcp.Timeouts(),
            observer=observer or record,
            handler_nursery=handler_nursery,
            task_status=task_status,
        )
        assert served is not None
        served.returned_at = trio.current_time()
        served.returned.set()

    async with trio.open_nursery() as nursery:
        server: trio_tcp.Server = await nursery.start(serve)
        served = Served(server, listener, record)
        yield served
        nursery.cancel_scope.cancel()


# Handlers ----------------------------------------------------------------------------


async def echo(connection: Text) -> None:
    async for line in connection:
        await connection.send(line)


async def polite(connection: Text) -> None:
    """Echo, and say goodbye."""
    await echo(connection)
    await connection.send("goodbye")


async def work(connection: Text) -> None:
    """Work, and hear of nothing."""
    await trio.sleep_forever()


async def sleep_as_told(connection: Text) -> None:
    """Sleep for as many seconds as each line says, and answer it."""
    async for line in connection:
        await trio.sleep(float(line))
        await connection.send(line)


async def clean_up_for_ever(connection: Text) -> None:
    """Work, and do not let go."""
    with trio.CancelScope(shield=True):
        await trio.sleep(A_LONG_TIME)


# Clients -----------------------------------------------------------------------------


async def to_the_end(stream: trio.abc.Stream) -> tuple[bytes, End]:
    """Read until the server ends it, then close; return what came, and which end."""
    received = bytearray()
    end: End = "FIN"
    try:
        async for chunk in stream:
            received += chunk
    except trio.BrokenResourceError:
        end = "RST"
    await stream.aclose()
    return bytes(received), end


@final
class Reader:
    """A client that reads to the end, in a task.

    Attributes:
        received: what has come.
        end: how it ended; None before.
        ended_at: when.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        stream: testing.MemoryStream,
        *,
        pause: float = 0,
        every: float = 0,
        size: int | None = None,
    ) -> None:
        self.received = b""
        self.end: End | None = None
        self.ended_at = -1.0
        nursery.start_soon(self._run, stream, pause, every, size)

    async def _run(
        self,
        stream: testing.MemoryStream,
        pause: float,
        every: float,
        size: int | None,
    ) -> None:
        await trio.sleep(pause)
        try:
            while chunk := await stream.receive_some(size):
                self.received += chunk
                await trio.sleep(every)
            self.end = "FIN"
        except trio.BrokenResourceError:
            self.end = "RST"
        self.ended_at = trio.current_time()
        await stream.aclose()


async def exactly(stream: trio.abc.ReceiveStream, data: bytes) -> None:
    """Receive this and nothing else."""
    received = b""
    while len(received) < len(data):
        chunk = await stream.receive_some()
        assert chunk, f"the stream ended after {received!r}"
        received += chunk
    assert received == data


async def passes(count: int) -> None:
    """Let everybody else run so many times."""
    for _ in range(count):
        await trio.lowlevel.checkpoint()


async def begin_nothing(_stream: testing.MemoryStream) -> None:
    """Connect, and say nothing."""


async def begin_half_a_hello(stream: testing.MemoryStream) -> None:
    """Send the beginning of a handshake's first message."""
    hello = Peer(stream, of_client(), server_hostname=HOST).hello()
    await stream.send_all(hello[:20])


async def begin_a_handshake(stream: testing.MemoryStream) -> None:
    """Send a handshake's first message, and no other."""
    hello = Peer(stream, of_client(), server_hostname=HOST).hello()
    await stream.send_all(hello)


BEGINNINGS = [begin_nothing, begin_half_a_hello, begin_a_handshake]


@final
class Pourer:
    """Sends as much as it can, and knows what was accepted.

    Attributes:
        accepted: every line of which `send` returned.
    """

    def __init__(self, then: Handler) -> None:
        self.accepted: list[str] = []
        self._then = then

    async def handler(self, connection: Text) -> None:
        """Send a lot, and go on as the test wants."""
        with trio.move_on_after(0.1):
            await self.pour(connection)
        await self._then(connection)

    async def pour(self, connection: Text) -> None:
        """Send without end."""
        while True:
            line = f"{len(self.accepted)} ".ljust(999, "x")
            await connection.send(line)
            self.accepted.append(line)


async def close_and_go_on(connection: Text) -> None:
    await connection.aclose()
    await trio.sleep_forever()


async def work_in_a_block(connection: Text) -> None:
    async with connection:
        await trio.sleep_forever()


# Clients over TCP or TLS -------------------------------------------------------------


class Wire(Protocol):
    """A client, with TLS or without, that knows nothing of the code under test."""

    async def send(self, data: bytes, /) -> None:
        """Send bytes."""
        ...

    async def receive_all(self, *, every: float = 0) -> tuple[bytes, End]:
        """Read to the end, with pauses, and close."""
        ...


@final
class PlainWire:
    """Without TLS."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream

    async def send(self, data: bytes) -> None:
        await self._stream.send_all(data)

    async def receive_all(self, *, every: float = 0) -> tuple[bytes, End]:
        received = bytearray()
        try:
            while chunk := await self._stream.receive_some():
                received += chunk
                await trio.sleep(every)
        except trio.BrokenResourceError:
            return bytes(received), "RST"
        await self._stream.aclose()
        return bytes(received), "FIN"


@final
class SecureWire:
    """With TLS. An end without TLS's own counts as a reset."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    async def send(self, data: bytes) -> None:
        await self._peer.send(data)

    async def receive_all(self, *, every: float = 0) -> tuple[bytes, End]:
        received = bytearray()
        try:
            while chunk := await self._peer.receive():
                received += chunk
                await trio.sleep(every)
        except trio.BrokenResourceError:
            return bytes(received), "RST"
        if self._peer.missing_end:
            return bytes(received), "RST"
        await self._peer.end()
        await self._peer.stream.aclose()
        return bytes(received), "FIN"


async def connect_wire(stream: trio.abc.Stream, *, tls: bool) -> Wire:
    """Make a client of a stream; with TLS, shake hands."""
    if not tls:
        return PlainWire(stream)
    assert isinstance(stream, trio.abc.HalfCloseableStream)
    peer = Peer(stream, of_client(), server_hostname=HOST)
    await peer.shake_hands()
    return SecureWire(peer)
