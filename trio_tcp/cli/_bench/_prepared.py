"""Frames that were encoded before the run, and replies decoded as the codec does it."""

from __future__ import annotations

from typing import Any, Final, final

from trio_tcp import codecs

__all__ = ["Prepared"]

RECEIVING: Final = {"decode_batch", "boundaries", "extent", "from_payload"}
"""What a codec may offer for receiving, beside ``decode``."""


@final
class Prepared:
    """A codec that sends whole frames, each as it is, and receives as another does.

    So that a run spends nothing on encoding the same few messages over and over.

    Args:
        codec: decodes.
    """

    def __init__(self, codec: codecs.Codec[Any, Any]) -> None:
        self._codec = codec
        self.decode = codec.decode
        for name in RECEIVING:
            if (offered := getattr(codec, name, None)) is not None:
                setattr(self, name, offered)

    def encode(self, frame: bytes) -> bytes:
        """Return the frame."""
        return frame
