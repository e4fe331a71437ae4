"""What the tests of handshakes share: a client's hello, and peers that misbehave."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeAlias

import trio
from trio.testing import wait_all_tasks_blocked

from tests.certificates import HOST, client_context
from tests.tls.peer import Peer
from trio_tcp import testing

Misbehave: TypeAlias = Callable[[testing.MemoryStream], Awaitable[None]]


async def expect_end(stream: testing.MemoryStream) -> None:
    """See that the other end is closed, or reset, whatever it says before."""
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        while await stream.receive_some():
            pass


def hello() -> bytes:
    """Return what a client says first."""
    stream, _ = testing.memory_stream_pair()
    return Peer(stream, client_context(), server_hostname=HOST).hello()


def sends(data: bytes) -> Misbehave:
    """Send something, and wait for what becomes of it."""

    async def misbehave(stream: testing.MemoryStream) -> None:
        with suppress(trio.BrokenResourceError):
            await stream.send_all(data)
        await expect_end(stream)

    return misbehave


def sends_and_closes(data: bytes) -> Misbehave:
    """Send something, and close."""

    async def misbehave(stream: testing.MemoryStream) -> None:
        await stream.send_all(data)
        await stream.aclose()

    return misbehave


def sends_and_resets(data: bytes) -> Misbehave:
    """Send something, let it be read, and reset."""

    async def misbehave(stream: testing.MemoryStream) -> None:
        await stream.send_all(data)
        await wait_all_tasks_blocked()
        stream.reset()
        await stream.aclose()

    return misbehave
