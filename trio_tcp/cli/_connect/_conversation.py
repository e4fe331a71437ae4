"""One connection as its user sees it: what was said, by whom, and when."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias, final

import attrs
import trio

import trio_tcp
from trio_tcp import CloseReason, codecs
from trio_tcp.cli._connect._frames import Frame
from trio_tcp.cli._parameters import Notation, escape

__all__ = ["CLEAN", "Conversation", "End", "Entry", "FrameConnection", "Note", "ignore"]

FrameConnection: TypeAlias = trio_tcp.Connection[Frame, bytes]

Direction: TypeAlias = Literal["sent", "received"]

CLEAN: Final = frozenset({CloseReason.PEER_CLOSED, CloseReason.CLOSED})
"""Ends that are nobody's fault."""

MAX_AT_ONCE: Final = 100
"""Messages that are shown together, so that a terminal keeps up with a fast peer."""


@attrs.frozen(kw_only=True)
class Entry:
    """One message of a conversation.

    Attributes:
        direction: whose message it is.
        time: when, in seconds since 1970.
        seconds: from the beginning of the conversation to this message.
        since_request: seconds since this side's last message; None before the first.
        text: the message as people write it; if malformed, what is wrong with it.
        notation: how it is written: the name of a `Notation`.
        frame: the message itself, and its bytes.
    """

    direction: Direction
    time: float
    seconds: float
    since_request: float | None
    text: str
    notation: str
    frame: Frame


@attrs.frozen
class End:
    """One side has said that no more messages follow.

    Attributes:
        direction: whose messages those would be.
    """

    direction: Direction


Note: TypeAlias = Callable[[Entry | End], None]
"""Is told of each message, sent or received, and that no more follow."""


def ignore(_what: Entry | End) -> None:
    """Keep nothing."""


@final
class Conversation:
    """A connection, and how its messages are written.

    Attributes:
        connection: below.
        notation: how messages are written. May be replaced.
        codec: what messages are encoded with.
    """

    def __init__(
        self,
        connection: FrameConnection,
        codec: codecs.Codec[Any, Any],
        notation: Notation,
        note: Note = ignore,
    ) -> None:
        """Begin to talk.

        Args:
            connection: whose codec is `Frames` of this codec.
            codec: of the protocol.
            notation: how messages are written.
            note: is told of all that is said.
        """
        self.connection = connection
        self.codec = codec
        self.notation = notation
        self._note = note
        self._began = trio.current_time()
        self._last_request: float | None = None

    def encode(self, text: str) -> Frame:
        """Make a message of what somebody has written.

        Raises:
            ValueError: it is none, or none that this codec can carry.
        """
        message = self.notation.read(text)
        try:
            return Frame(self.codec.encode(message), message)
        except ValueError:
            raise
        except Exception as error:
            raise ValueError(
                f"this codec cannot send it: {type(error).__name__}: {error}"
            ) from error

    async def send(self, frame: Frame) -> Entry:
        """Send what `encode` has made; wait for room, as `Connection.send` does.

        Raises:
            trio_tcp.ConnectionFault: as `Connection.send`.

        Cancellation:
            Nothing is sent.
        """
        await trio.lowlevel.checkpoint()
        # Not `Connection.send`: an answer could be there before it returns, and be
        # noted before what it answers.
        while True:
            try:
                return self.send_nowait(frame)
            except trio.WouldBlock:
                await self.connection.flush()

    def send_nowait(self, frame: Frame) -> Entry:
        """Send if there is room right now.

        Raises:
            trio.WouldBlock: there is none.
            trio_tcp.ConnectionFault: as `Connection.send`.
        """
        self.connection.send_nowait(frame.data)
        entry = self._entry("sent", frame)
        self._last_request = trio.current_time()
        return entry

    async def send_eof(self) -> None:
        """Say that no more messages follow: see `Connection.send_eof`."""
        self._note(End("sent"))  # first, for the same reason
        await self.connection.send_eof()

    async def receive(self) -> list[Entry]:
        """Wait for a message; return it, and some that have come with it.

        What was malformed is among them.

        Raises:
            trio_tcp.ConnectionFault: as `Connection.receive`.

        Cancellation:
            Loses nothing.
        """
        frames = [await self._next_frame()]
        try:
            while len(frames) < MAX_AT_ONCE:
                frames.append(self.connection.receive_nowait())
        except (trio.WouldBlock, trio_tcp.ConnectionFault):
            pass  # a fault comes again with the next call
        return [self._entry("received", frame) for frame in frames]

    async def receive_one(self) -> Entry:
        """Wait for one message. Otherwise as `receive`."""
        return self._entry("received", await self._next_frame())

    async def _next_frame(self) -> Frame:
        try:
            return await self.connection.receive()
        except trio_tcp.PeerClosed:
            self._note(End("received"))
            raise

    def _entry(self, direction: Direction, frame: Frame) -> Entry:
        now, last = trio.current_time(), self._last_request
        if frame.error is None:
            text = self.notation.write(frame.message)
        else:
            text = escape(str(frame.error))
        entry = Entry(
            direction=direction,
            time=time.time(),
            seconds=now - self._began,
            since_request=None if last is None else now - last,
            text=text,
            notation=self.notation.name,
            frame=frame,
        )
        self._note(entry)
        return entry

    def ending(self) -> tuple[str, bool]:
        """Say why it ended, and whether that is nobody's fault."""
        connection = self.connection
        reason = connection.close_reason or CloseReason.CLOSED
        figures = connection.statistics()
        error = connection.close_error
        why = f": {escape(str(error))}" if error and reason not in CLEAN else ""
        length = trio.current_time() - self._began
        counts = (
            f"{figures.messages_sent:,} sent, {figures.messages_received:,} received"
        )
        return f"{reason.value}{why} (after {length:.3f} s; {counts})", reason in CLEAN
