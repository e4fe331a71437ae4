"""What is counted: a server and its clients do things, and the figures say so."""

from __future__ import annotations

import errno
from contextlib import suppress
from functools import partial
from typing import Any

import attrs
import pytest
import trio
from prometheus_client import CollectorRegistry
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.monitoring.scraping import Fresh, ignore, samples
from trio_tcp import CloseReason, codecs, monitoring, testing
from trio_tcp.testing import VirtualNetwork, simulated

CODEC = codecs.Lines()
STATISTICS = trio_tcp.ConnectionStatistics(
    messages_received=0,
    messages_sent=0,
    bytes_received=0,
    bytes_sent=0,
    bytes_queued=0,
    bytes_skipped=0,
)


async def echo(connection: trio_tcp.Connection[str, str]) -> None:
    async for line in connection:
        await connection.send(line)


@pytest.fixture
def fresh() -> Fresh:
    return Fresh()


async def test_servers_are_asked_when_the_figures_are(fresh: Fresh) -> None:
    async with testing.serve_in_memory(echo, CODEC, observer=fresh.metrics) as served:
        fresh.metrics.watch(served.server)
        assert fresh.changed() == {"servers{state=accepting}": 1}
        async with served.connect() as client, served.connect():
            await client.send_many(["one", "three"])
            assert [await client.receive(), await client.receive()] == ["one", "three"]
            await wait_all_tasks_blocked()
            assert fresh.changed() == {
                "servers{state=accepting}": 1,
                "connections{state=waiting}": 2,
                "connections_accepted_total": 2,
                "received_messages_total": 2,
                "sent_messages_total": 2,
                "received_bytes_total": 10,
                "sent_bytes_total": 10,
            }
        await wait_all_tasks_blocked()
        now = fresh.changed()
        assert now["connections_ended_total{reason=peer_closed}"] == 2
        assert now["connection_duration_seconds_count"] == 2
        assert "connections{state=waiting}" not in now
        assert now["received_messages_total"] == 2


async def test_who_has_a_request_in_hand_is_busy(fresh: Fresh) -> None:
    """Also where the next one is waited for meanwhile."""
    go = trio.Event()

    async def slowly(line: str) -> str:
        await go.wait()
        return line

    concurrently = trio_tcp.Concurrency(limit=4)
    for handler in (
        trio_tcp.respond(slowly),
        trio_tcp.respond(slowly, concurrency=concurrently),
    ):
        go = trio.Event()
        async with testing.serve_in_memory(handler, CODEC) as served:
            fresh.metrics.watch(served.server)
            async with served.connect() as client:
                await client.send("a")
                await wait_all_tasks_blocked()
                assert fresh.changed()["connections{state=busy}"] == 1
                go.set()
                await client.receive()
                await wait_all_tasks_blocked()
                assert fresh.changed()["connections{state=waiting}"] == 1


async def test_a_plain_responder_waits_between_requests(fresh: Fresh) -> None:
    handler = trio_tcp.respond(str.upper)
    async with testing.serve_in_memory(handler, CODEC) as served:
        fresh.metrics.watch(served.server)
        async with served.connect() as client:
            await client.send("a")
            assert await client.receive() == "A"
            await wait_all_tasks_blocked()
            assert fresh.changed()["connections{state=waiting}"] == 1


async def test_what_a_server_has_counted_stays_when_it_has_ended(fresh: Fresh) -> None:
    """Counters never go down; figures of what is there now do."""
    for round_ in (1, 2, 3):
        async with testing.serve_in_memory(echo, CODEC) as served:
            fresh.metrics.watch(served.server)
            fresh.metrics.watch(served.server)  # is not counted twice
            async with served.connect() as client:
                await client.send("a")
                await client.receive()
            await wait_all_tasks_blocked()
        now = fresh.changed()
        assert now["received_messages_total"] == round_
        assert now["connections_ended_total{reason=peer_closed}"] == round_
        assert now["servers{state=stopped}"] == 1


