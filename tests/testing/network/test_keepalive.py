"""A peer that is gone, noticed by the kernel: keepalive and TCP_USER_TIMEOUT.

The same is tried on the kernel, over loopback: a filter on the peer's socket drops all
that comes, so that nothing answers. There, timers are late, and never early.
"""

from __future__ import annotations

import ctypes
import errno
import math
import socket
import struct
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final, TypeAlias

import attrs
import pytest
import trio
from trio.testing import MockClock

from trio_tcp.testing import faults
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.traces import Flag

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="virtual sockets behave as those of Linux"
)

SETTABLE: Final = (
    socket.TCP_KEEPIDLE,
    socket.TCP_KEEPINTVL,
    socket.TCP_KEEPCNT,
    socket.TCP_USER_TIMEOUT,
)
Sockets: TypeAlias = tuple[trio.socket.SocketType, trio.socket.SocketType]


@attrs.frozen
class Options:
    """What is set on a socket: seconds, a number, milliseconds; None: no keepalive."""

    idle: int | None = None
    interval: int = 1
    count: int = 1
    user_timeout: int = 0

    def set_on(self, sock: trio.socket.SocketType) -> None:
        if self.idle is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, self.idle)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, self.interval)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, self.count)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, self.user_timeout)


SILENT: Final = [
    (Options(idle=1), 2),
    (Options(idle=1, count=3), 4),
    (Options(idle=2, interval=1, count=2), 4),
    (Options(idle=1, count=3, user_timeout=1500), 2),
    (Options(idle=1, count=1, user_timeout=2500), 3),
    (Options(idle=2, count=9, user_timeout=500), 3),
    (Options(user_timeout=500), math.inf),
]
"""Who has sent nothing, and after how many seconds the connection is over."""

UNACKNOWLEDGED: Final = [
    (Options(user_timeout=500), 0.7),
    (Options(user_timeout=2000), 2.2),
    (Options(idle=1, count=1, user_timeout=3000), 3.2),
    (Options(idle=1, count=1), math.inf),
]
"""Who has sent a byte: it is sent again after 0.2 s, and then the time begins."""

NOT_READ: Final = [
    (Options(user_timeout=500), 0.7),
    (Options(user_timeout=2000), 2.2),
    (Options(idle=1, count=1), math.inf),
]
"""Whose peer does not read, though its kernel answers, with no room for more."""

KERNEL_WAIT: Final = 5.0
"""Seconds after which the kernel would have done what it does at all."""


async def sink(stream: trio.SocketStream) -> None:
    async for _ in stream:
        pass


async def ignore(_stream: trio.SocketStream) -> None:
    await trio.sleep_forever()


async def fill(sock: trio.socket.SocketType) -> None:
    """Send until there is no room."""
    with trio.move_on_after(0.01):
        while True:
            await sock.send(bytes(1 << 16))


async def seconds_until_over(sock: trio.socket.SocketType, most: float) -> float:
    """Wait until the connection is over, by ETIMEDOUT; `math.inf` if it goes on."""
    began = trio.current_time()
    with trio.move_on_after(most):
        with pytest.raises(TimeoutError) as caught:
            await sock.recv(1)
        assert caught.value.errno == errno.ETIMEDOUT
        return trio.current_time() - began
    return math.inf


# On a virtual network -----------------------------------------------------------------


@pytest.mark.parametrize(("options", "seconds"), SILENT)
async def test_a_silent_peer_in_a_black_hole_is_noticed(
    autojump_clock: MockClock, options: Options, seconds: float
) -> None:
    async with VirtualNetwork() as net:
        net.host("server").start(trio.serve_tcp, sink, 80)
        await net.settle()
        async with await trio.open_tcp_stream("server", 80) as stream:
            await net.settle()
            options.set_on(stream.socket)
            with net.inject(faults.BlackHole()):
                over = await seconds_until_over(stream.socket, 10_000)
            assert over == pytest.approx(seconds, abs=0.01)


