"""What `Connection.send` and its kin promise: whole, in order, bounded."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias, final

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from trio_tcp import codecs, testing

Binary: TypeAlias = trio_tcp.Connection[bytes, bytes]

HIGH_WATER = 64 << 10
CODEC = codecs.LengthPrefixed()


@final
class Meter(trio.abc.Stream):
    """A stream that accepts as many bytes as the test allows, one by one."""

    def __init__(self) -> None:
        self.accepted = bytearray()
        self.calls = 0
        self._allowed = 0
        self._more = trio.lowlevel.ParkingLot()

    def allow(self, count: int) -> None:
        """Let that many more bytes in."""
        self._allowed += count
        self._more.unpark_all()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Take what is allowed; wait for the rest."""
        self.calls += 1
        await trio.lowlevel.checkpoint()
        rest = bytes(data)
        while rest:
            part, rest = rest[: self._allowed], rest[self._allowed :]
            self.accepted += part
            self._allowed -= len(part)
            if rest:
                await self._more.park()

    async def wait_send_all_might_not_block(self) -> None:
        """Not used."""
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receive nothing, ever."""
        await trio.sleep_forever()
        raise AssertionError("unreachable")

    async def aclose(self) -> None:
        """Do nothing: the test looks at it afterwards."""
        await trio.lowlevel.checkpoint()


def frames_in(data: bytes | bytearray) -> list[bytes]:
    """Decode all of it; what is torn or left over is an error."""
    decoder = codecs.Decoder(CODEC)
    decoder.feed(bytes(data))
    decoder.end()
    messages: list[bytes] = []
    while (message := decoder.next_message()) is not codecs.NEED_MORE:
        messages.append(message)
    return messages


Outcome: TypeAlias = dict[bytes, str]


async def _send(connection: Binary, message: bytes, outcome: Outcome) -> None:
    outcome[message] = "called"
    try:
        await connection.send(message)
    except trio.Cancelled:
        outcome[message] = "cancelled"
        raise
    outcome[message] = "accepted"


async def _run_with_full_queue(
    senders: list[bytes], victim: int, allowed_before_cancel: int
) -> tuple[Outcome, bytearray]:
    """Fill the queue, let senders wait in line, cancel one after so many bytes."""
    meter = Meter()
    outcome: Outcome = {}
    scopes = [trio.CancelScope() for _ in senders]
    async with trio_tcp.open_connection(meter, codec=CODEC) as connection:
        filler = bytes(HIGH_WATER)
        await _send(connection, filler, outcome)

        async def send(index: int) -> None:
            with scopes[index]:
                await _send(connection, senders[index], outcome)

        async with trio.open_nursery() as nursery:
            for index in range(len(senders)):
                nursery.start_soon(send, index)
                await wait_all_tasks_blocked()
            meter.allow(allowed_before_cancel)
            await wait_all_tasks_blocked()
            scopes[victim].cancel()
            await wait_all_tasks_blocked()
            meter.allow(1 << 30)
        await connection.flush()
    return outcome, meter.accepted


def _check(outcome: Outcome, accepted: bytearray) -> None:
    expected = [message for message, end in outcome.items() if end == "accepted"]
    assert "called" not in outcome.values()
    assert frames_in(accepted) == expected


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("payload", [0, 1, 9])
async def test_a_sender_cancelled_in_line_leaves_no_trace(
    count: int, payload: int
) -> None:
    """Cancelled after every byte that the stream took, from a full queue to none."""
    senders = [bytes([65 + i]) * (payload + i) for i in range(count)]
    filler_end = len(CODEC.encode(bytes(HIGH_WATER)))
    tail = sum(len(CODEC.encode(message)) for message in senders)
    seen: set[str] = set()
    for victim in range(count):
        for allowed in (0, 1, *range(filler_end - 2, filler_end + tail + 1)):
            outcome, accepted = await _run_with_full_queue(senders, victim, allowed)
            _check(outcome, accepted)
            seen.add(outcome[senders[victim]])
    assert seen == {"accepted", "cancelled"}


async def test_large_senders_cancelled_in_line_leave_no_trace() -> None:
    """Each message fills the queue anew, so that the line moves one by one."""
    senders = [bytes([65 + i]) * (HIGH_WATER + i) for i in range(3)]
    ends = itertools.accumulate(
        len(CODEC.encode(message)) for message in [bytes(HIGH_WATER), *senders]
    )
    for victim, end in itertools.product(range(3), ends):
        for allowed in (end - 1, end, end + 1):
            outcome, accepted = await _run_with_full_queue(senders, victim, allowed)
            _check(outcome, accepted)


async def test_a_send_that_is_cancelled_before_it_begins_sends_nothing() -> None:
    async with testing.connection_pair(codecs.Lines()) as (here, there):
        with trio.CancelScope() as scope:
            scope.cancel()
            await here.send("never")
        with trio.CancelScope() as scope_of_many:
            scope_of_many.cancel()
            await here.send_many(["never", "never"])
        assert scope.cancelled_caught
        assert scope_of_many.cancelled_caught
        await here.send("after")
        assert await there.receive() == "after"


async def test_cancellation_never_denies_a_message_that_was_accepted() -> None:
    """Also where the call makes a schedule point after it has accepted."""
    meter = Meter()
    meter.allow(1 << 30)
    accepted: list[bytes] = []
    async with trio_tcp.open_connection(meter, codec=CODEC) as connection:
        for index in range(400):
            message = b"%d" % index
            with trio.CancelScope() as scope:

                def cancel_in_mid_call(scope: trio.CancelScope = scope) -> None:
                    scope.cancel()

                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_call, cancel_in_mid_call)
                    await connection.send(message)
                    accepted.append(message)
        await connection.flush()
    assert frames_in(meter.accepted) == accepted
    assert len(accepted) == 400


async def _call(function: Callable[[], None]) -> None:
    function()
    await trio.lowlevel.cancel_shielded_checkpoint()


@given(st.data())
def test_any_mix_of_senders_and_cancellations_keeps_frames_whole_and_ordered(
    data: st.DataObject,
) -> None:
    sizes = data.draw(st.lists(st.integers(0, 40_000), min_size=1, max_size=12))
    steps = data.draw(
        st.lists(
            st.one_of(
                st.tuples(st.just("allow"), st.integers(1, 50_000)),
                st.tuples(st.just("cancel"), st.integers(0, len(sizes) - 1)),
                st.tuples(st.just("send"), st.just(0)),
            ),
            max_size=40,
        )
    )

    async def main() -> tuple[Outcome, bytearray]:
        meter, outcome = Meter(), Outcome()
        scopes = [trio.CancelScope() for _ in sizes]
        waiting = list(enumerate(sizes))
        async with (
            trio_tcp.open_connection(meter, codec=CODEC) as connection,
            trio.open_nursery() as nursery,
        ):

            async def send(index: int, size: int) -> None:
                with scopes[index]:
                    await _send(connection, bytes(size) + b"%d" % index, outcome)

            for what, number in [*steps, *[("send", 0)] * len(sizes)]:
                if what == "allow":
                    meter.allow(number)
                elif what == "cancel":
                    scopes[number].cancel()
                elif waiting:
                    nursery.start_soon(send, *waiting.pop(0))
                await wait_all_tasks_blocked()
            meter.allow(1 << 30)
        return outcome, meter.accepted

    outcome, accepted = trio.run(main)
    assert len(outcome) == len(sizes)
    _check(outcome, accepted)


async def test_frames_of_many_tasks_keep_the_order_of_their_calls() -> None:
    meter = Meter()
    meter.allow(1 << 30)
    order: list[bytes] = []
    async with trio_tcp.open_connection(meter, codec=CODEC) as connection:

        async def send(name: int) -> None:
            for i in range(100):
                message = b"%d-%d" % (name, i)
                order.append(message)
                await connection.send(message)

        async with trio.open_nursery() as nursery:
            for name in range(5):
                nursery.start_soon(send, name)
    assert frames_in(meter.accepted) == order


async def test_send_waits_when_64_kib_are_queued_and_no_sooner() -> None:
    meter = Meter()
    async with trio_tcp.open_connection(meter, codec=CODEC) as connection:
        await connection.send(bytes(HIGH_WATER - 5))  # with its prefix, one byte short
        await connection.send(b"fits: the mark is not reached yet")
        with trio.move_on_after(0) as scope:
            await connection.send(b"does not fit")
        assert scope.cancelled_caught
        with pytest.raises(trio.WouldBlock):
            connection.send_nowait(b"does not fit")
        queued = connection.statistics().bytes_queued
        assert HIGH_WATER <= queued <= HIGH_WATER + 64
        meter.allow(1 << 30)


async def test_send_nowait_does_not_overtake_those_in_line() -> None:
    meter = Meter()
    async with (
        trio_tcp.open_connection(meter, codec=CODEC) as connection,
        trio.open_nursery() as nursery,
    ):
        await connection.send(bytes(HIGH_WATER))
        nursery.start_soon(connection.send, b"first in line")
        await wait_all_tasks_blocked()
        with pytest.raises(trio.WouldBlock):
            connection.send_nowait(b"later")
        meter.allow(1 << 30)
        await connection.flush()
        connection.send_nowait(b"later")
        await connection.flush()
    assert frames_in(meter.accepted)[1:] == [b"first in line", b"later"]


async def test_send_many_is_all_or_nothing_and_stays_together() -> None:
    meter = Meter()
    codec = codecs.LengthPrefixed(max_bytes=10)
    async with trio_tcp.open_connection(meter, codec=codec) as connection:
        with pytest.raises(trio_tcp.MessageTooLargeError):
            await connection.send_many([b"good", b"far too large for it"])
        assert connection.statistics().bytes_queued == 0
        await connection.send_many([])
        await connection.send_many(b"%d" % i for i in range(3))
        meter.allow(1 << 30)
        await connection.flush()
        assert connection.statistics().messages_sent == 3
    assert frames_in(meter.accepted) == [b"0", b"1", b"2"]


async def test_a_message_that_cannot_be_encoded_harms_nothing() -> None:
    async with testing.connection_pair(codecs.Lines()) as (here, there):
        for bad in ("two\nlines", "x" * 70_000):
            with pytest.raises(trio_tcp.EncodeError):
                await here.send(bad)
            with pytest.raises(ValueError, match=r".+"):
                here.send_nowait(bad)
        await here.send("fine")
        assert await there.receive() == "fine"


@final
class Careless(codecs.Codec[Any, Any]):
    """A codec for lines that encodes nothing."""

    def encode(self, message: object, /) -> bytes:
        """Return it as it is."""
        return message  # type: ignore[return-value] # the mistake

    def decode(self, buffer: codecs.Buffer, /) -> codecs.Decoding[bytes]:
        """Yield lines."""
        while True:
            yield (yield from buffer.until(b"\n", max_bytes=10))


@pytest.mark.parametrize("encoded", ["text", bytearray(b"may change"), None])
async def test_what_a_codec_has_not_made_bytes_of_is_refused_by_all_ways_of_sending(
    encoded: object,
) -> None:
    """Also where it would have been gathered, and sent by nobody's task."""
    refused: list[str] = []

    async def handler(connection: trio_tcp.Connection[Any, Any]) -> None:
        async for line in connection:
            await connection.send(line)
            for way in (
                partial(connection.send, encoded),
                partial(trio_tcp.broadcast, encoded, [connection]),
            ):
                with pytest.raises(TypeError) as caught:
                    await way()
                refused.append(str(caught.value))
            with pytest.raises(TypeError) as caught:
                connection.send_nowait(encoded)
            refused.append(str(caught.value))
            await trio.lowlevel.checkpoint()

    async with testing.serve_in_memory(handler, Careless()) as served:
        client = await served.listener.connect()
        await client.send_all(b"one\ntwo\n")
        await client.send_eof()
        assert b"".join([chunk async for chunk in client]) == b"onetwo"
    kind = type(encoded).__name__
    assert refused == [f"encode of a codec must return bytes, not {kind}"] * 6