async def test_two_servers_are_one_sum(fresh: Fresh) -> None:
    async with (
        testing.serve_in_memory(echo, CODEC) as one,
        testing.serve_in_memory(echo, CODEC) as two,
    ):
        fresh.metrics.watch(one.server)
        fresh.metrics.watch(two.server)
        two.server.suspend()
        async with one.connect() as client:
            await client.send("a")
            await client.receive()
            now = fresh.changed()
        assert now["servers{state=accepting}"] == 1
        assert now["servers{state=suspended}"] == 1
        assert now["connections_accepted_total"] == 1


async def test_a_drain_is_told_from_before_and_after(
    fresh: Fresh, autojump_clock: MockClock
) -> None:
    async def hang(connection: trio_tcp.Connection[str, str]) -> None:
        await connection.receive()
        await trio.sleep_forever()

    timeouts = trio_tcp.Timeouts(linger=1)
    async with testing.serve_in_memory(
        hang, CODEC, timeouts=timeouts, observer=fresh.metrics
    ) as served:
        fresh.metrics.watch(served.server)
        async with served.connect() as busy, served.connect():
            await busy.send("a")
            await wait_all_tasks_blocked()
            with trio.move_on_after(8):  # the idle one is gone by then
                await served.server.drain(grace=10)
            now = fresh.changed()
            assert now["connections{state=draining}"] == 1
            assert now["servers{state=draining}"] == 1
            assert "drains_total" not in now
            await served.server.drain()
        now = fresh.changed()
    assert now["drains_total"] == 1
    assert now["drain_seconds_total"] == pytest.approx(11)
    assert now["drained_connections_total{outcome=finished}"] == 1
    assert now["drained_connections_total{outcome=cancelled}"] == 1


async def test_the_refused_are_counted_by_the_limit(fresh: Fresh) -> None:
    limits = trio_tcp.Limits(max_connections=1, when_full="reject")
    async with testing.serve_in_memory(
        echo, CODEC, limits=limits, observer=fresh.metrics
    ) as served:
        fresh.metrics.watch(served.server)
        async with served.connect():
            await wait_all_tasks_blocked()
            with pytest.raises(trio_tcp.ConnectionFault):
                async with served.connect() as second:
                    await second.receive()
        now = fresh.changed()
    assert now["connections_rejected_total{limit=max_connections}"] == 1
    assert now["limits_reached_total{limit=max_connections}"] == 1
    assert now["connections_accepted_total"] == 1


@simulated(seeds=2)
async def test_a_peer_that_does_not_read_shows(net: VirtualNetwork) -> None:
    """While its senders wait, and how long they have waited when they do no more."""
    fresh = Fresh()

    async def flood(connection: trio_tcp.Connection[bytes, bytes]) -> None:
        for _ in range(100):
            await connection.send(bytes(65_536))

    async def read_late() -> None:
        stream = await trio.open_tcp_stream("server", 80)
        async with stream:
            await trio.sleep(20)
            now = fresh.changed()
            assert now["backpressure_episodes_total"] == 1
            assert now["backpressured_connections"] == 1
            assert now["buffered_bytes"] > 0
            while await stream.receive_some():
                pass

    codec = codecs.Chunks()
    serve = partial(trio_tcp.serve_tcp, flood, 80, codec=codec, observer=fresh.metrics)
    async with trio.open_nursery() as nursery:
        server: trio_tcp.Server = await nursery.start(
            net.host("server").run, fresh.metrics.watched(serve)
        )
        await net.host("client").run(read_late)
        await server.drain()
    now = fresh.changed()
    assert "backpressured_connections" not in now
    assert now["backpressure_seconds_total"] >= 19
    assert now["sent_bytes_total"] == 6_553_600


