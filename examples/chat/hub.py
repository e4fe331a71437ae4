"""The hub of the chat, and its topics. Here, and nowhere else, it is made.

A topic for each room, one for the private messages of each person, and one on which
servers tell each other who is with them. A backplane, which joins the hubs of several
servers into one, would be opened here and handed to `trio_tcp.Hub`: nothing else in
this folder takes for granted that there is one server only.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

import trio_tcp
from examples.chat.messages import Event, Message

__all__ = [
    "HISTORY",
    "PRESENCE",
    "ChatHub",
    "Person",
    "Roster",
    "identify",
    "open_hub",
    "private_topic",
    "room_topic",
]

HISTORY: Final = {"room.*": 200, "private.*": 100}
"""Events that are kept of each: what somebody who comes back can still get."""

PRESENCE: Final = "presence"


class Person(Message, frozen=True):
    """Somebody who is here.

    Attributes:
        identity: stays the same when the name changes. It is made of a secret, and
            does not give it away.
        nick: the name that the others see.
        room: where they are.
    """

    identity: str
    nick: str
    room: str


class Roster(Message, frozen=True):
    """Who is with one server, as it tells the others.

    Attributes:
        server: whose it is.
        people: who is there.
    """

    server: str
    people: list[Person]


ChatHub: TypeAlias = trio_tcp.Hub[Event | Roster]


@asynccontextmanager
async def open_hub() -> AsyncGenerator[ChatHub, None]:
    """Make the hub; it is closed at the end of the block."""
    hub: ChatHub = trio_tcp.Hub(history=HISTORY)
    try:
        yield hub
    finally:
        hub.close()


def room_topic(room: str) -> str:
    """Return where is published what happens in a room."""
    return f"room.{room}"


def private_topic(identity: str) -> str:
    """Return where is published what only one person gets.

    Not by name: a name may be somebody else's tomorrow, and the history is kept.
    """
    return f"private.{identity}"


def identify(token: str) -> str:
    """Return who has this secret."""
    return hashlib.sha256(token.encode()).hexdigest()[:32]
