"""A server's limits: who gets in, how fast, and how much is held for all together."""

from __future__ import annotations

import math
import random
import ssl
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TypeAlias, final

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.certificates import HOST, client_context, each_version, server_context
from tests.integration.loopback import Record
from tests.tls.peer import Peer
from trio_tcp import CloseReason, EvictedError, Limits, Timeouts, codecs, testing

Text: TypeAlias = trio_tcp.Connection[str, str]
Handler: TypeAlias = Callable[[Text], Awaitable[object]]

LINES = codecs.Lines(max_bytes=1 << 22)
CAPACITY = 16 << 10
A_LONG_TIME = 10_000


@final
@attrs.frozen
class Serving:
    """A server in memory. Made by `serve`.

    Attributes:
        server: itself.
        listeners: the ways to it.
        record: what has happened.
    """

    server: trio_tcp.Server
    listeners: list[testing.MemoryListener]
    record: Record

    async def connect(self, listener: int = 0) -> testing.MemoryStream:
        """Connect a client."""
        return await self.listeners[listener].connect()

    async def is_served(self, listener: int = 0) -> bool:
        """Say if a new client is served now. It leaves again."""
        with trio.move_on_after(0.001):
            client = await self.connect(listener)
            served = await answers(client)
            await client.aclose()
            # Others can have its place.
            await wait_all_tasks_blocked()
            return served
        return False

    async def rejected(self) -> dict[str, int]:
        """Return how many clients have been refused for each limit."""
        await wait_all_tasks_blocked()
        events = Counter(
            event.limit for event in self.record.all(trio_tcp.ConnectionRejected)
        )
        assert self.server.statistics().rejected == events
        return dict(events)

    def reached(self) -> list[tuple[str, float]]:
        """Return the limits that were reported, and what they were."""
        events = self.record.all(trio_tcp.LimitReached)
        return [(event.limit, event.value) for event in events]


async def echo(connection: Text) -> None:
    async for line in connection:
        await connection.send(line)


async def receive_all(connection: Text) -> None:
    async for _ in connection:
        pass


@asynccontextmanager
async def serve(
    limits: Limits,
    handler: Handler = echo,
    *,
    listeners: int = 1,
    capacity: int = CAPACITY,
    tls: ssl.SSLContext | None = None,
    timeouts: Timeouts | None = None,
) -> AsyncGenerator[Serving, None]:
    """Run a server. A handler that fails, fails the test."""
    record = Record()
    ways = [testing.MemoryListener(capacity) for _ in range(listeners)]
    run = partial(
        trio_tcp.serve_listeners,
        handler,
        ways,
        codec=LINES,
        limits=limits,
        tls=tls,
        timeouts=timeouts or Timeouts(),
        observer=record,
    )
    async with trio.open_nursery() as nursery:
        server: trio_tcp.Server = await nursery.start(run)
        with trio.fail_after(A_LONG_TIME):  # noqa: ASYNC100 - instead of a deadlock
            yield Serving(server, ways, record)
        nursery.cancel_scope.cancel()
    for failed in record.all(trio_tcp.HandlerFailed):
        raise failed.error


async def answers(client: testing.MemoryStream) -> bool:
    """Say if a client's message is answered."""
    with suppress(trio.BrokenResourceError):
        await client.send_all(b"hello\n")
        answer = b""
        while not answer.endswith(b"\n") and (chunk := await client.receive_some()):
            answer += chunk
        return answer == b"hello\n"
    return False


async def everything(stream: trio.abc.ReceiveStream) -> bytes:
    """Read to the end."""
    return b"".join([chunk async for chunk in stream])


async def is_reset(stream: trio.abc.ReceiveStream) -> bool:
    """Read to the end; say if it is a hard one."""
    try:
        await everything(stream)
    except trio.BrokenResourceError:
        return True
    return False


# max_connections: those who wait ---------------------------------------------------


async def test_those_who_wait_have_not_been_accepted(
    autojump_clock: MockClock,
) -> None:
    async with serve(Limits(max_connections=2)) as serving:
        clients = [await serving.connect() for _ in range(2)]
        with trio.move_on_after(10) as waited:
            await serving.connect()
        assert waited.cancelled_caught
        statistics = serving.server.statistics()
        assert (statistics.accepted, statistics.open) == (2, 2)
        assert await serving.rejected() == {}
        for client in clients:
            assert await answers(client)


async def leave(connection: Text) -> None:
    await connection.receive()


async def abort(connection: Text) -> None:
    await connection.receive()
    connection.abort()


async def close(connection: Text) -> None:
    await connection.receive()
    await connection.aclose()


async def detach(connection: Text) -> None:
    await connection.receive()
    stream, _ = await connection.detach()
    await trio.aclose_forcefully(stream)


@pytest.mark.parametrize("handler", [leave, abort, close, detach])
async def test_a_slot_is_free_as_soon_as_its_connection_ends(
    handler: Handler, autojump_clock: MockClock
) -> None:
    """Which is when it is closed: a graceful close waits for its peer."""
    gracefully = handler in {leave, close}
    async with serve(
        Limits(max_connections=1), handler, timeouts=Timeouts(linger=50)
    ) as serving:
        client = await serving.connect()
        admitted: list[float] = []

        async def wait_for_a_place() -> None:
            await serving.connect()
            admitted.append(trio.current_time())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait_for_a_place)
            await trio.sleep(5)
            await client.send_all(b"now\n")
            await trio.sleep(20)
            await client.aclose()
        assert admitted == [25 if gracefully else 5]


