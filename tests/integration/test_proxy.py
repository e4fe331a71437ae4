"""A proxy with faults between programs that know nothing of it."""

from __future__ import annotations

import os
import select
import shutil
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
import trio

from tests.integration.loopback import (
    LOOPBACK,
    SMALL_BUFFER,
    connect,
    connect_socket,
    echo,
    open_descriptors,
    receive_all,
    receive_exactly,
    receive_reset,
    reset,
    run_program,
    start_server,
    until,
)
from tests.integration.redis_store import start_store
from trio_tcp import codecs, testing
from trio_tcp.testing import faults

EXAMPLES = Path(__file__).parents[2] / "examples"
MESSAGE = bytes(range(256)) * 100


@asynccontextmanager
async def before_an_echo(
    trace_bytes: int = 0,
) -> AsyncGenerator[testing.FaultProxy, None]:
    async with trio.open_nursery() as nursery:
        server = await start_server(nursery, echo, codecs.Chunks())
        async with testing.open_fault_proxy(
            LOOPBACK, server.port, trace_bytes=trace_bytes
        ) as proxy:
            yield proxy
        nursery.cancel_scope.cancel()


async def open_to(proxy: testing.FaultProxy) -> trio.SocketStream:
    return await trio.open_tcp_stream(LOOPBACK, proxy.port)


async def exchange(stream: trio.SocketStream, message: bytes = MESSAGE) -> None:
    await stream.send_all(message)
    assert await receive_exactly(stream, len(message)) == message


@pytest.fixture
def unused_port() -> Generator[int, None, None]:
    """Give a port where nobody listens, and nobody can as long as the test runs."""
    with socket.socket() as sock:
        sock.bind((LOOPBACK, 0))
        yield sock.getsockname()[1]


# --- what goes through it


async def test_a_target_that_refuses_is_a_reset_before_anything_is_read(
    unused_port: int,
) -> None:
    async with testing.open_fault_proxy(LOOPBACK, unused_port) as proxy:
        ended: list[testing.ProxiedConnection] = []
        proxy.on_connection = ended.append
        async with await open_to(proxy) as client:
            assert await receive_reset(client) == b""
        await until(lambda: not ended[-1].is_open)
        assert "failed" in str(ended[-1].error)


async def test_a_name_that_is_unknown_is_a_reset_too() -> None:
    async with testing.open_fault_proxy("nowhere.invalid", 80) as proxy:
        async with await open_to(proxy) as client:
            assert await receive_reset(client) == b""


async def test_a_server_that_does_not_read_makes_its_client_wait() -> None:
    """What is on the way is bounded; once it is read, all of it arrives."""
    size = 64 << 20  # more than all buffers on the way
    [target] = await trio.open_tcp_listeners(0, host=LOOPBACK)
    port: int = target.socket.getsockname()[1]
    async with target, testing.open_fault_proxy(LOOPBACK, port) as proxy:
        client = await open_to(proxy)
        server = await target.accept()
        async with client, server, trio.open_nursery() as nursery:

            async def send() -> None:
                await client.send_all(bytes(size))
                await client.send_eof()

            nursery.start_soon(send)
            [connection] = proxy.connections.values()
            await until(lambda: is_full(client))
            assert connection.from_client - connection.to_server <= 1 << 20
            assert connection.from_client < size
            received = 0
            while some := await server.receive_some():
                received += len(some)
            assert received == size


def is_full(client: trio.SocketStream) -> bool:
    """Say whether the kernel takes no more of what a client sends."""
    return not select.select([], [client.socket.fileno()], [], 0)[1]


async def test_a_reset_of_a_busy_connection_is_never_taken_for_its_end() -> None:
    """Of the two tasks that wait on a side, either may be told first."""
    async with before_an_echo() as proxy:
        proxy.inject(faults.Stall(), on=proxy.to_server)
        for _ in range(10):
            async with connect(proxy.port) as client:
                await until(partial(has_filled, client, proxy))
                proxy.inject(faults.Reset())
                assert await receive_reset(client) == b""


def has_filled(client: trio.SocketStream, proxy: testing.FaultProxy) -> bool:
    """Send what the kernel takes, and say whether the proxy takes no more."""
    with suppress(BlockingIOError):
        os.write(client.socket.fileno(), MESSAGE)
    return any(c.from_client > 512 << 10 for c in proxy.connections.values())


