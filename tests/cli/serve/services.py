"""What the tests name as ``tests.cli.serve.services:…``."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Awaitable, Callable

import trio_tcp
from trio_tcp import codecs

Lines = trio_tcp.Connection[str, str]


async def echo(connection: Lines) -> None:
    async for line in connection:
        await connection.send(line)


async def greet(greeting: str, connection: Lines) -> None:
    await connection.send(greeting)


def upper(request: str) -> str:
    return request.upper()


async def answer(request: str, connection: Lines) -> str:
    return f"{request} from {connection.peer}"


async def stream(connection: Lines) -> AsyncIterator[str]:  # noqa: ASYNC900 - wrong
    async for line in connection:
        yield line


def decorated(handler: Callable[[Lines], Awaitable[None]]) -> object:
    @functools.wraps(handler)
    def wrapper(connection: Lines) -> Awaitable[None]:
        return handler(connection)

    return wrapper


class Echo:
    async def __call__(self, connection: Lines) -> None:
        await echo(connection)


greet_with_hello = functools.partial(greet, "hello")
shout = trio_tcp.respond(upper)
answering = trio_tcp.respond(answer)
logged = decorated(echo)
an_object = Echo()
number = 5
own_codec = codecs.Lines(newline="\r\n")


def failing_codec() -> codecs.Lines:
    raise RuntimeError("no codec today")
