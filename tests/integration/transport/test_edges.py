"""What has come is seen, however it came, and whoever waited for it or did not."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Callable

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.integration.loopback import (
    Record,
    connect,
    connect_socket,
    receive_exactly,
    reset,
    start_server,
)
from tests.integration.transport.ends import (
    LINES,
    PATIENCE,
    Binary,
    connected,
    stream_of,
    tcp_pair,
)
from trio_tcp import CloseReason

pytestmark = [
    pytest.mark.usefixtures("transport"),
    pytest.mark.skipif(sys.platform != "linux", reason="about edges of Linux's epoll"),
]

READ = 64 << 10


def say(text: bytes) -> Callable[[socket.socket], object]:
    return lambda peer: peer.sendall(text)


def urge(peer: socket.socket) -> None:
    peer.send(b"!", socket.MSG_OOB)


def half_close(peer: socket.socket) -> None:
    peer.shutdown(socket.SHUT_WR)


async def receive_all(connection: Binary) -> list[bytes]:
    return [message async for message in connection]


@pytest.mark.parametrize("somebody_waits", [True, False])
@pytest.mark.parametrize(
    "steps",
    [
        [say(b"last\n"), half_close],
        [say(b"la"), say(b"st\n"), half_close],
        [urge, say(b"last\n"), half_close],
        [say(b"la"), urge, say(b"st\n"), half_close],
        [say(b"last\n"), urge, half_close],
    ],
    ids=["data", "parts", "urgent first", "urgent between", "urgent last"],
)
async def test_data_and_the_end_may_come_at_once(
    steps: list[Callable[[socket.socket], object]],
    somebody_waits: bool,
) -> None:
    async with connected() as (connection, peer), trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            if not somebody_waits:
                await wait_all_tasks_blocked()
            assert await receive_all(connection) == [b"last"]

        if somebody_waits:
            await wait_all_tasks_blocked()
        for step in steps:
            step(peer)
    assert connection.close_reason is CloseReason.PEER_CLOSED


@pytest.mark.parametrize(
    "steps",
    [
        [urge],
        [urge, say(b"news\n")],
        [say(b"ne"), urge, say(b"ws\n")],
        [say(b"news\n"), urge],
    ],
    ids=["alone", "before", "between", "after"],
)
async def test_an_urgent_byte_stalls_nothing(
    steps: list[Callable[[socket.socket], object]],
) -> None:
    """Not what came with it, nor what comes later."""
    async with connected() as (connection, peer):
        for _turn in range(3):
            async with trio.open_nursery() as nursery:

                @nursery.start_soon
                async def _() -> None:
                    if len(steps) > 1:
                        assert await connection.receive() == b"news"
                    assert await connection.receive() == b"later"

                await wait_all_tasks_blocked()
                for step in steps:
                    step(peer)
                await wait_all_tasks_blocked()
                peer.sendall(b"later\n")


@pytest.mark.parametrize("somebody_waits", [True, False])
async def test_a_reset_behind_data_is_told_as_a_reset(somebody_waits: bool) -> None:
    async with connected() as (connection, peer), trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            if not somebody_waits:
                await wait_all_tasks_blocked()
            with pytest.raises(trio_tcp.ConnectionBroken) as caught:
                await receive_all(connection)
            assert caught.value.errno == errno.ECONNRESET

        if somebody_waits:
            await wait_all_tasks_blocked()
        peer.sendall(b"data\n")
        reset(peer)
    assert connection.close_reason is CloseReason.BROKEN


@pytest.mark.parametrize(
    "size", [READ * n + more for n in (1, 2, 5) for more in (-1, 0, 1)]
)
async def test_after_a_full_read_the_next_message_is_waited_for(size: int) -> None:
    ours, theirs = tcp_pair()
    async with (
        stream_of(theirs) as peer,
        trio_tcp.open_connection(stream_of(ours), codec=LINES) as connection,
    ):
        with trio.fail_after(PATIENCE):
            for letter in (b"a", b"b"):
                async with trio.open_nursery() as nursery:

                    @nursery.start_soon
                    async def _(letter: bytes = letter) -> None:
                        message = await connection.receive()
                        assert message == letter * (size - 1)

                    await wait_all_tasks_blocked()
                    await peer.send_all(letter * (size - 1) + b"\n")
        connection.abort()


async def test_what_comes_while_nobody_waits_is_there_later() -> None:
    async with connected() as (connection, peer):
        for number in range(10):
            peer.sendall(b"%d\n" % number)
            await wait_all_tasks_blocked()
            if number % 3 == 0:
                peer.sendall(b"more\n")
                assert await connection.receive() == b"%d" % number
                assert await connection.receive() == b"more"
            else:
                assert await connection.receive() == b"%d" % number
        peer.sendall(b"last\n")
        half_close(peer)
        await wait_all_tasks_blocked()
        assert await receive_all(connection) == [b"last"]


@pytest.mark.parametrize("passes", range(5))
@pytest.mark.parametrize("cancel_first", [True, False])
async def test_a_receive_cancelled_around_an_edge_loses_nothing(
    passes: int, cancel_first: bool
) -> None:
    received: list[bytes] = []
    async with connected() as (connection, peer):
        for number in range(20):
            async with trio.open_nursery() as nursery:

                @nursery.start_soon
                async def _() -> None:
                    received.append(await connection.receive())

                await wait_all_tasks_blocked()
                if cancel_first:
                    nursery.cancel_scope.cancel()
                peer.sendall(b"%d\n" % number)
                for _pass in range(passes):
                    await trio.lowlevel.cancel_shielded_checkpoint()
                nursery.cancel_scope.cancel()
        peer.sendall(b"last\n")
        while received[-1:] != [b"last"]:
            received.append(await connection.receive())
    assert received == [b"%d" % number for number in range(20)] + [b"last"]


async def test_a_drain_does_not_take_a_reset_away(nursery: trio.Nursery) -> None:
    """Who looks whether there is something must not hide what it is."""
    came, go_on = trio.Event(), trio.Event()
    reasons: list[CloseReason | None] = []

    async def handler(connection: Binary) -> None:
        assert await connection.receive() == b"hello"
        came.set()
        await go_on.wait()
        try:
            await connection.receive()
        finally:
            reasons.append(connection.close_reason)

    with trio.fail_after(PATIENCE):
        server = await start_server(nursery, handler, LINES)
        client = connect_socket(server.port)
        client.sendall(b"hello\n")
        await came.wait()
        reset(client)
        async with trio.open_nursery() as draining:
            draining.start_soon(server.drain)
            await wait_all_tasks_blocked()
            go_on.set()
    assert reasons == [CloseReason.BROKEN]


@pytest.mark.parametrize("requests", [1, 63, 65, 200])
async def test_a_reset_is_told_where_a_function_answers(
    nursery: trio.Nursery, record: Record, requests: int
) -> None:
    """However many it has answered at once, and whoever has read for it last."""
    with trio.fail_after(PATIENCE):
        handler = trio_tcp.respond(bytes.upper)
        server = await start_server(nursery, handler, LINES, observer=record)
        for number in range(1, 4):
            client = connect(server.port)
            for _ in range(number):
                await client.send_all(b"hello\n" * requests)
                answer = await receive_exactly(client, 6 * requests)
                assert answer == b"HELLO\n" * requests
                await wait_all_tasks_blocked()
            await client.send_all(b"bye\n")
            reset(client)
            ended = await record.wait(trio_tcp.ConnectionEnded, number)
            assert ended[-1].reason is CloseReason.BROKEN
            assert isinstance(ended[-1].error, trio_tcp.ConnectionBroken)


@pytest.mark.parametrize("passes", range(6))
async def test_a_drain_reaches_who_is_just_woken_for_nothing(
    nursery: trio.Nursery, passes: int
) -> None:
    """An urgent byte wakes, but there is nothing to read."""

    async def handler(connection: Binary) -> None:
        async for message in connection:
            await connection.send(message)

    with trio.fail_after(PATIENCE):
        server = await start_server(nursery, handler, LINES)
        with connect_socket(server.port) as client:
            client.sendall(b"hello\n")
            while not server.connections:  # noqa: ASYNC110 - nothing tells of it
                await trio.lowlevel.checkpoint()
            await wait_all_tasks_blocked()
            assert client.recv(10) == b"hello\n"
            urge(client)
            for _ in range(passes):
                await trio.lowlevel.checkpoint()
            async with trio.open_nursery() as draining:
                draining.start_soon(server.drain)
                await wait_all_tasks_blocked()
                assert client.recv(10) == b""
                client.close()
