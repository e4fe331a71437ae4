"""What things are called in Redis: keys, channels, and patterns of channels."""

from __future__ import annotations

import re
from typing import Final, final

import attrs

from trio_tcp._hub import is_pattern

__all__ = ["Names", "text_of"]

SPECIAL: Final = re.compile(r"[\\*?\[\]^]")
"""What means something in a pattern of Redis."""


def bytes_of(text: str) -> bytes:
    """Encode a name: any string of Python, there and back."""
    return text.encode("utf-8", "surrogatepass")


def text_of(data: bytes) -> str:
    """Decode a name; one that somebody else has made up becomes no topic's."""
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return ""


@final
@attrs.frozen
class Names:
    """All names begin with the user's prefix. `_scripts.py` says what each is for."""

    prefix: str

    @property
    def memory(self) -> bytes:
        """The key of the epoch and the count."""
        return bytes_of(f"{self.prefix}:memory")

    @property
    def topics(self) -> bytes:
        """The key of all topics with a history."""
        return bytes_of(f"{self.prefix}:topics")

    def history(self, topic: str) -> bytes:
        """Return the key of a topic's history."""
        return bytes_of(f"{self.prefix}:history:{topic}")

    def channel(self, topic: str) -> bytes:
        """Return the channel of a topic."""
        return bytes_of(f"{self.prefix}:topic:{topic}")

    def topic(self, channel: bytes) -> str:
        """Return the topic of a channel."""
        return text_of(channel[len(self.channel("")) :])

    def subscribe(self, pattern: str) -> tuple[bytes, bytes]:
        """Return the command and the name to subscribe with; ``P`` and ``UN`` vary it.

        Redis's ``*`` stands for anything, dots too: for more than the pattern does.
        """
        if not is_pattern(pattern):
            return b"SUBSCRIBE", self.channel(pattern)
        words = pattern.split(".")
        globs = ["*" if word in ("*", ">") else _escaped(word) for word in words]
        start = _escaped(f"{self.prefix}:topic:")
        return b"PSUBSCRIBE", bytes_of(start + ".".join(globs))

    def unsubscribe(self, pattern: str) -> tuple[bytes, bytes]:
        """Return the command and the name to end that."""
        command, name = self.subscribe(pattern)
        return command.replace(b"SUB", b"UNSUB"), name


def _escaped(text: str) -> str:
    return SPECIAL.sub(r"\\\g<0>", text)
