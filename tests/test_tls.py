"""TLS from the first byte on: with ``tls=``, on servers and for clients."""

from __future__ import annotations

import random
import ssl
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeAlias, TypeVar, final

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.certificates import (
    HOST,
    certificate,
    client_context,
    der,
    each_version,
    server_context,
    strange_certificate,
)
from tests.integration.loopback import Record, echo
from tests.tls.peer import Peer, serving
from trio_tcp import CloseReason, codecs, testing

T = TypeVar("T")
Text: TypeAlias = trio_tcp.Connection[str, str]
Bytes: TypeAlias = trio_tcp.Connection[bytes, bytes]
Context: TypeAlias = ssl.SSLContext | trio_tcp.Tls

HIGH_WATER_BYTES = 64 << 10
"""At so many bytes `send` waits, as its docstring has it."""


async def both(
    here: Callable[[Bytes], Awaitable[None]],
    there: Callable[[Bytes], Awaitable[None]],
    *,
    capacity: int = 64 << 10,
    version: ssl.TLSVersion | None = None,
) -> None:
    """Run a client and a server over TLS, each in a task, until both have ended."""

    async def run(
        stream: trio.abc.Stream,
        context: ssl.SSLContext,
        host: str | None,
        side: Callable[[Bytes], Awaitable[None]],
    ) -> None:
        async with trio_tcp.open_connection(
            stream, codec=codecs.LengthPrefixed(), tls=context, server_hostname=host
        ) as connection:
            await side(connection)

    ours, theirs = testing.memory_stream_pair(capacity)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, ours, client_context(version=version), HOST, here)
        nursery.start_soon(run, theirs, server_context(), None, there)


# Messages ----------------------------------------------------------------------------


@each_version
@pytest.mark.parametrize("capacity", [1, 100, 64 << 10])
async def test_messages_go_both_ways(version: ssl.TLSVersion, capacity: int) -> None:
    codec = codecs.LengthPrefixed()
    messages = [b"", b"a", b"b" * 1000, b"\0\xff" * min(100_000, capacity * 100)]
    async with serving(
        echo, codec, tls=server_context(version=version), capacity=capacity
    ) as served:
        async with served.connect() as client:
            for message in messages:
                await client.send(message)
                assert await client.receive() == message
        (ended,) = await served.record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.PEER_CLOSED
        # The counters are of messages and their bytes, not of TLS's.
        size = sum(4 + len(message) for message in messages)
        assert ended.statistics.bytes_received == size
        assert ended.statistics.bytes_sent == size


@each_version
async def test_large_messages_go_both_ways_at_once(version: ssl.TLSVersion) -> None:
    """Neither side reads before it has sent; what it sends fits into no buffer."""
    message = random.Random(1).randbytes(1_000_000)

    async def swap(connection: Bytes) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.send_many, [message, b"next"])
            assert await connection.receive() == message
            assert await connection.receive() == b"next"

    await both(swap, swap, capacity=5000, version=version)


async def impatient(rng: random.Random, call: Callable[[], Awaitable[T]]) -> list[T]:
    """Call, and cancel that at once or after a few passes of the scheduler.

    Returns:
        What the call returned; nothing if it was cancelled.
    """
    passes = rng.choice([-1, 0, 1, 2, 3, 5, 8, 20])
    result: list[T] = []
    with trio.CancelScope() as scope:
        if passes < 0:
            scope.cancel()
        async with trio.open_nursery() as nursery:

            async def cancel() -> None:
                for _ in range(passes):
                    await trio.lowlevel.checkpoint()
                scope.cancel()

            nursery.start_soon(cancel)
            result.append(await call())
            nursery.cancel_scope.cancel()
    return result


@final
class Traffic:
    """What one side sends and receives at the same time, with all calls cancelled.

    Attributes:
        sent: the messages that were accepted.
        received: those of the other side.
        cancelled: how many calls of both kinds were cancelled.
    """

    def __init__(self, name: str, capacity: int) -> None:
        self.sent: list[bytes] = []
        self.received: list[bytes] = []
        self.cancelled = Counter[str]()
        self._name = name
        # The largest fill the queue: those behind them wait in line.
        self._sizes = [0, 1, 10, 50, 300, 4000 * capacity]
        self._left = 3000 * capacity  # bytes that go through the pipe

    async def run(self, connection: Bytes) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send, connection)
            nursery.start_soon(self._receive, connection)

    async def _send(self, connection: Bytes) -> None:
        rng = random.Random(f"{self._name} sends")
        for number in range(60):
            if self._left < 0 and number >= 20:
                break
            size = rng.choice(self._sizes)
            message = f"{self._name} {number} ".encode() + rng.randbytes(size)
            if await impatient(rng, partial(connection.send, message)):
                self.sent.append(message)
                self._left -= len(message)
            else:
                self.cancelled["send"] += 1
            if rng.random() < 0.1:
                await impatient(rng, connection.flush)
        await connection.send_eof()

    async def _receive(self, connection: Bytes) -> None:
        rng = random.Random(f"{self._name} receives")
        try:
            while True:
                message = await impatient(rng, connection.receive)
                self.received += message
                self.cancelled["receive"] += not message
        except* trio_tcp.PeerClosed:
            pass


@each_version
@pytest.mark.parametrize("capacity", [1, 17, 100])
@pytest.mark.parametrize("seed", range(2))
async def test_cancellation_loses_nothing_and_tears_nothing(
    version: ssl.TLSVersion, capacity: int, seed: int
) -> None:
    """Both sides send and receive at once; every call of both is cancelled at random.

    What is received is what was sent, in order; a message whose `send` was cancelled
    is not among it.
    """
    here = Traffic(f"here {seed}", capacity)
    there = Traffic(f"there {seed}", capacity)
    await both(here.run, there.run, capacity=capacity, version=version)
    assert there.received == here.sent
    assert here.received == there.sent
    for side in (here, there):
        assert side.sent
        assert side.cancelled["send"]
        assert side.cancelled["receive"]


