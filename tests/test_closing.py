"""How connections end: gracefully, at once, and never without a reason."""

from __future__ import annotations

from typing import TypeAlias, final

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from trio_tcp import CloseReason, codecs, testing

Text: TypeAlias = trio_tcp.Connection[str, str]
LINES = codecs.Lines(max_bytes=1 << 20)


async def test_aclose_delivers_everything_that_was_accepted() -> None:
    """Though the peer only reads when it has written all it wants to write."""
    ours, theirs = testing.memory_stream_pair(100)
    received = bytearray()

    async def write_then_read() -> None:
        await theirs.send_all(b"request\n" * 1000)
        await theirs.send_eof()
        async for chunk in theirs:
            received.extend(chunk)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write_then_read)
        async with trio_tcp.open_connection(ours, codec=LINES) as connection:
            assert await connection.receive() == "request"
            await connection.send("x" * 50_000)
            await connection.send("the last reply")
    assert received.endswith(b"\nthe last reply\n")
    assert len(received) == 50_001 + len("the last reply\n")


async def test_aclose_waits_for_the_peers_end_but_not_longer_than_linger(
    autojump_clock: MockClock,
) -> None:
    ours, theirs = testing.memory_stream_pair()
    timeouts = trio_tcp.Timeouts(linger=7)
    async with trio_tcp.open_connection(
        ours, codec=LINES, timeouts=timeouts
    ) as connection:
        start = trio.current_time()
        await connection.aclose()
        assert trio.current_time() - start == 7
    assert await theirs.receive_some() == b""


async def test_aclose_is_over_as_soon_as_the_peer_has_closed_too(
    autojump_clock: MockClock,
) -> None:
    ours, theirs = testing.memory_stream_pair()

    async def close_after_3_seconds() -> None:
        assert await theirs.receive_some() == b""
        await trio.sleep(3)
        await theirs.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(close_after_3_seconds)
        async with trio_tcp.open_connection(ours, codec=LINES) as connection:
            start = trio.current_time()
            await connection.aclose()
            assert trio.current_time() - start == 3


async def test_after_the_peers_end_there_is_nothing_to_wait_for(
    autojump_clock: MockClock,
) -> None:
    ours, theirs = testing.memory_stream_pair()
    async with trio_tcp.open_connection(ours, codec=LINES) as connection:
        await theirs.send_eof()
        assert [line async for line in connection] == []
        await connection.send("reply")
        await connection.flush()
        start = trio.current_time()
        await connection.aclose()
        assert trio.current_time() == start
    assert await theirs.receive_some() == b"reply\n"


async def test_a_peer_that_never_reads_is_given_up_after_linger(
    autojump_clock: MockClock,
) -> None:
    ours, theirs = testing.memory_stream_pair(10)
    async with trio_tcp.open_connection(ours, codec=LINES) as connection:
        await connection.send("much more than the buffer holds")
        start = trio.current_time()
        await connection.aclose()
        assert trio.current_time() - start == connection.timeouts.linger
    with pytest.raises(trio.BrokenResourceError):
        await theirs.receive_some()


async def test_a_peer_that_reads_slowly_is_not_given_up(
    autojump_clock: MockClock,
) -> None:
    ours, theirs = testing.memory_stream_pair(1 << 16)
    received = bytearray()

    async def read_slowly() -> None:
        while chunk := await theirs.receive_some():
            received.extend(chunk)
            await trio.sleep(4)  # within each linger of 5 seconds
        await theirs.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read_slowly)
        async with trio_tcp.open_connection(ours, codec=LINES) as connection:
            await connection.send("x" * 600_000)
    assert len(received) == 600_001
    assert trio.current_time() > 20


async def test_timeouts_can_be_replaced_while_the_connection_lives(
    autojump_clock: MockClock,
) -> None:
    async with testing.connection_pair(LINES) as (here, _):
        here.timeouts = attrs.evolve(here.timeouts, linger=60)
        start = trio.current_time()
        await here.aclose()
        assert trio.current_time() - start == 60


async def test_a_cancelled_aclose_closes_at_once(autojump_clock: MockClock) -> None:
    for lines, rest in ([], b""), (["much more than the buffer holds"], None):
        ours, theirs = testing.memory_stream_pair(10)
        async with trio_tcp.open_connection(ours, codec=LINES) as connection:
            for line in lines:
                await connection.send(line)
            start = trio.current_time()
            with trio.move_on_after(1) as scope:
                await connection.aclose()
            assert scope.cancelled_caught
            assert trio.current_time() - start == 1
        if rest is None:  # something was not delivered: the peer must not believe it
            with pytest.raises(trio.BrokenResourceError):
                await theirs.receive_some()
        else:
            assert await theirs.receive_some() == rest


