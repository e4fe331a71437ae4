"""The options of `KeepAlive` on real sockets."""

from __future__ import annotations

import math
import socket
import sys
from functools import partial

import pytest
import trio

import trio_tcp
from tests.integration.loopback import LOOPBACK
from trio_tcp import KeepAlive, codecs

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the options have other names elsewhere"
)

LINES = codecs.Lines()
NAMES = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")


def options_of(sock: trio.socket.SocketType) -> tuple[bool, list[int]]:
    """Say whether keepalive is on, and with what numbers."""
    is_on = sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
    numbers = [sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, n)) for n in NAMES]
    return is_on, numbers


async def options_of_both(
    *, client: KeepAlive | None = None, server: KeepAlive | None = None
) -> tuple[tuple[bool, list[int]], tuple[bool, list[int]]]:
    """Connect, and return what both sides have, from the first moment on."""
    seen: list[tuple[bool, list[int]]] = []

    async def handler(connection: trio_tcp.Connection[str, str]) -> None:
        await connection.send("hello")
        stream, _ = await connection.detach()
        async with stream:
            assert isinstance(stream, trio.SocketStream)
            seen.append(options_of(stream.socket))

    async with trio.open_nursery() as nursery:
        serve = partial(
            trio_tcp.serve_tcp,
            handler,
            0,
            host=LOOPBACK,
            codec=LINES,
            keepalive=server,
        )
        running: trio_tcp.Server = await nursery.start(serve)
        assert running.port is not None
        async with trio_tcp.connect_tcp(
            LOOPBACK, running.port, codec=LINES, keepalive=client
        ) as connection:
            assert await connection.receive() == "hello"
            stream, _ = await connection.detach()
            async with stream:
                assert isinstance(stream, trio.SocketStream)
                ours = options_of(stream.socket)
        await running.drain()
    (theirs,) = seen
    return ours, theirs


@pytest.mark.parametrize(
    ("keepalive", "expected"),
    [
        (KeepAlive(), [60, 10, 6, 120_000]),
        (KeepAlive(idle=7, interval=3, count=2), [7, 3, 2, 13_000]),
        (KeepAlive(idle=7, user_timeout=2.5), [7, 10, 6, 2500]),
        (KeepAlive(user_timeout=0.0001), [60, 10, 6, 1]),
        (
            KeepAlive(idle=32_767, interval=32_767, count=127),
            [32_767, 32_767, 127, 2_147_483_000],  # the most that can be counted
        ),
    ],
)
async def test_both_sides_have_what_they_were_told(
    keepalive: KeepAlive, expected: list[int]
) -> None:
    ours, theirs = await options_of_both(client=keepalive, server=keepalive)
    assert ours == theirs == (True, expected)


async def test_it_is_off_by_default() -> None:
    ours, theirs = await options_of_both()
    assert ours == theirs
    is_on, numbers = ours
    assert not is_on
    assert numbers[-1] == 0


async def test_no_user_timeout_leaves_it_to_the_system() -> None:
    keepalive = KeepAlive(user_timeout=math.inf)
    ours, theirs = await options_of_both(client=keepalive, server=keepalive)
    assert ours == theirs == (True, [60, 10, 6, 0])
