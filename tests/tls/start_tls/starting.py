"""What the tests of `Connection.start_tls` share: one end of ours, on either side."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeAlias

import pytest

import trio_tcp
from tests.certificates import HOST, client_context, server_context
from tests.tls.peer import Peer, Text
from trio_tcp import codecs, testing


@asynccontextmanager
async def one_end(
    *,
    capacity: int = 64 << 10,
    timeouts: trio_tcp.Timeouts | None = None,
) -> AsyncGenerator[tuple[Text, testing.MemoryStream], None]:
    """Open a connection of ours; the other end is for the test to play."""
    ours, theirs = testing.memory_stream_pair(capacity)
    async with trio_tcp.open_connection(
        ours, codec=codecs.Lines(), timeouts=timeouts or trio_tcp.Timeouts()
    ) as connection:
        yield connection, theirs
        await theirs.aclose()
        connection.abort()


async def as_client(connection: Text) -> None:
    """Go over to TLS as a client does."""
    await connection.start_tls(client_context(), server_hostname=HOST)


async def as_server(connection: Text) -> None:
    """Go over to TLS as a server does."""
    await connection.start_tls(server_context())


Side: TypeAlias = Callable[[Text], Awaitable[None]]

each_side = pytest.mark.parametrize("side", [as_client, as_server])


def other_side(side: Side, stream: testing.MemoryStream) -> Peer:
    """Make the peer, driven by hand, that goes with a side of ours."""
    if side is as_client:
        return Peer(stream, server_context())
    return Peer(stream, client_context(), server_hostname=HOST)


async def is_broken(
    connection: Text, kind: type[trio_tcp.ConnectionFault], message: str
) -> None:
    """See that a connection is of no use any more, and says why in all its calls."""
    for call in (
        connection.receive,
        partial(connection.send, "more"),
        connection.flush,
        partial(connection.start_tls, server_context()),
        connection.detach,
        connection.send_eof,
    ):
        with pytest.raises(kind, match=message) as caught:
            await call()
        assert caught.value.connection_id == connection.id
    with pytest.raises(kind, match=message):
        connection.send_nowait("more")
    assert isinstance(connection.close_error, kind)
