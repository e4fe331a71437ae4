"""`max_connections`: who comes to a full server waits, and gets the next free slot."""

from __future__ import annotations

import random

import pytest
import trio
from trio.testing import MockClock

from tests.certificates import HOST, client_context, server_context
from tests.limits.limiting import Handler, Text, answers, everything, serve
from tests.tls.peer import Peer
from trio_tcp import Limits, Timeouts


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
