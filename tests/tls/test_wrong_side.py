"""A context for the wrong side, or for either, is refused at once."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TypeAlias

import pytest
import trio

import trio_tcp
from tests.certificates import client_context, server_context
from tests.integration.loopback import echo
from tests.tls.handshakes import expect_end
from tests.tls.peer import serving
from trio_tcp import codecs, testing

Context: TypeAlias = ssl.SSLContext | trio_tcp.Tls


def wrong_for_servers() -> list[Context]:
    return [client_context(), trio_tcp.Tls(client_context())]


async def test_a_server_takes_no_context_for_clients(tmp_path: Path) -> None:
    """It says so before it listens."""
    listener = testing.MemoryListener()
    path = tmp_path / "socket"
    busy = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = busy[0].socket.getsockname()[1]
    for tls in wrong_for_servers():
        with pytest.raises(ValueError, match="not for a server"):
            await trio_tcp.serve_listeners(
                echo, [listener], codec=codecs.Lines(), tls=tls
            )
        with pytest.raises(ValueError, match="not for a server"):
            await trio_tcp.serve_unix(echo, path, codec=codecs.Lines(), tls=tls)
        with pytest.raises(ValueError, match="not for a server"):
            # To listen on it would be an OSError.
            await trio_tcp.serve_tcp(
                echo, port, host="127.0.0.1", codec=codecs.Lines(), tls=tls
            )
    assert not path.exists()
    await busy[0].aclose()


async def test_a_client_takes_no_context_for_servers() -> None:
    """It says so before it connects, which would be a `ConnectError`."""
    for tls in (server_context(), trio_tcp.Tls(server_context())):
        with pytest.raises(ValueError, match="not for a client"):
            async with trio_tcp.connect_tcp(
                "127.0.0.1", 1, codec=codecs.Lines(), tls=tls
            ):
                pass


async def test_a_running_server_keeps_its_side_and_its_tls() -> None:
    async with serving(echo, codecs.Lines()) as served:
        context = served.server.tls
        for tls in wrong_for_servers():
            with pytest.raises(ValueError, match="not for a server"):
                served.server.tls = tls
        with pytest.raises(ValueError, match="between TLS and no TLS"):
            served.server.tls = None
        assert served.server.tls is context
        await served.works()
    async with testing.serve_in_memory(echo, codecs.Lines()) as plain:
        with pytest.raises(ValueError, match="between TLS and no TLS"):
            plain.server.tls = server_context()
        assert plain.server.tls is None


async def test_a_context_for_both_sides_is_refused() -> None:
    """It would have to guess which one this is."""
    with pytest.warns(DeprecationWarning, match="PROTOCOL_TLS"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS)
    stream, other = testing.memory_stream_pair()
    with pytest.raises(ValueError, match="PROTOCOL_TLS_SERVER"):
        async with trio_tcp.open_connection(stream, codec=codecs.Lines(), tls=context):
            pass
    await expect_end(other)
    with pytest.raises(ValueError, match="PROTOCOL_TLS_SERVER"):
        await trio_tcp.serve_listeners(echo, [], codec=codecs.Lines(), tls=context)
    with pytest.raises(ValueError, match="PROTOCOL_TLS_SERVER"):
        async with trio_tcp.connect_tcp("::1", 1, codec=codecs.Lines(), tls=context):
            pass