@pytest.mark.parametrize(("options", "seconds"), UNACKNOWLEDGED)
async def test_what_stays_unacknowledged_is_given_up(
    autojump_clock: MockClock, options: Options, seconds: float
) -> None:
    async with VirtualNetwork() as net:
        net.host("server").start(trio.serve_tcp, sink, 80)
        await net.settle()
        async with await trio.open_tcp_stream("server", 80) as stream:
            options.set_on(stream.socket)
            with net.inject(faults.BlackHole()):
                await stream.send_all(b"x")
                over = await seconds_until_over(stream.socket, 100)
            assert over == pytest.approx(seconds, abs=0.01)


@pytest.mark.parametrize(("options", "seconds"), NOT_READ)
async def test_a_peer_that_does_not_read_is_given_up(
    autojump_clock: MockClock, options: Options, seconds: float
) -> None:
    async with VirtualNetwork() as net:
        net.host("server").start(trio.serve_tcp, ignore, 80)
        await net.settle()
        async with await trio.open_tcp_stream("server", 80) as stream:
            options.set_on(stream.socket)
            await fill(stream.socket)
            over = await seconds_until_over(stream.socket, 1000)
            assert over == pytest.approx(seconds, abs=0.05)


async def test_a_peer_that_reads_slowly_is_not_given_up(
    autojump_clock: MockClock,
) -> None:
    received = 0

    async def read_slowly(stream: trio.SocketStream) -> None:
        nonlocal received
        while chunk := await stream.receive_some(20_000):
            received += len(chunk)
            await trio.sleep(0.4)

    async with VirtualNetwork() as net:
        net.host("server").start(trio.serve_tcp, read_slowly, 80)
        await net.settle()
        async with await trio.open_tcp_stream("server", 80) as stream:
            Options(user_timeout=3000).set_on(stream.socket)
            await stream.send_all(bytes(3_000_000))
            await stream.send_eof()
            assert await stream.receive_some() == b""
        assert received == 3_000_000


async def test_a_living_peer_answers_and_nobody_is_told(
    autojump_clock: MockClock,
) -> None:
    async with VirtualNetwork() as net:
        net.host("server").start(trio.serve_tcp, sink, 80)
        await net.settle()
        async with await trio.open_tcp_stream("server", 80) as stream:
            await net.settle()
            before = len(net.trace.segments)
            Options(idle=10, interval=1, count=2).set_on(stream.socket)
            assert await seconds_until_over(stream.socket, 100.5) == math.inf
            segments = net.trace.segments[before:]
            assert len(segments) == 2 * 10  # a question and an answer each time
            assert all(s.flags == Flag.ACK and not s.payload for s in segments)


async def test_a_peer_that_comes_back_in_time_lives(autojump_clock: MockClock) -> None:
    async with VirtualNetwork() as net:
        net.host("server").start(trio.serve_tcp, sink, 80)
        await net.settle()
        async with await trio.open_tcp_stream("server", 80) as stream:
            Options(idle=10, interval=5, count=4).set_on(stream.socket)
            for _ in range(5):
                with net.inject(faults.BlackHole()):
                    await trio.sleep(14)
                await trio.sleep(10)
            with net.inject(faults.BlackHole()):
                assert 20 < await seconds_until_over(stream.socket, 100) <= 30.01


@pytest.mark.parametrize(
    "fault", [faults.Crash(), faults.Pause(), faults.Partition()], ids=repr
)
async def test_every_way_to_be_gone_is_noticed(
    autojump_clock: MockClock, fault: faults.Fault
) -> None:
    """Of two, one has nothing to say, and one has."""
    async with VirtualNetwork() as net:
        net.host("server").start(trio.serve_tcp, sink, 80)
        await net.settle()
        async with (
            await trio.open_tcp_stream("server", 80) as silent,
            await trio.open_tcp_stream("server", 80) as talking,
        ):
            for stream in silent, talking:
                Options(idle=5, count=2, user_timeout=7000).set_on(stream.socket)
            await net.settle()
            with net.inject(fault, on=net.host("server")):
                await talking.send_all(b"hello")
                over = await seconds_until_over(talking.socket, 100)
                assert over == pytest.approx(7.2, abs=0.05)
                await seconds_until_over(silent.socket, 0.01)
                assert not net.host("test").ends


