"""`trio.lowlevel.wait_readable` and `wait_writable` on virtual sockets."""

from __future__ import annotations

import os

import pytest
import trio

from trio_tcp.testing.network import VirtualNetwork
from trio_tcp.testing.simulation import SimulationFenceError, run_simulation


async def connect(
    net: VirtualNetwork, delay: float = 0
) -> tuple[trio.socket.SocketType, trio.SocketStream]:
    """Connect to a server that sends after a delay, and reads nothing."""

    async def serve(stream: trio.SocketStream) -> None:
        await trio.sleep(delay)
        await stream.send_all(b"data")
        await trio.sleep_forever()

    net.host("server").start(trio.serve_tcp, serve, 80)
    await net.settle()
    stream = await trio.open_tcp_stream("server", 80)
    return stream.socket, stream


@pytest.mark.parametrize("by_number", [True, False])
def test_a_virtual_socket_is_waited_for_by_number_or_as_itself(
    by_number: bool,
) -> None:
    async def program(net: VirtualNetwork) -> tuple[float, bytes]:
        sock, _ = await connect(net, delay=5)
        await trio.lowlevel.wait_writable(sock.fileno() if by_number else sock)
        await trio.lowlevel.wait_readable(sock.fileno() if by_number else sock)
        return trio.current_time(), await sock.recv(10)

    when, data = run_simulation(program).value
    assert data == b"data"
    assert 5 <= when < 6


def test_a_full_socket_is_not_writable_until_there_is_room() -> None:
    async def program(net: VirtualNetwork) -> bool:
        sock, stream = await connect(net)
        with trio.move_on_after(10):
            await stream.send_all(bytes(10_000_000))
        with trio.move_on_after(10) as scope:
            await trio.lowlevel.wait_writable(sock)
        return scope.cancelled_caught

    assert run_simulation(program).value is True


def test_notify_closing_wakes_those_who_wait() -> None:
    async def program(net: VirtualNetwork) -> list[float]:
        sock, _ = await connect(net, delay=100)
        woken: list[float] = []

        async def wait() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await trio.lowlevel.wait_readable(sock)
            woken.append(trio.current_time())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await trio.sleep_until(3)
            trio.lowlevel.notify_closing(sock)
        return woken

    assert run_simulation(program).value == [3]


def test_a_closed_descriptor_is_bad() -> None:
    async def program(net: VirtualNetwork) -> None:
        sock, _ = await connect(net)
        number = sock.fileno()
        sock.close()
        with pytest.raises(OSError, match="Bad file descriptor"):
            await trio.lowlevel.wait_readable(number)

    run_simulation(program)


def test_a_real_descriptor_is_fenced() -> None:
    reader, writer = os.pipe()

    async def program(net: VirtualNetwork) -> None:
        await trio.lowlevel.wait_writable(writer)
        os.write(writer, b"x")
        await trio.lowlevel.wait_readable(reader)
        trio.lowlevel.notify_closing(reader)

    try:
        with pytest.raises(SimulationFenceError, match="real descriptor"):
            run_simulation(program)
        run_simulation(program, allow=["sockets"])
    finally:
        os.close(reader)
        os.close(writer)
