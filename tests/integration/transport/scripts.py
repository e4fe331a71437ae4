"""Scripts of a connection and a raw socket at its other end, as of the kernel scripts.

After each step everything comes to rest; a call that still waits then is cancelled.

Sending always flushes, too. Whether the call that sends tells already that it has
failed, or the next one, depends on the transport, and with it whether the message
counts as accepted; nothing else does.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import attrs
import trio

import trio_tcp
from tests.integration.transport.choosing import using
from tests.testing.network.kernel_scripts import (
    STEPS,
    Script,
    play_on_the_kernel,
)
from tests.testing.network.kernel_scripts._world import World
from trio_tcp import CloseReason, codecs

Binary: TypeAlias = trio_tcp.Connection[bytes, bytes]
Step: TypeAlias = tuple[str, str]
"""Who, and what: a key of `HERE` or of `PEER`."""

LINES: Final = codecs.Delimited(b"\n", max_bytes=1 << 20)
CHUNKS: Final = codecs.Chunks()
READ_BYTES: Final = 64 << 10


class End:
    """This end: a connection, or the stream that it was detached from."""

    def __init__(self, connection: Binary) -> None:
        self.connection = connection
        self._stream: trio.abc.Stream | None = None
        self._codec: codecs.Codec[bytes, bytes] = LINES

    async def receive(self) -> bytes:
        """Receive a message, or what comes from the stream."""
        if self._stream is not None:
            return bytes(await self._stream.receive_some())
        return await self.connection.receive()

    async def send(self) -> None:
        """Send a message, or some bytes over the stream."""
        if self._stream is not None:
            await self._stream.send_all(b"streamed\n")
        else:
            await self.connection.send(b"abc")
            await self.connection.flush()

    async def send_nowait(self) -> None:
        """Send a message without waiting."""
        self.connection.send_nowait(b"at once")
        await self.connection.flush()

    async def send_many(self) -> None:
        """Send several messages."""
        await self.connection.send_many([b"", b"b" * 1000, b"c"])
        await self.connection.flush()

    async def detach(self) -> bytes:
        """Take the stream, and what the connection has not delivered."""
        self._stream, undelivered = await self.connection.detach()
        return undelivered

    async def close(self) -> None:
        """Close the connection, or the stream."""
        if self._stream is not None:
            await self._stream.aclose()
        else:
            await self.connection.aclose()

    def switch_codec(self) -> None:
        """Speak the other codec."""
        self._codec = CHUNKS if self._codec is LINES else LINES
        self.connection.switch_codec(self._codec)


HERE: Final[dict[str, Callable[[End], Any]]] = {
    "receive": lambda end: end.receive(),
    "receive nowait": lambda end: end.connection.receive_nowait(),
    "send": lambda end: end.send(),
    "send nowait": lambda end: end.send_nowait(),
    "send many": lambda end: end.send_many(),
    "flush": lambda end: end.connection.flush(),
    "send eof": lambda end: end.connection.send_eof(),
    "close": lambda end: end.close(),
    "abort": lambda end: end.connection.abort(),
    "detach": lambda end: end.detach(),
    "switch codec": lambda end: end.switch_codec(),
    "wait for the end": lambda end: end.connection.wait_disconnected(),
    "reason": lambda end: end.connection.close_reason,
    "addresses": lambda end: (end.connection.peer is None, end.connection.local),
}

PEER: Final[dict[str, Callable[[Any], Any]]] = {
    "send a part": STEPS["send"],
    "send a message": lambda end: end.send(b"message\n"),
    "send two and a half": lambda end: end.send(b"one\ntwo\nthr"),
    "send a full read": lambda end: end.send(b"f" * (READ_BYTES - 1) + b"\n"),
    "send more than that": lambda end: end.send(b"g" * READ_BYTES + b"\n"),
    "send an urgent byte": lambda end: end.send(b"!", socket.MSG_OOB),
    "receive": STEPS["recv"],
    "half-close": STEPS["shutdown write"],
    "close": STEPS["close"],
    "reset": STEPS["reset"],
}


async def _told(call: Callable[[Any], Any], end: object) -> str:
    """Make a call, and say what came of it."""
    try:
        value = call(end)
        if hasattr(value, "__await__"):
            value = await value
    except Exception as error:  # noqa: BLE001 - any can be what comes of it
        return _named(error)
    if isinstance(value, bytes) and len(value) > 20:
        return f"{value[:5]!r} and more, in all {len(value)} bytes"
    return "an address" if "Address" in repr(value) else repr(value)


def _named(error: BaseException | None) -> str:
    if error is None:
        return "no error"
    number = getattr(error, "errno", None)
    # A close reads and sends the end at the same time. After a reset, one task meets
    # this error, one that: over Trio's stream it is chance which of them is the first.
    if number == errno.ENOTCONN:
        number = errno.ECONNRESET
    return f"{type(error).__name__}({number})"


def _counted(
    reason: CloseReason | None, statistics: trio_tcp.ConnectionStatistics
) -> str:
    if reason is CloseReason.BROKEN:
        statistics = attrs.evolve(statistics, messages_sent=0)
    return str(statistics)


class Events:
    """An observer that keeps what is not only an address or a time."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def __call__(self, event: trio_tcp.Event, /) -> None:
        """Take one record."""
        text = type(event).__name__
        if isinstance(event, trio_tcp.ConnectionEnded):
            text += f": {event.reason} {_named(event.error)}"
            text += _counted(event.reason, event.statistics)
        self.told.append(text)


def script_of(steps: Sequence[Step]) -> Script:
    """Make a script of steps that are given as data."""

    async def play(world: World) -> None:
        ours, theirs = await world.pair()
        events = Events()
        async with trio_tcp.open_connection(
            trio.SocketStream(ours), codec=LINES, observer=events
        ) as connection:
            end = End(connection)
            for who, what in steps:
                if who == "here":
                    await world.does(f"{who}: {what}", _told, HERE[what], end)
                else:
                    await world.does(f"{who}: {what}", _told, PEER[what], theirs)
            world.log.append(f"in the end: {connection.close_reason}")
            world.log.append(_counted(connection.close_reason, connection.statistics()))
            connection.abort()
            await end.close()
        world.log.extend(events.told)

    return Script("steps of both ends", play)


def play(steps: Sequence[Step], transport: str) -> tuple[str, ...]:
    """Play steps with one of the transports, and return what was seen."""
    with using(transport):
        return play_on_the_kernel(script_of(steps))
