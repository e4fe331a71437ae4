"""A call that cannot begin is refused, and harms nothing."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.certificates import HOST, client_context, server_context
from tests.tls.peer import Peer
from tests.tls.start_tls.starting import as_server, one_end


async def test_somebody_who_receives_or_watches_keeps_tls_away() -> None:
    """Two would read the same bytes. The connection is unharmed, in the clear."""
    async with one_end() as (connection, stream):
        for call in (connection.receive, connection.wait_disconnected):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(call)
                await wait_all_tasks_blocked()
                with pytest.raises(trio.BusyResourceError):
                    await as_server(connection)
                nursery.cancel_scope.cancel()
        await stream.send_all(b"still here\n")
        assert await connection.receive() == "still here"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(as_server, connection)
            await wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await connection.receive()
            with pytest.raises(trio.BusyResourceError):
                await as_server(connection)
            peer = Peer(stream, client_context(), server_hostname=HOST)
            await peer.shake_hands()


async def test_bad_arguments_harm_nothing() -> None:
    """They are refused before anything is taken of what has come."""
    async with one_end() as (connection, stream):
        await stream.send_all(b"one\ntwo\n")
        assert await connection.receive() == "one"
        with pytest.raises(ValueError, match="server_hostname"):
            await connection.start_tls(client_context())
        with pytest.raises(ValueError, match="server_hostname"):
            await connection.start_tls(server_context(), server_hostname=HOST)
        with pytest.raises(ValueError, match="server_hostname"):
            await connection.start_tls(client_context(), server_hostname="")
        assert connection.tls is None
        assert await connection.receive() == "two"
        await connection.send("three")
        assert await stream.receive_some() == b"three\n"


async def test_there_is_no_tls_after_the_end() -> None:
    async with one_end() as (connection, stream):
        await connection.send_eof()
        with pytest.raises(trio_tcp.ConnectionClosedError, match="send_eof"):
            await as_server(connection)
        await stream.send_all(b"still here\n")
        assert await connection.receive() == "still here"
        await stream.send_eof()
        await connection.aclose()
        with pytest.raises(trio_tcp.ConnectionClosedError):
            await as_server(connection)
