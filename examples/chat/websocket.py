"""WebSocket as a codec: what browsers say and hear, over an ordinary connection.

wsproto knows the frames, this turns them into messages. So a browser's connection is
one of this package as any other: the hub attaches it without a task, encodes once for
all of them, and what holds for a slow reader or a drain holds for browsers, too. (With
a connection of trio-websocket, a task would have to carry each message to each.)

https://www.rfc-editor.org/rfc/rfc6455
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias, final

import attrs
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Event, Message, Ping, Pong, TextMessage
from wsproto.frame_protocol import CloseReason

import trio_tcp
from trio_tcp import codecs

__all__ = ["Control", "Frame", "WebSocket"]

Control: TypeAlias = Ping | Pong | CloseConnection
"""Frames about the connection itself. A `Ping` and a `CloseConnection` that come are to
be answered with their ``response()``."""

Frame: TypeAlias = str | Control


@final
@attrs.frozen
class WebSocket:
    """The codec of the server's side, once both have agreed on it. Texts only.

    What breaks a rule is a `CloseConnection`, too: it says which, and its response is
    what the protocol asks for. Nobody is to receive anything after one.

    Args:
        max_bytes: the longest text, in either direction, as UTF-8.
    """

    max_bytes: int

    def encode(self, frame: Frame, /) -> bytes:
        """Write a frame.

        Raises:
            MessageTooLargeError: over ``max_bytes``.
        """
        if isinstance(frame, str):
            size = len(frame.encode())
            if size > self.max_bytes:
                raise trio_tcp.MessageTooLargeError(size, self.max_bytes, "max_bytes")
            return Connection(ConnectionType.SERVER).send(TextMessage(frame))
        return Connection(ConnectionType.SERVER).send(frame)

    def decode(self, buffer: codecs.Buffer, /) -> codecs.Decoding[Frame]:
        """Yield texts, put together from their parts, and the other frames."""
        protocol = Connection(ConnectionType.SERVER)
        text = _Text(self.max_bytes)
        while True:
            data = bytes(buffer.data[buffer.cursor :])
            buffer.cursor += len(data)  # wsproto keeps what is not whole yet
            protocol.receive_data(data)
            for event in protocol.events():
                yield from text.read(event)
            yield codecs.NEED_MORE


@final
class _Text:
    """The text that is under way, as its parts arrive."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._text = ""

    def read(self, event: Event) -> Iterator[Frame]:
        match event:
            case TextMessage():
                self._text += event.data
                if len(self._text.encode()) > self._max_bytes:
                    yield CloseConnection(CloseReason.MESSAGE_TOO_BIG)
                elif event.message_finished:
                    text, self._text = self._text, ""
                    yield text
            case Message():
                yield CloseConnection(CloseReason.UNSUPPORTED_DATA)
            case Ping() | Pong() | CloseConnection():
                yield event
            case _:
                pass
