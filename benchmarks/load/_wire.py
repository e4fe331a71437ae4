"""The messages that clients send, in bytes: no two under way are the same."""

from __future__ import annotations

import json
import struct
from typing import assert_never

from benchmarks._workloads import Kind

__all__ = ["frame", "index_of"]


def frame(kind: Kind, client: int, index: int, size: int) -> bytes:
    """Return one message with its framing.

    Args:
        kind: of the server.
        client: which one sends it.
        index: which one of this client's messages it is.
        size: bytes of text in it, at least 16.

    Raises:
        ValueError: these are no messages of ours.
    """
    text = f"{client:08}{index:08}".ljust(size, "x")
    match kind:
        case "echo" | "tls" | "broadcast" | "hub":
            payload = text.encode()
            return struct.pack("!I", len(payload)) + payload
        case "lines":
            return text.encode() + b"\n"
        case "json":
            # Without spaces, as servers write it.
            document = {"client": client, "text": text}
            return json.dumps(document, separators=(",", ":")).encode() + b"\n"
        case "key_value" | "requester":
            raise ValueError(f"{kind} is put under load by a program of its own")
    assert_never(kind)


def index_of(frame: bytes) -> int:
    """Return which one of its client's messages this is, by its length before it."""
    return int(frame[12:20])