async def test_replies_to_messages_that_came_together_leave_together() -> None:
    """While more received messages wait, replies are gathered, as one write."""
    meter, requests = Meter(), CODEC.encode(b"request") * 10
    meter.allow(1 << 30)
    stream = trio.StapledStream(meter, _receive_stream(requests))
    async with trio_tcp.open_connection(stream, codec=CODEC) as connection:
        async for message in connection:
            await connection.send(message)
        await connection.flush()
    assert meter.calls == 1
    assert frames_in(meter.accepted) == [b"request"] * 10


async def test_gathered_replies_do_not_wait_for_a_handler_that_awaits() -> None:
    meter, requests = Meter(), CODEC.encode(b"request") * 3
    meter.allow(1 << 30)
    stream = trio.StapledStream(meter, _receive_stream(requests))
    async with trio_tcp.open_connection(stream, codec=CODEC) as connection:
        await connection.receive()
        await connection.send(b"reply")
        await wait_all_tasks_blocked()  # it has two requests before it, and rests
        assert frames_in(meter.accepted) == [b"reply"]


def _receive_stream(data: bytes) -> trio.testing.MemoryReceiveStream:
    receiver = trio.testing.MemoryReceiveStream()
    receiver.put_data(data)
    receiver.put_eof()
    return receiver


