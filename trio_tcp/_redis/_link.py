"""One connection to Redis: for what is pushed, and for requests.

RESP3 allows both on one connection, so that all comes in the order in which Redis has
done it. coredis speaks it. Of coredis this takes the connection alone, not its pub/sub,
which reconnects by itself and keeps what nobody has taken without a limit.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast, final

import trio

from trio_tcp._backplane import Link, LinkLost, LinkRefused, Numbered, Plain, State
from trio_tcp._hub import Position
from trio_tcp._redis._envelope import opened, sealed, unpacked
from trio_tcp._redis._names import Names, text_of
from trio_tcp._redis._scripts import APPEND, SYNC

if TYPE_CHECKING:
    from coredis.connection import BaseConnection
    from coredis.pool import ConnectionPool

__all__ = ["open_redis_link"]

T = TypeVar("T")

PAGE: Final = 1000
"""Entries of a stream that are read at once."""


@final
class _Answer(Generic[T]):
    """Redis's answer, when it comes; a connection answers in order."""

    def __init__(
        self,
        request: Awaitable[Any],
        make: Callable[[Any], T],
        give_up: Callable[[str], None],
    ) -> None:
        self._request = request
        self._make = make
        self._give_up = give_up

    def __await__(self) -> Generator[Any, Any, T]:
        from coredis import exceptions  # noqa: PLC0415 - optional

        try:
            return self._make((yield from self._request.__await__()))
        except (exceptions.NoScriptError, exceptions.ReadOnlyError) as error:
            # Scripts were flushed, or it is a replica by now: connect anew.
            self._give_up(str(error))
            raise LinkLost(str(error)) from error
        except exceptions.ResponseError as error:
            raise LinkRefused(str(error)) from error
        except (exceptions.RedisError, OSError) as error:
            raise LinkLost(str(error)) from error


@final
class RedisLink:
    """A `Link` to Redis.

    Args:
        connection: that is open.
        names: of all that is in Redis.
        append: what Redis calls the script `APPEND`.
        sync: what Redis calls the script `SYNC`.
        expiry: milliseconds until what is idle is forgotten.
    """

    def __init__(
        self,
        connection: BaseConnection,
        names: Names,
        *,
        append: bytes,
        sync: bytes,
        expiry: int,
    ) -> None:
        self._connection = connection
        self._names = names
        self._append = append
        self._sync = sync
        self._expiry = expiry
        self._pushes: AsyncGenerator[list[Any], None] = connection.push_messages

    def _ask(
        self, make: Callable[[Any], T], command: bytes, *args: bytes | int | str
    ) -> _Answer[T]:
        from coredis import exceptions  # noqa: PLC0415 - optional

        try:
            request = self._connection.create_request(command, *args, decode=False)
        except exceptions.ConnectionError as error:
            raise LinkLost(str(error)) from error
        return _Answer(request, make, self._connection.invalidate)

    def subscribe(self, pattern: str, /) -> None:
        """Subscribe, exactly or by a pattern of Redis."""
        self._tell(*self._names.subscribe(pattern))

    def unsubscribe(self, pattern: str, /) -> None:
        """Subscribe no longer."""
        self._tell(*self._names.unsubscribe(pattern))

    def _tell(self, command: bytes, name: bytes) -> None:
        from coredis import exceptions  # noqa: PLC0415 - optional

        # Whoever receives learns it, if the connection is lost.
        with suppress(exceptions.ConnectionError):
            self._connection.send_command(command, name)

    async def receive(self) -> Plain | Numbered:
        """Wait for a push that is a publication."""
        from coredis import exceptions  # noqa: PLC0415 - optional

        while True:
            try:
                push = await anext(self._pushes)
            except (exceptions.ConnectionError, StopAsyncIteration) as error:
                raise LinkLost(str(error)) from error
            if push[0] in (b"message", b"pmessage"):
                channel, data = push[-2:]
                item = opened(self._names.topic(channel), data)
                if item is not None:
                    return item

    def send(self, topic: str, payload: bytes, /, *, key: str) -> Awaitable[object]:
        """Publish."""
        channel = self._names.channel(topic)
        return self._ask(int, b"PUBLISH", channel, sealed(key, payload))

    def append(
        self, topic: str, payload: bytes, /, *, keep: int, key: str
    ) -> Awaitable[Position]:
        """Run the script that numbers, keeps and publishes."""
        names = self._names
        keys = names.memory, names.topics, names.history(topic), names.channel(topic)
        new = secrets.token_hex(4)
        name = names.channel(topic)[len(names.channel("")) :]
        args = name, keep, self._expiry, new, key, payload
        return self._ask(_position, b"EVALSHA", self._append, len(keys), *keys, *args)

    async def sync(self, epoch: str | None, count: int, /) -> State:
        """Run the script that compares."""
        keys = self._names.memory, self._names.topics
        args = secrets.token_hex(4), epoch or "", count, self._expiry
        return await self._ask(_state, b"EVALSHA", self._sync, len(keys), *keys, *args)

    async def count(self) -> int:
        """Return how many were numbered."""
        return await self._ask(_number, b"HGET", self._names.memory, b"count")

    async def read(self, topic: str, start: int, /) -> Sequence[Numbered]:
        """Read a stream, from there on, in pages."""
        found: list[Numbered] = []
        while True:
            page = await self._read(topic, b"XRANGE", b"%d" % start, b"+", PAGE)
            found += page
            if len(page) < PAGE:
                return found
            start = page[-1].position.sequence + 1

    async def read_last(self, topic: str, count: int, /) -> Sequence[Numbered]:
        """Read the end of a stream."""
        found = await self._read(topic, b"XREVRANGE", b"+", b"-", count)
        return found[::-1]

    async def _read(
        self, topic: str, command: bytes, start: bytes, end: bytes, count: int
    ) -> list[Numbered]:
        def made(entries: list[Any]) -> list[Numbered]:
            try:
                return [unpacked(topic, entry) for entry in entries]
            except (LookupError, ValueError) as error:
                raise LinkRefused(f"the history of {topic!r} is none") from error

        key = self._names.history(topic)
        return await self._ask(made, command, key, start, end, b"COUNT", count)

    async def topics(self) -> Sequence[str]:
        """Read the topics that have a history."""

        def made(names: list[bytes]) -> list[str]:
            return [text_of(name) for name in names]

        return await self._ask(made, b"ZRANGE", self._names.topics, 0, -1)

    async def aclose(self) -> None:
        """Forget what is pushed; the connection is closed by who has opened it."""
        await self._pushes.aclose()


