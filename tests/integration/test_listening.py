"""Servers: where they listen, and what they raise when they cannot."""

from __future__ import annotations

import errno
import socket
import sys
from functools import partial

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.integration.loopback import LOOPBACK, PROGRAMS, echo
from trio_tcp import codecs

LINES = codecs.Lines()


def test_a_port_in_use_is_an_os_error_out_of_run_server() -> None:
    """Not a group, though it comes out of a program full of nurseries."""
    with (
        socket.create_server((LOOPBACK, 0)) as taken,
        pytest.raises(OSError, match="in use") as caught,
    ):
        port: int = taken.getsockname()[1]
        trio_tcp.run_server(echo, port, codec=LINES, host=LOOPBACK)
    assert caught.value.errno == errno.EADDRINUSE


async def test_run_server_leaves_nothing_open_where_it_cannot_run() -> None:
    """Signals come to the main thread alone, so it runs in no other."""
    done = await trio.run_process(
        [sys.executable, "-W", "always", PROGRAMS / "not_the_main_thread.py"],
        capture_stdout=True,
        capture_stderr=True,
    )
    assert b"main thread" in done.stdout
    assert done.stderr == b""


async def test_a_port_in_use_is_an_os_error_out_of_start(
    nursery: trio.Nursery,
) -> None:
    """The nursery in which the server was to run lives on."""
    serve = partial(trio_tcp.serve_tcp, codec=LINES, host=LOOPBACK)
    server: trio_tcp.Server = await nursery.start(serve, echo, 0)
    with pytest.raises(OSError, match="in use") as caught:
        await nursery.start(serve, echo, server.port)
    assert caught.value.errno == errno.EADDRINUSE
    async with trio_tcp.connect_tcp(LOOPBACK, server.port, codec=LINES) as connection:
        await connection.send("hello")
        assert await connection.receive() == "hello"


async def test_accepting_that_fails_for_good_is_an_os_error() -> None:
    """It leaves the server as itself, as the first one that could not listen would."""
    [listener] = await trio.open_tcp_listeners(0, host=LOOPBACK)

    async def break_the_listener() -> None:
        await wait_all_tasks_blocked()
        listener.socket.shutdown(socket.SHUT_RD)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(break_the_listener)
        with pytest.raises(OSError, match="Invalid argument") as caught:
            await trio_tcp.serve_listeners(echo, [listener], codec=LINES)
    assert caught.value.errno == errno.EINVAL


async def test_by_default_a_server_has_one_port_on_all_interfaces(
    nursery: trio.Nursery,
) -> None:
    """Over IPv6 and over IPv4."""
    serve = partial(trio_tcp.serve_tcp, codec=LINES)
    server: trio_tcp.Server = await nursery.start(serve, echo, 0)
    for host in ("::1", LOOPBACK):
        async with trio_tcp.connect_tcp(host, server.port, codec=LINES) as connection:
            await connection.send(host)
            assert await connection.receive() == host
    assert {str(address) for address in server.addresses} == {
        f"[::]:{server.port}",
        f"0.0.0.0:{server.port}",
    }


async def test_handlers_in_a_nursery_of_the_callers_outlive_their_server() -> None:
    """The server stops listening, and its clients are still served."""
    async with trio.open_nursery() as handlers, trio.open_nursery() as servers:
        serve = partial(
            trio_tcp.serve_tcp, codec=LINES, host=LOOPBACK, handler_nursery=handlers
        )
        server: trio_tcp.Server = await servers.start(serve, echo, 0)
        async with trio_tcp.connect_tcp(
            LOOPBACK, server.port, codec=LINES
        ) as connection:
            await connection.send("hello")
            assert await connection.receive() == "hello"
            servers.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                with pytest.raises(trio_tcp.ConnectError):
                    while True:
                        async with trio_tcp.connect_tcp(
                            LOOPBACK, server.port, codec=LINES
                        ):
                            pass
                await connection.send("still here")
                assert await connection.receive() == "still here"