@pytest.mark.parametrize("end", ["closes", "resets", "is too slow"])
async def test_a_slot_is_free_as_soon_as_its_client_is_gone(
    end: str, autojump_clock: MockClock
) -> None:
    timeouts = Timeouts(first_message=8)
    async with serve(Limits(max_connections=1), timeouts=timeouts) as serving:
        client = await serving.connect()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serving.connect)
            if end != "is too slow":
                await trio.sleep(8)
                if end == "resets":
                    client.reset()
                await client.aclose()
        assert trio.current_time() == 8


async def test_a_handshake_takes_a_slot(autojump_clock: MockClock) -> None:
    async with serve(
        Limits(max_connections=1),
        tls=server_context(),
        timeouts=Timeouts(handshake=8),
    ) as serving:
        await serving.connect()
        second = await serving.connect()
        assert trio.current_time() == 8
        peer = Peer(second, client_context(), server_hostname=HOST)
        await peer.shake_hands()
        await peer.send(b"hello\n")
        assert await peer.receive() == b"hello\n"


@pytest.mark.parametrize("listeners", [2, 3])
@pytest.mark.parametrize("places", [1, 2, 3])
async def test_a_free_slot_is_for_whichever_listener_has_a_client(
    listeners: int, places: int, autojump_clock: MockClock
) -> None:
    """No accept loop keeps a slot for clients of its own, who do not come."""
    async with serve(Limits(max_connections=places), listeners=listeners) as serving:
        for occupied in range(listeners):
            for wanted in range(listeners):
                clients = [await serving.connect(occupied) for _ in range(places)]
                assert all([await answers(client) for client in clients])
                served: list[float] = []

                async def come_later(wanted: int, served: list[float]) -> None:
                    async with await serving.connect(wanted) as client:
                        assert await answers(client)
                        served.append(trio.current_time())

                began = trio.current_time()
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(come_later, wanted, served)
                    await trio.sleep(1)
                    assert served == []
                    await clients.pop().aclose()
                    await trio.sleep(1)
                    assert served == [began + 1]
                for client in clients:
                    await client.aclose()
                await trio.sleep(1)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("listeners", [1, 2, 3])
async def test_never_are_there_more_than_the_limit_and_all_get_their_turn(
    listeners: int, seed: int, autojump_clock: MockClock
) -> None:
    dice = random.Random(seed)
    places = dice.randrange(1, 6)
    served = 0
    most = 0

    async def stay(connection: Text) -> None:
        nonlocal served, most
        most = max(most, len(serving.server.connections))
        seconds = await connection.receive()
        served += 1
        await trio.sleep(int(seconds))

    async def come(listener: int, seconds: int) -> None:
        await trio.sleep(dice.randrange(20))
        async with await serving.connect(listener) as client:
            await client.send_all(b"%d\n" % seconds)
            assert await everything(client) == b""

    limits = Limits(max_connections=places)
    async with serve(limits, stay, listeners=listeners) as serving:
        stays = [dice.randrange(1, 9) for _ in range(100)]
        async with trio.open_nursery() as nursery:
            for seconds in stays:
                nursery.start_soon(come, dice.randrange(listeners), seconds)
        # Nobody was idle while others waited: it took no longer than it had to.
        assert trio.current_time() <= 20 + sum(stays) / places + max(stays)
    assert served == 100
    assert most == places


async def test_being_full_is_reported_once_not_for_each_who_waits(
    autojump_clock: MockClock,
) -> None:
    async with serve(Limits(max_connections=1)) as serving:
        assert serving.reached() == []
        for _ in range(50):
            client = await serving.connect()
            assert await answers(client)
            with trio.move_on_after(4):
                await serving.connect()
            await client.aclose()
        assert serving.reached() == [("max_connections", 1)]
        # It is news again when it has not been so for a while.
        await trio.sleep(60)
        await serving.connect()
        await trio.sleep(1)
        assert serving.reached() == [("max_connections", 1)] * 2


async def test_who_waits_and_goes_away_takes_no_slot(
    autojump_clock: MockClock,
) -> None:
    async with serve(Limits(max_connections=1)) as serving:
        client = await serving.connect()
        for _ in range(10):
            with trio.move_on_after(1):
                await serving.connect()
        await client.aclose()
        assert await serving.is_served()


# max_connections, replaced ---------------------------------------------------------


async def test_a_lower_limit_evicts_nobody(autojump_clock: MockClock) -> None:
    async with serve(Limits(max_connections=3)) as serving:
        server = serving.server
        clients = [await serving.connect() for _ in range(3)]
        await trio.sleep(1)
        server.limits = attrs.evolve(server.limits, max_connections=1)
        for _ in range(3):
            for client in clients:
                assert await answers(client)
            assert len(server.connections) == len(clients)
            # There is no place until all but none are gone.
            assert not await serving.is_served()
            await clients.pop().aclose()
            await trio.sleep(1)
        assert await serving.is_served()