async def test_a_cancelled_send_was_never_sent() -> None:
    """It waited in line behind a full queue; the messages around it arrive."""

    async def fill(connection: Bytes) -> None:
        large = b"x" * HIGH_WATER_BYTES
        await connection.send(large)
        with trio.move_on_after(0) as scope:
            await connection.send(b"cancelled")
        assert scope.cancelled_caught
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(connection.send, b"cancelled too")
                await wait_all_tasks_blocked()
                scope.cancel()
        await connection.send(b"last")

    async def read(connection: Bytes) -> None:
        await wait_all_tasks_blocked(0.01)  # until the other side has done its worst
        assert [len(message) async for message in connection] == [HIGH_WATER_BYTES, 4]

    await both(read, fill, capacity=100)


@each_version
async def test_what_is_answered_together_leaves_in_one_record(
    version: ssl.TLSVersion,
) -> None:
    context = server_context(version=version)
    context.num_tickets = 0  # which would be records, too
    async with serving(echo, codecs.Lines(), tls=context) as served:
        peer = await served.connect_peer()
        lines = b"".join(b"line %d\n" % number for number in range(20))
        await peer.send(lines)
        await wait_all_tasks_blocked()
        ciphertext = await peer.stream.receive_some()
        size = int.from_bytes(ciphertext[3:5], "big")
        assert len(ciphertext) == 5 + size
        assert peer.decrypt(ciphertext) == lines


async def test_a_peer_that_does_not_read_makes_senders_wait() -> None:
    capacity, frame = 100, 1004

    async def flood(connection: Bytes) -> None:
        for _ in range(200):
            await connection.send(bytes(1000))

    async with serving(flood, codecs.LengthPrefixed(), capacity=capacity) as served:
        peer = await served.connect_peer()
        await wait_all_tasks_blocked()
        (connection,) = served.server.connections
        statistics = connection.statistics()
        assert statistics.bytes_queued < HIGH_WATER_BYTES + frame
        assert statistics.bytes_sent <= capacity
        assert statistics.messages_sent < 200
        assert (
            await peer.receive_exactly(200 * frame)
            == (b"\0\0\x03\xe8" + bytes(1000)) * 200
        )
        await peer.end()
        assert await peer.receive_all() == b""


async def test_flush_waits_until_the_stream_has_all_of_it() -> None:
    """All of the ciphertext, that is: what is encrypted has not left."""
    capacity = 100
    flushed = trio.Event()

    async def send(connection: Bytes) -> None:
        await connection.send(bytes(50_000))
        await connection.flush()
        assert connection.statistics().bytes_queued == 0
        flushed.set()
        await connection.receive()

    async with serving(send, codecs.LengthPrefixed(), capacity=capacity) as served:
        peer = await served.connect_peer()
        plaintext = b""
        while not flushed.is_set():
            plaintext += peer.decrypt(await peer.stream.receive_some())
            await wait_all_tasks_blocked()
        before = len(plaintext)
        plaintext += peer.decrypt(await peer.stream.receive_some(capacity))
        assert before < len(plaintext) == 50_004


# Ends --------------------------------------------------------------------------------


@each_version
async def test_all_that_was_sent_arrives_before_the_end(
    version: ssl.TLSVersion,
) -> None:
    """Although the server never reads what the client says meanwhile."""

    async def send(connection: Bytes) -> None:
        for number in range(10):
            await connection.send(bytes([number]) * 30_000)

    context = server_context(version=version)
    async with serving(
        send, codecs.LengthPrefixed(), tls=context, capacity=1000
    ) as served:
        async with served.connect() as client:
            await client.send(bytes(500))
            await wait_all_tasks_blocked()
            received = [message async for message in client]
            assert received == [bytes([number]) * 30_000 for number in range(10)]
            assert client.close_reason is CloseReason.PEER_CLOSED
        (ended,) = await served.record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.CLOSED


@each_version
async def test_a_client_that_half_closes_gets_all_answers(
    version: ssl.TLSVersion,
) -> None:
    context = server_context(version=version)
    async with serving(echo, codecs.Lines(), tls=context) as served:
        peer = await served.connect_peer()
        request = peer.encrypted(b"one\ntwo\n") + peer.close_notify()
        await peer.stream.send_all(request)
        await peer.stream.send_eof()
        assert await peer.receive_all() == b"one\ntwo\n"
        async with served.connect() as client:
            await client.send_many(["one", "two"])
            await client.send_eof()
            with pytest.raises(trio_tcp.ConnectionClosedError, match="send_eof"):
                await client.send("three")
            assert [line async for line in client] == ["one", "two"]


@each_version
async def test_a_peer_that_closed_first_gets_the_end_too(
    version: ssl.TLSVersion,
) -> None:
    """Also when nothing was to be sent any more."""
    context = server_context(version=version)
    async with serving(echo, codecs.Lines(), tls=context) as served:
        peer = await served.connect_peer()
        await wait_all_tasks_blocked()
        await peer.end()
        assert await peer.receive_all() == b""
        async with served.connect() as client:
            await wait_all_tasks_blocked()
            await client.send_eof()
            with pytest.raises(trio_tcp.PeerClosed):
                await client.receive()
            assert client.close_reason is CloseReason.PEER_CLOSED


@each_version
async def test_a_server_that_half_closes_goes_on_receiving(
    version: ssl.TLSVersion,
) -> None:
    heard: list[str] = []

    async def greet(connection: Text) -> None:
        await connection.send("hello")
        await connection.send_eof()
        heard.extend([line async for line in connection])

    context = server_context(version=version)
    async with serving(greet, codecs.Lines(), tls=context) as served:
        async with served.connect() as client:
            assert [line async for line in client] == ["hello"]
            await client.send("thank you")
            await client.send("goodbye")
        (ended,) = await served.record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.PEER_CLOSED
    assert heard == ["thank you", "goodbye"]


