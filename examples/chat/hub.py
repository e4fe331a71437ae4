"""The hub of the chat, and its topics. Here, and nowhere else, it is made.

A topic for each room, one for the private messages of each person, and one on which
servers tell each other who is with them. With a Redis, the hubs of several servers are
one: nothing else in this folder needs to know.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, TypeAlias

import trio_tcp
from examples.chat.messages import Event, Message
from trio_tcp import codecs

__all__ = [
    "CODEC",
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

CODEC: Final[codecs.Codec[Event | Roster, Event | Roster]] = codecs.Json(
    Event | Roster, framing=codecs.Delimited(b"\n", max_bytes=1 << 20)
)
"""What goes through Redis. A roster of some thousands fits."""


@asynccontextmanager
async def open_hub(redis: str | None = None) -> AsyncGenerator[ChatHub, None]:
    """Make the hub; it is closed at the end of the block.

    Args:
        redis: URL of the Redis that joins it with those of other servers.
    """
    async with AsyncExitStack() as stack:
        backplane: trio_tcp.Backplane[Event | Roster] | None = None
        if redis is not None:
            joining = trio_tcp.RedisBackplane(redis, codec=CODEC, prefix="chat:")
            backplane = await stack.enter_async_context(joining)
        hub: ChatHub = trio_tcp.Hub(history=HISTORY, backplane=backplane)
        stack.callback(hub.close)
        yield hub


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