@pytest.mark.parametrize(("limit", "admitted"), [(2, 2), (4, 4), (math.inf, 6)])
async def test_a_higher_limit_admits_those_who_wait(
    limit: float, admitted: int, autojump_clock: MockClock
) -> None:
    async with serve(Limits(max_connections=1), listeners=2) as serving:
        server = serving.server
        async with trio.open_nursery() as nursery:
            for number in range(6):
                nursery.start_soon(serving.connect, number % 2)
            await trio.sleep(1)
            assert len(server.connections) == 1
            server.limits = attrs.evolve(server.limits, max_connections=limit)
            await trio.sleep(1)
            assert len(server.connections) == admitted
            nursery.cancel_scope.cancel()


async def test_those_who_wait_are_refused_when_that_becomes_the_policy(
    autojump_clock: MockClock,
) -> None:
    async with serve(Limits(max_connections=1)) as serving:
        server = serving.server
        first = await serving.connect()
        async with trio.open_nursery() as nursery:

            async def wait_in_vain() -> None:
                assert await is_reset(await serving.connect())
                assert trio.current_time() == 5

            nursery.start_soon(wait_in_vain)
            nursery.start_soon(wait_in_vain)
            await trio.sleep(5)
            server.limits = attrs.evolve(server.limits, when_full="reject")
        assert await serving.rejected() == {"max_connections": 2}
        # And back.
        server.limits = attrs.evolve(server.limits, when_full="wait")
        await first.aclose()
        assert await serving.is_served()


# max_connections: those who are refused --------------------------------------------

REJECT = Limits(max_connections=1, when_full="reject")


async def test_who_is_refused_is_reset_at_once(autojump_clock: MockClock) -> None:
    async with serve(REJECT) as serving:
        first = await serving.connect()
        assert await answers(first)
        for _ in range(20):
            assert await is_reset(await serving.connect())
        assert trio.current_time() == 0
        assert await answers(first)
        statistics = serving.server.statistics()
        assert (statistics.accepted, statistics.open) == (1, 1)
        assert await serving.rejected() == {"max_connections": 20}
        assert serving.reached() == [("max_connections", 1)]
        await first.aclose()
        await trio.sleep(1)
        assert await serving.is_served()
        assert await serving.rejected() == {"max_connections": 20}


async def test_two_listeners_refuse_at_the_same_limit(
    autojump_clock: MockClock,
) -> None:
    limits = attrs.evolve(REJECT, max_connections=3)
    async with serve(limits, listeners=2) as serving:
        outcome = Counter[bool]()

        async def come(listener: int) -> None:
            outcome[await answers(await serving.connect(listener))] += 1

        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(come, number % 2)
        assert outcome == {True: 3, False: 7}
        assert await serving.rejected() == {"max_connections": 7}


FAREWELL = b"BUSY: come back later\r\n"
FULL = attrs.evolve(REJECT, farewell=FAREWELL)


@pytest.mark.parametrize("capacity", [1, 10, 1000])
async def test_who_is_refused_can_read_the_farewell(
    capacity: int, autojump_clock: MockClock
) -> None:
    async with serve(FULL, capacity=capacity) as serving:
        await serving.connect()
        for _ in range(20):
            client = await serving.connect()
            assert await everything(client) == FAREWELL
            await client.aclose()
        await wait_all_tasks_blocked()
        assert trio.current_time() == 0
        assert await serving.rejected() == {"max_connections": 20}


async def test_the_farewell_arrives_though_the_client_speaks_first(
    autojump_clock: MockClock,
) -> None:
    """What it says is read, as far as it goes: unread it would make a reset."""
    async with serve(FULL) as serving:
        await serving.connect()
        client = await serving.connect()
        await client.send_all(b"x" * 10 * CAPACITY)
        assert await everything(client) == FAREWELL


@each_version
async def test_the_farewell_comes_after_the_handshake(
    version: ssl.TLSVersion, autojump_clock: MockClock
) -> None:
    async with serve(FULL, tls=server_context(version=version)) as serving:
        first = await serving.connect()
        await Peer(first, client_context(), server_hostname=HOST).shake_hands()
        for _ in range(3):
            client = await serving.connect()
            peer = Peer(client, client_context(), server_hostname=HOST)
            await peer.shake_hands()
            assert await peer.receive_all() == FAREWELL
            await client.aclose()
        await wait_all_tasks_blocked()
        assert trio.current_time() == 0
        assert await serving.rejected() == {"max_connections": 3}


@pytest.mark.parametrize("tls", [False, True])
async def test_a_refused_client_that_does_not_read_is_not_waited_for(
    tls: bool, autojump_clock: MockClock
) -> None:
    """Neither is one that does not close, or does not even begin its handshake."""
    context = server_context() if tls else None
    timeouts = Timeouts(handshake=math.inf)
    async with serve(FULL, tls=context, capacity=1, timeouts=timeouts) as serving:
        await serving.connect()
        client = await serving.connect()
        await serving.record.wait(trio_tcp.ConnectionRejected)
        assert trio.current_time() == 2
        assert await is_reset(client)


