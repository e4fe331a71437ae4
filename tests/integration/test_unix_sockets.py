"""Our server and our client over a Unix socket."""

from __future__ import annotations

import errno
from functools import partial
from pathlib import Path

import pytest
import trio

import trio_tcp
from tests.integration.loopback import Record, echo
from trio_tcp import CloseReason, codecs


async def start(
    nursery: trio.Nursery, path: Path, record: Record | None = None
) -> trio_tcp.Server:
    """Start an echo server on a path."""
    observer = trio_tcp.log_events if record is None else record
    serve = partial(
        trio_tcp.serve_unix, echo, path, codec=codecs.Lines(), observer=observer
    )
    server: trio_tcp.Server = await nursery.start(serve)
    return server


async def test_messages_go_both_ways(nursery: trio.Nursery, tmp_path: Path) -> None:
    """The address of such a server is its path."""
    server = await start(nursery, tmp_path / "socket")
    async with trio_tcp.connect_unix(
        tmp_path / "socket", codec=codecs.Lines()
    ) as connection:
        await connection.send("hello")
        assert await connection.receive() == "hello"
        assert str(connection.peer) == str(server.addresses[0])
        assert str(connection.peer) == f"unix:{tmp_path / 'socket'}"


async def test_its_path_is_there_as_long_as_the_server(tmp_path: Path) -> None:
    """So the next server can start in the same place."""
    path = tmp_path / "socket"
    async with trio.open_nursery() as nursery:
        await start(nursery, path)
        assert path.is_socket()
        nursery.cancel_scope.cancel()
    assert not path.exists()
    async with trio.open_nursery() as nursery:
        await start(nursery, path)
        nursery.cancel_scope.cancel()


async def test_a_path_that_exists_is_refused_and_left_alone(tmp_path: Path) -> None:
    """It may be a file of somebody else's."""
    path = tmp_path / "socket"
    path.write_text("precious")
    with pytest.raises(OSError) as caught:  # noqa: PT011 - its errno is looked at
        await trio_tcp.serve_unix(echo, path, codec=codecs.Lines())
    assert caught.value.errno == errno.EADDRINUSE
    assert path.read_text() == "precious"


async def test_nobody_at_a_path_is_a_connect_error(tmp_path: Path) -> None:
    """With the system's reason, and the path in its text."""
    with pytest.raises(trio_tcp.ConnectError) as caught:
        async with trio_tcp.connect_unix(tmp_path / "socket", codec=codecs.Lines()):
            pass
    assert caught.value.errno == errno.ENOENT
    assert str(tmp_path / "socket") in str(caught.value)


async def test_an_aborting_client_ends_its_own_connection_alone(
    nursery: trio.Nursery, record: Record, tmp_path: Path
) -> None:
    """A Unix socket has no RST: whoever aborts just closes."""
    await start(nursery, tmp_path / "socket", record)
    async with trio_tcp.connect_unix(
        tmp_path / "socket", codec=codecs.Lines()
    ) as honest:
        async with trio_tcp.connect_unix(
            tmp_path / "socket", codec=codecs.Lines()
        ) as aborting:
            await aborting.send("hello")
            assert await aborting.receive() == "hello"
            aborting.abort()
            [ended] = await record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.PEER_CLOSED
        await honest.send("still here")
        assert await honest.receive() == "still here"
