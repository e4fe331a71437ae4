"""A store in memory, and clients of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeAlias

import pytest
import trio

import trio_tcp
from examples.key_value.resp import CLIENT, RESP2
from examples.key_value.resp_replies import Reply
from examples.key_value.resp_requests import Request
from examples.key_value.server import handle
from examples.key_value.store import Store
from trio_tcp.testing import memory_stream_pair

Client: TypeAlias = trio_tcp.Connection[Reply, Request]


class Served:
    """A store that is served in memory.

    Attributes:
        store: the store.
    """

    def __init__(self, nursery: trio.Nursery) -> None:
        self.store = Store(trio.current_time)
        self._nursery = nursery

    def connect(self) -> trio.abc.HalfCloseableStream:
        """Connect somebody who sends and receives bytes."""
        ours, theirs = memory_stream_pair()
        handler = trio_tcp.framed(partial(handle, self.store), codec=RESP2)
        self._nursery.start_soon(handler, theirs)
        return ours

    @asynccontextmanager
    async def client(self) -> AsyncGenerator[Client, None]:
        """Connect a client."""
        async with trio_tcp.open_connection(self.connect(), codec=CLIENT) as client:
            yield client

    async def says(self, data: bytes) -> bytes:
        """Send bytes and their end; return everything that comes back."""
        async with self.connect() as stream:
            await stream.send_all(data)
            await stream.send_eof()
            return b"".join([chunk async for chunk in stream])


@pytest.fixture
def served(nursery: trio.Nursery) -> Served:
    """Serve an empty store."""
    return Served(nursery)


async def ask(client: Client, line: str) -> Reply:
    """Send a request, written as a line, and return the reply."""
    await client.send(line.encode().split())
    return await client.receive()
