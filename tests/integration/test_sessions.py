"""Sessions over the kernel's TCP, and over TLS."""

from __future__ import annotations

import ssl
from functools import partial

import pytest
import trio

import trio_tcp
from tests.certificates import client_context, server_context
from trio_tcp import codecs

LINES = codecs.Lines()
QUICK = trio_tcp.Backoff(initial=0.05, maximum=0.1)


async def echo(connection: trio_tcp.Connection[str, str]) -> None:
    async for line in connection:
        await connection.send(line)


async def test_a_client_comes_back_to_a_server_that_was_restarted(
    nursery: trio.Nursery,
) -> None:
    serve = partial(trio_tcp.serve_tcp, echo, host="127.0.0.1", codec=LINES)
    server: trio_tcp.Server = await nursery.start(serve, 0)
    port = server.port
    connect = partial(trio_tcp.connect_tcp, "127.0.0.1", port, codec=LINES)

    async def restart() -> None:
        await server.drain()
        async for state in session.states():
            match state:
                case trio_tcp.Waiting(error=trio_tcp.ConnectError()):
                    break  # it has been missed
                case _:
                    pass
        await nursery.start(serve, port)

    with trio.fail_after(30):
        async with trio_tcp.open_session(connect, backoff=QUICK) as session:
            connection = await anext(session)
            nursery.start_soon(restart)
            assert [line async for line in connection] == []
            connection = await anext(session)
            await connection.send("hello")
            assert await connection.receive() == "hello"
    nursery.cancel_scope.cancel()


async def test_the_wrong_certificate_can_be_permanent(nursery: trio.Nursery) -> None:
    def is_about_the_certificate(error: Exception) -> bool:
        match error:
            case trio_tcp.ConnectError(attempts=[trio_tcp.TlsHandshakeError() as why]):
                return isinstance(why.__cause__, ssl.SSLCertVerificationError)
            case _:
                return False

    serve = partial(trio_tcp.serve_tcp, echo, host="127.0.0.1", codec=LINES)
    server: trio_tcp.Server = await nursery.start(
        partial(serve, tls=server_context()), 0
    )
    connect = partial(
        trio_tcp.connect_tcp,
        "127.0.0.1",
        server.port,
        codec=LINES,
        tls=client_context(),
        server_hostname="another.example",
    )
    with trio.fail_after(30), pytest.raises(trio_tcp.ConnectError, match="mismatch"):
        async with trio_tcp.open_session(
            connect, backoff=QUICK, is_permanent=is_about_the_certificate
        ) as session:
            await anext(session)
    nursery.cancel_scope.cancel()