@each_version
async def test_what_comes_behind_the_end_is_ignored(version: ssl.TLSVersion) -> None:
    context = server_context(version=version)
    async with serving(echo, codecs.Lines(), tls=context) as served:
        peer = await served.connect_peer()
        end = peer.encrypted(b"last\n") + peer.close_notify()
        await peer.stream.send_all(end + b"whatever")
        assert await peer.receive_all() == b"last\n"
        await peer.stream.send_eof()
        (ended,) = await served.record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.PEER_CLOSED


@pytest.mark.parametrize(
    ("last", "count"), [(b"", 0), (b"two", 3)], ids=["between messages", "inside one"]
)
async def test_an_end_without_close_notify_may_be_too_early(
    last: bytes, count: int
) -> None:
    """Whether a message was begun or not: the attacker chooses where to cut."""
    errors: list[trio_tcp.ConnectionFault] = []

    async def listen(connection: Text) -> None:
        assert await connection.receive() == "one"
        for _ in range(2):
            with pytest.raises(trio_tcp.CloseNotifyMissingError) as caught:
                await connection.receive()
            errors.append(caught.value)

    async with serving(listen, codecs.Lines()) as served:
        peer = await served.connect_peer()
        await peer.send(b"one\n" + last)
        await peer.stream.send_eof()
        (ended,) = await served.record.wait(trio_tcp.ConnectionEnded)
    assert ended.reason is CloseReason.TRUNCATED
    assert isinstance(ended.error, trio_tcp.CloseNotifyMissingError)
    for error in [*errors, ended.error]:
        assert isinstance(error, trio_tcp.CloseNotifyMissingError)
        assert error.received == count
        assert error.connection_id == ended.id
        assert "close_notify" in str(error)


async def test_an_end_without_close_notify_ends_one_direction_alone() -> None:
    """As every other end inside a message: what is accepted still arrives."""

    async def apologise(connection: Text) -> None:
        with pytest.raises(trio_tcp.CloseNotifyMissingError):
            await connection.receive()
        await connection.send("half of that was missing")
        await connection.flush()
        await connection.send("goodbye")

    async with serving(apologise, codecs.Lines()) as served:
        peer = await served.connect_peer()
        await peer.send(b"half a li")
        await peer.stream.send_eof()
        assert await peer.receive_all() == b"half of that was missing\ngoodbye\n"
        (ended,) = await served.record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.TRUNCATED


async def test_a_server_may_leave_out_close_notify_no_more_than_a_client() -> None:
    ours, theirs = testing.memory_stream_pair()
    peer = Peer(theirs, server_context())

    async def serve() -> None:
        await peer.shake_hands()
        await peer.send(b"one\n")
        await theirs.send_eof()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with trio_tcp.open_connection(
            ours, codec=codecs.Lines(), tls=client_context(), server_hostname=HOST
        ) as client:
            assert await client.receive() == "one"
            with pytest.raises(trio_tcp.CloseNotifyMissingError):
                await client.receive()
            assert client.close_reason is CloseReason.TRUNCATED


async def test_a_ragged_end_can_be_allowed() -> None:
    context = trio_tcp.Tls(server_context(), allow_ragged_eof=True)
    async with serving(echo, codecs.Lines(), tls=context) as served:
        peer = await served.connect_peer()
        await peer.send(b"one\n")
        await peer.stream.send_eof()
        assert await peer.receive_all() == b"one\n"
        (ended,) = await served.record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.PEER_CLOSED


async def test_a_ragged_end_inside_a_message_is_never_allowed() -> None:
    async def listen(connection: Text) -> None:
        assert await connection.receive() == "one"
        with pytest.raises(trio_tcp.TruncatedError) as caught:
            await connection.receive()
        assert caught.value.received == 3

    context = trio_tcp.Tls(server_context(), allow_ragged_eof=True)
    async with serving(listen, codecs.Lines(), tls=context) as served:
        peer = await served.connect_peer()
        await peer.send(b"one\ntwo")
        await peer.stream.send_eof()
        (ended,) = await served.record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.TRUNCATED


async def test_abort_is_no_end() -> None:
    async def give_up(connection: Text) -> None:
        await connection.send("forgotten")
        connection.abort()
        with pytest.raises(trio_tcp.ConnectionClosedError):
            await connection.receive()

    async with serving(give_up, codecs.Lines()) as served:
        async with served.connect() as client:
            with pytest.raises(trio_tcp.ConnectionBroken):
                await client.receive()
        (ended,) = await served.record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.CLOSED


async def test_a_block_that_is_cancelled_closes_at_once(
    autojump_clock: MockClock,
) -> None:
    """Nobody reads, and nobody is waited for."""

    async def flood(connection: Bytes) -> None:
        while True:
            await connection.send(bytes(1000))

    async with serving(flood, codecs.LengthPrefixed(), capacity=100) as served:
        clients: list[Bytes] = []
        with trio.move_on_after(7):
            async with served.connect() as client:
                clients.append(client)
                await client.send(bytes(100_000))
                await trio.sleep_forever()
        assert trio.current_time() == 7
        assert clients[0].close_reason is CloseReason.CLOSED
        (ended,) = await served.record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.BROKEN
        assert trio.current_time() == 7


@each_version
async def test_a_peer_that_closes_and_is_gone_has_closed_in_order(
    version: ssl.TLSVersion,
) -> None:
    """It waits for no close_notify from this side, as TLS 1.2 allows, and most do."""
    context = server_context(version=version)
    async with serving(echo, codecs.Lines(), tls=context) as served:
        peer = await served.connect_peer()
        await peer.send(b"one\n")
        assert await peer.receive_exactly(4) == b"one\n"
        await peer.stream.send_all(peer.close_notify())
        await peer.stream.aclose()
        (ended,) = await served.record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.PEER_CLOSED
        assert ended.error is None


# Who is there ------------------------------------------------------------------------


