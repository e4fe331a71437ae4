"""What clients and server say to each other: one JSON document each, by its type.

A client says `Hello` first, and then `Line` after `Line`. All the rest is the server's.
What happens in a room, or between two people, comes as an `Event`. A client keeps the
``position`` of the last one from each of the two; when it comes back it says them in
its `Hello`, and gets what came after.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from trio_tcp import codecs

__all__ = [
    "CLIENT",
    "MAX_BYTES",
    "SERVER",
    "Done",
    "Entered",
    "Event",
    "Goodbye",
    "Happening",
    "Hello",
    "Joined",
    "Left",
    "Line",
    "Message",
    "Missed",
    "Notice",
    "Problem",
    "Renamed",
    "Reply",
    "Request",
    "Said",
    "Welcome",
    "Whispered",
    "read_request",
    "write",
]

MAX_BYTES: Final = 16 << 10
"""Of one message. A line has at most 1000 characters; a list of names may be longer."""


class Message(
    msgspec.Struct, frozen=True, tag_field="type", tag=str.lower, omit_defaults=True
):
    """Anything that is said: ``{"type": "line", "text": "hello"}``."""


# What a client says -------------------------------------------------------------------


class Hello(Message, frozen=True):
    """Who this is, where it wants to be, and how far it had come.

    Attributes:
        nick: the name that the others see.
        token: a secret, made by the client: whoever has it is this person.
        room: where it wants to be.
        after_room: the position of the last event of that room, when it comes back.
        after_private: the position of the last private message.
    """

    nick: str
    token: str
    room: str = "lobby"
    after_room: str = ""
    after_private: str = ""


class Line(Message, frozen=True):
    """What somebody has typed: a command if it begins with a slash."""

    text: str


# What happens -------------------------------------------------------------------------


class Said(Message, frozen=True):
    """Somebody says something to all in a room."""

    room: str
    nick: str
    text: str


class Joined(Message, frozen=True):
    """Somebody has come into a room."""

    room: str
    nick: str


class Left(Message, frozen=True):
    """Somebody has left a room."""

    room: str
    nick: str


class Renamed(Message, frozen=True):
    """Somebody has another name from now on."""

    room: str
    nick: str
    before: str


class Whispered(Message, frozen=True):
    """Somebody says something to one other. Both get it."""

    nick: str
    to: str
    text: str


Happening: TypeAlias = Said | Joined | Left | Renamed | Whispered


# What the server says -----------------------------------------------------------------


class Event(Message, frozen=True):
    """Something has happened.

    Attributes:
        what: it.
        at: seconds since 1970.
        position: in the room, or among the private messages: see `Hello`.
    """

    what: Happening
    at: float
    position: str = ""


class Welcome(Message, frozen=True):
    """This is how you are called from now on."""

    nick: str


class Entered(Message, frozen=True):
    """You are in this room, with these. What happened there follows.

    Attributes:
        room: this one.
        nicks: who is there.
        at: seconds since 1970: what happened before is in ``nicks`` already.
    """

    room: str
    nicks: list[str]
    at: float


class Missed(Message, frozen=True):
    """At this place something is missing.

    Attributes:
        count: how many events; None if nobody knows.
    """

    count: int | None


class Notice(Message, frozen=True):
    """The answer to a command."""

    text: str


class Problem(Message, frozen=True):
    """Why something was not done."""

    text: str


class Done(Message, frozen=True):
    """A line has been dealt with: one for each, in their order."""


class Goodbye(Message, frozen=True):
    """This is the end, and it is of no use to connect again by yourself."""

    text: str


Request: TypeAlias = Hello | Line
Reply: TypeAlias = (
    Event | Welcome | Entered | Missed | Notice | Problem | Done | Goodbye
)

FRAMING: Final = codecs.Delimited(b"\n", max_bytes=MAX_BYTES)

write: Final = msgspec.json.Encoder().encode
read_request: Final = msgspec.json.Decoder[Request](Request).decode
_read_reply: Final = msgspec.json.Decoder[Reply](Reply).decode

SERVER: Final = codecs.Mapped[Request, Reply](
    FRAMING, decode=read_request, encode=write
)
"""The codec of the server's side: JSON lines."""

CLIENT: Final = codecs.Mapped[Reply, Request](FRAMING, decode=_read_reply, encode=write)
"""The codec of the client's side."""
