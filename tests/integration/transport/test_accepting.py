"""Clients are accepted, several at once, and each is served once."""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import socket
import sys
from collections import Counter
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.integration.loopback import Record, echo, reset
from tests.integration.transport.ends import LINES, PATIENCE, Binary
from trio_tcp import Limits, testing

pytestmark = [
    pytest.mark.usefixtures("transport"),
    pytest.mark.skipif(sys.platform != "linux", reason="it looks at Linux's options"),
]

HOSTS = {"127.0.0.1": socket.AF_INET, "::1": socket.AF_INET6}
UNSENT_BYTES = 16 << 10


async def listen(host: str = "127.0.0.1", backlog: int = 200) -> trio.SocketListener:
    """Listen with a socket that a user of Trio has made, and no option set."""
    sock = trio.socket.socket(HOSTS[host], socket.SOCK_STREAM)
    await sock.bind((host, 0))
    sock.listen(backlog)
    return trio.SocketListener(sock)


def connect_to(listener: trio.SocketListener) -> socket.socket:
    """Connect a blocking socket; the kernel answers for who listens."""
    sock = socket.socket(listener.socket.family, socket.SOCK_STREAM)
    sock.settimeout(PATIENCE)
    sock.connect(listener.socket.getsockname())
    return sock


@contextmanager
def clients(
    listener: trio.SocketListener, count: int
) -> Generator[list[socket.socket], None, None]:
    """Connect some clients, before anybody has accepted one."""
    with ExitStack() as stack:
        yield [stack.enter_context(connect_to(listener)) for _ in range(count)]


async def start(
    nursery: trio.Nursery,
    handler: trio_tcp.Handler[bytes, bytes],
    listener: trio.SocketListener,
    *,
    limits: Limits | None = None,
    observer: trio_tcp.Observer = trio_tcp.log_events,
) -> trio_tcp.Server:
    """Start a server."""
    server: trio_tcp.Server = await nursery.start(
        partial(
            trio_tcp.serve_listeners,
            handler,
            [listener],
            codec=LINES,
            limits=Limits() if limits is None else limits,
            observer=observer,
        )
    )
    return server


async def hear(client: socket.socket) -> bytes:
    """Read once what comes to a blocking socket."""
    await trio.lowlevel.wait_readable(client)
    return client.recv(100)


async def ask(client: socket.socket, text: bytes) -> None:
    """Have an answer."""
    client.sendall(text)
    assert await hear(client) == text


@pytest.mark.parametrize("count", [1, 7, 8, 9, 50])
async def test_each_of_those_who_wait_has_one_connection(
    nursery: trio.Nursery, count: int
) -> None:
    peers: Counter[object] = Counter()

    async def handler(connection: Binary) -> None:
        peers[connection.peer] += 1
        await echo(connection)

    listener = await listen()
    with trio.fail_after(PATIENCE), clients(listener, count) as crowd:
        server = await start(nursery, handler, listener)
        for number, client in enumerate(crowd):
            await ask(client, b"%d\n" % number)
        assert peers == dict.fromkeys((each.getsockname() for each in crowd), 1)
        assert server.statistics().accepted == count


@pytest.mark.parametrize("room", [1, 2, 5, 8, 9])
async def test_there_are_never_more_than_there_is_room_for(
    nursery: trio.Nursery, room: int
) -> None:
    here = most = 0

    async def handler(connection: Binary) -> None:
        nonlocal here, most
        here += 1
        most = max(most, here)
        async for message in connection:
            await connection.send(message)
        here -= 1

    listener = await listen()
    with trio.fail_after(PATIENCE), clients(listener, 20) as crowd:
        await start(nursery, handler, listener, limits=Limits(max_connections=room))
        for number, client in enumerate(crowd):
            await ask(client, b"%d\n" % number)
            client.close()
    assert 1 <= most <= room


@pytest.mark.parametrize("room", [1, 5, 8, 12])
async def test_those_for_whom_there_is_no_room_are_refused(
    nursery: trio.Nursery, record: Record, room: int
) -> None:
    listener = await listen()
    limits = Limits(max_connections=room, when_full="reject", farewell=b"full\n")
    with trio.fail_after(PATIENCE), clients(listener, 20) as crowd:
        server = await start(nursery, echo, listener, limits=limits, observer=record)
        for client in crowd[:room]:
            await ask(client, b"hello\n")
        for client in crowd[room:]:
            assert await hear(client) == b"full\n"
            assert await hear(client) == b""
            client.close()
        await record.wait(trio_tcp.ConnectionRejected, 20 - room)
        assert server.statistics().accepted == room