async def test_only_so_many_refused_clients_are_told_at_a_time(
    autojump_clock: MockClock,
) -> None:
    """The others are reset at once."""

    async def refused() -> int:
        return (await serving.rejected()).get("max_connections", 0)

    async with serve(FULL, capacity=1) as serving:
        await serving.connect()
        for thousands in range(3):
            for _ in range(1000):
                await serving.connect()  # and read nothing
            at_once = await refused() - 1000 * thousands
            assert 1 <= 1000 - at_once <= 128
            assert len(serving.server.connections) == 1
            await trio.sleep(2)
            assert await refused() == 1000 * (thousands + 1)
        client = await serving.connect()
        assert await everything(client) == FAREWELL


async def test_a_refused_client_that_is_gone_at_once_harms_nobody(
    autojump_clock: MockClock,
) -> None:
    async with serve(FULL, capacity=1) as serving:
        first = await serving.connect()
        for end in ("reset", "aclose"):
            client = await serving.connect()
            if end == "reset":
                client.reset()
            await client.aclose()
        await trio.sleep(1)
        assert await serving.rejected() == {"max_connections": 2}
        assert await answers(first)


# max_accept_rate -------------------------------------------------------------------


def rate(per_second: float) -> Limits:
    """Limit nothing but the rate."""
    return Limits(max_accept_rate=per_second)


async def admitted(serving: Serving, count: int) -> int:
    """Let so many clients connect at once; return how many are served."""
    return sum([await answers(await serving.connect()) for _ in range(count)])


@pytest.mark.parametrize("per_second", [1, 2, 5, 128])
async def test_one_seconds_worth_may_come_at_once_and_then_so_many_each_second(
    per_second: int, autojump_clock: MockClock
) -> None:
    async with serve(rate(per_second)) as serving:
        assert await admitted(serving, 2 * per_second) == per_second
        for _ in range(5):
            await trio.sleep(1 / per_second)
            assert await admitted(serving, 3) == 1
        await trio.sleep(1)
        assert await admitted(serving, 2 * per_second) == per_second
        # Time does not add up to more.
        await trio.sleep(50)
        assert await admitted(serving, 2 * per_second) == per_second


async def test_a_rate_may_be_below_one(autojump_clock: MockClock) -> None:
    async with serve(rate(1 / 4)) as serving:
        assert await admitted(serving, 3) == 1
        await trio.sleep(3.75)
        assert await admitted(serving, 3) == 0
        await trio.sleep(0.25)
        assert await admitted(serving, 3) == 1
        # Half of a rest is kept for the next.
        await trio.sleep(6)
        assert await admitted(serving, 3) == 1
        await trio.sleep(4)
        assert await admitted(serving, 3) == 1


async def test_who_comes_too_fast_is_reset_without_a_farewell(
    autojump_clock: MockClock,
) -> None:
    limits = attrs.evolve(rate(2), farewell=FAREWELL)
    async with serve(limits) as serving:
        assert await admitted(serving, 2) == 2
        for _ in range(20):
            assert await is_reset(await serving.connect())
        assert await serving.rejected() == {"max_accept_rate": 20}
        assert serving.reached() == [("max_accept_rate", 2)]
        statistics = serving.server.statistics()
        assert (statistics.accepted, statistics.open) == (2, 2)


async def test_a_rate_may_be_replaced(autojump_clock: MockClock) -> None:
    async with serve(Limits()) as serving:
        assert await admitted(serving, 50) == 50
        serving.server.limits = rate(5)
        assert await admitted(serving, 50) == 5
        serving.server.limits = rate(2)
        await trio.sleep(1)
        assert await admitted(serving, 50) == 2
        serving.server.limits = Limits()
        assert await admitted(serving, 50) == 50


@given(
    st.sampled_from([0.25, 0.5, 1, 3, 7.5]),
    st.lists(st.tuples(st.sampled_from([0, 0.125, 1, 6]), st.integers(1, 10))),
)
def test_in_any_span_of_time_there_are_never_more_than_its_worth(
    per_second: float, arrivals: list[tuple[float, int]]
) -> None:
    async def main() -> None:
        times: list[float] = []
        async with serve(rate(per_second)) as serving:
            for pause, count in arrivals:
                await trio.sleep(pause)
                times += [trio.current_time()] * await admitted(serving, count)
        for first, began in enumerate(times):
            for last, ended in enumerate(times[first:], first):
                worth = max(per_second, 1) + (ended - began) * per_second
                assert last - first + 1 <= worth
        if arrivals:
            assert times  # the first is never too fast

    trio.run(main, clock=MockClock(autojump_threshold=0))


# max_buffered_bytes: sending -------------------------------------------------------

PATIENT = Timeouts(
    first_message=math.inf,
    idle=math.inf,
    message=math.inf,
    write=math.inf,
    lifetime=math.inf,
)


def buffered(count: int) -> Limits:
    """Limit nothing but what is held."""
    return Limits(max_buffered_bytes=count)


async def send_100_lines(connection: Text) -> None:
    for number in range(100):
        await connection.send(f"{number:<999}")


HUNDRED_LINES = "".join(f"{number:<999}\n" for number in range(100)).encode()


