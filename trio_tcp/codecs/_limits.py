"""The limits that every codec has, and their defaults.

A limit is never absent: a peer that announces 4 GiB, or that never sends the end of a
line, must not be able to fill the memory of a server.
"""

from __future__ import annotations

from typing import Final

__all__ = ["DEFAULT_MAX_FRAME_BYTES", "DEFAULT_MAX_LINE_BYTES"]

DEFAULT_MAX_FRAME_BYTES: Final = 1 << 20
"""1 MiB for framings that announce a length. Peers: tokio-util 8 MiB, Twisted's
Int32StringReceiver 97 KiB, gRPC 4 MiB. Large enough for nearly all protocols, small
enough that a thousand hostile clients cannot claim more than 1 GiB."""

DEFAULT_MAX_LINE_BYTES: Final = 64 << 10
"""64 KiB for framings that search for a delimiter, as asyncio and EasyNetwork have it;
Twisted's LineReceiver allows 16 KiB, tokio-util by default any length."""
