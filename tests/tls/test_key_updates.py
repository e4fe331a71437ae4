"""Peers that ask for new TLS keys, as often as they like, and send nothing.

Each KeyUpdate (RFC 8446, 4.6.3) takes OpenSSL as long as kilobytes of data, and nobody
limits them: a peer could keep the server busy for all its clients' time. An attack with
many such peers is in ``integration/attacks/tls.py``, which makes the records here too.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

import trio_tcp
from tests.certificates import HOST, client_context
from tests.integration.attacks.tls import Records
from tests.tls.peer import Peer, Serving, serving
from trio_tcp import CloseReason, codecs


async def echo(connection: trio_tcp.Connection[str, str]) -> None:
    async for line in connection:
        await connection.send(line)


@asynccontextmanager
async def peer_of(
    serving: Serving[str], folder: Path
) -> AsyncGenerator[tuple[Peer, Records], None]:
    """Connect a peer, whose records are made by hand."""
    log = folder / "keys"
    context = client_context()
    context.keylog_filename = str(log)
    async with await serving.listener.connect() as stream:
        peer = Peer(stream, context, server_hostname=HOST)
        await peer.shake_hands()
        yield peer, Records(log)


@pytest.mark.parametrize("asks", [True, False])
async def test_new_keys_are_served_while_there_is_data_with_them(
    tmp_path: Path, *, asks: bool
) -> None:
    """Much more often than anybody needs them."""
    async with serving(echo, codecs.Lines()) as served:
        async with peer_of(served, tmp_path) as (peer, records):
            for _ in range(50):
                updates = [records.key_update(asks=asks) for _ in range(30)]
                await peer.stream.send_all(b"".join(updates) + records.data(b"hello\n"))
                assert await peer.receive_exactly(6) == b"hello\n"
        assert not served.record.all(trio_tcp.ConnectionEnded)


def all_at_once(records: Records) -> list[bytes]:
    return [b"".join(records.key_update() for _ in range(600))]


def with_a_little_data(records: Records) -> list[bytes]:
    updates = [records.key_update() + records.data(b"x") for _ in range(300)]
    return [b"".join(updates)]


def one_by_one_for_nothing(records: Records) -> list[bytes]:
    return [records.key_update(asks=False) for _ in range(800)]


@pytest.mark.parametrize(
    "flood", [all_at_once, with_a_little_data, one_by_one_for_nothing]
)
async def test_too_many_new_keys_end_a_connection(
    tmp_path: Path,
    flood: Callable[[Records], list[bytes]],
    autojump_clock: MockClock,
) -> None:
    with trio.fail_after(1000):  # where nothing ends it
        async with serving(echo, codecs.Lines()) as served:
            async with peer_of(served, tmp_path) as (peer, records):
                with pytest.raises(trio.BrokenResourceError):
                    for piece in flood(records):
                        await peer.stream.send_all(piece)
                    while await peer.stream.receive_some():
                        pass
            (ended,) = await served.record.wait(trio_tcp.ConnectionEnded)
            assert ended.reason is CloseReason.BROKEN
            assert ended.error is not None
            assert "no data in them" in str(ended.error.__cause__)
            await served.works()
