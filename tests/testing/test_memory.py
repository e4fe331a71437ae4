"""The streams in memory behave as Trio says streams do, and as sockets do."""

from __future__ import annotations

import pytest
import trio
from trio.testing import check_half_closeable_stream, wait_all_tasks_blocked

from trio_tcp import testing

Pair = tuple[testing.MemoryStream, testing.MemoryStream]


async def _pair() -> Pair:
    await trio.lowlevel.checkpoint()
    return testing.memory_stream_pair(100)


async def _clogged_pair() -> Pair:
    here, there = testing.memory_stream_pair(1)
    await here.send_all(b"x")
    await there.send_all(b"x")
    return here, there


async def test_trios_own_checks_pass() -> None:
    await check_half_closeable_stream(_pair, _clogged_pair)


async def test_a_sender_waits_when_the_buffer_is_full() -> None:
    here, there = testing.memory_stream_pair(10)
    with trio.move_on_after(0.01) as scope:
        await here.send_all(b"x" * 11)
    assert scope.cancelled_caught
    assert await there.receive_some() == b"x" * 10


async def test_a_sender_goes_on_as_the_reader_makes_room() -> None:
    here, there = testing.memory_stream_pair(3)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(here.send_all, b"0123456789")
        received = b""
        while len(received) < 10:
            received += await there.receive_some(2)
    assert received == b"0123456789"


async def test_a_reset_is_an_error_for_both_and_loses_what_was_under_way() -> None:
    here, there = testing.memory_stream_pair()
    await here.send_all(b"lost")
    here.reset()
    for _ in range(2):
        with pytest.raises(trio.BrokenResourceError):
            await there.receive_some()
        with pytest.raises(trio.BrokenResourceError):
            await there.send_all(b"x")
        with pytest.raises(trio.ClosedResourceError):
            await here.send_all(b"x")


async def test_a_reset_wakes_who_waits() -> None:
    here, there = testing.memory_stream_pair(1)

    async def fail(wait_to_send: bool) -> None:
        with pytest.raises(trio.BrokenResourceError):
            if wait_to_send:
                await there.send_all(b"xx")
            else:
                await there.receive_some()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fail, True)
        nursery.start_soon(fail, False)
        await wait_all_tasks_blocked()
        here.reset()


async def test_to_close_with_unread_input_is_a_reset_as_with_tcp() -> None:
    here, there = testing.memory_stream_pair()
    await there.send_all(b"unread")
    await here.send_all(b"lost as well")
    await here.aclose()
    with pytest.raises(trio.BrokenResourceError):
        await there.receive_some()


@pytest.mark.parametrize("capacity", [0, -1, 1.5])
def test_a_capacity_of_nothing_is_refused(capacity: int) -> None:
    for make in (testing.memory_stream_pair, testing.MemoryListener):
        with pytest.raises(ValueError, match="capacity"):
            make(capacity)


async def test_who_waits_for_room_is_let_go_when_nobody_reads_any_more() -> None:
    """Sending would not wait: it fails at once."""
    here, there = testing.memory_stream_pair(1)
    await here.send_all(b"x")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(here.wait_send_all_might_not_block)
        await wait_all_tasks_blocked()
        await there.aclose()
    with pytest.raises(trio.BrokenResourceError):
        await here.send_all(b"y")