async def test_flush_waits_for_what_was_accepted_before() -> None:
    meter = Meter()
    async with trio_tcp.open_connection(meter, codec=CODEC) as connection:
        await connection.flush()
        await connection.send(b"12")
        meter.allow(5)
        with trio.move_on_after(0.01) as scope:
            await connection.flush()
        assert scope.cancelled_caught
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(connection.flush)
            await wait_all_tasks_blocked()
            meter.allow(1)
        meter.allow(1 << 30)


async def test_send_eof_lets_the_peer_end_and_goes_on_receiving() -> None:
    async with testing.connection_pair(codecs.Lines()) as (here, there):
        await here.send("last")
        await here.send_eof()
        await here.send_eof()
        for send in (here.send, here.send_many):
            with pytest.raises(trio.ClosedResourceError, match="send_eof"):
                await send("more")
        assert [line async for line in there] == ["last"]
        await there.send("reply")
        assert await here.receive() == "reply"


async def test_send_eof_that_is_cancelled_is_sent_all_the_same() -> None:
    async with testing.connection_pair(codecs.Lines(), capacity=4) as (here, there):
        await here.send("longer than the capacity")
        with trio.move_on_after(0.01) as scope:
            await here.send_eof()
        assert scope.cancelled_caught
        assert [line async for line in there] == ["longer than the capacity"]


