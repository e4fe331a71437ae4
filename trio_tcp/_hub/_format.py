"""How publications are written for connections: each once, however many there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, final

from trio_tcp._hub._publication import Lagged, Publication
from trio_tcp.codecs import Codec

__all__ = ["Format", "Formats", "Render", "message_of"]

Render: TypeAlias = Callable[[Publication[Any] | Lagged], Any]
"""Makes the message that a connection sends; None sends nothing."""


def message_of(item: Publication[Any] | Lagged) -> object:
    """Send what was published, and nothing about what is missed."""
    return None if isinstance(item, Lagged) else item.message


@final
class Format:
    """How publications are written for connections: by whom rendered, and encoded.

    Connections with the same function and codec share one, so that each publication is
    encoded once.

    Attributes:
        key: the same for all that do so.
        users: how many connections use it.
    """

    __slots__ = ("_codec", "_frame", "_publication", "_render", "key", "users")

    def __init__(self, codec: Codec[Any, Any], render: Render) -> None:
        self.key: tuple[int, Render] = (id(codec), render)
        self.users: int = 0
        self._codec = codec
        self._render = render
        self._publication: object = None
        self._frame: bytes | None = None

    def encode(self, item: Publication[Any] | Lagged) -> bytes | None:
        """Return what to send, or None.

        Raises:
            EncodeError: it cannot be sent.
        """
        if item is self._publication:
            return self._frame
        if isinstance(item, Lagged):
            return self._encode(item)
        frames = item._frames  # noqa: SLF001 - they are kept there for this
        if self in frames:
            frame = frames[self]
        else:
            frame = frames[self] = self._encode(item)
            _forget_unused(frames)
        self._publication, self._frame = item, frame
        return frame

    def _encode(self, item: Publication[Any] | Lagged) -> bytes | None:
        message = self._render(item)
        return None if message is None else self._codec.encode(message)


def _forget_unused(frames: dict[object, bytes | None]) -> None:
    """Keep no frames of formats that are gone: a history can be kept for ever."""
    unused = [key for key in frames if isinstance(key, Format) and not key.users]
    for key in unused:
        del frames[key]


@final
class Formats:
    """The formats that are in use."""

    def __init__(self) -> None:
        self._formats: dict[tuple[int, Render], Format] = {}

    def take(self, codec: Codec[Any, Any], render: Render) -> Format:
        """Find the format of a connection, which gives it back at its end."""
        found = self._formats.get((id(codec), render))
        if found is None:
            found = Format(codec, render)
            self._formats[found.key] = found
        found.users += 1
        return found

    def give_back(self, format_: Format) -> None:
        """Forget it, if nobody uses it any more."""
        format_.users -= 1
        if not format_.users:
            del self._formats[format_.key]