PEER = trio_tcp.TcpAddress("192.0.2.1", 4711)
WHO: dict[str, Any] = {"id": 7, "label": "ann", "peer": PEER}


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            trio_tcp.HandshakeFailed(
                **WHO, stage="PROXY header", error=ValueError(), seconds=1
            ),
            {"handshakes_failed_total{stage=proxy_header}": 1},
        ),
        pytest.param(
            trio_tcp.HandshakeFailed(**WHO, stage="TLS", error=ValueError(), seconds=1),
            {"handshakes_failed_total{stage=tls}": 1},
            id="HandshakeFailed, of TLS",
        ),
        (
            trio_tcp.ProxyHeaderReceived(**WHO, proxy=None, seconds=0.5),
            {
                "handshake_duration_seconds_count{stage=proxy_header}": 1,
                "handshake_duration_seconds_sum{stage=proxy_header}": 0.5,
            },
        ),
        (
            trio_tcp.TlsEstablished(
                **WHO,
                version="TLSv1.3",
                cipher="TLS_AES_256_GCM_SHA384",
                alpn=None,
                server_name="evil",
                seconds=0.25,
            ),
            {
                "handshake_duration_seconds_count{stage=tls}": 1,
                "handshake_duration_seconds_sum{stage=tls}": 0.25,
            },
        ),
        (
            trio_tcp.TimedOut(**WHO, timeout="idle", seconds=600),
            {"timeouts_total{timeout=idle}": 1},
        ),
        (
            trio_tcp.MessageMalformed(**WHO, error=ValueError(), number=1),
            {"malformed_messages_total": 1},
        ),
        (
            trio_tcp.GarbageSkipped(**WHO, count=12, number=1),
            {"skipped_bytes_total": 12},
        ),
        (trio_tcp.HandlerFailed(**WHO, error=KeyError()), {"handlers_failed_total": 1}),
        (
            trio_tcp.AcceptPaused(error=OSError(errno.EMFILE, ""), retry_seconds=0.1),
            {"accept_pauses_total": 1},
        ),
        (
            trio_tcp.AcceptResumed(paused_seconds=2.5),
            {"accept_paused_seconds_total": 2.5},
        ),
        (
            trio_tcp.DrainReport(
                finished=4, cancelled=3, aborted=2, handshakes=1, seconds=9
            ),
            {
                "drains_total": 1,
                "drain_seconds_total": 9,
                "drained_connections_total{outcome=finished}": 4,
                "drained_connections_total{outcome=cancelled}": 3,
                "drained_connections_total{outcome=aborted}": 2,
                "drained_connections_total{outcome=handshake}": 1,
            },
        ),
        (
            trio_tcp.ConnectionEnded(
                **WHO,
                reason=CloseReason.CLOSED,
                error=None,
                statistics=STATISTICS,
                seconds=2,
            ),
            {
                "connection_duration_seconds_count": 1,
                "connection_duration_seconds_sum": 2,
            },
        ),
        (trio_tcp.Event(), {}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_event_is_counted(
    event: trio_tcp.Event, expected: dict[str, float], fresh: Fresh
) -> None:
    """And a second one like it, as often; both are passed on."""
    passed_on: list[trio_tcp.Event] = []
    fresh.metrics(event)
    assert fresh.changed() == expected
    twice = monitoring.Metrics(CollectorRegistry(), observer=passed_on.append)
    twice(event)
    twice(event)
    assert passed_on == [event, event]


def test_a_duration_is_in_the_buckets_from_its_own_on(fresh: Fresh) -> None:
    """A bound belongs to its bucket; what is above all bounds is in the last."""
    for seconds in (0.01, 0.1, 0.2, 1e6):
        event = trio_tcp.ConnectionEnded(
            **WHO,
            reason=CloseReason.CLOSED,
            error=None,
            statistics=STATISTICS,
            seconds=seconds,
        )
        fresh.metrics(event)
    now = fresh.now()
    bucket = "connection_duration_seconds_bucket{{le={}}}".format
    bounds = ("0.01", "0.1", "1.0", "86400.0", "+Inf")
    assert [now[bucket(bound)] for bound in bounds] == [1, 2, 3, 3, 4]


def test_what_can_happen_is_there_before_it_does(fresh: Fresh) -> None:
    """Each reason, limit, timeout, stage: a first one is an increase, from 0."""
    now = fresh.now()
    for reason in CloseReason:
        assert now[f"connections_ended_total{{reason={reason.name.lower()}}}"] == 0
    for field in attrs.fields(trio_tcp.Timeouts):
        is_there = f"timeouts_total{{timeout={field.name}}}" in now
        assert is_there == (field.name != "message_rate")
    assert now["connections_rejected_total{limit=proxy_protocol}"] == 0
    assert now["handshakes_failed_total{stage=tls}"] == 0


@simulated(seeds=2)
async def test_each_client_makes_the_same_series(net: VirtualNetwork) -> None:
    """However many come, whoever they are and whatever they say."""
    fresh = Fresh()

    async def call(line: bytes) -> None:
        stream = await trio.open_tcp_stream("server", 80)
        async with stream:
            await stream.send_all(line)
            await stream.send_eof()
            with suppress(trio.BrokenResourceError):
                await stream.receive_some()

    serve = partial(trio_tcp.serve_tcp, echo, 80, codec=CODEC, observer=fresh.metrics)
    async with trio.open_nursery() as nursery:
        await nursery.start(net.host("server").run, fresh.metrics.watched(serve))
        before = fresh.now().keys()
        for number in range(20):
            line = bytes([number + 230]) if number % 2 else b"a\n"
            await net.host(f"host-{number}").run(call, line)
        now = fresh.now()
        assert now["connections_accepted_total"] == 20
        assert now.keys() == before
        nursery.cancel_scope.cancel()


def test_an_observer_that_fails_does_no_harm(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(_: trio_tcp.Event) -> None:
        raise ValueError

    registry = CollectorRegistry()
    metrics = monitoring.Metrics(registry, observer=fail)
    metrics(trio_tcp.AcceptResumed(paused_seconds=1))
    text = monitoring.exposition(registry)
    assert samples(text)["trio_tcp_accept_paused_seconds_total"] == 1
    assert "failed" in caplog.text


def test_a_registry_has_only_one(fresh: Fresh) -> None:
    with pytest.raises(ValueError, match="Duplicated"):
        monitoring.Metrics(fresh.registry, observer=ignore)


async def test_pools_and_requesters_are_asked_too(fresh: Fresh) -> None:
    go = trio.Event()

    async def slowly(line: str) -> str:
        if line == "slow":
            await go.wait()
        return line

    async with testing.serve_in_memory(trio_tcp.respond(slowly), CODEC) as served:
        async with trio_tcp.open_pool(served.connect, size=1) as pool:
            fresh.metrics.watch_pool("main", pool)
            async with pool.connection(), trio.open_nursery() as nursery:
                nursery.start_soon(borrow, pool)
                await wait_all_tasks_blocked()
                now = fresh.changed()
                assert now["pool_connections{pool=main,state=in_use}"] == 1
                assert now["pool_waiting{pool=main}"] == 1
                assert now["pool_connections_made_total{pool=main}"] == 1
                nursery.cancel_scope.cancel()
        async with (
            trio_tcp.open_requester(served.connect) as requester,
            trio.open_nursery() as nursery,
        ):
            fresh.metrics.watch_requester("one", requester)
            await requester.request("quick")
            nursery.start_soon(requester.request, "slow")
            await wait_all_tasks_blocked()
            now = fresh.changed()
            assert now["requester_requests{requester=one,state=in_flight}"] == 1
            assert now["requester_replies_total{requester=one}"] == 1
            go.set()
        async with trio_tcp.open_requester_pool(served.connect, size=2) as both:
            fresh.metrics.watch_requester("one", both)  # in place of the other
            for _ in range(3):
                await both.request("quick")
            now = fresh.changed()
            assert now["requester_replies_total{requester=one}"] == 3


async def borrow(pool: trio_tcp.Pool[str, str]) -> None:
    async with pool.connection():
        raise AssertionError