def test_send_eof_may_be_cancelled_as_the_connection_ends() -> None:
    """Also before its end has begun to be sent."""

    async def main(_: testing.VirtualNetwork) -> None:
        ours, theirs = map(trio.SocketStream, trio.socket.socketpair())
        async with theirs, trio.open_nursery() as nursery:
            with trio.CancelScope() as scope:
                async with trio_tcp.open_connection(ours, codec=CODEC) as connection:

                    async def cancel() -> None:
                        scope.cancel()

                    nursery.start_soon(cancel)
                    await connection.send_eof()
            assert scope.cancelled_caught

    for seed in range(10):
        testing.run_simulation(main, seed=seed, allow=["sockets"])  # and comes back


def test_detach_takes_the_stream_out_behind_an_end_that_is_being_sent() -> None:
    async def main(_: testing.VirtualNetwork) -> None:
        ours, theirs = testing.memory_stream_pair()
        async with trio_tcp.open_connection(ours, codec=CODEC) as connection:

            async def detach() -> None:
                stream, _ = await connection.detach()
                with pytest.raises(trio.ClosedResourceError):
                    await stream.send_all(b"more")
                await stream.aclose()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(detach)
                await connection.send_eof()
        assert await theirs.receive_some() == b""

    # In this order the end comes first, but only just. And it comes back.
    testing.run_simulation(main, schedule="fifo")


