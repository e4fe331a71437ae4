"""The running server: what it tells, and how it ends."""

from __future__ import annotations

import errno
import socket
from functools import partial
from pathlib import Path
from typing import TypeAlias, final

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from trio_tcp import CloseReason, codecs, testing

Text: TypeAlias = trio_tcp.Connection[str, str]


async def echo(connection: Text) -> None:
    async for line in connection:
        await connection.send(line)


async def test_a_server_knows_its_connections_and_counts_them() -> None:
    async with testing.serve_in_memory(echo, codecs.Lines()) as served:
        server = served.server
        async with served.connect() as first, served.connect() as second:
            for client in (first, second):
                await client.send("hello")
                assert await client.receive() == "hello"
            one, two = server.connections
            assert one.id < two.id
            statistics = server.statistics()
            assert (statistics.accepted, statistics.open) == (2, 2)
            assert statistics.messages_received == statistics.messages_sent == 2
            assert statistics.bytes_received == statistics.bytes_sent == 12
            assert statistics.ended == {}
            assert "2 connections" in repr(server)
            await first.aclose()
            assert server.connections == (two,)
        statistics = server.statistics()
        assert (statistics.accepted, statistics.open) == (2, 0)
        assert statistics.messages_received == 2
        assert statistics.ended == {CloseReason.PEER_CLOSED: 2}


async def test_a_server_without_tcp_has_no_port() -> None:
    async with testing.serve_in_memory(echo, codecs.Lines()) as served:
        assert served.server.addresses == ()
        with pytest.raises(ValueError, match="0 TCP ports"):
            _ = served.server.port


async def test_cancelling_a_server_ends_everything_in_it() -> None:
    ended: list[str] = []

    async def stubborn(connection: Text) -> None:
        try:
            await connection.receive()
        finally:
            with trio.CancelScope(shield=True):
                await connection.send("goodbye")
                await connection.flush()
                ended.append("handler")

    async with testing.serve_in_memory(stubborn, codecs.Lines()) as served:
        client = await served.listener.connect()
        await wait_all_tasks_blocked()
    assert ended == ["handler"]
    assert served.server.connections == ()
    with pytest.raises(ConnectionRefusedError):
        await served.listener.connect()
    assert await client.receive_some() == b"goodbye\n"
    assert await client.receive_some() == b""


async def test_handlers_in_a_nursery_of_the_users_outlive_the_server() -> None:
    listener = testing.MemoryListener()
    serve = partial(trio_tcp.serve_listeners, echo, [listener], codec=codecs.Lines())
    async with trio.open_nursery() as handlers:
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(serve, handler_nursery=handlers))
            client = await listener.connect()
            nursery.cancel_scope.cancel()
        await client.send_all(b"still served\n")
        assert await client.receive_some() == b"still served\n"
        await client.aclose()


@final
class FlakyListener(trio.abc.Listener[testing.MemoryStream]):
    """Raises the given errors first, then accepts as a memory listener does."""

    def __init__(self, errors: list[int]) -> None:
        self.memory = testing.MemoryListener()
        self._errors = errors

    async def accept(self) -> testing.MemoryStream:
        if self._errors:
            await trio.lowlevel.checkpoint()
            raise OSError(self._errors.pop(0), "accept")
        return await self.memory.accept()

    async def aclose(self) -> None:
        await self.memory.aclose()


@pytest.mark.parametrize(
    "number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS]
)
async def test_exhaustion_is_waited_out_and_reported_once(
    number: int, autojump_clock: MockClock
) -> None:
    listener = FlakyListener([number] * 50)
    events: list[trio_tcp.Event] = []
    serve = partial(
        trio_tcp.serve_listeners,
        echo,
        [listener],
        codec=codecs.Lines(),
        observer=events.append,
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(serve)
        client = await listener.memory.connect()
        await client.send_all(b"x\n")
        assert await client.receive_some() == b"x\n"
        nursery.cancel_scope.cancel()
    assert trio.current_time() == pytest.approx(5.0)
    (paused,) = [e for e in events if isinstance(e, trio_tcp.AcceptPaused)]
    (resumed,) = [e for e in events if isinstance(e, trio_tcp.AcceptResumed)]
    assert paused.error.errno == number
    assert resumed.paused_seconds == pytest.approx(5.0)


async def test_other_accept_errors_end_the_server() -> None:
    listener = FlakyListener([errno.EBADF])
    with pytest.raises(OSError, match="accept"):
        await trio_tcp.serve_listeners(echo, [listener], codec=codecs.Lines())
    with pytest.raises(ConnectionRefusedError):
        await listener.memory.connect()


async def test_several_listeners_are_one_server() -> None:
    listeners = [testing.MemoryListener(), testing.MemoryListener()]
    serve = partial(trio_tcp.serve_listeners, echo, listeners, codec=codecs.Lines())
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve)
        for listener in listeners:
            client = await listener.connect()
            await client.send_all(b"x\n")
            assert await client.receive_some() == b"x\n"
        assert server.statistics().accepted == 2
        nursery.cancel_scope.cancel()


async def test_a_server_announces_itself_and_its_end() -> None:
    events: list[trio_tcp.Event] = []
    serve = partial(
        trio_tcp.serve_tcp,
        echo,
        0,
        host="127.0.0.1",
        codec=codecs.Lines(),
        observer=events.append,
    )
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve)
        nursery.cancel_scope.cancel()
    assert events == [
        trio_tcp.ServerStarted(addresses=server.addresses),
        trio_tcp.ServerStopped(addresses=server.addresses, accepted=0),
    ]
    assert server.addresses == (trio_tcp.TcpAddress("127.0.0.1", server.port),)


async def test_port_0_is_the_same_port_on_every_address() -> None:
    serve = partial(trio_tcp.serve_tcp, echo, 0, codec=codecs.Lines())
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve)
        assert {str(a).rpartition(":")[2] for a in server.addresses} == {
            str(server.port)
        }
        nursery.cancel_scope.cancel()


async def test_a_port_in_use_is_an_os_error_and_no_group() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use") as caught:
            await trio_tcp.serve_tcp(echo, port, host="127.0.0.1", codec=codecs.Lines())
        assert caught.value.errno == errno.EADDRINUSE


async def test_a_unix_socket_is_served_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "echo.sock"
    async with trio.open_nursery() as nursery:
        serve = partial(trio_tcp.serve_unix, echo, path, codec=codecs.Lines())
        server = await nursery.start(serve)
        assert server.addresses == (trio_tcp.UnixAddress(str(path)),)
        async with trio_tcp.connect_unix(path, codec=codecs.Lines()) as connection:
            await connection.send("hello")
            assert await connection.receive() == "hello"
            assert connection.peer == trio_tcp.UnixAddress(str(path))
        with pytest.raises(OSError, match="in use"):
            await trio_tcp.serve_unix(echo, path, codec=codecs.Lines())
        assert path.exists()
        nursery.cancel_scope.cancel()
    assert not path.exists()
    with pytest.raises(trio_tcp.ConnectError, match=r"echo\.sock") as caught:
        async with trio_tcp.connect_unix(path, codec=codecs.Lines()):
            pytest.fail("nobody listens there")
    assert caught.value.errno == errno.ENOENT
