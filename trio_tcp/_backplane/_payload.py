"""Messages as payloads: what a codec makes of one message, and of nothing else."""

from __future__ import annotations

from typing import Any, TypeVar

from trio_tcp._errors import MalformedMessageError
from trio_tcp.codecs import NEED_MORE, Codec, Decoder

__all__ = ["decode_payload"]

T = TypeVar("T")


def decode_payload(codec: Codec[T, Any], payload: bytes) -> T:
    """Return the message that a payload is.

    Raises:
        MalformedMessageError: it has a bad content, or is not one whole message.
        FramingError: it is something else.
    """
    decoder = Decoder(codec)
    if payload:
        decoder.feed(payload)
    decoder.end()
    message = decoder.next_message()
    if message is NEED_MORE:
        raise MalformedMessageError("a payload without a message")
    return message
