"""Programs that know nothing of the virtual network, on the virtual network.

Each runs under a few seeds, while reads are cut at places that the seed draws.
"""

from __future__ import annotations

import functools
import ssl
from functools import partial

import anyio
import httpx  # noqa: ASYNC127 - the one that programs have
import pytest
import trio
import trio_websocket

import trio_tcp
from tests.certificates import client_context, server_context
from tests.integration.loopback import Record, echo
from tests.testing.simulation.http_server import HttpServer
from trio_tcp import codecs
from trio_tcp.testing import faults
from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import (
    SimulationFenceError,
    run_simulation,
    simulated,
)
from trio_tcp.testing.traces import Flag

SEEDS = 5
PAYLOAD = bytes(range(256)) * 20

LINES = codecs.Lines(max_bytes=1 << 16)

# OpenSSL's clock is the real one: what it is to believe is made outside of simulations.
of_client = functools.cache(client_context)
of_server = functools.cache(partial(server_context, "server"))


@pytest.fixture(autouse=True)
def _contexts() -> None:
    of_client()
    of_server()


def roughen(net: VirtualNetwork) -> None:
    """Make a network on which no read is likely to end where a write did."""
    net.set_links(latency=0.01, jitter=0.02, mss=536)
    net.inject(faults.Slice(1, 99))
    net.inject(faults.ShortWrites(200))


async def send_back(stream: trio.abc.Stream) -> None:
    async with stream:
        async for chunk in stream:
            await stream.send_all(chunk)


async def exchange(stream: trio.abc.Stream, payload: bytes) -> bytes:
    """Send bytes, and receive as many, both at once."""
    received = bytearray()

    async def receive() -> None:
        while len(received) < len(payload):
            received.extend(await stream.receive_some())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await stream.send_all(payload)
    return bytes(received)


# --- Trio's own


@simulated(seeds=SEEDS)
async def test_tls_of_trio_at_both_ends(net: VirtualNetwork) -> None:
    roughen(net)
    net.host("server").start(
        partial(trio.serve_ssl_over_tcp, send_back, 443, of_server())
    )
    await net.settle()
    stream = await trio.open_ssl_over_tcp_stream(
        "server", 443, ssl_context=of_client(), https_compatible=False
    )
    async with stream:
        assert await exchange(stream, PAYLOAD) == PAYLOAD
    assert PAYLOAD[:64] not in net.trace.payload("test", "server")


@simulated(seeds=SEEDS)
async def test_a_certificate_of_another_name_is_refused(net: VirtualNetwork) -> None:
    net.dns["other"] = list(net.host("server").addresses)

    async def serve(stream: trio.SSLStream[trio.SocketStream]) -> None:
        with pytest.raises(trio.BrokenResourceError):
            await stream.do_handshake()

    net.host("server").start(partial(trio.serve_ssl_over_tcp, serve, 443, of_server()))
    await net.settle()
    stream = await trio.open_ssl_over_tcp_stream("other", 443, ssl_context=of_client())
    with pytest.raises(trio.BrokenResourceError) as caught:
        await stream.do_handshake()
    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
    await net.settle()


@simulated(seeds=SEEDS)
async def test_happy_eyeballs_go_around_a_black_hole(net: VirtualNetwork) -> None:
    """IPv6 is tried first, nobody answers, and IPv4 is tried 0.25 s later."""
    net.host("client", "10.9.0.1", "fd00::1")
    server = net.host("server", "10.9.0.2", "fd00::2")
    hole = net.host("hole", "fd00::dead")
    net.dns["www"] = [*hole.addresses, server.addresses[0]]
    net.inject(faults.BlackHole(), on=hole)
    server.start(trio.serve_tcp, send_back, 80)
    await net.settle()

    async def connect() -> tuple[float, object]:
        began = trio.current_time()
        async with await trio.open_tcp_stream("www", 80) as stream:
            assert await exchange(stream, b"hello") == b"hello"
            return trio.current_time() - began, stream.socket.getpeername()

    seconds, peer = await net.host("client").run(connect)
    assert peer == ("10.9.0.2", 80)
    assert 0.25 < seconds < 0.5
    assert [s.fate for s in net.trace.select(receiver="hole")] == [
        "swallowed by a black hole"
    ]


