"""What is lost is sent again, as long as Linux would, and never skipped or doubled."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from trio_tcp.testing import run_simulation
from trio_tcp.testing.network import Passage, Target, VirtualNetwork
from trio_tcp.testing.traces import Flag, Segment


def lose(
    net: VirtualNetwork,
    which: Callable[[Segment], bool] = lambda _: True,
    on: Target | None = None,
) -> Callable[[], None]:
    """Lose segments; returns how to end that."""

    def rule(segment: Segment, passage: Passage) -> None:
        if which(segment):
            passage.lost = "lost"

    return net.rules.add_wire(net.path("test", "server") if on is None else on, rule)


async def sink(stream: trio.SocketStream) -> None:
    async for _ in stream:
        pass


async def test_a_syn_is_sent_again_until_it_is_answered(
    autojump_clock: MockClock,
) -> None:
    async with VirtualNetwork() as net:
        net.host("server").start(trio.serve_tcp, sink, 80)
        await net.settle()
        stop = lose(net, lambda segment: bool(segment.flags & Flag.SYN))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.open_tcp_stream, "server", 80)
            await trio.sleep(5)
            stop()
        assert trio.current_time() == pytest.approx(7.002)
        assert [s.time for s in net.trace if s.flags == Flag.SYN] == [0, 1, 3, 7]


async def test_a_connection_to_where_nothing_answers_is_given_up_in_time(
    autojump_clock: MockClock,
) -> None:
    async with VirtualNetwork() as net:
        net.host("server")
        lose(net)
        with trio.socket.socket() as sock:
            with pytest.raises(TimeoutError) as caught:
                await sock.connect((net.host("server").addresses[0], 80))
        assert caught.value.errno == errno.ETIMEDOUT
        assert trio.current_time() == 127


async def test_a_syn_ack_is_sent_again(autojump_clock: MockClock) -> None:
    async with VirtualNetwork() as net:
        net.host("server").start(trio.serve_tcp, sink, 80)
        await net.settle()
        stop = lose(net, on=net.link("server", "test"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.open_tcp_stream, "server", 80)
            await trio.sleep(0.5)
            stop()
        assert trio.current_time() == pytest.approx(1.001, abs=0.002)


async def test_bytes_arrive_once_and_in_order_after_the_network_has_healed(
    autojump_clock: MockClock,
) -> None:
    received = bytearray()

    async def collect(stream: trio.SocketStream) -> None:
        async for data in stream:
            received.extend(data)

    message = random.Random(1).randbytes(300_000)
    async with VirtualNetwork() as net:
        net.host("server").start(trio.serve_tcp, collect, 80)
        await net.settle()
        async with await trio.open_tcp_stream("server", 80) as stream:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stream.send_all, message)
                await trio.sleep(0.005)
                stop = lose(net)
                await trio.sleep(60)
                stop()
        await trio.sleep(60)
        assert received == message


@given(
    seed=st.integers(0, 1000),
    share=st.floats(0, 0.7),
    sizes=st.lists(st.integers(1, 5000), max_size=20),
)
def test_nothing_is_skipped_or_doubled_whatever_is_lost(
    seed: int, share: float, sizes: list[int]
) -> None:
    draw = random.Random(seed)
    messages = [draw.randbytes(size) for size in sizes]

    async def echo(stream: trio.SocketStream) -> None:
        async for data in stream:
            await stream.send_all(data)

    async def main(net: VirtualNetwork) -> bytearray:
        net.set_links(jitter=0.01)
        net.host("server").start(trio.serve_tcp, echo, 80)
        await net.settle()
        stream = await trio.open_tcp_stream("server", 80)
        # For longer, and the kernel of a host whose program has closed gives up.
        lose(net, lambda _: net.now() < 20 and draw.random() < share)
        async with stream, trio.open_nursery() as nursery:

            async def send() -> None:
                for message in messages:
                    await stream.send_all(message)
                    await trio.sleep(draw.random())
                await stream.send_eof()

            nursery.start_soon(send)
            received = bytearray()
            async for data in stream:
                received += data
        return received

    assert run_simulation(main, seed=seed).value == b"".join(messages)


async def test_a_lost_window_update_is_asked_for(autojump_clock: MockClock) -> None:
    begin = trio.Event()

    async def read_late(stream: trio.SocketStream) -> None:
        await begin.wait()
        await sink(stream)

    async with VirtualNetwork() as net:
        net.host("server").start(trio.serve_tcp, read_late, 80)
        await net.settle()
        async with await trio.open_tcp_stream("server", 80) as stream:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stream.send_all, bytes(200_000))
                await net.settle()
                stop = lose(net, on=net.link("server", "test"))
                begin.set()
                await net.settle()
                stop()
            assert trio.current_time() < 1


async def test_a_lost_end_is_sent_again(autojump_clock: MockClock) -> None:
    async with VirtualNetwork() as net:
        net.host("server").start(trio.serve_tcp, sink, 80)
        await net.settle()
        async with await trio.open_tcp_stream("server", 80) as stream:
            await net.settle()
            stop = lose(net)
            await stream.send_eof()
            await trio.sleep(1)
            stop()
            assert await stream.receive_some() == b""


async def test_what_nobody_acknowledges_breaks_the_connection_in_the_end(
    autojump_clock: MockClock,
) -> None:
    async with VirtualNetwork() as net:
        net.host("server").start(trio.serve_tcp, sink, 80)
        await net.settle()
        async with await trio.open_tcp_stream("server", 80) as stream:
            lose(net, on=net.link("test", "server"))
            began = trio.current_time()
            await stream.send_all(b"hello")
            with pytest.raises(trio.BrokenResourceError) as caught:
                await stream.receive_some()
            assert isinstance(caught.value.__cause__, TimeoutError)
            assert trio.current_time() - began == pytest.approx(924.6)


async def test_who_waits_and_has_sent_nothing_learns_nothing(
    autojump_clock: MockClock,
) -> None:
    """A dead peer is silent: without keepalive or a timeout one waits for ever."""
    async with VirtualNetwork() as net:
        net.host("server").start(trio.serve_tcp, sink, 80)
        await net.settle()
        async with await trio.open_tcp_stream("server", 80) as stream:
            await net.settle()
            lose(net)
            with trio.move_on_after(86_400) as day:
                await stream.receive_some()
            assert day.cancelled_caught


async def test_a_full_accept_queue_lets_clients_wait_and_try_again(
    autojump_clock: MockClock,
) -> None:
    async def listen_with_a_short_queue(
        task_status: trio.TaskStatus[trio.SocketListener],
    ) -> None:
        (listener,) = await trio.open_tcp_listeners(80, host="0.0.0.0", backlog=1)
        task_status.started(listener)
        await trio.sleep_forever()

    async with VirtualNetwork() as net, trio.open_nursery() as nursery:
        listener = await nursery.start(
            net.host("server").run, listen_with_a_short_queue
        )
        for _ in range(2):
            await trio.open_tcp_stream("server", 80)
        await net.settle()
        nursery.start_soon(trio.open_tcp_stream, "server", 80)
        await trio.sleep(5)
        assert len(net.connections()) == 2
        await listener.accept()
        await trio.sleep(5)
        assert len(net.connections()) == 3
        nursery.cancel_scope.cancel()


async def test_a_crowd_that_meets_a_short_queue_is_served_in_the_end(
    autojump_clock: MockClock,
) -> None:
    """Handshakes that finish when the queue is full are finished again later."""

    async def serve(task_status: trio.TaskStatus[None]) -> None:
        (listener,) = await trio.open_tcp_listeners(80, host="0.0.0.0", backlog=0)
        task_status.started()
        while True:
            async with await listener.accept() as stream:
                await stream.send_all(await stream.receive_some())

    async def ask(number: int) -> None:
        async with await trio.open_tcp_stream("server", 80) as stream:
            await stream.send_all(b"%d" % number)
            assert await stream.receive_some() == b"%d" % number
            answered.append(number)

    answered: list[int] = []
    async with VirtualNetwork() as net, trio.open_nursery() as outer:
        await outer.start(net.host("server").run, serve)
        async with trio.open_nursery() as clients:
            for number in range(10):
                clients.start_soon(ask, number)
        assert sorted(answered) == list(range(10))
        outer.cancel_scope.cancel()
