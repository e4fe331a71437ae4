"""The stage of the demo: its two servers, who comes to them, and the transcript."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias, final

import trio

import trio_tcp
from trio_tcp import CloseReason, codecs

if TYPE_CHECKING:
    from trio_tcp import Address, ConnectionEnded, Event, Handler, Server

__all__ = ["Chat", "Connection", "Stage", "Story", "echo"]

Connection: TypeAlias = trio_tcp.Connection[str, str]

HOST: Final = "127.0.0.1"


# The two servers ----------------------------------------------------------------------


async def echo(connection: Connection) -> None:
    """Send every line back."""
    async for line in connection:
        await connection.send(line)


@final
class Chat:
    """Tell everybody what anybody says."""

    def __init__(self) -> None:
        self._members: dict[str, Connection] = {}

    async def handle(self, connection: Connection) -> None:
        """Serve one member, whose first line is a name."""
        name = connection.label = await connection.receive()
        self._members[name] = connection
        self._tell(f"* {name} is here")
        try:
            async for line in connection:
                self._tell(f"<{name}> {line}")
        finally:
            del self._members[name]
            self._tell(f"* {name} has left")

    def _tell(self, line: str) -> None:
        for member in self._members.values():
            try:
                member.send_nowait(line)
            except trio.WouldBlock:
                member.abort()  # too slow; the others do not wait
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass  # leaving already


# What the story is told with ----------------------------------------------------------


@final
class Story:
    """The transcript, and the promises in it that were not kept."""

    def __init__(self) -> None:
        self._kept = 0
        self._broken: list[str] = []

    def chapter(self, title: str) -> None:
        """Begin a new part."""
        print(f"\n{title}\n", flush=True)

    def tell(self, who: str, what: str) -> None:
        """Say what somebody does."""
        print(f"  {who:>5}  {what}", flush=True)

    def promise(self, what: str, actual: object, expected: object = True) -> None:
        """Say what ought to be so, and whether it is."""
        if actual == expected:
            self._kept += 1
            self.tell("ok", what)
        else:
            self._broken.append(what)
            self.tell("NOT", f"{what}: {actual!r} instead of {expected!r}")

    def conclude(self) -> int:
        """Say how it was; return the exit code."""
        if self._broken:
            made = self._kept + len(self._broken)
            print(f"\n{len(self._broken)} of {made} promises were not kept:")
            for promise in self._broken:
                print(f"  {promise}")
            return 1
        print(f"\nAll {self._kept} promises (ok) were kept.")
        return 0


@final
class Stage:
    """A server, those who come to it, and how they leave.

    Attributes:
        name: what is served here.
        server: the server itself.
        visitors: the address of each client, by name.
        failures: exceptions out of handlers.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.server: Server
        self.visitors: dict[str, Address | None] = {}
        self.failures: list[BaseException] = []
        self._ended: dict[Address | None, ConnectionEnded] = {}
        self._news = trio.Event()

    async def open(self, nursery: trio.Nursery, handler: Handler[str, str]) -> None:
        """Start the server."""
        serve = partial(
            trio_tcp.serve_tcp, host=HOST, codec=codecs.Lines(), observer=self._observe
        )
        self.server = await nursery.start(serve, handler, 0)

    def _observe(self, event: Event) -> None:
        match event:
            case trio_tcp.ConnectionEnded():
                self._ended[event.peer] = event
                self._news.set()
                self._news = trio.Event()
            case trio_tcp.HandlerFailed():
                self.failures.append(event.error)
            case _:
                pass

    async def ended(self, who: str) -> ConnectionEnded:
        """Wait until somebody's connection has ended on the server."""
        while (event := self._ended.get(self.visitors[who])) is None:
            await self._news.wait()
        return event

    async def reason(self, who: str) -> CloseReason:
        """Wait for why it ended."""
        return (await self.ended(who)).reason

    @asynccontextmanager
    async def client(self, who: str) -> AsyncGenerator[Connection]:
        """Connect somebody."""
        async with trio_tcp.connect_tcp(
            HOST, self.server.port, codec=codecs.Lines()
        ) as connection:
            self.visitors[who] = connection.local
            yield connection

    @asynccontextmanager
    async def bare_client(self, who: str) -> AsyncGenerator[trio.SocketStream]:
        """Connect somebody who sends bytes, not messages."""
        async with await trio.open_tcp_stream(HOST, self.server.port) as stream:
            self.visitors[who] = trio_tcp.TcpAddress(*stream.socket.getsockname())
            yield stream