async def test_a_stream_without_half_close_says_so() -> None:
    meter = Meter()
    async with trio_tcp.open_connection(meter, codec=CODEC) as connection:
        with pytest.raises(trio_tcp.HalfCloseUnsupportedError, match="aclose"):
            await connection.send_eof()
        await connection.send(b"x")
        meter.allow(5)
        await connection.flush()


async def test_a_peer_that_vanishes_frees_those_who_wait_in_line() -> None:
    async with testing.connection_pair(CODEC, capacity=100) as (here, there):
        await here.send(bytes(HIGH_WATER))
        results: list[type[BaseException]] = []

        async def call(function: Callable[[], object]) -> None:
            with pytest.raises(trio.BrokenResourceError) as caught:
                await function()  # type: ignore[misc]  # send is a lambda here
            results.append(caught.type)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(call, lambda: here.send(b"in line"))
            nursery.start_soon(call, here.flush)
            await wait_all_tasks_blocked()
            there.abort()
        assert results == [trio_tcp.ConnectionBroken] * 2
        assert here.statistics().bytes_queued == 0


async def test_a_burst_leaves_no_task_behind() -> None:
    async def echo(connection: Binary) -> None:
        async for message in connection:
            await connection.send(message)

    before = trio.lowlevel.current_statistics().tasks_living
    async with testing.serve_in_memory(echo, CODEC) as served:
        for _ in range(3):
            async with trio.open_nursery() as nursery:
                for _ in range(20):
                    nursery.start_soon(_ask, served)
        await wait_all_tasks_blocked()
        assert served.server.connections == ()
        # The server itself, its accept loop and its clock may live, and no more.
        assert trio.lowlevel.current_statistics().tasks_living <= before + 3
    assert trio.lowlevel.current_statistics().tasks_living == before


async def _ask(served: testing.MemoryServer[bytes]) -> None:
    async with served.connect() as client:
        await client.send(b"?")
        assert await client.receive() == b"?"


@given(st.lists(st.tuples(st.integers(0, 60_000), st.booleans()), max_size=12))
def test_real_sockets_with_small_buffers_keep_frames_whole_too(
    plan: list[tuple[int, bool]],
) -> None:
    """Partial writes, with senders that are cancelled in between."""

    async def main() -> tuple[Outcome, bytes]:
        ours, theirs = map(trio.SocketStream, trio.socket.socketpair())
        ours.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_SNDBUF, 4096)
        outcome = Outcome()
        received = bytearray()

        async def read() -> None:
            async for chunk in theirs:
                received.extend(chunk)
            await theirs.aclose()

        async with trio.open_nursery() as nursery:
            async with trio_tcp.open_connection(ours, codec=CODEC) as connection:
                for index, (size, cancel) in enumerate(plan):
                    with trio.CancelScope() as scope:
                        async with trio.open_nursery() as senders:
                            message = bytes(size) + b"%d" % index
                            senders.start_soon(_send, connection, message, outcome)
                            await wait_all_tasks_blocked()
                            if cancel:
                                scope.cancel()
                            else:
                                received.extend(await theirs.receive_some(10_000))
                                senders.cancel_scope.cancel()
                nursery.start_soon(read)
        return outcome, bytes(received)

    outcome, received = trio.run(main)
    assert len(outcome) == len(plan)
    _check(outcome, bytearray(received))
