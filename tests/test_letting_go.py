"""Whatever ended badly is let go of at once, and waits for no garbage collector.

An exception has its traceback, the traceback the frames, and the frames what they had
in hand: the connection, and megabytes of messages. Where one of those has the
exception, that is a cycle, and only the collector breaks it, which comes after so many
objects and knows nothing of megabytes. Clients that end badly again and again could
fill the memory with what is dead.
"""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, TypeAlias

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.certificates import server_context
from trio_tcp import CloseReason, Limits, Timeouts, codecs, testing

Binary: TypeAlias = trio_tcp.Connection[Any, Any]
Handle: TypeAlias = Callable[[Binary], Awaitable[object]]
Client: TypeAlias = Callable[[testing.MemoryStream], Awaitable[object]]

PREFIXED = codecs.LengthPrefixed(max_bytes=1 << 20)
A_LONG_TIME = 100_000


@contextmanager
def no_collector() -> Generator[None, None, None]:
    """Have no cycles collected in the block, and none left from before."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Watch:
    """An observer that sees what becomes of the events, and keeps none.

    Attributes:
        reasons: why connections have ended.
        over: set when one has, or a client has failed to become one.
        living: events, and connections, that somebody still has.
    """

    def __init__(self) -> None:
        self.reasons: list[CloseReason] = []
        self.over = trio.Event()
        self._seen: list[weakref.ref[object]] = []

    def __call__(self, event: trio_tcp.Event, /) -> None:
        """Take one record."""
        self.see(event)
        if isinstance(event, trio_tcp.ConnectionEnded):
            self.reasons.append(event.reason)
        if isinstance(event, trio_tcp.ConnectionEnded | trio_tcp.HandshakeFailed):
            self.over.set()

    def see(self, thing: object) -> None:
        """Watch one more."""
        self._seen.append(weakref.ref(thing))

    @property
    def living(self) -> list[object]:
        """What of it is still there."""
        return [thing for ref in self._seen if (thing := ref()) is not None]


@asynccontextmanager
async def serve(
    handler: Handle,
    watch: Watch,
    **options: Any,  # noqa: ANN401
) -> AsyncGenerator[testing.MemoryListener, None]:
    """Run a server in memory."""
    listener = testing.MemoryListener(capacity=1 << 16)

    async def watched(connection: Binary) -> None:
        watch.see(connection)
        await handler(connection)

    serve = partial(
        trio_tcp.serve_listeners,
        watched,
        [listener],
        observer=watch,
        **{"codec": PREFIXED, **options},
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(serve)
        with trio.fail_after(A_LONG_TIME):  # noqa: ASYNC100 - instead of a deadlock
            yield listener
        nursery.cancel_scope.cancel()


# Handlers, and clients


async def echo(connection: Binary) -> None:
    async for message in connection:
        await connection.send(message)


async def fail(connection: Binary) -> None:
    raise LookupError(await connection.receive())


async def fail_in_a_nursery(connection: Binary) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fail, connection)
        nursery.start_soon(trio.sleep_forever)


async def fail_because_of_the_peer(connection: Binary) -> None:
    try:
        await echo(connection)
    except trio_tcp.FramingError as error:
        raise LookupError from error


async def pour(connection: Binary) -> None:
    while True:
        await connection.send(bytes(10_000))


async def abort(connection: Binary) -> None:
    await connection.receive()
    connection.abort()
    await connection.receive()


async def wait_for_the_end(connection: Binary) -> None:
    async with connection.cancel_on_disconnect():
        await trio.sleep(1000)
    await echo(connection)


def sends(data: bytes) -> Client:
    """Make a client that sends this, and does nothing more."""

    async def send(stream: testing.MemoryStream) -> None:
        await stream.send_all(data)

    return send


def sends_and_ends(data: bytes) -> Client:
    """Make a client that sends this, and its end."""

    async def send(stream: testing.MemoryStream) -> None:
        await stream.send_all(data)
        await stream.send_eof()

    return send


async def resets(stream: testing.MemoryStream) -> None:
    await stream.send_all(PREFIXED.encode(b"hello") + b"\0")
    await stream.receive_some()
    stream.reset()


HELLO = PREFIXED.encode(b"hello")


@attrs.frozen
class End:
    """How a connection ends, and why."""

    handler: Handle
    client: Client
    reason: CloseReason
    options: dict[str, Any] = attrs.field(factory=dict[str, Any])


ENDS = {
    "peer closed": End(echo, sends_and_ends(HELLO), CloseReason.PEER_CLOSED),
    "truncated": End(echo, sends_and_ends(HELLO[:7]), CloseReason.TRUNCATED),
    "reset": End(echo, resets, CloseReason.BROKEN),
    "watched": End(wait_for_the_end, sends_and_ends(b"\0"), CloseReason.TRUNCATED),
    "too large": End(echo, sends(b"\xff" * 4), CloseReason.PROTOCOL_ERROR),
    "malformed": End(
        echo, sends(b"{\n"), CloseReason.PROTOCOL_ERROR, {"codec": codecs.Json()}
    ),
    "handler failed": End(fail, sends(HELLO), CloseReason.HANDLER_FAILED),
    "group failed": End(fail_in_a_nursery, sends(HELLO), CloseReason.HANDLER_FAILED),
    "failed because of the peer": End(
        fail_because_of_the_peer, sends(b"\xff" * 4), CloseReason.PROTOCOL_ERROR
    ),
    "aborted": End(abort, sends(HELLO), CloseReason.CLOSED),
    "too slow": End(echo, sends(HELLO[:7]), CloseReason.TIMED_OUT),
    "too slow to read": End(
        pour, sends(b""), CloseReason.TIMED_OUT, {"timeouts": Timeouts(write=5)}
    ),
    "too old": End(
        pour, sends(b""), CloseReason.TIMED_OUT, {"timeouts": Timeouts(lifetime=5)}
    ),
    "evicted": End(
        echo,
        sends(PREFIXED.encode(bytes(30_000))[:20_000]),
        CloseReason.EVICTED,
        {"limits": Limits(max_buffered_bytes=10_000)},
    ),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
async def test_a_connection_that_has_ended_is_gone(
    end: End, autojump_clock: MockClock
) -> None:
    watch = Watch()
    with no_collector():
        async with serve(end.handler, watch, **end.options) as listener:
            stream = await listener.connect()
            await end.client(stream)
            await watch.over.wait()
            await wait_all_tasks_blocked()
            assert watch.reasons == [end.reason]
            assert watch.living == []


FAILURES = {
    "nonsense": sends(b"nonsense"),
    "silent": sends(b""),
    "gone": sends_and_ends(b""),
}


@pytest.mark.parametrize("client", FAILURES.values(), ids=FAILURES.keys())
async def test_a_client_that_never_became_a_connection_is_gone(
    client: Client, autojump_clock: MockClock
) -> None:
    watch = Watch()
    with no_collector():
        async with serve(echo, watch, tls=server_context()) as listener:
            stream = await listener.connect()
            await client(stream)
            await watch.over.wait()
            await wait_all_tasks_blocked()
            assert watch.living == []


# What a connection held that had to go


@contextmanager
def traced_memory() -> Generator[None, None, None]:
    """Trace what is allocated in the block."""
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


async def test_what_an_evicted_connection_was_writing_is_gone_though_it_works_on(
    autojump_clock: MockClock,
) -> None:
    """Its handler hears of it when it looks up, which may be long after."""

    async def answer_and_work(connection: Binary) -> None:
        await connection.send(bytes(int(await connection.receive())))
        await trio.sleep(1000)

    watch = Watch()
    limits = Limits(max_buffered_bytes=1_500_000)
    async with serve(
        answer_and_work, watch, limits=limits, timeouts=Timeouts(write=10_000)
    ) as listener:
        with traced_memory():
            for size in (b"1000000", b"700000"):
                deaf = await listener.connect()
                await deaf.send_all(PREFIXED.encode(size))
                await trio.sleep(1)
            held, _ = tracemalloc.get_traced_memory()
        assert watch.reasons == []
        assert 600_000 < held < 1_000_000
        await trio.sleep(1000)
        assert watch.reasons == [CloseReason.EVICTED]