@each_version
async def test_both_sides_can_tell_what_tls_has_agreed_on(
    version: ssl.TLSVersion,
) -> None:
    infos: list[trio_tcp.TlsInfo | None] = []

    async def look(connection: Text) -> None:
        infos.append(connection.tls)

    context = server_context(version=version)
    async with serving(look, codecs.Lines(), tls=context) as served:
        async with served.connect() as client:
            here = client.tls
            with pytest.raises(trio_tcp.PeerClosed):
                await client.receive()
    (there,) = infos
    assert here is not None
    assert there is not None
    for info in (here, there):
        assert info.version == version.name.replace("_", ".")
        assert info.cipher == there.cipher
        assert info.alpn is None
    assert "AES" in here.cipher or "CHACHA" in here.cipher
    assert here.peer_certificate is not None
    assert ("DNS", HOST) in here.peer_certificate["subjectAltName"]
    assert here.peer_certificate_der == der(certificate(HOST, "127.0.0.1"))
    assert there.peer_certificate is None
    assert there.peer_certificate_der is None


async def test_what_tls_has_agreed_on_can_be_told_after_the_end() -> None:
    """However it has ended: who wants to know most is who writes it into a log."""

    async def listen(connection: Text) -> None:
        with pytest.raises(trio_tcp.ConnectionBroken):
            await connection.receive()
        infos.append(connection.tls)
        raise ValueError("a failure")

    infos: list[trio_tcp.TlsInfo | None] = []
    context = server_context(asks_clients=True)
    identity = certificate("device-7.example")
    async with serving(listen, codecs.Lines(), tls=context) as served:
        async with served.connect(client_context(identity=identity)) as client:
            before = client.tls
        assert before is not None
        assert client.tls == before
        peer = await served.connect_peer(client_context(identity=identity))
        await served.record.wait(trio_tcp.ConnectionOpened, 2)
        connection = served.server.connections[-1]
        before = connection.tls
        assert before is not None
        assert before.peer_certificate is not None
        await peer.stream.send_all(b"this is no TLS at all")
        await served.record.wait(trio_tcp.ConnectionEnded, 2)
        assert infos[-1] == before
        assert connection.tls == before


