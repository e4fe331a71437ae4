"""A chat in memory, with one server or several, and people who talk in it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeAlias, TypeVar

import pytest
import trio

import trio_tcp
from examples.chat.community import Community
from examples.chat.hub import HISTORY, ChatHub
from examples.chat.messages import (
    CLIENT,
    SERVER,
    Done,
    Event,
    Happening,
    Hello,
    Joined,
    Line,
    Reply,
    Request,
)
from examples.chat.server import serve_terminal
from examples.chat.web import serve_browser
from trio_tcp import codecs
from trio_tcp.testing import memory_stream_pair

Connection: TypeAlias = trio_tcp.Connection[Reply, Request]
T = TypeVar("T", bound=Reply)

SECONDS = 40
PATIENT = trio_tcp.Timeouts(idle=float("inf"))


class Talker:
    """Somebody in the chat."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def receive(self) -> Reply:
        """Wait for the next reply, but not for ever."""
        with trio.fail_after(SECONDS):
            return await self.connection.receive()

    async def until(self, kind: type[T]) -> T:
        """Wait for a reply of this kind; what comes before it is passed over."""
        while True:
            reply = await self.receive()
            if isinstance(reply, kind):
                return reply

    async def hears(self) -> Happening:
        """Wait until something happens."""
        return (await self.until(Event)).what

    async def says(self, text: str) -> list[Reply]:
        """Say a line; return all that comes until it is dealt with."""
        await self.connection.send(Line(text))
        replies: list[Reply] = []
        while not isinstance(reply := await self.receive(), Done):
            replies.append(reply)
        return replies


def token_of(nick: str) -> str:
    """Return the secret of somebody, who has one name only."""
    return f"the token of {nick}"


class Served:
    """One server of the chat."""

    def __init__(self, hub: ChatHub, nursery: trio.Nursery) -> None:
        self.community = Community(hub)
        self._nursery = nursery
        nursery.start_soon(self.community.presence.run)

    def connect(self) -> trio.abc.HalfCloseableStream:
        """Connect somebody who sends and receives JSON lines."""
        handler = partial(serve_terminal, self.community)
        return self._serve(trio_tcp.framed(handler, codec=SERVER, timeouts=PATIENT))

    def browse(self) -> trio.abc.HalfCloseableStream:
        """Connect a browser."""
        handler = partial(serve_browser, self.community)
        return self._serve(trio_tcp.framed(handler, codec=codecs.Chunks()))

    def _serve(
        self, serve: Callable[[trio.abc.Stream], Awaitable[None]]
    ) -> trio.abc.HalfCloseableStream:
        ours, theirs = memory_stream_pair()
        self._nursery.start_soon(serve, theirs)
        return ours

    @asynccontextmanager
    async def client(self) -> AsyncGenerator[Talker, None]:
        """Connect somebody who does not say hello."""
        async with trio_tcp.open_connection(
            self.connect(), codec=CLIENT, timeouts=PATIENT
        ) as connection:
            yield Talker(connection)

    @asynccontextmanager
    async def hello(
        self, nick: str, room: str = "lobby", **others: str
    ) -> AsyncGenerator[Talker, None]:
        """Connect somebody, and have them say hello."""
        async with self.client() as talker:
            hello = {"token": token_of(nick), "room": room, **others}
            await talker.connection.send(Hello(nick, **hello))
            yield talker

    @asynccontextmanager
    async def join(
        self, nick: str, room: str = "lobby"
    ) -> AsyncGenerator[Talker, None]:
        """Connect somebody, and wait until they are there and know it."""
        async with self.hello(nick, room) as talker:
            while await talker.hears() != Joined(room, nick):
                pass
            yield talker


@pytest.fixture
def hub() -> ChatHub:
    """Make the hub of a test, as the server does."""
    return trio_tcp.Hub(history=HISTORY)


@pytest.fixture
def served(hub: ChatHub, nursery: trio.Nursery) -> Served:
    """Serve a chat in which nobody is."""
    return Served(hub, nursery)


@pytest.fixture
def other(hub: ChatHub, nursery: trio.Nursery) -> Served:
    """Serve the same chat a second time."""
    return Served(hub, nursery)
