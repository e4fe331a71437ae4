"""Servers: where they listen, and what they raise when they cannot."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.integration.loopback import LOOPBACK, PROGRAMS, echo, open_descriptors
from trio_tcp import codecs

PORT_ATTEMPTS = 10
"""How often the system may choose another port."""

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


OTHER_LOOPBACK = "127.0.0.2"
NOT_OURS_V6 = "2001:db8::1"  # RFC 3849, for documentation
NOT_OURS_V4 = "192.0.2.1"  # RFC 5737, likewise


class Resolver(trio.abc.HostnameResolver):
    """Finds the same for every name."""

    def __init__(self, *found: tuple[int, str]) -> None:
        self._found = found

    # Any: what it returns is typed as for IPv4 and IPv6 alone.
    async def getaddrinfo(  # noqa: PLR0917 - as it is called
        self,
        host: bytes | None,
        port: bytes | str | int | None,
        family: int = 0,
        type: int = 0,  # noqa: A002 - likewise
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        return [
            (found, socket.SOCK_STREAM, 0, "", (address, port))
            for found, address in self._found
        ]

    async def getnameinfo(
        self, sockaddr: tuple[str, int] | tuple[str, int, int, int], flags: int
    ) -> tuple[str, str]:
        raise NotImplementedError


class Rival(trio.abc.SocketFactory):
    """Another program: takes the port of each first socket on the other address.

    Attributes:
        ports: that it has taken.
    """

    def __init__(self, often: int, until: ExitStack) -> None:
        self.ports: list[int] = []
        self._often = often
        self._until = until
        self._first: socket.socket | None = None

    def socket(
        self,
        family: int = -1,
        type: int = -1,  # noqa: A002 - as it is called
        proto: int = -1,
    ) -> trio.socket.SocketType:
        sock = socket.socket(family, type, proto)
        if self._first is None:
            self._first = sock
        else:
            port: int = self._first.getsockname()[1]
            self._first = None
            if len(self.ports) < self._often:
                address = (OTHER_LOOPBACK, port)
                try:
                    self._until.enter_context(socket.create_server(address))
                except OSError as error:
                    if error.errno != errno.EADDRINUSE:
                        sock.close()
                        raise
                    # Some other program was faster: that is as good.
                self.ports.append(port)
        return trio.socket.from_stdlib_socket(sock)


async def open_listeners(
    port: int = 0,
    *,
    host: str | None = LOOPBACK,
    backlog: int | None = None,
    reuse_port: bool = False,
) -> list[trio.SocketListener]:
    """Open listeners, on loopback."""
    return await trio_tcp.open_tcp_listeners(
        port, host=host, backlog=backlog, reuse_port=reuse_port
    )


def addresses(listeners: Sequence[trio.SocketListener]) -> list[trio_tcp.TcpAddress]:
    """Return where they listen."""
    names = [listener.socket.getsockname() for listener in listeners]
    return [trio_tcp.TcpAddress(host, port) for host, port, *_ in names]


async def close(*listeners: trio.SocketListener) -> None:
    """Close all of them."""
    for listener in listeners:
        await listener.aclose()


async def test_all_interfaces_have_the_same_port() -> None:
    """Which the system chose once, not for each."""
    listeners = await open_listeners(host=None)
    found = addresses(listeners)
    assert {address.host for address in found} == {"::", "0.0.0.0"}
    assert len({address.port for address in found}) == 1
    await close(*listeners)


async def test_a_port_that_is_taken_on_the_other_address_is_not_chosen() -> None:
    """Not even where another program takes it in between."""
    trio.socket.set_custom_hostname_resolver(
        Resolver((socket.AF_INET, LOOPBACK), (socket.AF_INET, OTHER_LOOPBACK))
    )
    with ExitStack() as until:
        rival = Rival(3, until)
        trio.socket.set_custom_socket_factory(rival)
        listeners = await open_listeners(host="example.test")
        one, other = addresses(listeners)
        assert (one.host, other.host) == (LOOPBACK, OTHER_LOOPBACK)
        assert one.port == other.port
        assert len(rival.ports) == 3
        assert one.port not in rival.ports
        await close(*listeners)


async def test_where_no_port_is_free_on_all_addresses_nothing_stays_open() -> None:
    """It tries a limited number of times."""
    trio.socket.set_custom_hostname_resolver(
        Resolver((socket.AF_INET, LOOPBACK), (socket.AF_INET, OTHER_LOOPBACK))
    )
    before = open_descriptors()
    with ExitStack() as until:
        rival = Rival(PORT_ATTEMPTS, until)
        trio.socket.set_custom_socket_factory(rival)
        with pytest.raises(OSError, match="in use") as caught:
            await open_listeners(host="example.test")
    assert caught.value.errno == errno.EADDRINUSE
    assert len(rival.ports) == PORT_ATTEMPTS
    assert open_descriptors() == before


async def test_an_address_that_is_found_twice_is_one() -> None:
    """As where a hosts file has it twice."""
    trio.socket.set_custom_hostname_resolver(
        Resolver((socket.AF_INET, LOOPBACK), (socket.AF_INET, LOOPBACK))
    )
    [listener] = await open_listeners(host="example.test")
    await close(listener)


@pytest.mark.parametrize(
    "missing", [(socket.AF_INET6, NOT_OURS_V6), (socket.AF_X25, "1234")]
)
async def test_a_family_that_this_system_has_not_is_left_out(
    missing: tuple[int, str],
) -> None:
    """As IPv6, of which a hosts file may still know ``::1``."""
    trio.socket.set_custom_hostname_resolver(
        Resolver(missing, (socket.AF_INET, LOOPBACK), missing)
    )
    before = open_descriptors()
    listeners = await open_listeners(host="example.test")
    assert [address.host for address in addresses(listeners)] == [LOOPBACK]
    await close(*listeners)
    assert open_descriptors() == before


async def test_where_no_family_is_left_it_is_an_error() -> None:
    """It says which address the first was."""
    with pytest.raises(
        OSError, match=r"cannot listen on \[2001:db8::1\]:0: "
    ) as caught:
        await open_listeners(host=NOT_OURS_V6)
    assert caught.value.errno == errno.EADDRNOTAVAIL


async def test_an_address_of_another_machine_is_an_error() -> None:
    """Even if another one works: it may be a mistake."""
    trio.socket.set_custom_hostname_resolver(
        Resolver((socket.AF_INET, LOOPBACK), (socket.AF_INET, NOT_OURS_V4))
    )
    before = open_descriptors()
    with pytest.raises(OSError, match=r"cannot listen on 192\.0\.2\.1:") as caught:
        await open_listeners(host="example.test")
    assert caught.value.errno == errno.EADDRNOTAVAIL
    assert open_descriptors() == before


async def test_when_it_is_cancelled_nothing_stays_open() -> None:
    before = open_descriptors()
    with trio.CancelScope() as scope:
        scope.cancel()
        await open_listeners()
    assert scope.cancelled_caught
    assert open_descriptors() == before


async def test_a_port_can_be_shared_by_servers_that_all_ask_for_it(
    nursery: trio.Nursery,
) -> None:
    """And each of them gets clients."""
    serve = partial(trio_tcp.serve_listeners, echo, codec=LINES)
    first = await open_listeners(reuse_port=True)
    [address] = addresses(first)
    second = await open_listeners(address.port, reuse_port=True)
    servers: list[trio_tcp.Server] = [
        await nursery.start(partial(serve, listeners=listeners))
        for listeners in (first, second)
    ]
    # Linux chooses by a hash of the addresses, ports included: the chance that all of
    # these have the same one is 2 to the power of -999.
    for _ in range(1000):
        async with trio_tcp.connect_tcp(
            LOOPBACK, address.port, codec=LINES
        ) as connection:
            await connection.send("hello")
            assert await connection.receive() == "hello"
        if all(server.statistics().accepted for server in servers):
            break
    assert all(server.statistics().accepted for server in servers)
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize(("one", "other"), [(True, False), (False, True)])
async def test_a_port_is_not_shared_if_only_one_asks_for_it(
    *, one: bool, other: bool
) -> None:
    listeners = await open_listeners(reuse_port=one)
    [address] = addresses(listeners)
    with pytest.raises(OSError, match=f"{address}: .* in use") as caught:
        await open_listeners(address.port, reuse_port=other)
    assert caught.value.errno == errno.EADDRINUSE
    await close(*listeners)


async def test_a_system_where_ports_cannot_be_shared_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As Windows."""
    monkeypatch.delattr(socket, "SO_REUSEPORT")
    await close(*await open_listeners())
    with pytest.raises(ValueError, match="no SO_REUSEPORT"):
        await open_listeners(reuse_port=True)


@pytest.mark.parametrize(
    ("port", "error", "text"),
    [
        (-1, ValueError, "port must be 0 to 65535, not -1"),
        (65536, ValueError, "port must be 0 to 65535, not 65536"),
        ("80", TypeError, "port must be an int, not '80'"),
        (None, TypeError, "port must be an int, not None"),
        (True, TypeError, "port must be an int, not True"),
    ],
)
async def test_what_is_no_port_is_refused(
    port: int, error: type[Exception], text: str
) -> None:
    """Where the system would take it for another one, or for none."""
    with pytest.raises(error, match=text):
        await open_listeners(port)


@pytest.mark.parametrize(
    ("backlog", "error", "text"),
    [
        (0, ValueError, "backlog must be at least 1, not 0"),
        (1.5, TypeError, r"backlog must be an int, not 1\.5"),
    ],
)
async def test_what_is_no_backlog_is_refused(
    backlog: int, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        await open_listeners(backlog=backlog)


async def test_a_backlog_can_be_larger_than_any_system_has() -> None:
    """Some would take the lower 16 bits of it, here 0."""
    await close(*await open_listeners(backlog=1 << 16))