async def test_a_certificate_that_is_not_verified_is_not_decoded() -> None:
    """Nothing in it is to be believed; but it can be pinned, by its bytes."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    strange = server_context(certificate_from=strange_certificate(HOST))
    async with serving(echo, codecs.Lines(), tls=strange) as served:
        async with served.connect(context) as client:
            assert client.tls is not None
            assert client.tls.peer_certificate is None
            assert client.tls.peer_certificate_der == der(strange_certificate(HOST))


async def test_without_tls_there_is_none_to_tell_of() -> None:
    async with testing.connection_pair(codecs.Lines()) as (here, there):
        assert here.tls is None
        assert there.tls is None


@each_version
async def test_alpn_chooses_what_both_speak(version: ssl.TLSVersion) -> None:
    infos: list[trio_tcp.TlsInfo | None] = []

    async def look(connection: Text) -> None:
        infos.append(connection.tls)

    context = server_context(version=version)
    context.set_alpn_protocols(["chat/2", "chat/1"])
    async with serving(look, codecs.Lines(), tls=context) as served:
        for offered, chosen in [
            (["chat/1", "chat/2"], "chat/2"),
            (["chat/1", "h2"], "chat/1"),
            (["h2"], None),
            ([], None),
        ]:
            context = client_context()
            context.set_alpn_protocols(offered)
            async with served.connect(context) as client:
                assert client.tls is not None
                assert client.tls.alpn == chosen
                await served.record.wait(trio_tcp.ConnectionOpened, len(infos))
                with pytest.raises(trio_tcp.PeerClosed):
                    await client.receive()
            there = infos[-1]
            assert there is not None
            assert there.alpn == chosen


async def test_a_server_may_have_a_certificate_for_each_of_its_names() -> None:
    contexts = {name: server_context(name) for name in ("one.example", "two.example")}
    asked: list[str | None] = []

    def choose(
        tls: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext
    ) -> int | None:
        asked.append(name)
        if name is not None and name not in contexts:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        tls.context = contexts[name or "one.example"]
        return None

    context = server_context("one.example")
    context.sni_callback = choose
    async with serving(echo, codecs.Lines(), tls=context) as served:
        for name in contexts:
            async with served.connect(host=name) as client:
                await client.send(name)
                assert await client.receive() == name
                assert client.tls is not None
                assert client.tls.peer_certificate_der == der(certificate(name))
        with pytest.raises(trio_tcp.TlsHandshakeError):
            async with served.connect(host="three.example"):
                pass
        (failed,) = await served.record.wait(trio_tcp.HandshakeFailed)
        assert failed.stage == "TLS"
        assert isinstance(failed.error, trio_tcp.TlsHandshakeError)
    assert asked == ["one.example", "two.example", "three.example"]


@each_version
async def test_a_client_can_show_who_it_is(version: ssl.TLSVersion) -> None:
    infos: list[trio_tcp.TlsInfo | None] = []

    async def look(connection: Text) -> None:
        infos.append(connection.tls)
        await connection.send("welcome")

    identity = certificate("device-7.example")
    context = server_context(version=version, asks_clients=True)
    async with serving(look, codecs.Lines(), tls=context) as served:
        async with served.connect(client_context(identity=identity)) as client:
            assert await client.receive() == "welcome"
    (info,) = infos
    assert info is not None
    assert info.peer_certificate is not None
    assert info.peer_certificate["subjectAltName"] == (("DNS", "device-7.example"),)
    assert info.peer_certificate_der == der(identity)


@each_version
@pytest.mark.parametrize(
    ("name", "reason"),
    [("", "the peer has sent no certificate"), ("device-7", "certificate was refused")],
    ids=["without a certificate", "with a strange one"],
)
async def test_a_client_that_does_not_show_who_it_is_stays_outside(
    version: ssl.TLSVersion, name: str, reason: str
) -> None:
    """In TLS 1.3 it does not know until it reads: its handshake was over before."""
    identity = strange_certificate(name) if name else None
    context = server_context(version=version, asks_clients=True)
    async with serving(echo, codecs.Lines(), tls=context) as served:
        with pytest.raises(trio.BrokenResourceError) as caught:
            async with served.connect(client_context(identity=identity)) as client:
                await client.receive()
        assert isinstance(caught.value, trio_tcp.ConnectionFault)
        (failed,) = await served.record.wait(trio_tcp.HandshakeFailed)
        assert isinstance(failed.error, trio_tcp.TlsHandshakeError)
        assert reason in str(failed.error)
        assert isinstance(failed.error.__cause__, ssl.SSLError)
        assert served.server.statistics().accepted == 0
        assert not served.record.all(trio_tcp.ConnectionOpened)
        identity = certificate("device-7.example")
        async with served.connect(client_context(identity=identity)) as client:
            await client.send("hello")
            assert await client.receive() == "hello"


async def test_new_certificates_are_for_those_who_come_from_now_on() -> None:
    async with serving(echo, codecs.Lines()) as served:
        first, second = served.server.tls, server_context(HOST)
        assert isinstance(first, ssl.SSLContext)
        async with served.connect() as before:
            # One is in the middle of its handshake.
            stream = await served.listener.connect()
            between = Peer(stream, client_context(), server_hostname=HOST)
            await stream.send_all(between.hello())
            await wait_all_tasks_blocked()
            served.server.tls = second
            assert served.server.tls is second
            await between.shake_hands()
            async with served.connect() as after:
                for client in (before, after):
                    await client.send("hello")
                    assert await client.receive() == "hello"
                assert before.tls is not None
                assert after.tls is not None
                old = der(certificate(HOST, "127.0.0.1"))
                assert before.tls.peer_certificate_der == old
                assert between.tls.getpeercert(binary_form=True) == old
                assert after.tls.peer_certificate_der == der(certificate(HOST))
        await between.send(b"old\n")
        assert await between.receive_exactly(4) == b"old\n"


# Contexts for the wrong side ---------------------------------------------------------


def wrong_for_servers() -> list[Context]:
    return [client_context(), trio_tcp.Tls(client_context())]


async def test_a_server_takes_no_context_for_clients(tmp_path: Path) -> None:
    """It says so before it listens."""
    listener = testing.MemoryListener()
    path = tmp_path / "socket"
    busy = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = busy[0].socket.getsockname()[1]
    for tls in wrong_for_servers():
        with pytest.raises(ValueError, match="not for a server"):
            await trio_tcp.serve_listeners(
                echo, [listener], codec=codecs.Lines(), tls=tls
            )
        with pytest.raises(ValueError, match="not for a server"):
            await trio_tcp.serve_unix(echo, path, codec=codecs.Lines(), tls=tls)
        with pytest.raises(ValueError, match="not for a server"):
            # To listen on it would be an OSError.
            await trio_tcp.serve_tcp(
                echo, port, host="127.0.0.1", codec=codecs.Lines(), tls=tls
            )
    assert not path.exists()
    await busy[0].aclose()


async def test_a_client_takes_no_context_for_servers() -> None:
    """It says so before it connects, which would be a `ConnectError`."""
    for tls in (server_context(), trio_tcp.Tls(server_context())):
        with pytest.raises(ValueError, match="not for a client"):
            async with trio_tcp.connect_tcp(
                "127.0.0.1", 1, codec=codecs.Lines(), tls=tls
            ):
                pass


async def test_a_running_server_keeps_its_side_and_its_tls() -> None:
    async with serving(echo, codecs.Lines()) as served:
        context = served.server.tls
        for tls in wrong_for_servers():
            with pytest.raises(ValueError, match="not for a server"):
                served.server.tls = tls
        with pytest.raises(ValueError, match="between TLS and no TLS"):
            served.server.tls = None
        assert served.server.tls is context
        await served.works()
    async with testing.serve_in_memory(echo, codecs.Lines()) as plain:
        with pytest.raises(ValueError, match="between TLS and no TLS"):
            plain.server.tls = server_context()
        assert plain.server.tls is None


async def test_a_context_for_both_sides_is_refused() -> None:
    """It would have to guess which one this is."""
    with pytest.warns(DeprecationWarning, match="PROTOCOL_TLS"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS)
    stream, other = testing.memory_stream_pair()
    with pytest.raises(ValueError, match="PROTOCOL_TLS_SERVER"):
        async with trio_tcp.open_connection(stream, codec=codecs.Lines(), tls=context):
            pass
    await expect_end(other)
    with pytest.raises(ValueError, match="PROTOCOL_TLS_SERVER"):
        await trio_tcp.serve_listeners(echo, [], codec=codecs.Lines(), tls=context)
    with pytest.raises(ValueError, match="PROTOCOL_TLS_SERVER"):
        async with trio_tcp.connect_tcp("::1", 1, codec=codecs.Lines(), tls=context):
            pass


async def test_a_client_must_say_whom_it_expects() -> None:
    stream, other = testing.memory_stream_pair()
    with pytest.raises(ValueError, match="server_hostname"):
        async with trio_tcp.open_connection(
            stream, codec=codecs.Lines(), tls=client_context()
        ):
            pass
    await expect_end(other)


async def expect_end(stream: testing.MemoryStream) -> None:
    """See that the other end is closed, or reset, whatever it says before."""
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        while await stream.receive_some():
            pass


# Handshakes that fail ----------------------------------------------------------------

Misbehave: TypeAlias = Callable[[testing.MemoryStream], Awaitable[None]]


def hello(context: ssl.SSLContext | None = None) -> bytes:
    """Return what a client says first."""
    stream, _ = testing.memory_stream_pair()
    return Peer(stream, context or client_context(), server_hostname=HOST).hello()


def sends(data: bytes) -> Misbehave:
    """Send something, and wait for what becomes of it."""

    async def misbehave(stream: testing.MemoryStream) -> None:
        with suppress(trio.BrokenResourceError):
            await stream.send_all(data)
        await expect_end(stream)

    return misbehave


def sends_and_closes(data: bytes) -> Misbehave:
    async def misbehave(stream: testing.MemoryStream) -> None:
        await stream.send_all(data)
        await stream.aclose()

    return misbehave


def sends_and_resets(data: bytes) -> Misbehave:
    async def misbehave(stream: testing.MemoryStream) -> None:
        await stream.send_all(data)
        await wait_all_tasks_blocked()
        stream.reset()
        await stream.aclose()

    return misbehave


def shakes_hands(context: Callable[[], ssl.SSLContext]) -> Misbehave:
    async def misbehave(stream: testing.MemoryStream) -> None:
        peer = Peer(stream, context(), server_hostname=HOST)
        with pytest.raises((ssl.SSLError, trio.BrokenResourceError)):
            await peer.shake_hands()
        with suppress(trio.BrokenResourceError):
            await stream.send_all(peer.alert())
        await expect_end(stream)

    return misbehave


def old_version() -> ssl.SSLContext:
    return client_context(version=ssl.TLSVersion.TLSv1_2)


def trusts_nobody() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


MISBEHAVIOUR = {
    "plain text": (sends(b"GET / HTTP/1.1\r\n\r\n"), "does not speak TLS"),
    "zeros": (sends(bytes(1000)), "does not speak TLS"),
    "half a line, and gone": (sends_and_closes(b"hel"), "does not speak TLS"),
    "garbage like TLS": (
        sends(b"\x16\x03\x01\x00\x20" + b"?" * 32),
        "TLS handshake failed",
    ),
    "a record too large": (
        sends(b"\x16\x03\x01\xff\xff" + b"?" * 70_000),
        "TLS handshake failed",
    ),
    "data before hello": (sends(b"\x17\x03\x03\x00\x02hi"), "does not speak TLS"),
    "an alert": (sends(b"\x15\x03\x01\x00\x02\x02\x28"), "TLS handshake failed"),
    "nothing": (sends_and_closes(b""), "closed in the middle"),
    "half a hello": (sends_and_closes(hello()[:50]), "closed in the middle"),
    "one byte of a hello": (sends_and_closes(hello()[:1]), "closed in the middle"),
    "a reset": (sends_and_resets(b""), "broke during the TLS handshake"),
    "a reset in the middle": (
        sends_and_resets(hello()),
        "broke during the TLS handshake",
    ),
    "the wrong version": (
        shakes_hands(old_version),
        "no TLS version or cipher is common",
    ),
    "no trust": (shakes_hands(trusts_nobody), "alert 'unknown ca'"),
}


@pytest.mark.parametrize(
    ("misbehave", "explanation"), MISBEHAVIOUR.values(), ids=MISBEHAVIOUR.keys()
)
async def test_a_handshake_that_fails_concerns_nobody_else(
    misbehave: Misbehave, explanation: str
) -> None:
    """It is reported, with its reason; its slot is free; the others are served."""
    context = server_context(version=ssl.TLSVersion.TLSv1_3)
    async with serving(
        echo,
        codecs.Lines(),
        tls=context,
        limits=trio_tcp.Limits(max_connections=2),
    ) as served:
        async with served.connect() as other:
            for count in (1, 2):
                await misbehave(await served.listener.connect())
                failed = await served.record.wait(trio_tcp.HandshakeFailed, count)
                assert explanation in str(failed[-1].error)
                assert isinstance(failed[-1].error, trio_tcp.TlsHandshakeError)
                assert failed[-1].stage == "TLS"
                assert failed[-1].peer is None
            await served.works()
            await other.send("hello")
            assert await other.receive() == "hello"
            statistics = served.server.statistics()
            assert statistics.accepted == 2
            assert statistics.handshaking == 0
            assert statistics.open == 1
    assert not served.record.all(trio_tcp.HandlerFailed)
    assert len(served.record.all(trio_tcp.HandshakeFailed)) == 2


@pytest.mark.parametrize("count", [0, 1, 5, 100], ids="after {} bytes".format)
async def test_a_handshake_that_stalls_is_given_up(
    count: int, autojump_clock: MockClock
) -> None:
    """At the exact time; meanwhile the others are served."""
    async with serving(
        echo,
        codecs.Lines(),
        timeouts=trio_tcp.Timeouts(handshake=12, idle=1000),
        limits=trio_tcp.Limits(max_connections=2),
    ) as served:
        stalled = await served.listener.connect()
        await stalled.send_all(hello()[:count])
        await trio.sleep(11)
        assert served.server.statistics().handshaking == 1
        await served.works()
        await stalled.send_all(hello()[count : count + 1])  # which changes nothing
        await expect_end(stalled)
        assert trio.current_time() == 12
        (failed,) = await served.record.wait(trio_tcp.HandshakeFailed)
        assert isinstance(failed.error, trio_tcp.PeerTooSlowError)
        assert failed.error.timeout == "handshake"
        assert failed.error.seconds == 12
        assert served.server.statistics().handshaking == 0
        await served.works()


async def test_a_handshake_whose_answers_nobody_reads_is_given_up(
    autojump_clock: MockClock,
) -> None:
    async with serving(
        echo,
        codecs.Lines(),
        capacity=100,
        timeouts=trio_tcp.Timeouts(handshake=12),
    ) as served:
        stalled = await served.listener.connect()
        await stalled.send_all(hello())
        await served.record.wait(trio_tcp.HandshakeFailed)
        assert trio.current_time() == 12
        await served.works()


async def test_many_may_stall_at_once(autojump_clock: MockClock) -> None:
    async with serving(
        echo, codecs.Lines(), timeouts=trio_tcp.Timeouts(handshake=12)
    ) as served:
        stalled = [await served.listener.connect() for _ in range(100)]
        await served.works()
        assert served.server.statistics().handshaking == 100
        assert trio.current_time() == 0
        await served.record.wait(trio_tcp.HandshakeFailed, len(stalled))
        assert trio.current_time() == 12


async def test_a_server_without_a_certificate_says_what_is_missing() -> None:
    """To whoever runs it, not to its clients."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    async with serving(echo, codecs.Lines(), tls=context) as served:
        with pytest.raises(trio_tcp.TlsHandshakeError):
            async with served.connect():
                pass
        (failed,) = await served.record.wait(trio_tcp.HandshakeFailed)
        assert "a server whose context has no certificate" in str(failed.error)


