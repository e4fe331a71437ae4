"""What tests of `respond` share: servers, their clients, and functions that answer."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias

import pytest
import trio

import trio_tcp
from tests.integration.loopback import Record
from trio_tcp import codecs, testing

Text: TypeAlias = trio_tcp.Connection[str, str]
Handler: TypeAlias = trio_tcp.Handler[str, str]
Flavour: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]

LINES = codecs.Lines(max_bytes=1 << 20)
BIG = "x" * 200_000  # more than a stream and a queue hold


def as_it_is(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


def as_async(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make an async function that does the same."""

    @functools.wraps(function)
    async def call(*args: object) -> object:
        await trio.lowlevel.checkpoint()
        return function(*args)

    return call


plain_and_async = pytest.mark.parametrize(
    "flavour", [as_it_is, as_async], ids=["plain", "async"]
)


@asynccontextmanager
async def serving(
    handler: Handler,
    *,
    capacity: int = 64 << 10,
    timeouts: trio_tcp.Timeouts | None = None,
    limits: trio_tcp.Limits | None = None,
) -> AsyncGenerator[tuple[testing.MemoryServer[str], Record], None]:
    """Run a server, and keep what happens."""
    record = Record()
    async with testing.serve_in_memory(
        handler,
        LINES,
        capacity=capacity,
        timeouts=timeouts or trio_tcp.Timeouts(),
        limits=limits or trio_tcp.Limits(),
        observer=record,
    ) as served:
        yield served, record


async def receive_all(stream: trio.abc.ReceiveStream) -> bytes:
    """Read until the other end closes."""
    return b"".join([chunk async for chunk in stream])


async def answers(
    handler: Handler, sent: bytes
) -> tuple[bytes, trio_tcp.ConnectionEnded]:
    """Send this and the end; return what came back, and how the connection ended."""
    received = b""
    async with serving(handler) as (served, record), trio.open_nursery() as nursery:
        client = await served.listener.connect()

        async def send() -> None:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await client.send_all(sent)
                await client.send_eof()

        nursery.start_soon(send)
        with suppress(trio.BrokenResourceError):
            async for chunk in client:
                received += chunk
        await client.aclose()
        (ended,) = await record.wait(trio_tcp.ConnectionEnded)
    return received, ended


# Functions ----------------------------------------------------------------------------


def upper(request: str) -> str:
    return request.upper()


def big(_: str) -> str:
    return BIG


def never_said(_: Exception, _request: str | None) -> str:
    return "never said"
