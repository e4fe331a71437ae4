"""A drain, first: nobody comes any more, and who is in a handshake goes."""

from __future__ import annotations

import errno
from contextlib import suppress
from typing import final

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.certificates import HOST
from tests.drain.draining import (
    BEGINNINGS,
    ORDERS,
    Served,
    echo,
    of_client,
    of_server,
    passes,
    polite,
    serving,
    sleep_as_told,
    to_the_end,
    work,
)
from tests.tls.peer import Peer
from trio_tcp import DrainReport, testing


async def test_nobody_is_accepted_any_more_but_those_at_work_go_on(
    autojump_clock: MockClock,
) -> None:
    async with serving(sleep_as_told) as served, trio.open_nursery() as nursery:
        client = await served.listener.connect()
        await client.send_all(b"7\n")
        await wait_all_tasks_blocked()
        nursery.start_soon(served.server.drain)
        await wait_all_tasks_blocked()
        with pytest.raises(ConnectionRefusedError):
            await served.listener.connect()
        assert await to_the_end(client) == (b"7\n", "FIN")
        assert trio.current_time() == 7


async def test_the_server_returns_when_it_is_drained(autojump_clock: MockClock) -> None:
    async with serving(sleep_as_told) as served:
        client = await served.listener.connect()
        await client.send_all(b"7\n")
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(to_the_end, client)
            await served.server.drain()
        await served.returned.wait()
        assert served.returned_at == 7
        last = [type(event) for event in served.record.events[-3:]]
        assert last == [trio_tcp.ConnectionEnded, DrainReport, trio_tcp.ServerStopped]


async def test_a_server_with_no_connections_is_drained_at_once(
    autojump_clock: MockClock,
) -> None:
    async with serving(work) as served:
        report = await served.server.drain()
        assert report == DrainReport(
            finished=0, cancelled=0, aborted=0, handshakes=0, seconds=0
        )
        await served.returned.wait()
        assert served.returned_at == 0
        assert served.agrees_with(report)


async def test_all_listeners_are_closed(autojump_clock: MockClock) -> None:
    listeners = [testing.MemoryListener() for _ in range(3)]
    async with serving(echo, listeners=listeners) as served:
        clients = [await listener.connect() for listener in listeners]
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            for client in clients:
                nursery.start_soon(to_the_end, client)
            report = await served.server.drain()
        assert (report.finished, report.seconds) == (3, 0)
        for listener in listeners:
            with pytest.raises(ConnectionRefusedError):
                await listener.connect()


async def test_a_suspended_server_can_be_drained(autojump_clock: MockClock) -> None:
    async with serving(echo) as served:
        client = await served.listener.connect()
        served.server.suspend()
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(to_the_end, client)
            report = await served.server.drain()
        assert (report.finished, report.seconds) == (1, 0)
        await served.returned.wait()
        assert served.returned_at == 0


async def test_a_drained_server_cannot_be_resumed(autojump_clock: MockClock) -> None:
    async with serving(work) as served:
        client = await served.listener.connect()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(served.server.drain, 10)
            await wait_all_tasks_blocked()
            served.server.resume()
            served.server.suspend()
            with pytest.raises(ConnectionRefusedError):
                await served.listener.connect()
            nursery.start_soon(to_the_end, client)
        kinds = {type(event) for event in served.record.events}
        assert not kinds & {trio_tcp.ServerResumed, trio_tcp.ServerSuspended}


async def test_a_full_server_can_be_drained(autojump_clock: MockClock) -> None:
    """Its accept loops wait for room."""
    limits = trio_tcp.Limits(max_connections=1)
    async with serving(sleep_as_told, limits=limits) as served:
        client = await served.listener.connect()
        await client.send_all(b"3\n")
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(to_the_end, client)
            report = await served.server.drain()
        assert (report.finished, report.seconds) == (1, 3)
        await served.returned.wait()
        assert served.returned_at == 3


@final
class ExhaustedListener(trio.abc.Listener[testing.MemoryStream]):
    """Has no descriptors left."""

    async def accept(self) -> testing.MemoryStream:
        await trio.lowlevel.checkpoint()
        raise OSError(errno.EMFILE, "accept")

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


async def test_a_server_without_descriptors_can_be_drained(
    autojump_clock: MockClock,
) -> None:
    async with serving(work, listeners=[ExhaustedListener()]) as served:
        await trio.sleep(1.05)
        report = await served.server.drain()
        assert report.seconds == 0
        await served.returned.wait()
        assert served.returned_at == 1.05


async def test_clients_in_a_handshake_are_closed_at_once_and_counted(
    autojump_clock: MockClock,
) -> None:
    async with serving(work, tls=of_server()) as served:
        clients: list[testing.MemoryStream] = []
        for begin in BEGINNINGS:
            clients.append(await served.listener.connect())
            await begin(clients[-1])
        await wait_all_tasks_blocked()
        assert served.server.statistics().handshaking == 3
        report = await served.server.drain()
        assert report == DrainReport(
            finished=0, cancelled=0, aborted=0, handshakes=3, seconds=0
        )
        await served.returned.wait()
        assert served.returned_at == 0
        for client in clients:
            assert (await to_the_end(client))[1] == "FIN"
        assert served.agrees_with(report)
        assert served.server.statistics().handshaking == 0
        assert not served.record.all(trio_tcp.HandshakeFailed)


@pytest.mark.parametrize("tls", [False, True])
async def test_whoever_connects_at_that_moment_is_refused_or_served_and_counted(
    tls: bool, autojump_clock: MockClock
) -> None:
    """In whatever order things happen, the books agree and nobody is waited for."""
    seen: set[tuple[str, int, int]] = set()
    for count in range(ORDERS * 2):
        async with serving(echo, tls=of_server() if tls else None) as served:
            await wait_all_tasks_blocked()
            outcome = "refused"

            async def connect(served: Served = served) -> None:
                nonlocal outcome
                with suppress(ConnectionRefusedError):
                    client = await served.listener.connect()
                    if not tls:
                        await client.send_all(b"hello\n")
                    received, end = await to_the_end(client)
                    outcome = f"{received.decode(errors='replace').strip()} {end}"

            async with trio.open_nursery() as nursery:
                nursery.start_soon(connect)
                await passes(count % 7)
                report = await served.server.drain()
                assert report.seconds == 0
                await served.returned.wait()
            assert trio.current_time() == 0
            assert served.agrees_with(report)
            seen.add((outcome, report.finished, report.handshakes))
    # What arrives later than the news is not served.
    closed = {(" FIN", 0, 1)} if tls else {("hello FIN", 1, 0), (" FIN", 1, 0)}
    assert seen == {("refused", 0, 0)} | closed


async def test_a_handshake_that_ends_at_that_moment_is_counted_once(
    autojump_clock: MockClock,
) -> None:
    """As a handshake that was broken off, or as a connection with nothing to do."""
    for count in range(ORDERS):
        async with serving(polite, tls=of_server()) as served:
            stream = await served.listener.connect()
            peer = Peer(stream, of_client(), server_hostname=HOST)

            async def shake_hands(peer: Peer = peer) -> None:
                with suppress(Exception):
                    await peer.shake_hands()
                    await peer.receive_all()
                await peer.stream.aclose()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(shake_hands)
                await passes(count % 20)
                report = await served.server.drain()
            assert report.handshakes + report.finished == 1
            assert report.seconds == 0
            await served.returned.wait()
            assert served.returned_at == 0
            assert served.agrees_with(report)