async def test_a_server_that_is_cancelled_closes_those_in_a_handshake() -> None:
    async with serving(echo, codecs.Lines()) as served:
        streams = [await served.listener.connect() for _ in range(3)]
        await streams[0].send_all(hello()[:100])
        await streams[1].send_all(hello())
        await wait_all_tasks_blocked()
        assert served.server.statistics().handshaking == 3
    for stream in streams:
        await expect_end(stream)
    assert served.server.statistics().handshaking == 0
    assert not served.record.all(trio_tcp.HandshakeFailed)


# Clients -----------------------------------------------------------------------------


@asynccontextmanager
async def opening(
    context: ssl.SSLContext | None = None,
    *,
    timeouts: trio_tcp.Timeouts | None = None,
) -> AsyncGenerator[tuple[testing.MemoryStream, list[trio_tcp.ConnectionFault]], None]:
    """Open a client's connection in a task, against a server that the test plays."""
    ours, theirs = testing.memory_stream_pair()
    errors: list[trio_tcp.ConnectionFault] = []

    async def open_one() -> None:
        try:
            async with trio_tcp.open_connection(
                ours,
                codec=codecs.Lines(),
                tls=context or client_context(),
                server_hostname=HOST,
                timeouts=timeouts or trio_tcp.Timeouts(),
            ):
                raise AssertionError("there is no connection")
        except trio_tcp.ConnectionFault as error:
            errors.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(open_one)
        yield theirs, errors
        nursery.start_soon(expect_end, theirs)