async def test_aclose_in_a_cancelled_scope_closes_all_the_same() -> None:
    ours, theirs = testing.memory_stream_pair()
    async with trio_tcp.open_connection(ours, codec=LINES) as connection:
        with trio.CancelScope() as scope:
            scope.cancel()
            await connection.aclose()
        assert scope.cancelled_caught
        with pytest.raises(trio.ClosedResourceError):
            await connection.receive()
    assert await theirs.receive_some() == b""


async def test_closing_sends_away_those_who_wait() -> None:
    ours, theirs = testing.memory_stream_pair(10)
    left: list[str] = []

    async with trio_tcp.open_connection(ours, codec=LINES) as connection:

        async def receive() -> None:
            with pytest.raises(trio_tcp.ConnectionClosedError):
                await connection.receive()
            left.append("receiver")

        async def send() -> None:
            await connection.send("x" * 100_000)
            with pytest.raises(trio_tcp.ConnectionClosedError):
                await connection.send("in line")
            left.append("sender")

        async def close() -> None:
            await connection.aclose()
            left.append("closer")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            nursery.start_soon(send)
            await wait_all_tasks_blocked()
            nursery.start_soon(close)
            await wait_all_tasks_blocked()
            assert sorted(left) == ["receiver", "sender"]  # at once, not after linger
            received = b""
            while chunk := await theirs.receive_some():
                received += chunk
            await theirs.aclose()
        assert len(received) == 100_001
        assert left[-1] == "closer"


async def test_who_closes_a_second_time_waits_for_the_first(
    autojump_clock: MockClock,
) -> None:
    async with testing.connection_pair(LINES) as (here, _):
        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(here.aclose)
        assert trio.current_time() - start == here.timeouts.linger
        await here.aclose()
        assert trio.current_time() - start == here.timeouts.linger


async def test_a_block_that_ends_waits_for_a_close_that_is_under_way() -> None:
    ours, theirs = testing.memory_stream_pair(10)
    received = bytearray()

    async def read() -> None:
        async for chunk in theirs:
            received.extend(chunk)
        await theirs.aclose()

    async with trio.open_nursery() as nursery:
        async with trio_tcp.open_connection(ours, codec=LINES) as connection:
            await connection.send("x" * 1000)
            nursery.start_soon(connection.aclose)  # noqa: ASYNC111 - what it is about
            await wait_all_tasks_blocked()
            nursery.start_soon(read)
    assert len(received) == 1001


async def test_abort_breaks_the_connection_for_the_peer() -> None:
    ours, theirs = testing.memory_stream_pair()
    async with trio_tcp.open_connection(ours, codec=LINES) as connection:
        await theirs.send_all(b"unread")
        connection.abort()
        connection.abort()
        uses = (connection.receive, connection.flush, connection.send_eof)
        for use in (*uses, connection.detach, lambda: connection.send("x")):
            with pytest.raises(trio_tcp.ConnectionClosedError):
                await use()
        await connection.aclose()
    assert connection.close_reason is CloseReason.CLOSED
    with pytest.raises(trio.BrokenResourceError):
        await theirs.receive_some()


async def test_abort_wakes_all_who_wait() -> None:
    async with testing.connection_pair(LINES, capacity=10) as (here, _):
        errors: list[BaseException] = []

        async def fail(name: str) -> None:
            with pytest.raises(trio_tcp.ConnectionClosedError) as caught:
                if name == "receive":
                    await here.receive()
                elif name == "send":
                    await here.send("in line")
                else:
                    await here.flush()
            errors.append(caught.value)

        await here.send("x" * 100_000)
        async with trio.open_nursery() as nursery:
            for name in ("receive", "send", "flush"):
                nursery.start_soon(fail, name)
            await wait_all_tasks_blocked()
            here.abort()
        assert len(errors) == 3


async def test_an_end_that_an_abort_overtakes_was_not_sent() -> None:
    async with testing.connection_pair(LINES, capacity=10) as (here, _):
        await here.send("x" * 100_000)

        async def end() -> None:
            with pytest.raises(trio_tcp.ConnectionClosedError):
                await here.send_eof()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(end)
            await wait_all_tasks_blocked()
            here.abort()


async def test_an_end_is_sent_also_where_a_close_overtakes_it() -> None:
    async with testing.connection_pair(LINES, capacity=10) as (here, there):
        await here.send("x" * 1000)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(here.send_eof)
            await wait_all_tasks_blocked()
            nursery.start_soon(here.aclose)
            assert [len(line) async for line in there] == [1000]
            await there.aclose()


@pytest.mark.parametrize("raised", [KeyError("x"), ExceptionGroup("g", [OSError()])])
async def test_what_a_block_raises_leaves_as_itself(raised: Exception) -> None:
    ours, theirs = testing.memory_stream_pair()
    with pytest.raises(type(raised)) as caught:
        async with trio_tcp.open_connection(ours, codec=LINES) as connection:
            await connection.send("never mind")
            raise raised
    assert caught.value is raised
    with pytest.raises(trio.BrokenResourceError):
        await theirs.receive_some()


