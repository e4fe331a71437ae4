"""A server that accepts nobody for a while: nobody is lost, and nobody disturbed."""

from __future__ import annotations

import errno
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeAlias, final

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.certificates import HOST, client_context
from tests.integration.loopback import Record
from tests.tls.peer import Peer, serving
from trio_tcp import Limits, codecs, testing

Text: TypeAlias = trio_tcp.Connection[str, str]

A_LONG_TIME = 1000


async def echo(connection: Text) -> None:
    async for line in connection:
        await connection.send(line)


@final
class ExhaustedListener(trio.abc.Listener[testing.MemoryStream]):
    """A listener for which the system has no descriptors, at times.

    Attributes:
        memory: accepts when there are.
        is_exhausted: there are none.
    """

    def __init__(self) -> None:
        self.memory = testing.MemoryListener()
        self.is_exhausted = False

    async def accept(self) -> testing.MemoryStream:
        if self.is_exhausted:
            await trio.lowlevel.checkpoint()
            raise OSError(errno.EMFILE, "accept")
        return await self.memory.accept()

    async def aclose(self) -> None:
        await self.memory.aclose()


@final
@attrs.frozen
class Running:
    """A server in memory. Made by `serve`.

    Attributes:
        server: itself.
        listeners: the ways to it.
        record: what has happened.
        nursery: in which it runs.
    """

    server: trio_tcp.Server
    listeners: list[ExhaustedListener]
    record: Record
    nursery: trio.Nursery

    async def connect(self, listener: int = 0) -> testing.MemoryStream:
        """Connect a client; wait until it is accepted."""
        return await self.listeners[listener].memory.connect()

    def moves(self) -> list[str]:
        """Return what was suspended and resumed, as it was reported."""
        kinds = (trio_tcp.ServerSuspended, trio_tcp.ServerResumed)
        return [type(e).__name__[6:] for e in self.record.events if type(e) in kinds]


@asynccontextmanager
async def serve(
    limits: Limits | None = None, *, listeners: int = 1
) -> AsyncGenerator[Running, None]:
    """Run a server that echoes."""
    record = Record()
    ways = [ExhaustedListener() for _ in range(listeners)]
    run = partial(
        trio_tcp.serve_listeners,
        echo,
        ways,
        codec=codecs.Lines(),
        limits=limits or Limits(),
        observer=record,
    )
    async with trio.open_nursery() as nursery:
        server: trio_tcp.Server = await nursery.start(run)
        with trio.fail_after(A_LONG_TIME):  # noqa: ASYNC100 - instead of a deadlock
            yield Running(server, ways, record, nursery)
        nursery.cancel_scope.cancel()


async def answers(client: testing.MemoryStream) -> bool:
    """See a client's message answered."""
    await client.send_all(b"hello\n")
    return await client.receive_some() == b"hello\n"


@final
class Arrivals:
    """Clients that come now, and when each of them was answered."""

    def __init__(self, running: Running, nursery: trio.Nursery, count: int) -> None:
        self.clients: list[testing.MemoryStream] = []
        self.times: list[float] = []
        for number in range(count):
            nursery.start_soon(self._come, running, number % len(running.listeners))

    async def _come(self, running: Running, listener: int) -> None:
        client = await running.connect(listener)
        assert await answers(client)
        self.clients.append(client)
        self.times.append(trio.current_time())


@pytest.mark.parametrize("listeners", [1, 3])
async def test_those_who_connect_meanwhile_are_served_when_it_resumes(
    listeners: int, autojump_clock: MockClock
) -> None:
    async with serve(listeners=listeners) as running:
        async with trio.open_nursery() as nursery:
            await trio.sleep(1)
            running.server.suspend()
            arrivals = Arrivals(running, nursery, 10)
            await trio.sleep(50)
            assert running.server.statistics().accepted == 0
            running.server.resume()
        assert arrivals.times == [51] * 10
        assert running.server.statistics().accepted == 10
        assert running.moves() == ["Suspended", "Resumed"]


async def test_connections_that_are_open_notice_nothing(
    autojump_clock: MockClock,
) -> None:
    async with serve() as running:
        client = await running.connect()
        running.server.suspend()
        for _ in range(3):
            assert await answers(client)
            await trio.sleep(10)
        await client.aclose()
        await trio.sleep(1)
        assert running.server.connections == ()
        running.server.resume()
        assert await answers(await running.connect())