async def test_the_peer_of_one_that_gave_up_is_reset(autojump_clock: MockClock) -> None:
    """As far as the reset arrives; and whoever comes too late gets another one."""
    async with VirtualNetwork() as net:
        net.host("server").start(trio.serve_tcp, sink, 80)
        await net.settle()
        async with await trio.open_tcp_stream("server", 80) as stream:
            Options(idle=1).set_on(stream.socket)
            with net.inject(faults.BlackHole()):
                await seconds_until_over(stream.socket, 10)
            assert net.trace.segments[-1].flags & Flag.RST


async def test_what_is_accepted_asks_as_its_listener_was_told(
    autojump_clock: MockClock,
) -> None:
    async with VirtualNetwork() as net, trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(80, host="0.0.0.0")
        Options(idle=1).set_on(listener.socket)

        async def connect() -> None:
            await net.host("client").run(trio.open_tcp_stream, "test", 80)

        nursery.start_soon(connect)
        stream = await listener.accept()
        with net.inject(faults.BlackHole()):
            over = await seconds_until_over(stream.socket, 100)
        assert over == pytest.approx(2, abs=0.01)


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("TCP_KEEPIDLE", 1, 32_767),
        ("TCP_KEEPINTVL", 1, 32_767),
        ("TCP_KEEPCNT", 1, 127),
        ("TCP_USER_TIMEOUT", 0, (1 << 31) - 1),
    ],
)
async def test_options_have_the_kernels_limits(
    autojump_clock: MockClock, name: str, least: int, most: int
) -> None:
    def accepts(value: int, make: Callable[[], socket.socket]) -> bool:
        with make() as sock:
            try:
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                return False
            told = sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
            return told == value

    async with VirtualNetwork():
        for make in (socket.socket, trio.socket.socket):
            values = (least - 1, least, most)
            made = [accepts(value, make) for value in values]  # type: ignore[arg-type] # as far as this goes, the same
            assert made == [False, True, True]
        real, virtual = socket.socket(), trio.socket.socket()
        with real, virtual:
            for option in SETTABLE:
                told = virtual.getsockopt(socket.IPPROTO_TCP, option)
                assert told == real.getsockopt(socket.IPPROTO_TCP, option)


# On the kernel ------------------------------------------------------------------------


@contextmanager
def kernel_pair() -> Generator[Sockets, None, None]:
    """Connect two sockets over loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        here = socket.create_connection(server.getsockname())
        there, _ = server.accept()
    with here, there:
        yield (
            trio.socket.from_stdlib_socket(here),
            trio.socket.from_stdlib_socket(there),
        )


def deafen(sock: trio.socket.SocketType) -> None:
    """Drop all that comes to a socket, by a filter of one instruction: ``ret 0``."""
    instruction = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
    program = struct.pack("HL", 1, ctypes.addressof(instruction))
    attach_filter = getattr(socket, "SO_ATTACH_FILTER", 26)
    sock.setsockopt(socket.SOL_SOCKET, attach_filter, program)


async def test_the_kernel_does_the_same() -> None:
    """All at once, as each takes seconds. A kernel's timer is never early."""
    found: dict[tuple[str, Options], float] = {}

    async def try_out(what: str, options: Options) -> None:
        with kernel_pair() as (here, there):
            options.set_on(here)
            began = time.monotonic()
            if what == "not read":
                await fill(here)
            else:
                deafen(there)
            if what == "unacknowledged":
                await here.send(b"x")
            over = await seconds_until_over(here, KERNEL_WAIT)
            found[what, options] = min(over, time.monotonic() - began)

    cases = {"silent": SILENT, "unacknowledged": UNACKNOWLEDGED, "not read": NOT_READ}
    async with trio.open_nursery() as nursery:
        for what, tried in cases.items():
            for options, _ in tried:
                nursery.start_soon(try_out, what, options)
    for what, tried in cases.items():
        for options, seconds in tried:
            assert found[what, options] >= min(seconds, KERNEL_WAIT) - 0.1