@simulated(seeds=SEEDS)
async def test_trio_listens_on_both_families_of_every_host(net: VirtualNetwork) -> None:
    """Two hosts have the same port, and clients reach each in either family."""
    heard: list[tuple[str, bytes]] = []

    async def listen(name: str) -> None:
        async def take(stream: trio.SocketStream) -> None:
            heard.append((name, bytes(await stream.receive_some())))
            await stream.aclose()

        listeners = await trio.open_tcp_listeners(80)
        assert len({listener.socket.family for listener in listeners}) == 2
        await trio.serve_listeners(take, listeners)

    async def visit(address: str) -> None:
        async with await trio.open_tcp_stream(address, 80) as stream:
            await stream.send_all(address.encode())

    client = net.host("client", "10.9.0.1", "fd00::1")
    addresses = {"a": ("10.9.0.2", "fd00::2"), "b": ("10.9.0.3", "fd00::3")}
    for name, both in addresses.items():
        net.host(name, *both).start(listen, name)
    await net.settle()
    for both in addresses.values():
        for address in both:
            await client.run(visit, address)
            await net.settle()
    assert heard == [(n, ip.encode()) for n, both in addresses.items() for ip in both]


# --- others'


@simulated(seeds=SEEDS)
async def test_trio_websocket_at_both_ends(net: VirtualNetwork) -> None:
    roughen(net)

    async def serve(request: trio_websocket.WebSocketRequest) -> None:
        websocket = await request.accept()
        with pytest.raises(trio_websocket.ConnectionClosed) as closed:
            while True:
                await websocket.send_message(await websocket.get_message())
        assert closed.value.reason is not None
        closings.append(closed.value.reason.code)

    closings: list[int] = []
    net.host("server").start(trio_websocket.serve_websocket, serve, None, 80, None)
    await net.settle()
    async with trio_websocket.open_websocket_url("ws://server/chat") as websocket:
        for message in ("hello", "x" * 3000, PAYLOAD):
            await websocket.send_message(message)
            assert await websocket.get_message() == message
        await websocket.ping(b"still there?")
    await net.settle()
    assert closings == [1000]


@pytest.mark.parametrize("scheme", ["http", "https"])
@simulated(seeds=SEEDS)
async def test_httpx_keeps_its_connection(net: VirtualNetwork, scheme: str) -> None:
    roughen(net)
    server = HttpServer()
    net.host("server").start(trio.serve_tcp, server.serve, 80)
    net.host("server").start(
        partial(
            trio.serve_ssl_over_tcp,
            server.serve,
            443,
            of_server(),
            https_compatible=True,
        )
    )
    await net.settle()
    url = f"{scheme}://server"
    async with httpx.AsyncClient(base_url=url, verify=of_client()) as client:
        for number in range(3):
            response = await client.post(f"/{number}", content=PAYLOAD)
            assert response.status_code == 200
            assert response.content == PAYLOAD
    assert (server.requests, server.connections) == (["/0", "/1", "/2"], 1)
    assert len(net.trace.connections) == 1


@simulated(seeds=SEEDS)
async def test_httpx_times_out_in_virtual_time(net: VirtualNetwork) -> None:
    net.host("server").start(trio.serve_tcp, HttpServer().serve, 80)
    await net.settle()
    async with httpx.AsyncClient(timeout=30) as client:
        await client.get("http://server/")
        began = trio.current_time()
        with net.inject(faults.BlackHole()):
            with pytest.raises(httpx.ReadTimeout):
                await client.get("http://server/")
        assert trio.current_time() - began == pytest.approx(30)


@simulated(seeds=SEEDS)
async def test_anyio_connects(net: VirtualNetwork) -> None:
    roughen(net)
    server = net.host("server")
    server.start(trio.serve_tcp, send_back, 80)
    await net.settle()
    async with await anyio.connect_tcp("server", 80) as stream:
        remote = stream.extra(anyio.abc.SocketAttribute.remote_address)
        assert remote == (server.addresses[0], 80)
        await stream.send(PAYLOAD)
        await stream.send_eof()
        assert b"".join([chunk async for chunk in stream]) == PAYLOAD


