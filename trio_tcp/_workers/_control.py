"""What supervisor and worker say to each other: lines of JSON over a socket pair.

A worker says when it is ready and how its drain went; the supervisor asks questions,
which are answered in any order. Neither needs to say that it ends: its end of the pair
is closed then, whatever it died of.
"""

from __future__ import annotations

import json
import math
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

import attrs
import trio

from trio_tcp import codecs
from trio_tcp._client import open_connection
from trio_tcp._connection import Connection
from trio_tcp._events import DrainReport, Event
from trio_tcp._options import Timeouts

__all__ = [
    "Answer",
    "Channel",
    "IsDrained",
    "IsReady",
    "Question",
    "Statement",
    "open_channel",
]


@attrs.frozen
class Question:
    """The supervisor wants to know something, and finds the answer by its id."""

    id: int
    name: str


@attrs.frozen
class Answer:
    """A worker's answer; None if it has none to this question."""

    id: int
    text: str | None


@attrs.frozen
class IsReady:
    """The worker listens."""


@attrs.frozen
class IsDrained:
    """The worker has drained, and is about to exit."""

    finished: int
    cancelled: int
    aborted: int
    handshakes: int
    seconds: float

    @classmethod
    def of(cls, report: DrainReport) -> IsDrained:
        """Make it of a server's report."""
        return cls(**attrs.asdict(report))

    @property
    def report(self) -> DrainReport:
        """The server's report."""
        return DrainReport(**attrs.asdict(self))


Statement: TypeAlias = Question | Answer | IsReady | IsDrained
"""Anything that is said."""

Channel: TypeAlias = Connection[Statement, Statement]
"""One end of a control channel."""

KINDS: Final = {kind.__name__: kind for kind in (Question, Answer, IsReady, IsDrained)}

MAX_BYTES: Final = 64 << 20
"""Of one line. The longest are answers with all figures of a worker."""

PATIENT: Final = Timeouts(
    first_message=math.inf,
    idle=math.inf,
    message=math.inf,
    write=math.inf,
    lifetime=math.inf,
    linger=0,
)
"""How long the other side may take is decided by those who ask it."""


def _encode(statement: Statement) -> str:
    fields = attrs.asdict(statement)
    return json.dumps({"is": type(statement).__name__, **fields})


def _decode(line: str) -> Statement:
    fields: dict[str, Any] = json.loads(line)
    made: Statement = KINDS[fields.pop("is")](**fields)
    return made


CODEC: Final = codecs.Mapped(
    codecs.Lines(max_bytes=MAX_BYTES), decode=_decode, encode=_encode
)


@asynccontextmanager
async def open_channel(sock: socket.socket) -> AsyncGenerator[Channel, None]:
    """Speak over one end of a socket pair, which is closed with the block."""
    stream = trio.SocketStream(trio.socket.from_stdlib_socket(sock))
    async with open_connection(
        stream, codec=CODEC, timeouts=PATIENT, observer=_unobserved
    ) as channel:
        yield channel


def _unobserved(_event: Event) -> None:
    """Keep a connection that is none of the service's out of its log and figures."""
