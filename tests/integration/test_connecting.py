"""Clients: whom they reach, and what they hear when they reach nobody."""

from __future__ import annotations

import errno
import socket
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import trio

import trio_tcp
from tests.integration.loopback import LOOPBACK, echo, start_server
from trio_tcp import TcpAddress, codecs

LINES = codecs.Lines()
BOTH = {"::1": socket.AF_INET6, LOOPBACK: socket.AF_INET}

connect = partial(trio_tcp.connect_tcp, codec=LINES)


class Resolver(trio.abc.HostnameResolver):
    """Knows one name, which has an address of both kinds."""

    async def getaddrinfo(
        self,
        host: bytes | None,
        port: bytes | str | int | None,
        *_: object,
        **__: object,
    ) -> list[Any]:
        """Answer for ``both.test``, the IPv6 address first."""
        await trio.lowlevel.checkpoint()
        if host != b"both.test":
            raise socket.gaierror(socket.EAI_NONAME, "there is no such name")
        return [
            (family, socket.SOCK_STREAM, 0, "", (address, port))
            for address, family in BOTH.items()
        ]

    async def getnameinfo(self, sockaddr: object, flags: int) -> tuple[str, str]:
        """Not asked for."""
        await trio.lowlevel.checkpoint()
        raise NotImplementedError


@contextmanager
def nobody_listens() -> Generator[tuple[socket.socket, socket.socket], None, None]:
    """Reserve a port: sockets for IPv4 and IPv6 that do not listen."""
    with socket.socket() as four, socket.socket(socket.AF_INET6) as six:
        four.bind((LOOPBACK, 0))
        six.bind(("::1", port_of(four)))
        yield four, six


def port_of(sock: socket.socket) -> int:
    """Return the port that a socket is bound to."""
    port: int = sock.getsockname()[1]
    return port


async def test_nobody_listening_is_an_os_error() -> None:
    """With the system's number, the target in its text, and what was tried."""
    with nobody_listens() as (four, _):
        port = port_of(four)
        with pytest.raises(OSError, match="Connection refused") as caught:
            async with connect(LOOPBACK, port):
                pytest.fail("nobody listens")
    error = caught.value
    assert isinstance(error, trio_tcp.ConnectError)
    assert error.errno == errno.ECONNREFUSED
    assert isinstance(error.strerror, str | None)
    assert str(error).startswith(f"could not connect to {LOOPBACK} port {port}")
    [attempt] = error.attempts
    assert isinstance(attempt, ConnectionRefusedError)


async def test_a_name_that_nobody_has_is_a_connect_error() -> None:
    """It is the resolver's error that counts."""
    trio.socket.set_custom_hostname_resolver(Resolver())
    with pytest.raises(trio_tcp.ConnectError, match=r"other\.test") as caught:
        async with connect("other.test", 80):
            pytest.fail("there is no such name")
    [attempt] = caught.value.attempts
    assert isinstance(attempt, socket.gaierror)


async def test_all_addresses_of_a_name_are_tried() -> None:
    """When all fail, the error has an attempt for each of them."""
    trio.socket.set_custom_hostname_resolver(Resolver())
    with nobody_listens() as (four, _), pytest.raises(trio_tcp.ConnectError) as caught:
        async with connect("both.test", port_of(four)):
            pytest.fail("nobody listens")
    error = caught.value
    assert error.errno == errno.ECONNREFUSED
    assert len(error.attempts) == 2
    assert "::1" in str(error)
    assert LOOPBACK in str(error)


@pytest.mark.parametrize("host", ["::1", LOOPBACK])
async def test_the_address_that_answers_is_used(
    nursery: trio.Nursery, host: str
) -> None:
    """Whether it is the one for IPv6 or the one for IPv4."""
    trio.socket.set_custom_hostname_resolver(Resolver())
    with nobody_listens() as (four, six):
        listening = six if host == "::1" else four
        listening.listen()
        copy = trio.socket.from_stdlib_socket(listening.dup())
        await nursery.start(
            partial(
                trio_tcp.serve_listeners,
                echo,
                [trio.SocketListener(copy)],
                codec=LINES,
            )
        )
        async with connect("both.test", port_of(four)) as connection:
            assert connection.peer == TcpAddress(host, port_of(four))
            await connection.send("hello")
            assert await connection.receive() == "hello"


async def test_a_client_may_choose_where_it_comes_from(nursery: trio.Nursery) -> None:
    """The server sees that address."""

    async def tell_peer(connection: trio_tcp.Connection[str, str]) -> None:
        await connection.send(str(connection.peer))

    server = await start_server(nursery, tell_peer, LINES)
    async with connect(LOOPBACK, server.port, local_address="127.0.0.2") as connection:
        assert isinstance(connection.local, TcpAddress)
        assert connection.local.host == "127.0.0.2"
        assert await connection.receive() == str(connection.local)
        assert connection.peer == server.addresses[0]