async def test_a_client_that_resets_while_it_is_sent_to_sends_no_end() -> None:
    """Here, too, either task may be told first: what the network carries is a reset."""
    [target] = await trio.open_tcp_listeners(0, host=LOOPBACK)
    port: int = target.socket.getsockname()[1]
    async with (
        target,
        testing.open_fault_proxy(LOOPBACK, port, trace_bytes=100_000) as proxy,
    ):
        for _ in range(10):
            client = connect(proxy.port)
            async with await target.accept() as server, trio.open_nursery() as nursery:
                nursery.start_soon(send_until_broken, server)
                await until(partial(has_to_wait_for_the_client, proxy))
                reset(client)
            assert proxy.trace.count(flags=testing.Flag.RST) > 0
            assert proxy.trace.count(flags=testing.Flag.FIN) == 0


def has_to_wait_for_the_client(proxy: testing.FaultProxy) -> bool:
    return any(
        c.from_server - c.to_client > 512 << 10 for c in proxy.connections.values()
    )


async def send_until_broken(stream: trio.SocketStream) -> None:
    with pytest.raises(trio.BrokenResourceError):
        while True:
            await stream.send_all(MESSAGE)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what is unsent")
async def test_what_came_before_a_reset_is_not_lost_with_it() -> None:
    """The target reads it late, and the kernel still holds some of it."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        listener.bind((LOOPBACK, 0))
        listener.listen()
        async with testing.open_fault_proxy(*listener.getsockname()) as proxy:
            message = MESSAGE[:12_000]
            client = connect(proxy.port)
            await client.send_all(message)
            await until(lambda: has_all(proxy, len(message)))
            reset(client)
            await until(lambda: not proxy.connections)
            await trio.sleep(0.05)  # for the reset to overtake it, if it could
            server = trio.socket.from_stdlib_socket(listener.accept()[0])
            async with trio.SocketStream(server) as stream:
                assert await receive_reset(stream) == message


def has_all(proxy: testing.FaultProxy, size: int) -> bool:
    return any(c.to_server == size for c in proxy.connections.values())


async def test_a_thousand_connections_at_once_each_get_their_own_bytes() -> None:
    async with before_an_echo() as proxy, trio.open_nursery() as nursery:
        everybody_is_here = trio.Event()

        async def talk(number: int) -> None:
            async with connect(proxy.port) as stream:
                await exchange(stream, b"%d before" % number)
                if len(proxy.connections) == 1000:
                    everybody_is_here.set()
                await everybody_is_here.wait()
                await exchange(stream, b"%d after" % number)
                await stream.send_eof()
                assert await receive_all(stream) == b""

        for number in range(1000):
            nursery.start_soon(talk, number)
    assert proxy.accepted == 1000


def close(client: trio.SocketStream) -> None:
    client.socket.close()


@pytest.mark.parametrize("leave", [reset, close])
async def test_of_a_client_that_disappears_nothing_is_left(
    leave: Callable[[trio.SocketStream], None],
) -> None:
    async with before_an_echo() as proxy:
        before = open_descriptors()
        for _ in range(3):
            client = await open_to(proxy)
            await client.send_all(MESSAGE)
            await receive_exactly(client, 1)
            leave(client)
        await until(lambda: not proxy.connections)
        await until(lambda: open_descriptors() == before)
        async with await open_to(proxy) as another:
            await exchange(another)


async def test_the_end_of_the_block_resets_connections_and_frees_the_port() -> None:
    async with before_an_echo() as proxy:
        client = await open_to(proxy)
        await exchange(client)
        port = proxy.port
    async with client:
        assert await receive_reset(client) == b""
    with pytest.raises(ConnectionRefusedError):
        connect_socket(port)


async def test_what_the_block_raises_leaves_as_itself(unused_port: int) -> None:
    with pytest.raises(KeyError):
        async with testing.open_fault_proxy(LOOPBACK, unused_port):
            raise KeyError


async def test_one_connection_is_reset_and_the_other_is_not() -> None:
    async with before_an_echo() as proxy:
        async with await open_to(proxy) as one, await open_to(proxy) as other:
            await exchange(one)
            await exchange(other)
            name = one.socket.getsockname()
            [first] = [c for c in proxy.connections.values() if c.client == name]
            first.reset()
            assert await receive_reset(one) == b""
            await exchange(other)


@pytest.mark.parametrize(
    ("fault", "instead"),
    [
        (faults.Crash(), "BlackHole"),
        (faults.DnsFailure(), "Refuse"),
        (faults.ShortWrites(), "Slice"),
    ],
)
async def test_what_means_nothing_to_real_programs_is_refused(
    fault: testing.Fault, instead: str
) -> None:
    async with before_an_echo() as proxy:
        with pytest.raises(ValueError, match=instead):
            proxy.inject(fault)


async def test_a_plan_lets_things_go_wrong_in_their_time() -> None:
    async with before_an_echo() as proxy, await open_to(proxy) as client:
        await exchange(client)
        hold = faults.Step(at=0.0, seconds=0.1, fault=faults.Hold())
        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(faults.Plan([hold]).run, proxy.network)
            await until(lambda: bool(proxy.network.injections))
            await exchange(client)
            assert trio.current_time() - start >= 0.1


# --- the trace


async def test_the_trace_has_the_bytes_and_the_faults(tmp_path: Path) -> None:
    async with before_an_echo(trace_bytes=1 << 20) as proxy:
        with proxy.inject(faults.Slice(100), on=proxy.to_client):
            async with await open_to(proxy) as client:
                await exchange(client)
        assert proxy.trace.payload("client", "server") == MESSAGE
        assert proxy.trace.payload("server", "client") == MESSAGE
        assert [span.name for span in proxy.trace.faults] == ["Slice(100)"]
        proxy.trace.to_pcap(tmp_path / "proxy.pcap")
        assert (tmp_path / "proxy.pcap").stat().st_size > 2 * len(MESSAGE)


async def test_the_trace_stays_small_and_keeps_the_latest() -> None:
    limit = 100_000
    async with before_an_echo(trace_bytes=limit) as proxy:
        async with await open_to(proxy) as client:
            for _ in range(50):
                await exchange(client)
        kept = sum(len(segment.payload) for segment in proxy.trace)
        assert limit / 4 < kept <= 2 * limit
        assert proxy.trace.segments[-1].time > proxy.trace.segments[0].time > 0


async def test_nothing_is_recorded_unless_it_is_asked_for() -> None:
    async with before_an_echo() as proxy, await open_to(proxy) as client:
        await exchange(client)
        assert len(proxy.trace) == 0


# --- programs of others


async def test_the_textbook_client_is_right_under_slices_of_one_byte() -> None:
    """Its reads give one byte each, and it prints whole lines nevertheless."""
    async with run_program(str(EXAMPLES / "plain_sockets.py"), "server", "0") as server:
        port = int((await server.line()).rpartition(":")[2])
        async with testing.open_fault_proxy(LOOPBACK, port) as proxy:
            proxy.inject(faults.Slice(1))
            command = (str(EXAMPLES / "plain_sockets.py"), "client", str(proxy.port))
            async with run_program(*command) as client:
                assert await client.line() == "hello"
                assert await client.line() == "how are you?"
                assert await client.process.wait() == 0


def read_naively(port: int) -> list[bytes]:
    """Take what `recv` gives for a message, as beginners do."""
    with connect_socket(port) as sock:
        sock.sendall(b"hello\n")
        return [sock.recv(1024) for _ in range(6)]


async def test_a_naive_recv_gets_a_part_and_takes_it_for_a_message() -> None:
    async with before_an_echo() as proxy:
        proxy.inject(faults.Slice(1), on=proxy.to_client)
        got = await trio.to_thread.run_sync(read_naively, proxy.port)
        assert got == [b"h", b"e", b"l", b"l", b"o", b"\n"]


@pytest.mark.skipif(shutil.which("socat") is None, reason="socat is not installed")
async def test_socat_gets_back_all_it_sends_and_the_end() -> None:
    async with before_an_echo() as proxy:
        proxy.inject(faults.Latency(0.01, jitter=0.01))
        done = await trio.run_process(
            ["socat", "-t30", "-", f"TCP:{LOOPBACK}:{proxy.port}"],
            stdin=MESSAGE,
            capture_stdout=True,
        )
        assert done.stdout == MESSAGE


async def ask_redis(port: int, *words: str) -> str:
    done = await trio.run_process(
        ["redis-cli", "-h", LOOPBACK, "-p", str(port), *words],
        capture_stdout=True,
        capture_stderr=True,
        check=False,
    )
    return (done.stdout + done.stderr).decode()


@pytest.mark.skipif(shutil.which("redis-cli") is None, reason="Redis is not installed")
async def test_redis_cli_works_under_slices_and_says_when_it_is_cut_off(
    nursery: trio.Nursery,
) -> None:
    port = await start_store(nursery)
    async with testing.open_fault_proxy(LOOPBACK, port) as proxy:
        with proxy.inject(faults.Slice(1, 3)):
            assert await ask_redis(proxy.port, "SET", "a", "1") == "OK\n"
        with proxy.inject(faults.Cut(after_bytes=2), on=proxy.to_client):
            assert "reset by peer" in await ask_redis(proxy.port, "GET", "a")
        assert await ask_redis(proxy.port, "GET", "a") == "1\n"