async def test_send_waits_when_all_together_hold_too_much(
    autojump_clock: MockClock,
) -> None:
    limits = buffered(100_000)
    async with serve(limits, send_100_lines, timeouts=PATIENT, capacity=500) as serving:
        clients = [await serving.connect() for _ in range(10)]
        await trio.sleep(1)
        # What there is room for; and a little, which does not count, for everybody.
        held = serving.server.statistics().bytes_buffered
        assert 90_000 < held <= 100_000
        queued = [c.statistics().bytes_queued for c in serving.server.connections]
        assert held < sum(queued) <= held + 10 * 4096
        assert all(queued)
        for client in clients:
            assert await everything(client) == HUNDRED_LINES
            await client.aclose()
        await trio.sleep(1)
        assert serving.server.statistics().bytes_buffered == 0
        assert serving.server.statistics().ended == {CloseReason.CLOSED: 10}


async def test_who_has_nothing_queued_makes_progress_whatever_others_hold(
    autojump_clock: MockClock,
) -> None:
    limits = buffered(50_000)
    async with serve(limits, send_100_lines, timeouts=PATIENT, capacity=500) as serving:
        for _ in range(5):
            await serving.connect()  # and read nothing
        await trio.sleep(1)
        assert serving.server.statistics().bytes_buffered > 49_000
        client = await serving.connect()
        assert await everything(client) == HUNDRED_LINES
        assert trio.current_time() == 1
        assert len(serving.server.connections) == 6


async def test_a_large_message_waits_for_its_own_queue_at_most(
    autojump_clock: MockClock,
) -> None:
    """Though others leave no room for it, and read nothing."""

    async def send(connection: Text) -> None:
        if await connection.receive() == "deaf":
            await send_100_lines(connection)
        await connection.send("small")
        await connection.send("x" * 20_000)

    async with serve(buffered(50_000), send, timeouts=PATIENT, capacity=3) as serving:
        for _ in range(5):
            await (await serving.connect()).send_all(b"deaf\n")
        await trio.sleep(1)
        assert serving.server.statistics().bytes_buffered > 40_000
        client = await serving.connect()
        await client.send_all(b"on\n")
        assert await everything(client) == b"small\n" + b"x" * 20_000 + b"\n"
        assert trio.current_time() == 1


async def test_those_who_wait_for_the_budget_stay_in_order(
    autojump_clock: MockClock,
) -> None:
    """Small messages do not overtake large ones, for which there is no room yet."""
    lines = [
        f"{number:<{width}}" for number, width in enumerate([99, 9999, 999, 9] * 10)
    ]

    async def send_in_tasks(connection: Text) -> None:
        async with trio.open_nursery() as nursery:
            for line in lines:
                nursery.start_soon(connection.send, line)
                await wait_all_tasks_blocked()

    limits = buffered(15_000)
    async with serve(limits, send_in_tasks, timeouts=PATIENT, capacity=500) as serving:
        client = await serving.connect()
        await trio.sleep(1)
        assert 10_000 < serving.server.statistics().bytes_buffered <= 15_000
        assert await everything(client) == "".join(f"{x}\n" for x in lines).encode()


async def test_send_nowait_does_not_wait_for_the_budget_either(
    autojump_clock: MockClock,
) -> None:
    accepted: list[int] = []

    async def send_nowait(connection: Text) -> None:
        count = 0
        with pytest.raises(trio.WouldBlock):
            while True:
                connection.send_nowait(f"{count:<999}")
                count += 1
                await trio.lowlevel.checkpoint()
        accepted.append(count)
        await connection.receive()

    async with serve(
        buffered(10_500), send_nowait, timeouts=PATIENT, capacity=1
    ) as serving:
        await serving.connect()
        await trio.sleep(1)
        assert accepted == [10]
        # The next has only what does not count: a page.
        await serving.connect()
        await trio.sleep(1)
        assert accepted == [10, 4]
        assert serving.server.statistics().ended == {}


async def test_without_a_limit_only_each_connections_own_counts(
    autojump_clock: MockClock,
) -> None:
    async with serve(
        Limits(max_buffered_bytes=math.inf),
        send_100_lines,
        timeouts=PATIENT,
        capacity=500,
    ) as serving:
        for _ in range(20):
            await serving.connect()
        await trio.sleep(1)
        held = serving.server.statistics().bytes_buffered
        assert held >= 20 * (64 << 10)


async def test_a_higher_limit_lets_those_send_who_wait(
    autojump_clock: MockClock,
) -> None:
    limits = buffered(10_000)
    async with serve(limits, send_100_lines, timeouts=PATIENT, capacity=500) as serving:
        clients = [await serving.connect() for _ in range(2)]
        await trio.sleep(1)
        serving.server.limits = buffered(1_000_000)
        for client in clients:
            assert await client.receive_some(500) == HUNDRED_LINES[:500]
        for client in clients:
            assert await everything(client) == HUNDRED_LINES[500:]


# max_buffered_bytes: receiving -----------------------------------------------------


async def hold(serving: Serving, size: int) -> testing.MemoryStream:
    """Connect a client that sends so much of a message, and not its end."""
    client = await serving.connect()
    await client.send_all(b"x" * size)
    await wait_all_tasks_blocked()
    return client