def _number(value: bytes | None) -> int:
    return int(value or 0)


def _position(answer: list[bytes]) -> Position:
    epoch, number = answer
    return Position(epoch.decode(), int(number))


def _state(answer: list[Any]) -> State:
    epoch, count, changed = answer
    return State(epoch.decode(), int(count), [text_of(name) for name in changed])


@asynccontextmanager
async def _closing_streams(pool: ConnectionPool[Any]) -> AsyncGenerator[None, None]:
    """Close the streams in memory of a pool's connections, at the end of the block.

    coredis leaves them open where it could not connect, or was cancelled before it had,
    and Python warns of each.
    """
    make = pool.connection_class
    made: list[BaseConnection] = []

    def remember(*args: Any, **options: Any) -> BaseConnection:  # noqa: ANN401 - coredis's
        connection: BaseConnection = make(*args, **options)
        made.append(connection)
        return connection

    pool.connection_class = cast("type[BaseConnection]", remember)
    try:
        yield
    finally:
        for connection in made:
            for part in vars(connection).values():
                if type(part).__module__ == "anyio.streams.memory":
                    part.close()


@asynccontextmanager
async def open_redis_link(
    url: str, names: Names, *, seconds: float, expiry: int
) -> AsyncGenerator[Link, None]:
    """Connect to Redis, until the end of the block.

    Args:
        url: where it is, as coredis reads it.
        names: of all that is there.
        seconds: how long connecting may take.
        expiry: milliseconds until what is idle is forgotten.

    Raises:
        LinkLost: there is none, or it does not let us in.
    """
    from coredis import exceptions  # noqa: PLC0415 - optional
    from coredis.pool import ConnectionPool  # noqa: PLC0415 - optional

    pool = ConnectionPool.from_url(url, decode_components=True, max_connections=1)
    async with _closing_streams(pool), pool:
        try:
            with trio.fail_after(seconds):
                connection = await pool.get_connection()
                load = connection.create_request
                append = await load(b"SCRIPT LOAD", APPEND, decode=False)
                sync = await load(b"SCRIPT LOAD", SYNC, decode=False)
        except (exceptions.RedisError, OSError, trio.TooSlowError) as error:
            reason = error.__cause__ or error
            raise LinkLost(str(reason) or type(reason).__name__) from error
        assert isinstance(append, bytes)
        assert isinstance(sync, bytes)
        link = RedisLink(connection, names, append=append, sync=sync, expiry=expiry)
        try:
            yield link
        finally:
            with trio.CancelScope(shield=True):
                await link.aclose()