async def test_those_who_come_too_fast_are_refused(
    nursery: trio.Nursery, record: Record
) -> None:
    listener = await listen()
    limits = Limits(max_accept_rate=3)
    with trio.fail_after(PATIENCE), clients(listener, 20) as crowd:
        server = await start(nursery, echo, listener, limits=limits, observer=record)
        for client in crowd[:3]:
            await ask(client, b"hello\n")
        rejected = await record.wait(trio_tcp.ConnectionRejected, 16)
        assert {each.limit for each in rejected} == {"max_accept_rate"}
        assert server.statistics().accepted <= 4


async def test_nobody_is_lost_while_the_server_is_suspended(
    nursery: trio.Nursery,
) -> None:
    listener = await listen()
    with trio.fail_after(PATIENCE):
        limits = Limits(max_connections=6)
        server = await start(nursery, echo, listener, limits=limits)
        with clients(listener, 6) as crowd, clients(listener, 6) as others:
            for client in crowd:
                await ask(client, b"hello\n")
            await wait_all_tasks_blocked()
            server.suspend()
            for client in crowd:
                client.close()
            await wait_all_tasks_blocked()
            server.resume()
            for client in others:
                await ask(client, b"hello\n")


@pytest.mark.parametrize("passes", range(4))
async def test_a_drain_ends_those_who_have_just_been_accepted(
    nursery: trio.Nursery, passes: int
) -> None:
    listener = await listen()
    with trio.fail_after(PATIENCE), clients(listener, 20) as crowd:
        server = await start(nursery, echo, listener)
        for _ in range(passes):
            await trio.lowlevel.checkpoint()
        async with trio.open_nursery() as draining:
            draining.start_soon(server.drain)
            for client in crowd:
                # Those whom nobody has accepted are reset by the kernel.
                with suppress(ConnectionResetError):
                    assert await hear(client) == b""
                client.close()
        assert server.statistics().open == 0


def descriptors() -> set[int]:
    """Return the numbers of the descriptors of this process."""
    numbers = {int(name) for name in os.listdir("/proc/self/fd")}
    return set(filter(_is_open, numbers))  # without the folder's own


def _is_open(number: int) -> bool:
    with suppress(OSError):
        os.fstat(number)
        return True
    return False


def limit_for(count: int) -> int:
    """Return a limit of numbers with which so many more descriptors are possible."""
    taken = descriptors()
    free = (number for number in itertools.count() if number not in taken)
    return next(itertools.islice(free, count, None))


async def test_without_descriptors_those_who_wait_are_accepted_later(
    nursery: trio.Nursery, record: Record
) -> None:
    resource = pytest.importorskip("resource")
    listener = await listen()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with trio.fail_after(PATIENCE), clients(listener, 12) as crowd:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit_for(4), limits[1]))
        try:
            server = await start(nursery, echo, listener, observer=record)
            [paused] = await record.wait(trio_tcp.AcceptPaused)
            assert isinstance(paused.error, OSError)
            assert paused.error.errno == errno.EMFILE
            accepted = server.statistics().accepted
            assert accepted < 12
            for client in crowd[:accepted]:
                await ask(client, b"hello\n")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for client in crowd:
            await ask(client, b"hello again\n")
        await record.wait(trio_tcp.AcceptResumed)


async def test_a_listener_that_is_closed_ends_the_server(
    nursery: trio.Nursery,
) -> None:
    """Those whom it has are served on."""
    listener = await listen()
    ended = trio.Event()

    async def serve(task_status: trio.TaskStatus[trio_tcp.Server]) -> None:
        await trio_tcp.serve_listeners(
            echo, [listener], codec=LINES, task_status=task_status
        )
        ended.set()

    with trio.fail_after(PATIENCE), clients(listener, 3) as crowd:
        await nursery.start(serve)
        for client in crowd:
            await ask(client, b"hello\n")
        await listener.aclose()
        for client in crowd:
            await ask(client, b"hello\n")
            client.close()
        await ended.wait()


async def test_a_listener_closed_as_a_client_comes_gives_its_number_away_in_peace(
    nursery: trio.Nursery,
) -> None:
    """The clients of the number's next owner are not taken from it."""
    with trio.fail_after(PATIENCE):
        # Who accepts is woken in the same pass, and its turn comes first or not.
        for passes in (0, *[1] * 10, 2):
            first = await listen()
            number = first.socket.fileno()
            async with trio.open_nursery() as serving:
                await start(serving, echo, first)
                await wait_all_tasks_blocked()
                with connect_to(first):
                    for _ in range(passes):
                        await trio.lowlevel.checkpoint()
                    first.socket.close()  # and nobody runs until its number is taken
                    with socket.create_server(("127.0.0.1", 0)) as next_owner:
                        if next_owner.fileno() != number:
                            os.dup2(next_owner.fileno(), number)
                        with socket.create_connection(next_owner.getsockname()):
                            await wait_all_tasks_blocked()
                            next_owner.settimeout(PATIENCE)
                            accepted, _ = next_owner.accept()
                            accepted.close()
                        if next_owner.fileno() != number:
                            os.close(number)
                serving.cancel_scope.cancel()


