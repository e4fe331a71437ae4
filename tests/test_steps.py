"""Each step of a client's way is one record, and all of them have its number."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.certificates import HOST, client_context, each_version, server_context
from tests.integration.loopback import Record
from tests.tls.peer import Peer, serving
from trio_tcp import Timeouts, codecs, testing

Text: TypeAlias = trio_tcp.Connection[str, str]

LINES = codecs.Lines(max_bytes=1 << 20)
HIGH_WATER_BYTES = 64 << 10  # documented with `Connection.send`


async def echo(connection: Text) -> None:
    async for line in connection:
        await connection.send(line)


async def work(connection: Text) -> None:
    await trio.sleep_forever()


def steps(record: Record) -> list[str]:
    """Name what happened to clients, in order."""
    return [type(event).__name__ for event in of_clients(record)]


def of_clients(record: Record) -> list[trio_tcp.ConnectionEvent]:
    return record.all(trio_tcp.ConnectionEvent)


def ids(record: Record) -> set[int]:
    return {event.id for event in of_clients(record)}


# Arriving ----------------------------------------------------------------------------


async def test_without_a_handshake_a_client_is_accepted_when_its_connection_opens() -> (
    None
):
    record = Record()
    async with testing.serve_in_memory(echo, LINES, observer=record) as served:
        async with served.connect() as client:
            await client.send("hello")
            await client.receive()
        await record.wait(trio_tcp.ConnectionEnded)
    assert steps(record) == ["ConnectionOpened", "ConnectionEnded"]
    assert len(ids(record)) == 1


@each_version
async def test_a_client_has_its_number_before_its_handshake(
    version: ssl.TLSVersion,
) -> None:
    context = server_context(version=version)
    context.set_alpn_protocols(["sample/1"])
    asking = client_context()
    asking.set_alpn_protocols(["sample/1"])
    async with serving(echo, LINES, tls=context) as served:
        async with served.connect(asking) as client:
            info = client.tls
            await client.send("hello")
            await client.receive()
            (connection,) = served.server.connections
        await served.record.wait(trio_tcp.ConnectionEnded)
    assert steps(served.record) == [
        "ConnectionAccepted",
        "TlsEstablished",
        "ConnectionOpened",
        "ConnectionEnded",
    ]
    assert ids(served.record) == {connection.id}
    (tls,) = served.record.all(trio_tcp.TlsEstablished)
    assert info is not None
    assert (
        tls.version
        == info.version
        == version.name.replace("_", ".", 1).replace("TLSv1.", "TLSv1.")
    )
    assert tls.cipher == info.cipher
    assert tls.alpn == "sample/1"
    assert tls.server_name == HOST


async def test_it_says_how_long_the_handshake_took(autojump_clock: MockClock) -> None:
    async with serving(echo, LINES) as served:
        stream = await served.listener.connect()
        peer = Peer(stream, client_context(), server_hostname=HOST)
        await trio.sleep(3)
        await peer.shake_hands()
        (tls,) = await served.record.wait(trio_tcp.TlsEstablished)
        assert tls.seconds == 3
        await stream.aclose()


async def test_a_handshake_that_fails_has_the_number_of_its_client(
    autojump_clock: MockClock,
) -> None:
    async with serving(echo, LINES) as served:
        stream = await served.listener.connect()
        await trio.sleep(2)
        await stream.send_all(b"this is no TLS at all")
        (failed,) = await served.record.wait(trio_tcp.HandshakeFailed)
        assert failed.seconds == 2
        assert failed.label == ""
        await served.works()
    assert steps(served.record)[:2] == ["ConnectionAccepted", "HandshakeFailed"]
    assert [event.id for event in of_clients(served.record)[:3]] == [1, 1, 2]


async def test_a_handshake_that_is_late_is_a_timeout_and_a_failure(
    autojump_clock: MockClock,
) -> None:
    async with serving(echo, LINES, timeouts=Timeouts(handshake=12)) as served:
        await served.listener.connect()
        await served.record.wait(trio_tcp.HandshakeFailed)
    assert steps(served.record) == [
        "ConnectionAccepted",
        "TimedOut",
        "HandshakeFailed",
    ]
    (late,) = served.record.all(trio_tcp.TimedOut)
    assert (late.timeout, late.seconds) == ("handshake", 12)
    assert len(ids(served.record)) == 1


async def test_clients_that_are_refused_have_numbers_too() -> None:
    record = Record()
    limits = trio_tcp.Limits(max_connections=1, when_full="reject")
    async with testing.serve_in_memory(
        work, LINES, limits=limits, observer=record
    ) as served:
        await served.listener.connect()
        await served.listener.connect()
        await served.listener.connect()
        await record.wait(trio_tcp.ConnectionRejected, 2)
        assert [event.id for event in of_clients(record)] == [1, 2, 3]


# TLS elsewhere -----------------------------------------------------------------------


async def test_a_client_is_told_of_its_own_handshake() -> None:
    record = Record()
    async with serving(echo, LINES) as served:
        stream = await served.listener.connect()
        async with trio_tcp.open_connection(
            stream,
            codec=LINES,
            tls=client_context(),
            server_hostname=HOST,
            observer=record,
        ) as client:
            (tls,) = record.all(trio_tcp.TlsEstablished)
            assert tls.id == client.id
            assert tls.server_name == HOST
            assert client.tls is not None
            assert client.tls.server_name == HOST
    assert steps(record) == ["TlsEstablished", "ConnectionOpened", "ConnectionEnded"]


async def test_tls_that_starts_later_is_reported_with_the_label() -> None:
    async def upgrade(connection: Text) -> None:
        connection.label = "ann"
        await connection.receive()
        await connection.send("go ahead")
        await connection.start_tls(server_context())
        await echo(connection)

    record = Record()
    async with testing.serve_in_memory(upgrade, LINES, observer=record) as served:
        async with served.connect() as client:
            await client.send("STARTTLS")
            await client.receive()
            await client.start_tls(client_context(), server_hostname=HOST)
            await client.send("hello")
            assert await client.receive() == "hello"
        await record.wait(trio_tcp.ConnectionEnded)
    assert steps(record) == ["ConnectionOpened", "TlsEstablished", "ConnectionEnded"]
    (tls,) = record.all(trio_tcp.TlsEstablished)
    assert (tls.label, tls.server_name) == ("ann", HOST)


# The name of the server --------------------------------------------------------------


def in_one_piece(hello: bytes) -> list[bytes]:
    return [hello]


def byte_by_byte(hello: bytes) -> list[bytes]:
    return [hello[n : n + 1] for n in range(len(hello))]


def in_small_records(hello: bytes) -> list[bytes]:
    """Cut the one record of a ClientHello into several (RFC 8446, 5.1)."""
    head, content = hello[:3], hello[5:]
    parts = [content[n : n + 50] for n in range(0, len(content), 50)]
    return [head + len(part).to_bytes(2, "big") + part for part in parts]


async def requested(
    *,
    host: str | None = HOST,
    cut: Callable[[bytes], list[bytes]] = in_one_piece,
) -> str | None:
    """Do a handshake whose ClientHello comes in pieces; return what was asked for."""
    context = client_context()
    if host != HOST:
        context.check_hostname = False
    async with serving(echo, LINES) as served:
        stream = await served.listener.connect()
        peer = Peer(stream, context, server_hostname=host)
        for piece in cut(peer.hello()):
            await stream.send_all(piece)
            await wait_all_tasks_blocked()
        await peer.shake_hands()
        (tls,) = await served.record.wait(trio_tcp.TlsEstablished)
        (connection,) = served.server.connections
        assert connection.tls is not None
        assert connection.tls.server_name == tls.server_name
        await stream.aclose()
        return tls.server_name


@pytest.mark.parametrize(
    "cut",
    [in_one_piece, byte_by_byte, in_small_records],
)
async def test_a_server_knows_which_name_its_client_has_asked_for(
    cut: Callable[[bytes], list[bytes]],
) -> None:
    assert await requested(cut=cut) == HOST


async def test_who_asks_for_no_name_has_none() -> None:
    assert await requested(host=None) is None


async def test_a_name_may_be_one_that_the_certificate_has_not() -> None:
    assert await requested(host="another.example") == "another.example"


# Timeouts ----------------------------------------------------------------------------


async def test_a_peer_that_does_not_close_in_time_is_reported_and_no_other(
    autojump_clock: MockClock,
) -> None:
    async def answer(connection: Text) -> None:
        await connection.send(await connection.receive())

    record = Record()
    async with testing.serve_in_memory(
        answer, LINES, timeouts=Timeouts(linger=7), observer=record
    ) as served:
        stream = await served.listener.connect()
        await stream.send_all(b"hello\n")
        (ended,) = await record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is trio_tcp.CloseReason.CLOSED
        (late,) = record.all(trio_tcp.TimedOut)
        assert (late.timeout, late.seconds) == ("linger", 7)
        async with served.connect() as client:
            await client.send("hello")
            assert await client.receive() == "hello"
        await record.wait(trio_tcp.ConnectionEnded, 2)
    assert record.all(trio_tcp.TimedOut) == [late]


async def test_a_peer_that_takes_nothing_of_the_rest_is_reported(
    autojump_clock: MockClock,
) -> None:
    async def answer(connection: Text) -> None:
        await connection.send("x" * 1000)

    record = Record()
    async with testing.serve_in_memory(
        answer, LINES, capacity=100, timeouts=Timeouts(linger=7), observer=record
    ) as served:
        await served.listener.connect()
        await record.wait(trio_tcp.ConnectionEnded)
    (late,) = record.all(trio_tcp.TimedOut)
    assert (late.timeout, late.seconds) == ("linger", 7)


async def test_an_abort_while_it_closes_is_no_timeout(
    autojump_clock: MockClock,
) -> None:
    async def answer(connection: Text) -> None:
        await connection.send("x" * 1000)

    record = Record()
    async with testing.serve_in_memory(
        answer, LINES, capacity=100, timeouts=Timeouts(linger=7), observer=record
    ) as served:
        await served.listener.connect()
        await trio.sleep(1)
        (connection,) = served.server.connections
        connection.abort()
        await record.wait(trio_tcp.ConnectionEnded)
        await trio.sleep(100)
    assert record.all(trio_tcp.TimedOut) == []


async def test_a_dead_peer_is_a_timeout_of_the_heartbeat(
    autojump_clock: MockClock,
) -> None:
    async def beat(connection: Text) -> None:
        async with trio_tcp.heartbeat(
            connection, "PING", lambda line: line == "PONG", every=10, within=5
        ) as messages:
            async for _ in messages:
                pass

    record = Record()
    async with testing.serve_in_memory(beat, LINES, observer=record) as served:
        await served.listener.connect()
        await record.wait(trio_tcp.ConnectionEnded)
    (late,) = record.all(trio_tcp.TimedOut)
    assert (late.timeout, late.seconds) == ("heartbeat", 5)


# Backpressure ------------------------------------------------------------------------


async def fill(connection: Text) -> None:
    """Send until there is no more room."""
    while True:
        try:
            connection.send_nowait("x" * 999)
        except trio.WouldBlock:
            return


async def receive_lines(stream: trio.abc.ReceiveStream, count: int) -> None:
    while count > 0:
        count -= (await stream.receive_some()).count(b"\n")


async def test_backpressure_is_reported_when_a_sender_waits_and_when_all_is_taken(
    autojump_clock: MockClock,
) -> None:
    async def pour(connection: Text) -> None:
        connection.label = "ann"
        await fill(connection)
        assert not record.all(trio_tcp.BackpressureStarted)
        before = connection.statistics().messages_sent
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(connection.send, "the last")
        sent.append(before + 3)
        await work(connection)

    sent: list[int] = []
    record = Record()
    async with testing.serve_in_memory(
        pour, LINES, capacity=1000, observer=record
    ) as served:
        stream = await served.listener.connect()
        (started,) = await record.wait(trio_tcp.BackpressureStarted)
        assert (started.id, started.label) == (1, "ann")
        assert HIGH_WATER_BYTES <= started.bytes_queued < HIGH_WATER_BYTES + 2000
        await trio.sleep(4)
        assert not record.all(trio_tcp.BackpressureEnded)
        await receive_lines(stream, 20)  # a stream is handed 16 KiB at a time
        await wait_all_tasks_blocked()
        # Nobody waits any more, but there is still much to be taken.
        (count,) = sent
        assert not record.all(trio_tcp.BackpressureEnded)
        await receive_lines(stream, count - 20)
        (ended,) = await record.wait(trio_tcp.BackpressureEnded)
        assert (ended.id, ended.label, ended.seconds) == (1, "ann", 4)
    assert record.all(trio_tcp.BackpressureStarted) == [started]


async def test_backpressure_ends_before_its_connection_does(
    autojump_clock: MockClock,
) -> None:
    async def pour(connection: Text) -> None:
        await fill(connection)
        await connection.send("one more")

    record = Record()
    async with testing.serve_in_memory(
        pour, LINES, capacity=1000, timeouts=Timeouts(write=20), observer=record
    ) as served:
        await served.listener.connect()
        await record.wait(trio_tcp.ConnectionEnded)
    assert steps(record) == [
        "ConnectionOpened",
        "BackpressureStarted",
        "TimedOut",
        "BackpressureEnded",
        "ConnectionEnded",
    ]
    (ended,) = record.all(trio_tcp.BackpressureEnded)
    assert ended.seconds == 20


async def test_backpressure_ends_at_once_when_nothing_can_be_sent_any_more() -> None:
    """And not when the task that writes notices it."""

    async def pour(connection: Text) -> None:
        await fill(connection)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.send, "one more")
            await record.wait(trio_tcp.BackpressureStarted)
            nursery.cancel_scope.cancel()
            connection.abort()
            assert record.all(trio_tcp.BackpressureEnded)

    record = Record()
    async with testing.serve_in_memory(
        pour, LINES, capacity=1000, observer=record
    ) as served:
        await served.listener.connect()
        await record.wait(trio_tcp.ConnectionEnded)
    assert steps(record) == [
        "ConnectionOpened",
        "BackpressureStarted",
        "BackpressureEnded",
        "ConnectionEnded",
    ]


async def test_it_may_start_and_end_many_times() -> None:
    async def pour(connection: Text) -> None:
        while True:
            await fill(connection)
            await connection.send("one more")
            await connection.flush()

    record = Record()
    async with testing.serve_in_memory(
        pour, LINES, capacity=1000, observer=record
    ) as served:
        stream = await served.listener.connect()
        async with trio.open_nursery() as nursery:

            async def drink() -> None:
                async for _ in stream:
                    pass

            nursery.start_soon(drink)
            await record.wait(trio_tcp.BackpressureStarted, 3)
            nursery.cancel_scope.cancel()
    pressure = [s for s in steps(record) if s.startswith("Backpressure")]
    assert pressure[:5] == ["BackpressureStarted", "BackpressureEnded"] * 2 + [
        "BackpressureStarted"
    ]


async def test_an_observer_may_abort_a_connection_whose_peer_is_slow(
    autojump_clock: MockClock,
) -> None:
    def observe(event: trio_tcp.Event, /) -> None:
        record(event)
        if isinstance(event, trio_tcp.BackpressureStarted):
            (connection,) = served.server.connections
            connection.abort()

    async def pour(connection: Text) -> None:
        await fill(connection)
        with pytest.raises(trio_tcp.ConnectionClosedError):
            await connection.send("one more")
        refused.append(trio.current_time())

    refused: list[float] = []
    record = Record()
    async with testing.serve_in_memory(
        pour, LINES, capacity=1000, observer=observe
    ) as served:
        await served.listener.connect()
        await record.wait(trio_tcp.ConnectionEnded)
    assert refused == [0]
    assert not record.all(trio_tcp.HandlerFailed)


async def test_a_peer_that_keeps_up_is_never_reported() -> None:
    record = Record()
    async with testing.serve_in_memory(echo, LINES, observer=record) as served:
        async with served.connect() as client:
            for _ in range(100):
                await client.send("x" * 2000)
                await client.receive()
        await record.wait(trio_tcp.ConnectionEnded)
    assert steps(record) == ["ConnectionOpened", "ConnectionEnded"]


# Drains ------------------------------------------------------------------------------


async def ignore_the_grace(connection: Text) -> None:
    with trio.CancelScope(shield=True):
        await trio.sleep(1000)


async def test_a_drain_tells_what_it_did_to_whom(autojump_clock: MockClock) -> None:
    async def handler(connection: Text) -> None:
        connection.label = await connection.receive()
        match connection.label:
            case "idle":
                await echo(connection)
            case "busy":
                await work(connection)
            case "deaf":
                await ignore_the_grace(connection)
            case "finishing":
                await trio.sleep(5)
            case _:
                pytest.fail("no such client")

    async def close_too(peer: Peer) -> None:
        with suppress(trio.BrokenResourceError):
            await peer.receive()
            await peer.end()

    async with serving(handler, LINES) as served, trio.open_nursery() as nursery:
        await served.listener.connect()  # and begin no handshake
        for label in (b"idle\n", b"busy\n", b"deaf\n", b"finishing\n"):
            peer = await served.connect_peer()
            await peer.send(label)
            await wait_all_tasks_blocked()
            nursery.start_soon(close_too, peer)
        report = await served.server.drain(grace=10)
        drained = served.record.all(trio_tcp.ConnectionDrained)
        told = [(event.id, event.label, event.stage) for event in drained]
        assert sorted(told, key=lambda one: one[0]) == [
            (1, "", "handshake"),
            (2, "idle", "told"),
            (3, "busy", "cancelled"),
            (4, "deaf", "cancelled"),
            (4, "deaf", "aborted"),
        ]
        assert (report.cancelled, report.aborted, report.handshakes) == (1, 1, 1)


async def test_a_handler_that_asks_again_is_told_of_a_drain_again_but_not_reported(
    autojump_clock: MockClock,
) -> None:
    async def stubborn(connection: Text) -> None:
        for _ in range(3):
            with pytest.raises(trio_tcp.Drained):
                await connection.receive()

    record = Record()
    async with (
        testing.serve_in_memory(stubborn, LINES, observer=record) as served,
        trio.open_nursery() as nursery,
    ):
        async with served.connect() as client:
            await wait_all_tasks_blocked()
            nursery.start_soon(served.server.drain)
            async for _ in client:
                pass
    assert steps(record) == ["ConnectionOpened", "ConnectionDrained", "ConnectionEnded"]


async def test_malformed_messages_are_numbered() -> None:
    """So that a log need not have a line for each of millions."""
    record: list[trio_tcp.Event] = []
    handler = trio_tcp.respond(_reply, on_error=_say_no)
    async with testing.serve_in_memory(
        handler, codecs.Json(), observer=record.append
    ) as served:
        async with served.connect() as client:
            stream, _ = await client.detach()
            await stream.send_all(b"x\n" * 3)
            await trio.testing.wait_all_tasks_blocked()
            await stream.aclose()
    malformed = [e for e in record if isinstance(e, trio_tcp.MessageMalformed)]
    assert [event.number for event in malformed] == [1, 2, 3]


def _reply(_request: object) -> object:
    return None


def _say_no(_error: Exception, _request: object) -> object:
    return "no"