SERVERS = {
    "plain text": (sends(b"220 welcome\r\n"), "does not speak TLS"),
    "an end": (sends_and_closes(b""), "broke during|closed in the middle"),
    "a reset": (sends_and_resets(b""), "broke during the TLS handshake"),
    "garbage": (sends(b"\x16\x03\x03\x00\x20" + b"?" * 32), "TLS handshake failed"),
    "an alert": (sends(b"\x15\x03\x03\x00\x02\x02\x46"), "alert 'protocol version'"),
}


@pytest.mark.parametrize(("misbehave", "explanation"), SERVERS.values(), ids=SERVERS)
async def test_a_client_is_told_why_there_is_no_tls(
    misbehave: Misbehave, explanation: str
) -> None:
    async with opening() as (stream, errors):
        await misbehave(stream)
    (error,) = errors
    assert isinstance(error, trio_tcp.TlsHandshakeError)
    with pytest.raises(trio_tcp.TlsHandshakeError, match=explanation):
        raise error


@each_version
@pytest.mark.parametrize(
    ("server", "explanation"),
    [
        (lambda: server_context("other.example"), "ostname mismatch"),
        (
            lambda: server_context(certificate_from=strange_certificate(HOST)),
            "certificate was refused",
        ),
    ],
    ids=["the wrong name", "a strange authority"],
)
async def test_a_client_believes_not_every_server(
    version: ssl.TLSVersion,
    server: Callable[[], ssl.SSLContext],
    explanation: str,
) -> None:
    async with opening(client_context(version=version)) as (stream, errors):
        peer = Peer(stream, server())
        with pytest.raises((ssl.SSLError, trio.BrokenResourceError)):
            await peer.shake_hands()
    (error,) = errors
    assert isinstance(error, trio_tcp.TlsHandshakeError)
    assert explanation in str(error)
    assert isinstance(error.__cause__, ssl.SSLCertVerificationError)


async def test_a_client_waits_for_a_handshake_only_so_long(
    autojump_clock: MockClock,
) -> None:
    async with opening(timeouts=trio_tcp.Timeouts(handshake=12)) as (_, errors):
        pass
    assert trio.current_time() == 12
    (error,) = errors
    assert isinstance(error, trio_tcp.PeerTooSlowError)
    assert error.timeout == "handshake"


async def test_a_client_can_be_cancelled_in_its_handshake(
    autojump_clock: MockClock,
) -> None:
    ours, theirs = testing.memory_stream_pair()
    with trio.move_on_after(5) as scope:
        async with trio_tcp.open_connection(
            ours, codec=codecs.Lines(), tls=client_context(), server_hostname=HOST
        ):
            raise AssertionError("there is no connection")
    assert scope.cancelled_caught
    assert trio.current_time() == 5
    await expect_end(theirs)


async def test_either_side_may_be_the_one_that_was_connected_to() -> None:
    """`open_connection` takes its side from the context."""
    ours, theirs = testing.memory_stream_pair()

    async def accept() -> None:
        async with trio_tcp.open_connection(
            theirs, codec=codecs.Lines(), tls=client_context(), server_hostname=HOST
        ) as connection:
            await echo(connection)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        async with trio_tcp.open_connection(
            ours, codec=codecs.Lines(), tls=server_context()
        ) as connection:
            await connection.send("hello")
            assert await connection.receive() == "hello"


# The rest of a connection's life -----------------------------------------------------