async def test_the_connection_that_holds_the_most_makes_room(
    autojump_clock: MockClock,
) -> None:
    errors: list[EvictedError] = []
    reasons: list[CloseReason | None] = []
    received: list[int] = []

    async def receive_one(connection: Text) -> None:
        try:
            received.append(len(await connection.receive()))
        except EvictedError as error:
            errors.append(error)
            reasons.append(connection.close_reason)
            raise

    async with serve(buffered(100_000), receive_one, timeouts=PATIENT) as serving:
        honest = [await hold(serving, 30_000)]
        greedy = await hold(serving, 50_000)
        assert serving.server.statistics().bytes_buffered == 80_000
        assert errors == []
        honest.append(await hold(serving, 40_000))
        assert [(error.held, error.limit) for error in errors] == [(50_000, 100_000)]
        assert reasons == [CloseReason.EVICTED]
        assert serving.server.statistics().bytes_buffered == 70_000
        assert await is_reset(greedy)
        for client in honest:
            await client.send_all(b"!\n")
            assert await everything(client) == b""
            await client.aclose()
        assert received == [30_001, 40_001]
        await wait_all_tasks_blocked()
        (evicted, *_) = serving.record.all(trio_tcp.ConnectionEnded)
        assert evicted.reason is CloseReason.EVICTED
        assert isinstance(evicted.error, EvictedError)
        assert errors[0].connection_id == evicted.id
        assert serving.server.statistics().bytes_buffered == 0


