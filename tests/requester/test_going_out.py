"""How requests go out: together, in their order, and no more than are allowed."""

from __future__ import annotations

import socket
from contextlib import suppress
from functools import partial

import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.requester.requesting import CODEC, Text, ask, asking, receive
from trio_tcp import testing

ORDERS = 10  # how often what depends on the order of tasks is tried

BIG = "x" * 200_000  # more than a stream and a queue hold


async def test_requests_do_not_wait_for_the_replies_to_others() -> None:
    async with asking() as (requester, there, nursery):
        await ask(nursery, requester, "a", "b")
        assert await receive(there, 2) == ["a", "b"]
        await there.send_many(["A", "B"])


class Arrivals(trio.abc.Instrument):
    """What a socket gets from each step of each task: from each system call."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.chunks: list[bytes] = []

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        with suppress(BlockingIOError):
            self.chunks.append(self.sock.recv(1 << 16))


async def test_requests_of_many_tasks_go_out_together() -> None:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    arrivals = Arrivals(theirs)
    trio.lowlevel.add_instrument(arrivals)
    stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
    async with (
        trio_tcp.open_connection(stream, codec=CODEC) as here,
        trio_tcp.Requester(here) as requester,
        trio.open_nursery() as nursery,
    ):
        await wait_all_tasks_blocked()
        for number in range(50):
            nursery.start_soon(requester.request, str(number))
        await wait_all_tasks_blocked()
        trio.lowlevel.remove_instrument(arrivals)
        theirs.send(b"ok\n" * 50)
        theirs.shutdown(socket.SHUT_WR)
    theirs.close()
    # The first goes at once, as nothing else was under way.
    assert [chunk.count(b"\n") for chunk in arrivals.chunks] == [1, 49]


async def test_no_more_are_in_flight_than_allowed_and_others_wait_in_line() -> None:
    async with asking(max_in_flight=2) as (requester, there, nursery):
        asked = await ask(nursery, requester, "a", "b", "c", "d")
        assert await receive(there, 2) == ["a", "b"]
        statistics = requester.statistics()
        assert (statistics.in_flight, statistics.waiting) == (2, 2)
        await there.send("A")
        assert await there.receive() == "c"
        await there.send_many(["B", "C"])
        assert await there.receive() == "d"
        await there.send("D")
        await wait_all_tasks_blocked()
        assert [each.reply for each in asked] == ["A", "B", "C", "D"]
        statistics = requester.statistics()
        assert (statistics.in_flight, statistics.waiting) == (0, 0)
        assert statistics.replies == 4


async def test_who_asks_again_stands_behind_those_who_wait() -> None:
    async with asking(max_in_flight=1) as (requester, there, nursery):

        async def ask_twice() -> None:
            await requester.request("a1")
            await requester.request("a2")

        nursery.start_soon(ask_twice)
        await wait_all_tasks_blocked()
        await ask(nursery, requester, "b")
        for expected in ("a1", "b", "a2"):
            assert await there.receive() == expected
            await there.send("ok")
        await wait_all_tasks_blocked()


async def test_requests_larger_than_the_connection_holds_keep_their_order() -> None:
    async with asking(capacity=1000) as (requester, there, nursery):
        asked = await ask(nursery, requester, *(f"{n}{BIG}" for n in range(4)), "last")
        assert requester.statistics().waiting > 0  # it is the connection that is full
        for number in range(4):
            assert await there.receive() == f"{number}{BIG}"
            await there.send(str(number))
        assert await there.receive() == "last"
        await there.send("done")
        await wait_all_tasks_blocked()
        assert [each.reply for each in asked] == ["0", "1", "2", "3", "done"]


async def test_a_request_that_waits_for_room_can_be_cancelled() -> None:
    async with asking(capacity=1000) as (requester, there, nursery):
        asked = await ask(nursery, requester, BIG, "never", "last")
        asked[1].scope.cancel()
        assert await receive(there, 2) == [BIG, "last"]
        await there.send_many(["0", "1"])
        await wait_all_tasks_blocked()
        assert [each.reply for each in asked] == ["0", None, "1"]


async def test_a_request_goes_out_though_room_is_made_at_the_same_moment() -> None:
    """So late that nothing else is on its way that could make room again."""
    for delay in ORDERS * [1, 2, 3]:
        listener = testing.MemoryListener(capacity=4500)
        asks_now = trio.Event()
        replies: list[str] = []

        async def ask_late(
            connection: Text,
            delay: int = delay,
            asks_now: trio.Event = asks_now,
            replies: list[str] = replies,
        ) -> None:
            async with trio_tcp.Requester(connection) as requester:
                await connection.send(4499 * "x")
                await connection.flush()
                await connection.send(4999 * "x")  # all that the server may hold
                await asks_now.wait()
                for _ in range(delay):
                    await trio.lowlevel.checkpoint()
                replies.append(await requester.request("a"))

        serve = partial(
            trio_tcp.serve_listeners,
            ask_late,
            [listener],
            codec=CODEC,
            limits=trio_tcp.Limits(max_buffered_bytes=5000),
        )
        async with trio.open_nursery() as nursery:
            await nursery.start(serve)
            stream = await listener.connect()
            await wait_all_tasks_blocked()
            asks_now.set()
            received = b""
            with trio.fail_after(1):
                while not received.endswith(b"\na\n"):
                    received += await stream.receive_some()
            await stream.send_all(b"A\n")
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert replies == ["A"]
