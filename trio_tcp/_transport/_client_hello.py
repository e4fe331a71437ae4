"""The name in a ClientHello: which server a client has asked for.

OpenSSL knows it, but the `ssl` module tells it only to a context's ``sni_callback``,
which is the user's. So it is looked up in the client's first bytes, once OpenSSL has
accepted them; it takes 10 to 20 microseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

__all__ = ["MAX_HELLO_BYTES", "requested_name"]

MAX_HELLO_BYTES: Final = 16 << 10
"""How much of a client's first bytes is looked at. A ClientHello is seldom over 2 KiB;
one that goes beyond this is served, but its name is not known."""

HANDSHAKE: Final = 22  # RFC 8446, 5.1: the type of a record
RECORD_HEADER_BYTES: Final = 5
MESSAGE_HEADER_BYTES: Final = 4  # RFC 8446, 4: type and length of a handshake message
BEFORE_SESSION_ID: Final = 2 + 32  # RFC 8446, 4.1.2: legacy_version and random
SERVER_NAME: Final = b"\0\0"  # RFC 6066, 1.1: the type of the extension
NAME_OFFSET: Final = 5  # RFC 6066, 3: length of the list, type and length of the name


def requested_name(opening: bytes) -> str | None:
    """Return the name that a client has asked for (RFC 6066, section 3).

    Args:
        opening: the client's first bytes, with a whole ClientHello.

    Returns:
        None if it asks for none, or for what is no printable ASCII.
    """
    message = b"".join(_handshake_records(opening))
    rest = message[MESSAGE_HEADER_BYTES + BEFORE_SESSION_ID :]
    for size_bytes in (1, 2, 1):  # session id, ciphers, compression methods
        _, rest = _split(rest, size_bytes)
    extensions, _ = _split(rest, 2)
    while extensions:
        kind = extensions[:2]
        content, extensions = _split(extensions[2:], 2)
        if kind == SERVER_NAME:
            name = content[NAME_OFFSET:]
            text = name.decode("ascii", "replace")
            return text if name.isascii() and text.isprintable() else None
    return None


def _handshake_records(opening: bytes) -> Iterator[bytes]:
    """Yield what is in the records of the handshake: a message may have several."""
    while opening and opening[0] == HANDSHAKE:
        content, opening = _split(opening[RECORD_HEADER_BYTES - 2 :], 2)
        yield content


def _split(data: bytes, size_bytes: int) -> tuple[bytes, bytes]:
    """Split off a field that begins with its length."""
    end = size_bytes + int.from_bytes(data[:size_bytes], "big")
    return data[size_bytes:end], data[end:]