async def test_a_cancelled_block_aborts_at_once(autojump_clock: MockClock) -> None:
    ours, theirs = testing.memory_stream_pair(10)
    with trio.move_on_after(1) as scope:
        async with trio_tcp.open_connection(ours, codec=LINES) as connection:
            await connection.send("x" * 1000)
            await connection.receive()
    assert scope.cancelled_caught
    assert trio.current_time() == 1
    with pytest.raises(trio.BrokenResourceError):
        await theirs.receive_some()


async def test_a_cancelled_task_can_still_say_goodbye_in_a_shielded_scope() -> None:
    ours, theirs = testing.memory_stream_pair(4)
    received = bytearray()

    async def read() -> None:
        async for chunk in theirs:
            received.extend(chunk)
        await theirs.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        with trio.CancelScope() as scope:
            async with trio_tcp.open_connection(ours, codec=LINES) as connection:
                scope.cancel()
                try:
                    await connection.receive()
                finally:
                    with trio.CancelScope(shield=True):
                        await connection.send("goodbye")
                        await connection.aclose()
    assert received == b"goodbye\n"


async def test_the_first_cause_of_an_end_is_kept() -> None:
    ours, theirs = testing.memory_stream_pair()
    ended: list[trio_tcp.ConnectionEnded] = []

    def observe(event: trio_tcp.Event) -> None:
        if isinstance(event, trio_tcp.ConnectionEnded):
            ended.append(event)

    async with trio_tcp.open_connection(
        ours, codec=LINES, observer=observe
    ) as connection:
        connection.label = "probe"
        await theirs.send_all(b"half")
        await theirs.aclose()
        with pytest.raises(trio_tcp.TruncatedError):
            await connection.receive()
        connection.abort()
    (event,) = ended
    assert event.reason is CloseReason.TRUNCATED
    assert isinstance(event.error, trio_tcp.TruncatedError)
    assert (event.id, event.label, event.peer) == (connection.id, "probe", None)
    assert event.statistics.bytes_received == 4
    assert event.seconds >= 0
    assert "truncated" in repr(connection)
    assert "probe" in repr(connection)


async def test_a_connection_that_was_never_used_closes_cleanly() -> None:
    async with testing.connection_pair(LINES) as (here, there):
        pass
    assert here.close_reason is CloseReason.CLOSED
    assert there.close_reason is CloseReason.CLOSED
    assert here.id != there.id


async def test_a_block_cancelled_from_within_its_own_tasks_is_just_over() -> None:
    """Here by `serve_in_memory`, whose block is cancelled with its server's scope."""
    with trio.CancelScope() as outer:
        async with testing.serve_in_memory(_wait, LINES) as served:
            async with served.connect() as client:
                outer.cancel()
                await client.receive()
    assert outer.cancelled_caught


async def _wait(connection: Text) -> None:
    await connection.receive()


@final
class Jammed(trio.abc.Stream):
    """A stream that breaks when it is closed."""

    def __init__(self, stream: testing.MemoryStream) -> None:
        self._stream = stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send."""
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Not used."""
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receive."""
        return await self._stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        """Close it, and fail."""
        with trio.CancelScope(shield=True):
            await self._stream.aclose()
        raise OSError("it does not close")


@pytest.mark.parametrize("end", ["return", "abort", "raise"])
def test_a_stream_that_fails_to_close_is_closed_all_the_same(end: str) -> None:
    reasons: list[CloseReason] = []

    def observe(event: trio_tcp.Event, /) -> None:
        if isinstance(event, trio_tcp.ConnectionEnded):
            reasons.append(event.reason)

    async def handler(connection: Text) -> None:
        assert await connection.receive() == "hello"
        if end == "abort":
            connection.abort()
        elif end == "raise":
            raise KeyError("x")

    async def main(_: testing.VirtualNetwork) -> None:
        ours, theirs = testing.memory_stream_pair()
        await theirs.send_all(b"hello\n")
        serve = trio_tcp.framed(handler, codec=LINES, observer=observe)
        await serve(Jammed(ours))
        with pytest.raises(trio.BrokenResourceError):
            await theirs.send_all(b"anybody there?")

    testing.run_simulation(main)  # it notices what never ends
    failed = CloseReason.HANDLER_FAILED
    assert reasons == [failed if end == "raise" else CloseReason.CLOSED]


def test_ctrl_c_while_an_end_is_observed_leaves_no_task_behind() -> None:
    def observe(event: trio_tcp.Event, /) -> None:
        if isinstance(event, trio_tcp.ConnectionEnded):
            raise KeyboardInterrupt

    async def main(_: testing.VirtualNetwork) -> None:
        ours, theirs = testing.memory_stream_pair()
        async with trio_tcp.open_connection(
            ours, codec=LINES, observer=observe
        ) as connection:
            await theirs.send_all(b"hello\n")
            assert await connection.receive() == "hello"
            await theirs.aclose()

    with pytest.raises(KeyboardInterrupt):
        testing.run_simulation(main)  # it notices what never ends
