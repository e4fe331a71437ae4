"""A conversation in memory, and its peer."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import trio_tcp
from trio_tcp import codecs, testing
from trio_tcp._nursery import open_quiet_nursery
from trio_tcp.cli._connect._conversation import Conversation, Note, ignore
from trio_tcp.cli._connect._frames import Frames
from trio_tcp.cli._parameters import notation_for

AnyConnection = trio_tcp.Connection[Any, Any]
Pair = tuple[Conversation, AnyConnection]


@asynccontextmanager
async def talking(
    codec: codecs.Codec[Any, Any] | None = None,
    *,
    peer_codec: codecs.Codec[Any, Any] | None = None,
    notation: str | None = None,
    note: Note = ignore,
    capacity: int = 1 << 16,
) -> AsyncGenerator[Pair, None]:
    """Connect a conversation with a peer, and close both at the end.

    Args:
        codec: of the protocol; by default lines.
        peer_codec: for a peer that speaks another.
        notation: the name of what messages are written in.
        note: is told of all that is said.
        capacity: bytes that each direction holds.
    """
    codec = codec or codecs.Lines()
    ours, theirs = testing.memory_stream_pair(capacity)
    async with (
        open_quiet_nursery() as nursery,
        trio_tcp.open_connection(theirs, codec=peer_codec or codec) as peer,
        trio_tcp.open_connection(ours, codec=Frames(codec)) as connection,
    ):
        yield (
            Conversation(connection, codec, notation_for(codec, notation), note),
            peer,
        )
        # Each waits for the other's end.
        nursery.start_soon(peer.aclose)
        await connection.aclose()