async def test_a_client_that_is_gone_before_it_is_accepted_concerns_nobody(
    nursery: trio.Nursery,
) -> None:
    listener = await listen()
    with trio.fail_after(PATIENCE), clients(listener, 20) as crowd:
        for client in crowd[::2]:
            reset(client)
        server = await start(nursery, echo, listener)
        for client in crowd[1::2]:
            await ask(client, b"hello\n")
        while server.statistics().open > 10:  # noqa: ASYNC110 - nothing tells of it
            await trio.lowlevel.checkpoint()


# What an accepted socket is


@pytest.fixture(params=[None, 5.0], ids=["no default", "a default timeout"])
def default_timeout(request: pytest.FixtureRequest) -> Generator[None, None, None]:
    """Have somebody set a timeout for all new sockets."""
    socket.setdefaulttimeout(request.param)
    yield
    socket.setdefaulttimeout(None)


async def a_handler_s_socket(
    nursery: trio.Nursery, listener: trio.SocketListener
) -> tuple[socket.socket, socket.socket]:
    """Accept a client with a server; a copy of its socket, and the client's."""
    send, receive = trio.open_memory_channel[socket.socket](1)

    async def handler(connection: Binary) -> None:
        stream, _ = await connection.detach()
        assert isinstance(stream, trio.SocketStream)
        await send.send(socket.socket(fileno=stream.socket.detach()))

    await start(nursery, handler, listener)
    client = await trio.to_thread.run_sync(connect_to, listener)
    return await receive.receive(), client


@pytest.mark.usefixtures("default_timeout")
@pytest.mark.parametrize("host", HOSTS)
async def test_an_accepted_socket_sends_at_once_and_keeps_little_back(
    nursery: trio.Nursery, host: str
) -> None:
    listener = await listen(host)
    accepted, client = await a_handler_s_socket(nursery, listener)
    with accepted, client:
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        option = (socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)
        assert accepted.getsockopt(*option) == UNSENT_BYTES
        flags = fcntl.fcntl(accepted.fileno(), fcntl.F_GETFL)
        assert flags & os.O_NONBLOCK


@pytest.mark.usefixtures("default_timeout")
async def test_an_accepted_unix_socket_does_not_block(
    nursery: trio.Nursery, tmp_path: Path
) -> None:
    sock = trio.socket.socket(socket.AF_UNIX)
    await sock.bind(str(tmp_path / "socket"))
    sock.listen()
    accepted, client = await a_handler_s_socket(nursery, trio.SocketListener(sock))
    with accepted, client:
        flags = fcntl.fcntl(accepted.fileno(), fcntl.F_GETFL)
        assert flags & os.O_NONBLOCK


async def test_no_program_inherits_a_client(nursery: trio.Nursery) -> None:
    """Each descriptor of a connected client, and what it is waited with."""
    listener = await listen()
    with trio.fail_after(PATIENCE), clients(listener, 12) as crowd:
        before = descriptors()
        await start(nursery, echo, listener)
        for client in crowd:
            await ask(client, b"hello\n")
        new = descriptors() - before
        assert len(new) >= 12
        assert not any(map(os.get_inheritable, new))


@pytest.mark.usefixtures("default_timeout")
async def test_a_default_timeout_for_sockets_changes_nothing(
    nursery: trio.Nursery,
) -> None:
    listener = await listen()
    with trio.fail_after(PATIENCE):
        await start(nursery, echo, listener)
        host, port = listener.socket.getsockname()
        async with trio_tcp.connect_tcp(host, port, codec=LINES) as connection:
            for _ in range(3):
                await wait_all_tasks_blocked()
                await connection.send(b"hello")
                assert await connection.receive() == b"hello"


async def test_a_listener_in_memory_serves_as_well(nursery: trio.Nursery) -> None:
    listener = testing.MemoryListener()
    with trio.fail_after(PATIENCE):
        await nursery.start(
            partial(trio_tcp.serve_listeners, echo, [listener], codec=LINES)
        )
        for number in range(10):
            stream = await listener.connect()
            async with trio_tcp.open_connection(stream, codec=LINES) as connection:
                await connection.send(b"%d" % number)
                assert await connection.receive() == b"%d" % number