def test_what_anyio_listens_on_is_refused_with_a_way_out() -> None:
    """It makes Python's own sockets: the fence says so, and what to do instead."""

    async def program(net: VirtualNetwork) -> None:
        await anyio.create_tcp_listener(local_host="127.0.0.1")

    with pytest.raises(SimulationFenceError) as caught:
        run_simulation(program)
    assert "a real socket" in caught.value.what
    assert caught.value.where.split(":")[0].endswith("anyio/_core/_sockets.py")
    assert "(anyio.create_tcp_listener, hypercorn)" in caught.value.advice
    assert "listen with trio.open_tcp_listeners" in caught.value.advice
    assert 'allow=["sockets"]' in caught.value.advice


@simulated(seeds=SEEDS)
async def test_what_the_fence_advises_to_listen_with_serves_anyio(
    net: VirtualNetwork,
) -> None:
    async def talk() -> None:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listener.socket.getsockname()[1]
        nursery.start_soon(trio.serve_listeners, send_back, [listener])
        async with await anyio.connect_tcp("localhost", port) as stream:
            await stream.send(b"hello")
            assert await stream.receive() == b"hello"

    async with trio.open_nursery() as nursery:
        await talk()
        nursery.cancel_scope.cancel()


def test_what_the_fence_lets_through_is_on_the_real_network_alone() -> None:
    async def program(net: VirtualNetwork) -> None:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        async with listener:
            port = listener.extra(anyio.abc.SocketAttribute.local_port)
            with trio.socket.socket() as sock:
                with pytest.raises(ConnectionRefusedError):
                    await sock.connect(("127.0.0.1", port))

    run_simulation(program, allow=["sockets"])


# --- this package's


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "TLS"])
@simulated(seeds=SEEDS)
async def test_a_drain_finishes_what_was_begun(
    net: VirtualNetwork, encrypted: bool
) -> None:
    """Every request that is in work is answered, and the idle clients are let go."""
    roughen(net)

    async def work(connection: trio_tcp.Connection[str, str]) -> None:
        async for line in connection:
            with connection.busy():
                await trio.sleep(5)
                await connection.send(line)

    serving = partial(
        trio_tcp.serve_tcp,
        work,
        80,
        codec=LINES,
        observer=Record(),
        tls=of_server() if encrypted else None,
    )
    answers: list[str] = []

    async def ask(line: str) -> None:
        async with trio_tcp.connect_tcp(
            "server", 80, codec=LINES, tls=of_client() if encrypted else None
        ) as connection:
            if line:
                await connection.send(line)
            answers.extend([answer async for answer in connection])

    lines = [str(number) * 500 for number in range(6)]
    async with trio.open_nursery() as nursery:
        server = await nursery.start(net.host("server").run, serving)
        for number, line in enumerate(["", *lines]):
            nursery.start_soon(net.host(f"client{number}").run, ask, line)
        await trio.sleep(3)
        report = await server.drain(grace=30)
    assert sorted(answers) == lines
    assert (report.finished, report.cancelled, report.aborted) == (7, 0, 0)
    assert net.trace.count(flags=Flag.RST) == 0


@simulated(seeds=SEEDS)
async def test_a_plain_client_says_for_whom_it_comes(net: VirtualNetwork) -> None:
    """A PROXY header, cut anywhere, in front of what a client sends."""
    roughen(net)
    seen: list[trio_tcp.Address | None] = []

    async def serve(connection: trio_tcp.Connection[str, str]) -> None:
        seen.append(connection.peer)
        await echo(connection)

    net.host("server").start(
        partial(
            trio_tcp.serve_tcp,
            serve,
            80,
            codec=LINES,
            observer=Record(),
            proxy_protocol=trio_tcp.ProxyProtocol(trusted=["10.0.0.0/16"]),
        )
    )
    await net.settle()
    async with await trio.open_tcp_stream("server", 80) as stream:
        header = b"PROXY TCP4 192.0.2.7 192.0.2.1 5555 80\r\n"
        line = b"hello\n"
        await stream.send_all(header + line)
        await stream.send_eof()
        received = b"".join([chunk async for chunk in stream])
    assert received == line
    assert seen == [trio_tcp.TcpAddress("192.0.2.7", 5555)]
