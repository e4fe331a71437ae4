"""Who leaves over TLS is noticed; who is sent away, drained or refused, is told so."""

from __future__ import annotations

import ssl
from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.certificates import each_version, server_context
from tests.integration.loopback import echo
from tests.tls.handshakes import expect_end, hello
from tests.tls.peer import Peer, Text, serving
from trio_tcp import CloseReason, codecs, testing


@each_version
@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        ("end", CloseReason.PEER_CLOSED),
        ("cut", CloseReason.TRUNCATED),
        ("reset", CloseReason.BROKEN),
    ],
)
async def test_a_handler_can_wait_for_the_peer_to_be_gone(
    version: ssl.TLSVersion, ending: str, reason: CloseReason
) -> None:
    """What came before is kept for who receives."""
    heard: list[str] = []

    async def work(connection: Text) -> None:
        await connection.wait_disconnected()
        heard.append("gone")
        with suppress(trio_tcp.ConnectionFault):
            while True:
                heard.append(await connection.receive())

    context = server_context(version=version)
    async with serving(work, codecs.Lines(), tls=context) as served:
        peer = await served.connect_peer()
        await peer.send(b"one\ntwo\n")
        await wait_all_tasks_blocked()
        assert heard == []
        if ending == "end":
            await peer.end()
        elif ending == "cut":
            await peer.stream.send_eof()
        else:
            assert isinstance(peer.stream, testing.MemoryStream)
            peer.stream.reset()
        (ended,) = await served.record.wait(trio_tcp.ConnectionEnded)
        assert heard == ["gone", "one", "two"]
        assert ended.reason is reason


async def test_work_for_a_peer_that_is_gone_can_be_cancelled() -> None:
    cancelled = trio.Event()

    async def work(connection: Text) -> None:
        async with connection.cancel_on_disconnect() as scope:
            await connection.send("working")
            await trio.Event().wait()
        assert scope.cancelled_caught
        cancelled.set()

    async with serving(work, codecs.Lines()) as served:
        peer = await served.connect_peer()
        assert await peer.receive() == b"working\n"
        await peer.end()
        await cancelled.wait()


@each_version
async def test_a_drain_ends_connections_with_close_notify(
    version: ssl.TLSVersion, autojump_clock: MockClock
) -> None:
    """The idle at once, the busy when they are done; handshakes are cut off."""

    async def work(connection: Text) -> None:
        async for line in connection:
            await trio.sleep(float(line))
            await connection.send(f"slept for {line}")

    context = server_context(version=version)
    async with serving(work, codecs.Lines(), tls=context) as served:
        idle = await served.connect_peer()
        busy = await served.connect_peer()
        await busy.send(b"3\n")
        await served.record.wait(trio_tcp.ConnectionOpened, 2)
        await wait_all_tasks_blocked()
        shaking = await served.listener.connect()
        await shaking.send_all(hello()[:100])
        await wait_all_tasks_blocked()
        ends: list[tuple[str, float]] = []

        async def watch(name: str, peer: Peer, last: bytes) -> None:
            assert await peer.receive_all() == last
            ends.append((name, trio.current_time()))
            await peer.end()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch, "idle", idle, b"")
            nursery.start_soon(watch, "busy", busy, b"slept for 3\n")
            nursery.start_soon(expect_end, shaking)
            report = await served.server.drain(grace=20)
        assert ends == [("idle", 0), ("busy", 3)]
        assert report.finished == 2
        assert report.cancelled == report.aborted == 0
        assert report.handshakes == 1
        assert trio.current_time() == 3
        reasons = [e.reason for e in served.record.all(trio_tcp.ConnectionEnded)]
        assert reasons == [CloseReason.DRAINED] * 2


async def test_who_is_refused_reads_the_farewell_over_tls() -> None:
    limits = trio_tcp.Limits(
        max_connections=1, when_full="reject", farewell=b"come back later\n"
    )
    async with serving(echo, codecs.Lines(), limits=limits) as served:
        async with served.connect() as first:
            refused = await served.connect_peer()
            assert await refused.receive_all() == b"come back later\n"
            await refused.end()
            await first.send("hello")
            assert await first.receive() == "hello"
        await served.record.wait(trio_tcp.ConnectionEnded)
        await served.works()