async def test_it_may_be_the_one_that_is_just_receiving(
    autojump_clock: MockClock,
) -> None:
    async with serve(buffered(100_000), receive_all, timeouts=PATIENT) as serving:
        small = await hold(serving, 20_000)
        with pytest.raises(trio.BrokenResourceError):
            await hold(serving, 1_000_000)
        await wait_all_tasks_blocked()
        (ended,) = serving.record.all(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.EVICTED
        assert serving.server.statistics().bytes_buffered == 20_000
        await small.send_all(b"\n")
        await wait_all_tasks_blocked()
        (connection,) = serving.server.connections
        assert connection.statistics().messages_received == 1


async def test_bytes_that_come_while_it_is_evicted_are_nobodys(
    autojump_clock: MockClock,
) -> None:
    for _ in range(20):  # tasks run in any order
        async with serve(buffered(25_000), receive_all, timeouts=PATIENT) as serving:
            greedy = await serving.connect()
            await greedy.send_all(b"whole\n" + b"x" * 15_000)
            honest = await hold(serving, 9000)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(greedy.send_all, b"x" * 100)
                nursery.start_soon(honest.send_all, b"x" * 3000)
            assert await is_reset(greedy)
            await wait_all_tasks_blocked()
            (connection,) = serving.server.connections
            assert connection.statistics().bytes_received == 12_000
            assert serving.server.statistics().bytes_buffered == 12_000
            (ended,) = serving.record.all(trio_tcp.ConnectionEnded)
            assert ended.reason is CloseReason.EVICTED


async def test_a_busy_handler_is_told_when_it_looks_up(
    autojump_clock: MockClock,
) -> None:
    """What its connection holds is let go at once."""
    failed: list[str] = []

    async def work(connection: Text) -> None:
        assert await connection.receive() == "begin"
        await trio.sleep(10)
        for name, call in (
            ("receive", connection.receive),
            ("send", partial(connection.send, "x")),
            ("flush", connection.flush),
            ("detach", connection.detach),
        ):
            with pytest.raises(EvictedError):
                await call()
            failed.append(name)

    async with serve(buffered(50_000), work, timeouts=PATIENT) as serving:
        busy = await serving.connect()
        # With the first message came the beginning of another.
        await busy.send_all(b"begin\n" + b"x" * 16_000)
        await trio.sleep(1)
        assert serving.server.statistics().bytes_buffered > 16_000
        serving.server.limits = buffered(16_001)
        await hold(serving, 10_000)
        assert serving.server.statistics().bytes_buffered == 10_000
        assert len(serving.server.connections) == 2
        await trio.sleep(10)
        assert failed == ["receive", "send", "flush", "detach"]
        assert await is_reset(busy)


async def test_what_waits_to_be_sent_counts_as_well(
    autojump_clock: MockClock,
) -> None:
    async def receive_and_send(connection: Text) -> None:
        if await connection.receive() == "more":
            await connection.send("x" * 60_000)
        await receive_all(connection)

    async with serve(
        buffered(100_000), receive_and_send, timeouts=PATIENT, capacity=1000
    ) as serving:
        deaf = await serving.connect()
        await deaf.send_all(b"more\n")
        await wait_all_tasks_blocked()
        assert serving.server.statistics().bytes_buffered == 59_001 + 1000
        honest = await hold(serving, 30_000)
        assert serving.server.statistics().open == 2
        with suppress(trio.BrokenResourceError):
            await honest.send_all(b"x" * 20_000)
        await wait_all_tasks_blocked()
        assert await is_reset(deaf)
        (connection,) = serving.server.connections
        assert connection.close_reason is None
        assert serving.server.statistics().bytes_buffered == 50_000


async def test_a_message_too_large_for_the_rest_evicts_whoever_holds_the_most(
    autojump_clock: MockClock,
) -> None:
    """With nothing queued a connection may send whatever it likes, but not for ever."""

    async def send(connection: Text) -> None:
        await connection.send("x" * int(await connection.receive()))
        await receive_all(connection)

    async with serve(
        buffered(100_000), send, timeouts=PATIENT, capacity=100
    ) as serving:
        clients: list[testing.MemoryStream] = []
        for size in (30_000, 50_000, 40_000):
            clients.append(await serving.connect())
            await clients[-1].send_all(b"%d\n" % size)
            await wait_all_tasks_blocked()
        (ended,) = serving.record.all(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.EVICTED
        assert await is_reset(clients[1])
        assert len(await clients[0].receive_some()) == 100
        assert len(await clients[2].receive_some()) == 100


async def test_as_many_go_as_it_takes(autojump_clock: MockClock) -> None:
    async with serve(buffered(1_000_000), receive_all, timeouts=PATIENT) as serving:
        clients = [await hold(serving, size) for size in range(10_000, 60_000, 10_000)]
        serving.server.limits = buffered(70_000)
        await wait_all_tasks_blocked()
        assert len(serving.server.connections) == 5  # a lower limit evicts nobody
        clients.append(await hold(serving, 20_000))
        # 50,000 and 40,000 and 30,000 are gone.
        assert serving.server.statistics().bytes_buffered == 50_000
        assert [await is_reset(client) for client in clients[2:5]] == [True] * 3
        assert len(serving.server.connections) == 3


async def test_honest_small_clients_are_never_evicted(
    autojump_clock: MockClock,
) -> None:
    """However many there are: what they hold is little."""
    async with serve(buffered(100_000), timeouts=PATIENT) as serving:
        honest = [await hold(serving, 3000) for _ in range(200)]
        for _ in range(20):
            with suppress(trio.BrokenResourceError):
                await hold(serving, 200_000)
        for client in honest:
            await client.send_all(b"\n")
            assert await everything_of(client, 3001)
        await wait_all_tasks_blocked()
        assert serving.server.statistics().ended == {CloseReason.EVICTED: 20}
        assert serving.server.statistics().bytes_buffered == 0


async def everything_of(client: testing.MemoryStream, size: int) -> bool:
    """Read so many bytes."""
    while size > 0:
        size -= len(await client.receive_some(size))
    return True


async def test_what_is_delivered_is_not_held(autojump_clock: MockClock) -> None:
    async with serve(buffered(100_000), receive_all, timeouts=PATIENT) as serving:
        for _ in range(10):
            client = await hold(serving, 60_000)
            await client.send_all(b"\n")
            await wait_all_tasks_blocked()
            assert serving.server.statistics().bytes_buffered == 0
        assert serving.server.statistics().messages_received == 10


# Leaks -----------------------------------------------------------------------------


async def fail(connection: Text) -> None:
    raise LookupError


async def detach_and_close(connection: Text) -> None:
    stream, _ = await connection.detach()
    await trio.aclose_forcefully(stream)


async def abort_at_once(connection: Text) -> None:
    connection.abort()


async def close_at_once(connection: Text) -> None:
    await connection.aclose()


async def outlive(connection: Text) -> None:
    await trio.sleep_forever()


async def do_nothing(connection: Text) -> None:
    pass


HANDLER_ENDS: dict[str, Handler] = {
    "return": do_nothing,
    "fail": fail,
    "abort": abort_at_once,
    "aclose": close_at_once,
    "detach": detach_and_close,
    "go on": receive_all,
    "outlive": outlive,
}
CLIENT_ENDS = ["aclose", "reset", "stay", "send_eof"]


@final
@attrs.frozen
class Life:
    """What becomes of one connection."""

    comes_at: int
    sends: int  # bytes, of which every thousandth is a line end
    unfinished: int
    reads: bool
    client_ends: str
    answers: int
    watches: bool
    stays: int
    handler_ends: str

    async def be_client(self, serving: Serving) -> None:
        await trio.sleep(self.comes_at)
        client = await serving.connect()
        async with trio.open_nursery() as nursery:
            if self.reads:
                nursery.start_soon(is_reset, client)
            with suppress(trio.BrokenResourceError):
                await client.send_all((b"x" * 999 + b"\n") * (self.sends // 1000))
                await client.send_all(b"x" * self.unfinished)
                await trio.sleep(self.stays)
                if self.client_ends == "send_eof":
                    await client.send_eof()
            nursery.cancel_scope.cancel()
        if self.client_ends == "reset":
            client.reset()
        elif self.client_ends == "aclose":
            await client.aclose()

    async def be_server(self, connection: Text) -> None:
        async with trio.open_nursery() as nursery:
            if self.watches:
                nursery.start_soon(connection.wait_disconnected)
            with trio.move_on_after(self.stays):
                await self._answer(connection)
            nursery.cancel_scope.cancel()
        await HANDLER_ENDS[self.handler_ends](connection)

    async def _answer(self, connection: Text) -> None:
        for number in range(self.answers):
            if number % 3 == 0:
                await connection.receive()
            await connection.send("y" * 9999)


LIVES = st.builds(
    Life,
    comes_at=st.integers(0, 5),
    sends=st.sampled_from([0, 1000, 20_000, 100_000]),
    unfinished=st.sampled_from([0, 10, 5000, 60_000]),
    reads=st.booleans(),
    client_ends=st.sampled_from(CLIENT_ENDS),
    answers=st.integers(0, 30),
    watches=st.booleans(),
    stays=st.integers(0, 9),
    handler_ends=st.sampled_from([*HANDLER_ENDS]),
)


@given(st.lists(LIVES, min_size=1, max_size=6), st.sampled_from([50_000, 150_000, 1e9]))
def test_however_connections_end_nothing_stays_counted(
    lives: list[Life], limit: float
) -> None:
    """Neither as held, nor as taking a slot."""
    timeouts = Timeouts(
        first_message=7, idle=7, message=7, write=7, lifetime=20, linger=3
    )
    limits = Limits(max_buffered_bytes=int(limit), max_connections=len(lives))

    async def main() -> None:
        record = Record()
        listener = testing.MemoryListener(1000)
        waiting = iter(sorted(lives, key=lambda life: life.comes_at))

        async def handler(connection: Text) -> None:
            if (life := next(waiting, None)) is not None:
                await life.be_server(connection)

        run = partial(
            trio_tcp.serve_listeners,
            handler,
            [listener],
            codec=LINES,
            limits=limits,
            timeouts=timeouts,
            observer=record,
        )
        async with trio.open_nursery() as nursery:
            server: trio_tcp.Server = await nursery.start(run)
            serving = Serving(server, [listener], record)
            with trio.fail_after(A_LONG_TIME):
                async with trio.open_nursery() as clients:
                    for life in lives:
                        clients.start_soon(life.be_client, serving)
                    for _ in range(30):
                        await trio.sleep(1)
                        held = server.statistics().bytes_buffered
                        assert held >= 0
                await trio.sleep(50)
                assert server.connections == ()
                assert server.statistics().bytes_buffered == 0
                # All slots are free again.
                for _ in lives:
                    await serving.connect()
            nursery.cancel_scope.cancel()
        failures = {type(e.error) for e in record.all(trio_tcp.HandlerFailed)}
        assert failures <= {LookupError}
        assert server.statistics().bytes_buffered == 0

    trio.run(main, clock=MockClock(autojump_threshold=0))


# What makes no sense ---------------------------------------------------------------


def option(options: Callable[..., object], name: str, value: object) -> object:
    """Make options, and return one of them."""
    return getattr(options(**{name: value}), name)


COUNTS = ["max_connections", "max_per_address", "max_buffered_bytes"]


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [1, 10_000, math.inf])
def test_a_count_is_a_whole_number_or_infinity(name: str, value: float) -> None:
    assert option(Limits, name, value) == value


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize(
    "value", [0, -1, 0.5, 10.0, math.nan, -math.inf, "10", None, True]
)
def test_any_other_count_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be a whole number"):
        option(Limits, name, value)


RATES = [(Limits, "max_accept_rate"), (Timeouts, "message_rate")]


@pytest.mark.parametrize(("options", "name"), RATES)
@pytest.mark.parametrize("value", [0.01, 1, 240, math.inf])
def test_a_rate_is_a_number_above_zero(
    options: type[Limits | Timeouts], name: str, value: float
) -> None:
    assert option(options, name, value) == value


@pytest.mark.parametrize(("options", "name"), RATES)
@pytest.mark.parametrize("value", [0, -1, math.nan, -math.inf, "10", None, True])
def test_any_other_rate_is_refused_by_name(
    options: type[Limits | Timeouts], name: str, value: float
) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be a number per second"):
        option(options, name, value)


DURATIONS = [
    field.name for field in attrs.fields(Timeouts) if field.name != "message_rate"
]


@pytest.mark.parametrize("name", DURATIONS)
@pytest.mark.parametrize("value", [0, 0.001, 60, math.inf])
def test_every_timeout_is_a_number_of_seconds(name: str, value: float) -> None:
    assert option(Timeouts, name, value) == value


@pytest.mark.parametrize("name", DURATIONS)
@pytest.mark.parametrize("value", [-1, math.nan, -math.inf, "10", None, False])
def test_any_other_timeout_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be a number of seconds"):
        option(Timeouts, name, value)


def test_by_default_everything_ends_some_time_and_honest_clients_get_in() -> None:
    timeouts = attrs.asdict(Timeouts())
    assert all(0 < seconds < math.inf for seconds in timeouts.values())
    limits = Limits()
    assert limits.max_connections < math.inf
    assert limits.max_buffered_bytes < math.inf
    assert limits.when_full == "wait"
    # Many honest clients may come at once, and from one address.
    assert limits.max_per_address == limits.max_accept_rate == math.inf


@pytest.mark.parametrize("value", ["sometimes", "", None, True])
def test_a_policy_for_a_full_server_is_one_of_two(value: str) -> None:
    with pytest.raises(ValueError, match="when_full"):
        Limits(when_full=value)  # type: ignore[arg-type]  # the error is the point


@pytest.mark.parametrize("value", ["text", None, 5])
def test_a_farewell_is_bytes(value: bytes) -> None:
    with pytest.raises((TypeError, ValueError), match="farewell"):
        Limits(farewell=value)


async def test_limits_that_make_no_sense_leave_the_server_as_it_is() -> None:
    async with serve(Limits(max_connections=7)) as serving:
        with pytest.raises(ValueError, match="max_connections"):
            serving.server.limits = attrs.evolve(
                serving.server.limits, max_connections=0
            )
        assert serving.server.limits == Limits(max_connections=7)