async def test_a_client_in_a_handshake_was_accepted_and_may_finish_it() -> None:
    async with serving(echo, codecs.Lines()) as tls:
        client = await tls.listener.connect()
        peer = Peer(client, client_context(), server_hostname=HOST)
        await client.send_all(peer.hello())
        await wait_all_tasks_blocked()
        tls.server.suspend()
        await peer.shake_hands()
        await peer.send(b"hello\n")
        assert await peer.receive() == b"hello\n"
        await client.aclose()


async def test_a_server_may_be_suspended_before_it_has_accepted_anybody(
    autojump_clock: MockClock,
) -> None:
    """In the very moment in which it is started, and its loops have not begun."""
    async with serve(listeners=2) as running:
        running.server.suspend()
        async with trio.open_nursery() as nursery:
            arrivals = Arrivals(running, nursery, 4)
            await trio.sleep(5)
            assert arrivals.times == []
            running.server.resume()
        assert arrivals.times == [5] * 4


async def test_twice_does_no_harm_and_is_no_news(autojump_clock: MockClock) -> None:
    async with serve() as running:
        server = running.server
        server.resume()
        assert running.moves() == []
        server.suspend()
        server.suspend()
        await trio.sleep(1)
        server.suspend()
        assert running.moves() == ["Suspended"]
        async with trio.open_nursery() as nursery:
            arrivals = Arrivals(running, nursery, 1)
            await trio.sleep(1)
            server.resume()
            server.resume()
            await trio.sleep(1)
            server.resume()
        assert running.moves() == ["Suspended", "Resumed"]
        assert arrivals.times == [2]


async def test_suspended_and_resumed_at_once_it_goes_on(
    autojump_clock: MockClock,
) -> None:
    async with serve(listeners=2) as running:
        await wait_all_tasks_blocked()
        for _ in range(10):
            running.server.suspend()
            running.server.resume()
        for number in range(10):
            assert await answers(await running.connect(number % 2))
        # And the other way round.
        running.server.suspend()
        running.server.resume()
        running.server.suspend()
        with trio.move_on_after(10) as waited:
            await running.connect()
        assert waited.cancelled_caught


@pytest.mark.parametrize("seed", range(5))
async def test_however_often_it_is_suspended_everybody_is_served_once(
    seed: int, autojump_clock: MockClock
) -> None:
    dice = random.Random(seed)

    async def waver(running: Running) -> None:
        for _ in range(100):
            await trio.sleep(dice.choice([0, 0, 0.25, 1]))
            dice.choice([running.server.suspend, running.server.resume])()
        running.server.resume()

    async with serve(Limits(max_connections=3), listeners=3) as running:
        served = 0

        async def come(listener: int) -> None:
            nonlocal served
            await trio.sleep(dice.randrange(20))
            client = await running.connect(listener)
            assert await answers(client)
            await trio.sleep(dice.choice([0, 0.25, 1]))
            await client.aclose()
            served += 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(waver, running)
            for number in range(100):
                nursery.start_soon(come, number % 3)
        assert served == 100
        await trio.sleep(1)
        statistics = running.server.statistics()
        assert (statistics.accepted, statistics.open) == (100, 0)


# Together with limits --------------------------------------------------------------


async def test_a_full_server_that_was_suspended_is_still_full(
    autojump_clock: MockClock,
) -> None:
    async with serve(Limits(max_connections=1)) as running:
        first = await running.connect()
        assert await answers(first)
        async with trio.open_nursery() as nursery:
            arrivals = Arrivals(running, nursery, 1)
            await trio.sleep(1)
            running.server.suspend()
            await trio.sleep(1)
            running.server.resume()
            await trio.sleep(1)
            assert arrivals.times == []
            await first.aclose()
        assert arrivals.times == [3]


async def test_room_that_there_is_while_it_is_suspended_is_used_when_it_resumes(
    autojump_clock: MockClock,
) -> None:
    async with serve(Limits(max_connections=1), listeners=2) as running:
        first = await running.connect()
        assert await answers(first)
        async with trio.open_nursery() as nursery:
            await trio.sleep(1)
            running.server.suspend()
            arrivals = Arrivals(running, nursery, 2)
            await trio.sleep(1)
            await first.aclose()
            await trio.sleep(1)
            running.server.limits = Limits(max_connections=10)
            await trio.sleep(1)
            assert arrivals.times == []
            running.server.resume()
        assert arrivals.times == [4, 4]


async def test_one_who_was_accepted_already_and_waits_for_room_is_not_lost(
    autojump_clock: MockClock,
) -> None:
    """Two accept loops may accept at once, where there is room for one."""
    async with serve(Limits(max_connections=1), listeners=2) as running:
        first = await running.connect(0)
        assert await answers(first)
        second = await running.connect(1)
        await trio.sleep(1)
        running.server.suspend()
        await trio.sleep(1)
        assert len(running.server.connections) == 1
        await first.aclose()
        await trio.sleep(1)
        running.server.resume()
        assert await answers(second)
        assert trio.current_time() == 3


