"""RESP from either side: one reads requests and writes replies, the other inversely."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeVar, final

import attrs

from examples.key_value.resp_replies import Replies, Reply
from examples.key_value.resp_requests import Request, Requests
from trio_tcp import codecs

__all__ = ["CLIENT", "RESP2", "RESP3", "Resp"]

In = TypeVar("In")
Out = TypeVar("Out")


@final
@attrs.frozen
class Resp(codecs.BatchCodec[In, Out]):
    """The codec of one side.

    Args:
        receiving: reads what this side receives.
        sending: writes what it sends.
    """

    receiving: codecs.BatchCodec[In, Any]
    sending: codecs.Codec[Any, Out]

    def encode(self, message: Out, /) -> bytes:
        """Write what is sent."""
        return self.sending.encode(message)

    def decode(self, buffer: codecs.Buffer, /) -> Iterator[In | codecs.NeedMore]:
        """Yield what is received."""
        return self.receiving.decode(buffer)

    def decode_batch(self, data: bytes, start: int, /) -> tuple[list[In], int]:
        """Return what is received and whole: see `codecs.BatchCodec`."""
        return self.receiving.decode_batch(data, start)

    def boundaries(self, data: bytes, start: int, /) -> Iterator[int]:
        """Yield the index behind each message: see `codecs.BatchCodec`."""
        return self.receiving.boundaries(data, start)


RESP2: Final = Resp[Request, Reply](Requests(), Replies())
"""The server's side."""

RESP3: Final = Resp[Request, Reply](Requests(), Replies(version="RESP3"))
"""The server's side, for clients that have asked for the third version."""

CLIENT: Final = Resp[Reply, Request](Replies(), Requests())
"""The client's side."""