@each_version
async def test_detach_gives_a_stream_that_goes_on_over_tls(
    version: ssl.TLSVersion,
) -> None:
    """It has what the connection has not delivered; its end is TLS's end."""
    undelivered: list[bytes] = []

    async def take_over(connection: Text) -> None:
        assert await connection.receive() == "upgrade"
        await connection.send("go ahead")
        stream, rest = await connection.detach()
        undelivered.append(rest)
        async with stream:
            assert isinstance(stream, trio.abc.HalfCloseableStream)
            await stream.send_all(b"raw bytes")
            assert await stream.receive_some(3) == b"mor"
            assert await stream.receive_some() == b"e"
            await stream.send_eof()
            assert await stream.receive_some() == b"last"
            assert await stream.receive_some() == b""

    context = server_context(version=version)
    async with serving(take_over, codecs.Lines(), tls=context) as served:
        peer = await served.connect_peer()
        await peer.send(b"upgrade\nundelivered\nbytes")
        assert await peer.receive_exactly(18) == b"go ahead\nraw bytes"
        await peer.send(b"more")
        assert await peer.receive_all() == b""
        await peer.send(b"last")
        await peer.end()
        (ended,) = await served.record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.DETACHED
        assert not served.record.all(trio_tcp.HandlerFailed)
    assert undelivered == [b"undelivered\nbytes"]


async def test_a_detached_stream_is_closed_with_close_notify() -> None:
    async def take_over(connection: Text) -> None:
        stream, _ = await connection.detach()
        await stream.aclose()

    async with serving(take_over, codecs.Lines()) as served:
        peer = await served.connect_peer()
        assert await peer.receive_all() == b""


async def test_a_detached_stream_can_be_a_connection_again() -> None:
    async def take_over(connection: Text) -> None:
        assert await connection.receive() == "binary"
        stream, rest = await connection.detach()
        assert rest == b""
        async with trio_tcp.open_connection(
            stream, codec=codecs.LengthPrefixed()
        ) as again:
            assert again.tls == connection.tls
            await echo(again)

    async with serving(take_over, codecs.Lines()) as served:
        peer = await served.connect_peer()
        await peer.send(b"binary\n")
        await wait_all_tasks_blocked()
        await peer.send(b"\0\0\0\5hello")
        assert await peer.receive_exactly(9) == b"\0\0\0\5hello"
        large = b"\0\1\x86\xa0" + bytes(100_000)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.send, large)
            assert await peer.receive_exactly(len(large)) == large
        await peer.end()
        assert await peer.receive_all() == b""


async def test_another_codec_begins_behind_the_last_message() -> None:
    """Also where both come in one record."""

    async def switch(connection: Text) -> None:
        assert await connection.receive() == "binary"
        await echo(connection.switch_codec(codecs.LengthPrefixed()))

    async with serving(switch, codecs.Lines()) as served:
        peer = await served.connect_peer()
        await peer.send(b"binary\n\0\0\0\3one\0\0\0\3t")
        await peer.send(b"wo")
        assert await peer.receive_exactly(14) == b"\0\0\0\3one\0\0\0\3two"


def flipped(record: bytes) -> bytes:
    """Damage the last byte of a record."""
    return record[:-1] + bytes([record[-1] ^ 1])


DAMAGE: dict[str, Callable[[Peer], bytes]] = {
    "plain text": lambda _: b"this is no TLS at all",
    "a damaged record": lambda peer: flipped(peer.encrypted(b"two\n")),
    "a record twice": lambda peer: peer.encrypted(b"two\n") * 2,
    "a record that is missing": lambda peer: (
        peer.encrypted(b"two\n") and peer.encrypted(b"three\n")
    ),
    "another handshake": lambda _: hello(),
}


@each_version
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
async def test_what_is_no_tls_breaks_its_connection_alone(
    version: ssl.TLSVersion, damage: Callable[[Peer], bytes]
) -> None:
    """What was whole before is delivered before; and the reason is told as it is."""
    received: list[str] = []

    async def collect(connection: Text) -> None:
        async for line in connection:
            received.append(line)
            if line == "hello":
                await connection.send(line)

    context = server_context(version=version)
    async with serving(collect, codecs.Lines(), tls=context) as served:
        async with served.connect() as other:
            peer = await served.connect_peer()
            await peer.stream.send_all(peer.encrypted(b"one\n") + damage(peer))
            (ended,) = await served.record.wait(trio_tcp.ConnectionEnded)
            assert received[0] == "one"
            assert received[1:] in ([], ["two"])
            assert ended.reason is CloseReason.BROKEN
            assert isinstance(ended.error, trio_tcp.ConnectionBroken)
            assert ended.error.errno is None
            assert "no valid TLS" in str(ended.error)
            await other.send("hello")
            assert await other.receive() == "hello"
            await served.record.wait(trio_tcp.ConnectionEnded)
        assert not served.record.all(trio_tcp.HandlerFailed)


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


@final
class Faulty(trio.abc.HalfCloseableStream):
    """A stream of somebody's own that raises what a stream should not."""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        raise ZeroDivisionError("sending")

    async def wait_send_all_might_not_block(self) -> None:
        raise ZeroDivisionError("waiting")

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        raise ZeroDivisionError("receiving")

    async def send_eof(self) -> None:
        raise ZeroDivisionError("ending")

    async def aclose(self) -> None:
        pass


@final
class FirstFaulty(trio.abc.Listener[trio.abc.HalfCloseableStream]):
    """Accepts one faulty stream, then as a memory listener does."""

    def __init__(self) -> None:
        self.memory = testing.MemoryListener()
        self._first = True

    async def accept(self) -> trio.abc.HalfCloseableStream:
        if self._first:
            self._first = False
            return Faulty()
        return await self.memory.accept()

    async def aclose(self) -> None:
        await self.memory.aclose()


async def test_a_stream_that_is_faulty_in_its_handshake_ends_alone(
    nursery: trio.Nursery,
) -> None:
    """As it does later on."""
    listener, record = FirstFaulty(), Record()
    await nursery.start(
        partial(
            trio_tcp.serve_listeners,
            echo,
            [listener],
            codec=codecs.Lines(),
            tls=server_context(),
            observer=record,
        )
    )
    (failed,) = await record.wait(trio_tcp.HandshakeFailed)
    assert isinstance(failed.error, ZeroDivisionError)
    peer = Peer(await listener.memory.connect(), client_context(), server_hostname=HOST)
    await peer.shake_hands()
    await peer.send(b"hello\n")
    assert await peer.receive() == b"hello\n"