@pytest.mark.parametrize("suspended", [False, True])
async def test_one_who_waits_for_room_is_not_left_behind_by_a_server_that_ends(
    suspended: bool, autojump_clock: MockClock
) -> None:
    async with serve(Limits(max_connections=1), listeners=2) as running:
        first = await running.connect(0)
        assert await answers(first)
        second = await running.connect(1)
        await trio.sleep(1)
        if suspended:
            running.server.suspend()
            await trio.sleep(1)
        running.nursery.cancel_scope.cancel()
    assert await second.receive_some() == b""


async def test_while_it_is_suspended_nobody_is_refused(
    autojump_clock: MockClock,
) -> None:
    limits = Limits(max_connections=1, when_full="reject", max_accept_rate=1)
    async with serve(limits) as running:
        first = await running.connect()
        running.server.suspend()
        await trio.sleep(5)
        async with trio.open_nursery() as nursery:
            arrivals = Arrivals(running, nursery, 1)
            await trio.sleep(5)
            assert running.server.statistics().rejected == {}
            await first.aclose()
            await trio.sleep(1)
            running.server.resume()
        assert arrivals.times == [11]
        assert running.server.statistics().rejected == {}


async def test_exhaustion_is_the_same_after_it_as_before(
    autojump_clock: MockClock,
) -> None:
    """It is reported once, however long it lasts."""
    async with serve() as running:
        (listener,) = running.listeners
        await wait_all_tasks_blocked()
        listener.is_exhausted = True
        await running.connect()  # the loop was waiting for one
        await trio.sleep(5)
        running.server.suspend()
        await trio.sleep(5)
        running.server.resume()
        await trio.sleep(5)
        listener.is_exhausted = False
        assert await answers(await running.connect())
        (paused,) = running.record.all(trio_tcp.AcceptPaused)
        (resumed,) = running.record.all(trio_tcp.AcceptResumed)
        assert paused.error.errno == errno.EMFILE
        assert resumed.paused_seconds == pytest.approx(15, abs=0.2)


# Together with the server's end ----------------------------------------------------


async def test_a_suspended_server_can_be_cancelled(autojump_clock: MockClock) -> None:
    async with serve(listeners=2) as running:
        client = await running.connect()
        assert await answers(client)
        running.server.suspend()
        await trio.sleep(1)
        async with trio.open_nursery() as nursery:

            async def wait_in_vain(listener: int) -> None:
                with pytest.raises(ConnectionRefusedError):
                    await running.connect(listener)

            nursery.start_soon(wait_in_vain, 0)
            nursery.start_soon(wait_in_vain, 1)
            await trio.sleep(1)
            running.nursery.cancel_scope.cancel()
    assert trio.current_time() == 2
    assert await client.receive_some() == b""
    assert isinstance(running.record.events[-1], trio_tcp.ServerStopped)


@pytest.mark.parametrize("suspended", ["before", "meanwhile"])
async def test_a_suspended_server_can_be_drained(
    suspended: str, autojump_clock: MockClock
) -> None:
    async with serve(listeners=2) as running:
        server = running.server
        client = await running.connect()
        assert await answers(client)
        if suspended == "before":
            server.suspend()
            await trio.sleep(1)
        async with trio.open_nursery() as nursery:

            async def wait_in_vain(listener: int) -> None:
                with pytest.raises(ConnectionRefusedError):
                    await running.connect(listener)

            if suspended == "before":
                nursery.start_soon(wait_in_vain, 0)
                nursery.start_soon(wait_in_vain, 1)
            await wait_all_tasks_blocked()
            nursery.start_soon(server.drain)
            await wait_all_tasks_blocked()
            # It is too late for that, and no news.
            server.suspend()
            server.resume()
            server.suspend()
            assert await client.receive_some() == b""
            await client.aclose()
        report = await server.drain()
        assert (report.finished, report.cancelled, report.aborted) == (1, 0, 0)
        for listener in range(2):
            with pytest.raises(ConnectionRefusedError):
                await running.connect(listener)
        assert running.moves() == (["Suspended"] if suspended == "before" else [])
        await running.record.wait(trio_tcp.ServerStopped)


async def test_resuming_a_drained_server_does_not_open_it_again(
    autojump_clock: MockClock,
) -> None:
    async with serve() as running:
        await running.server.drain()
        running.server.resume()
        running.server.suspend()
        with pytest.raises(ConnectionRefusedError):
            await running.connect()
        assert running.moves() == []
