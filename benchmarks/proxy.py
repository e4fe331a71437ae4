"""What `trio-tcp proxy` costs: throughput, and the time that it adds to a round trip.

    python -m benchmarks.proxy

A sink and an echo on blocking sockets run in a process of their own, as do the clients:
what is measured is the proxy. Without a fault, with segments of Ethernet's size and of
the loopback interface's.
"""

from __future__ import annotations

import multiprocessing
import socket
import statistics
import threading
import time
from multiprocessing.connection import Connection
from typing import Final

import trio

from trio_tcp import testing

LOOPBACK: Final = "127.0.0.1"
MEGABYTES: Final = 200
ROUND_TRIPS: Final = 3000
RUNS: Final = 3
MESSAGE: Final = b"x" * 64
BLOCK: Final = bytes(1_000_000)
SEGMENT_SIZES: Final = (1460, 65_483)


def serve(port: Connection) -> None:
    """Be the target: a first byte says which of the two is wanted."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        port.send(listener.getsockname()[1])
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=serve_one, args=(sock,), daemon=True).start()


def serve_one(sock: socket.socket) -> None:
    """Echo, or read all and tell how much it was."""
    with sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if sock.recv(1) == b"e":
            while some := sock.recv(1 << 16):
                sock.sendall(some)
        else:
            size = 0
            while some := sock.recv(1 << 18):
                size += len(some)
            sock.sendall(b"%d" % size)


def measure_throughput(port: int) -> float:
    """Send a lot; return megabytes a second."""
    with socket.create_connection((LOOPBACK, port)) as sock:
        sock.sendall(b"s")
        start = time.perf_counter()
        for _ in range(MEGABYTES):
            sock.sendall(BLOCK)
        sock.shutdown(socket.SHUT_WR)
        assert int(sock.recv(100)) == MEGABYTES * len(BLOCK)
        return MEGABYTES / (time.perf_counter() - start)


def measure_round_trip(port: int) -> float:
    """Have a small message echoed, again and again; return the median in µs."""
    with socket.create_connection((LOOPBACK, port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(b"e")
        times: list[float] = []
        for _ in range(ROUND_TRIPS):
            start = time.perf_counter()
            sock.sendall(MESSAGE)
            assert len(sock.recv(100)) == len(MESSAGE)
            times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6


def measure(port: int, results: Connection) -> None:
    """Be the client."""
    throughput = [measure_throughput(port) for _ in range(RUNS)]
    results.send((statistics.median(throughput), measure_round_trip(port)))


async def run_client(port: int) -> tuple[float, float]:
    """Measure in another process."""
    results, there = multiprocessing.Pipe(duplex=False)
    context = multiprocessing.get_context("spawn")
    client = context.Process(target=measure, args=(port, there))
    client.start()
    measured: tuple[float, float] = await trio.to_thread.run_sync(results.recv)
    await trio.to_thread.run_sync(client.join)
    return measured


async def main() -> None:
    """Measure with the proxy, and without."""
    context = multiprocessing.get_context("spawn")
    ports, there = multiprocessing.Pipe(duplex=False)
    server = context.Process(target=serve, args=(there,), daemon=True)
    server.start()
    target: int = await trio.to_thread.run_sync(ports.recv)
    print(f"{'':24}{'MB/s':>8}{'µs a round trip':>18}")
    throughput, microseconds = await run_client(target)
    print(f"{'without a proxy':24}{throughput:8.0f}{microseconds:18.0f}")
    for size in SEGMENT_SIZES:
        async with testing.open_fault_proxy(LOOPBACK, target) as proxy:
            proxy.network.set_links(mss=size)
            throughput, microseconds = await run_client(proxy.port)
        name = f"segments of {size:,} bytes"
        print(f"{name:24}{throughput:8.0f}{microseconds:18.0f}")
    server.terminate()


if __name__ == "__main__":
    trio.run(main)
