"""What `Requester` promises, over streams in memory and in virtual time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.requesting import (
    CODEC,
    PATIENT,
    Asked,
    Text,
    ask,
    asking,
    first_word,
    is_news,
    receive,
)
from trio_tcp import CloseReason, testing

Correlate: TypeAlias = Callable[[str], str | None]

BIG = "x" * 200_000  # more than a stream and a queue hold


# Whose reply it is --------------------------------------------------------------------


async def test_replies_come_in_the_order_of_the_requests() -> None:
    async with asking() as (requester, there, nursery):
        asked = await ask(nursery, requester, "a", "b", "c")
        assert await receive(there, 3) == ["a", "b", "c"]
        await there.send_many(["A", "B", "C"])
        await wait_all_tasks_blocked()
        assert [each.reply for each in asked] == ["A", "B", "C"]


async def test_replies_with_ids_come_in_any_order() -> None:
    async with asking(correlate=first_word) as (requester, there, nursery):
        asked = await ask(nursery, requester, "1 a", "2 b", "3 c")
        await there.send_many(["2 B", "3 C", "1 A"])
        await wait_all_tasks_blocked()
        assert [each.reply for each in asked] == ["1 A", "2 B", "3 C"]


async def test_requests_do_not_wait_for_the_replies_to_others() -> None:
    async with asking() as (requester, there, nursery):
        await ask(nursery, requester, "a", "b")
        assert await receive(there, 2) == ["a", "b"]
        await there.send_many(["A", "B"])


async def test_a_server_can_ask_its_client() -> None:
    replies: list[str] = []

    async def handle(connection: Text) -> None:
        async with trio_tcp.Requester(connection) as requester:
            replies.append(await requester.request("who are you?"))

    async with testing.serve_in_memory(handle, CODEC) as served:
        async with served.connect() as device:
            assert await device.receive() == "who are you?"
            await device.send("a thermometer")
            with pytest.raises(trio_tcp.PeerClosed):
                await device.receive()
    assert replies == ["a thermometer"]


class CountingStream(trio.abc.Stream):
    """Counts how often something is sent."""

    def __init__(self, stream: trio.abc.HalfCloseableStream) -> None:
        self.stream = stream
        self.sent = 0

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += 1
        await self.stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self.stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self.stream.aclose()


async def test_requests_of_many_tasks_go_out_together(
    autojump_clock: MockClock,
) -> None:
    ours, theirs = testing.memory_stream_pair()
    stream = CountingStream(ours)
    async with (
        trio_tcp.open_connection(stream, codec=CODEC) as here,
        trio_tcp.open_connection(theirs, codec=CODEC) as there,
        trio_tcp.Requester(here) as requester,
        trio.open_nursery() as nursery,
    ):
        for number in range(50):
            nursery.start_soon(requester.request, str(number))
        assert len(await receive(there, 50)) == 50
        assert stream.sent <= 2  # the first may go at once
        await there.send_many(map(str, range(50)))


# In line ------------------------------------------------------------------------------


async def test_no_more_are_in_flight_than_allowed_and_others_wait_in_line() -> None:
    async with asking(max_in_flight=2) as (requester, there, nursery):
        asked = await ask(nursery, requester, "a", "b", "c", "d")
        assert await receive(there, 2) == ["a", "b"]
        statistics = requester.statistics()
        assert (statistics.in_flight, statistics.waiting) == (2, 2)
        await there.send("A")
        assert await there.receive() == "c"
        await there.send_many(["B", "C"])
        assert await there.receive() == "d"
        await there.send("D")
        await wait_all_tasks_blocked()
        assert [each.reply for each in asked] == ["A", "B", "C", "D"]
        statistics = requester.statistics()
        assert (statistics.in_flight, statistics.waiting) == (0, 0)
        assert statistics.replies == 4


async def test_who_asks_again_stands_behind_those_who_wait() -> None:
    async with asking(max_in_flight=1) as (requester, there, nursery):

        async def ask_twice() -> None:
            await requester.request("a1")
            await requester.request("a2")

        nursery.start_soon(ask_twice)
        await wait_all_tasks_blocked()
        await ask(nursery, requester, "b")
        for expected in ("a1", "b", "a2"):
            assert await there.receive() == expected
            await there.send("ok")
        await wait_all_tasks_blocked()


async def test_requests_larger_than_the_connection_holds_keep_their_order() -> None:
    async with asking(capacity=1000) as (requester, there, nursery):
        asked = await ask(nursery, requester, *(f"{n}{BIG}" for n in range(4)), "last")
        assert requester.statistics().waiting > 0  # it is the connection that is full
        for number in range(4):
            assert await there.receive() == f"{number}{BIG}"
            await there.send(str(number))
        assert await there.receive() == "last"
        await there.send("done")
        await wait_all_tasks_blocked()
        assert [each.reply for each in asked] == ["0", "1", "2", "3", "done"]


async def test_a_request_that_waits_for_room_can_be_cancelled() -> None:
    async with asking(capacity=1000) as (requester, there, nursery):
        asked = await ask(nursery, requester, BIG, "never", "last")
        asked[1].scope.cancel()
        assert await receive(there, 2) == [BIG, "last"]
        await there.send_many(["0", "1"])
        await wait_all_tasks_blocked()
        assert [each.reply for each in asked] == ["0", None, "1"]


# Cancelled ----------------------------------------------------------------------------


async def test_a_request_is_not_sent_in_a_cancelled_scope() -> None:
    async with asking() as (requester, there, _):
        with trio.CancelScope() as scope:
            scope.cancel()
            await requester.request("never")
        await wait_all_tasks_blocked()
        with pytest.raises(trio.WouldBlock):
            there.receive_nowait()
        assert there.statistics().bytes_received == 0
        assert requester.statistics().in_flight == 0


async def test_a_request_that_is_cancelled_in_line_is_never_sent() -> None:
    async with asking(max_in_flight=1) as (requester, there, nursery):
        asked = await ask(nursery, requester, "a", "never", "c")
        asked[1].scope.cancel()
        await wait_all_tasks_blocked()
        assert requester.statistics().waiting == 1
        await there.send("A")
        await there.send("C")
        assert await receive(there, 2) == ["a", "c"]
        await wait_all_tasks_blocked()
        assert [each.reply for each in asked] == ["A", None, "C"]


@pytest.mark.parametrize("correlate", [None, first_word])
async def test_the_late_reply_to_a_cancelled_request_is_nobodys(
    correlate: Correlate | None,
) -> None:
    async with asking(correlate=correlate) as (requester, there, nursery):
        asked = await ask(nursery, requester, "1 a", "2 b")
        asked[0].scope.cancel()
        await wait_all_tasks_blocked()
        assert asked[0].is_done
        await there.send_many(["1 A", "2 B"])
        await wait_all_tasks_blocked()
        assert [each.reply for each in asked] == [None, "2 B"]
        assert requester.statistics().late_replies == 1


async def test_a_cancelled_request_keeps_its_place_until_its_reply_comes() -> None:
    async with asking(max_in_flight=1) as (requester, there, nursery):
        asked = await ask(nursery, requester, "a", "b")
        asked[0].scope.cancel()
        await wait_all_tasks_blocked()
        assert await there.receive() == "a"
        assert requester.statistics().in_flight == 1
        with pytest.raises(trio.WouldBlock):
            there.receive_nowait()
        await there.send("A")
        assert await there.receive() == "b"
        await there.send("B")
        await wait_all_tasks_blocked()
        assert asked[1].reply == "B"


async def test_a_reply_that_came_before_the_cancellation_is_returned() -> None:
    async with asking() as (requester, there, nursery):
        (asked,) = await ask(nursery, requester, "a")

        there.send_nowait("A")
        while requester.statistics().replies == 0:
            await trio.lowlevel.checkpoint()
        asked.scope.cancel()
        await wait_all_tasks_blocked()
        assert asked.reply == "A"


# Time ---------------------------------------------------------------------------------


async def test_without_any_reply_the_connection_is_given_up(
    autojump_clock: MockClock,
) -> None:
    async with asking(max_in_flight=2, reply_timeout=30) as (requester, there, nursery):
        asked = await ask(nursery, requester, "a", "b", "c")
        asked[0].scope.cancel()
        await trio.sleep(29.9)
        assert not asked[1].is_done
        await trio.sleep(0.2)
        assert await receive(there, 2) == ["a", "b"]
        for each, was_sent in ((asked[1], True), (asked[2], False)):
            assert each.lost.may_have_been_processed is was_sent
            cause = each.lost.__cause__
            assert isinstance(cause, trio_tcp.PeerTooSlowError)
            assert (cause.timeout, cause.seconds) == ("reply", 30)
            assert str(cause) == "no reply came to any request for 30 s (reply_timeout)"


async def test_a_connection_that_was_given_up_says_why(
    autojump_clock: MockClock,
) -> None:
    async with testing.connection_pair(CODEC, timeouts=PATIENT) as (here, _):
        async with trio_tcp.Requester(here, reply_timeout=5) as requester:
            with pytest.raises(trio_tcp.ConnectionLost):
                await requester.request("a")
        assert here.close_reason is CloseReason.TIMED_OUT
        with pytest.raises(trio_tcp.PeerTooSlowError):
            await here.send("b")


async def test_a_long_pipeline_has_time_as_long_as_it_moves(
    autojump_clock: MockClock,
) -> None:
    async with asking(reply_timeout=5) as (requester, there, nursery):
        asked = await ask(nursery, requester, *map(str, range(10)))
        for number in range(10):
            await trio.sleep(4)
            await there.send(str(number))
        await wait_all_tasks_blocked()
        assert [each.reply for each in asked] == list(map(str, range(10)))


async def test_news_is_no_reply_to_wait_longer_for(autojump_clock: MockClock) -> None:
    async with asking(is_unsolicited=is_news, reply_timeout=5) as (
        requester,
        there,
        nursery,
    ):
        (asked,) = await ask(nursery, requester, "a")
        for _ in range(3):
            await there.send("news")
            await trio.sleep(2)
        assert isinstance(asked.lost.__cause__, trio_tcp.PeerTooSlowError)


async def test_the_time_begins_with_the_request(autojump_clock: MockClock) -> None:
    async with asking(reply_timeout=5) as (requester, there, nursery):
        await trio.sleep(1000)
        (asked,) = await ask(nursery, requester, "a")
        await trio.sleep(4)
        await there.send("A")
        await trio.sleep(1000)
        assert asked.reply == "A"
        (asked,) = await ask(nursery, requester, "b")
        await trio.sleep(4)
        await there.send("B")
        await wait_all_tasks_blocked()
        assert asked.reply == "B"


# The connection ends ------------------------------------------------------------------


async def test_when_the_connection_breaks_all_who_wait_get_an_error_of_their_own() -> (
    None
):
    async with testing.connection_pair(CODEC) as (here, there):
        async with (
            trio.open_nursery() as nursery,
            trio_tcp.Requester(here, max_in_flight=2) as requester,
        ):
            asked = await ask(nursery, requester, "a", "b", "c")
            there.abort()
            await wait_all_tasks_blocked()
            errors = [each.lost for each in asked]
            assert len({id(error) for error in errors}) == 3
            assert [e.may_have_been_processed for e in errors] == [True, True, False]
            for error in errors:
                assert error.connection_id == here.id
                assert isinstance(error.__cause__, trio_tcp.ConnectionBroken)
            assert "was sent, and may have been processed" in str(errors[0])
            assert "was not sent" in str(errors[2])
            with pytest.raises(trio_tcp.ConnectionLost) as later:
                await requester.request("d")
            assert not later.value.may_have_been_processed


async def test_the_peer_may_close_while_nothing_is_in_flight() -> None:
    async with asking() as (requester, there, _):
        await there.send_eof()
        with pytest.raises(trio.EndOfChannel):
            await requester.unsolicited.receive()
        with pytest.raises(trio_tcp.ConnectionLost) as caught:
            await requester.request("a")
        assert isinstance(caught.value.__cause__, trio_tcp.PeerClosed)
        assert not caught.value.may_have_been_processed


async def test_replies_before_the_end_are_delivered() -> None:
    async with asking() as (requester, there, nursery):
        asked = await ask(nursery, requester, "a", "b")
        await there.send("A")
        await there.send_eof()
        await wait_all_tasks_blocked()
        assert asked[0].reply == "A"
        assert isinstance(asked[1].lost.__cause__, trio_tcp.PeerClosed)


async def test_what_is_in_flight_is_answered_when_nothing_more_can_be_sent() -> None:
    async with testing.connection_pair(CODEC) as (here, there):
        async with (
            trio.open_nursery() as nursery,
            trio_tcp.Requester(here) as requester,
        ):
            (first,) = await ask(nursery, requester, "a")
            await here.send_eof()
            (second,) = await ask(nursery, requester, "b")
            await there.send("A")
            await wait_all_tasks_blocked()
            assert first.reply == "A"
            assert not second.lost.may_have_been_processed


async def test_a_connection_that_is_closed_here_sends_all_away() -> None:
    async with testing.connection_pair(CODEC) as (here, there):
        async with (
            trio.open_nursery() as nursery,
            trio_tcp.Requester(here) as requester,
        ):
            (asked,) = await ask(nursery, requester, "a")
            nursery.start_soon(here.aclose)
            nursery.start_soon(there.aclose)
            await wait_all_tasks_blocked()
            assert isinstance(asked.lost.__cause__, trio_tcp.ConnectionClosedError)


async def test_a_draining_server_gets_the_replies_that_are_under_way() -> None:
    asked: list[Asked] = []

    async def handle(connection: Text) -> None:
        async with (
            trio.open_nursery() as nursery,
            trio_tcp.Requester(connection) as requester,
        ):
            asked.extend(await ask(nursery, requester, "a"))
            async for _ in requester.unsolicited:
                pass
            with pytest.raises(trio_tcp.ConnectionLost) as caught:
                await requester.request("too late")
            assert isinstance(caught.value.__cause__, trio_tcp.Drained)

    async with testing.serve_in_memory(handle, CODEC) as served:
        async with trio.open_nursery() as nursery, served.connect() as device:
            assert await device.receive() == "a"
            nursery.start_soon(served.server.drain)
            await wait_all_tasks_blocked()
            await device.send("A")
            with pytest.raises(trio_tcp.PeerClosed):
                await device.receive()
    assert asked[0].reply == "A"


async def test_a_lost_connection_is_its_peers_doing_not_its_handlers() -> None:
    events: list[trio_tcp.Event] = []

    async def handle(connection: Text) -> None:
        async with trio_tcp.Requester(connection) as requester:
            await requester.request("a")

    async with testing.serve_in_memory(handle, CODEC, observer=events.append) as served:
        async with served.connect() as device:
            await device.receive()
            device.abort()
        await wait_all_tasks_blocked()
    assert not any(isinstance(event, trio_tcp.HandlerFailed) for event in events)
    (ended,) = (e for e in events if isinstance(e, trio_tcp.ConnectionEnded))
    assert ended.reason is CloseReason.BROKEN


# Faults of the peer -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("correlate", "reply", "reply_id"), [(None, "B", None), (first_word, "2 B", "2")]
)
async def test_a_reply_that_nobody_waits_for_breaks_the_connection(
    correlate: Correlate | None, reply: str, reply_id: str | None
) -> None:
    async with testing.connection_pair(CODEC) as (here, there):
        async with (
            trio.open_nursery() as nursery,
            trio_tcp.Requester(here, correlate=correlate) as requester,
        ):
            (first,) = await ask(nursery, requester, "1 a")
            await there.send_many(["1 A", reply])
            await wait_all_tasks_blocked()
            assert first.reply == "1 A"
            with pytest.raises(trio_tcp.ConnectionLost) as caught:
                await requester.request("3 c")
            cause = caught.value.__cause__
            assert isinstance(cause, trio_tcp.UnexpectedReplyError)
            assert cause.id == reply_id
            assert cause.connection_id == here.id
        assert here.close_reason is CloseReason.PROTOCOL_ERROR


async def test_a_second_reply_to_one_request_is_nobodys() -> None:
    async with asking(correlate=first_word) as (requester, there, nursery):
        asked = await ask(nursery, requester, "1 a", "2 b")
        await there.send_many(["1 A", "1 A", "2 B"])
        await wait_all_tasks_blocked()
        assert asked[0].reply == "1 A"
        assert isinstance(asked[1].lost.__cause__, trio_tcp.UnexpectedReplyError)


async def test_a_malformed_reply_is_the_oldest_requests() -> None:
    async with asking() as (requester, there, nursery):
        asked = await ask(nursery, requester, "a", "b")
        await there.send_many(["bad", "B"])
        await wait_all_tasks_blocked()
        assert isinstance(asked[0].error, trio_tcp.MalformedMessageError)
        assert asked[1].reply == "B"


async def test_a_malformed_reply_to_a_cancelled_request_is_dropped() -> None:
    async with asking() as (requester, there, nursery):
        asked = await ask(nursery, requester, "a", "b")
        asked[0].scope.cancel()
        await there.send_many(["bad", "B"])
        await wait_all_tasks_blocked()
        assert asked[0].error is None
        assert asked[1].reply == "B"


@pytest.mark.parametrize(
    "options", [{"correlate": first_word}, {"is_unsolicited": is_news}]
)
async def test_a_malformed_message_that_may_be_anybodys_breaks_the_connection(
    options: dict[str, Any],
) -> None:
    async with asking(**options) as (requester, there, nursery):
        asked = await ask(nursery, requester, "1 a", "2 b")
        await there.send_many(["bad", "2 B"])
        await wait_all_tasks_blocked()
        for each in asked:
            assert isinstance(each.lost.__cause__, trio_tcp.MalformedMessageError)


async def test_a_malformed_message_that_nobody_waits_for_breaks_the_connection() -> (
    None
):
    async with testing.connection_pair(CODEC) as (here, there):
        async with trio_tcp.Requester(here) as requester:
            await there.send("bad")
            await wait_all_tasks_blocked()
            with pytest.raises(trio_tcp.ConnectionLost):
                await requester.request("a")
        assert here.close_reason is CloseReason.PROTOCOL_ERROR


def never_a_reply(message: str) -> str:
    if message.startswith("reply"):
        raise KeyError("id")
    return message


async def test_a_reply_that_the_users_function_cannot_read_is_malformed() -> None:
    async with asking(correlate=never_a_reply) as (requester, there, nursery):
        (asked,) = await ask(nursery, requester, "a")
        await there.send("reply")
        await wait_all_tasks_blocked()
        cause = asked.lost.__cause__
        assert isinstance(cause, trio_tcp.MalformedMessageError)
        assert isinstance(cause.__cause__, KeyError)


# Faults on this side ------------------------------------------------------------------


async def test_a_request_whose_id_is_in_flight_is_refused() -> None:
    async with asking(correlate=first_word) as (requester, there, nursery):
        (first,) = await ask(nursery, requester, "1 a")
        with pytest.raises(trio_tcp.RequestIdInUseError, match="id '1' waits") as error:
            await requester.request("1 b")
        assert error.value.id == "1"
        first.scope.cancel()  # its reply can still come
        with pytest.raises(trio_tcp.RequestIdInUseError):
            await requester.request("1 b")
        await there.send("1 A")
        await wait_all_tasks_blocked()
        (again,) = await ask(nursery, requester, "1 b")
        await there.send("1 B")
        assert await receive(there, 2) == ["1 a", "1 b"]
        await wait_all_tasks_blocked()
        assert again.reply == "1 B"


async def test_an_id_that_is_free_when_its_turn_comes_is_good() -> None:
    options: dict[str, Any] = {"correlate": first_word, "max_in_flight": 1}
    async with asking(**options) as (requester, there, nursery):
        asked = await ask(nursery, requester, "1 a", "1 b")
        for reply in ("1 A", "1 B"):
            await there.send(reply)
            await wait_all_tasks_blocked()
        assert [each.reply for each in asked] == ["1 A", "1 B"]


async def test_a_request_without_an_id_is_refused() -> None:
    async with asking(correlate=first_word) as (requester, _, _):
        with pytest.raises(ValueError, match="no id in this request: 'news'"):
            await requester.request("news")
        assert requester.statistics().in_flight == 0


@pytest.mark.parametrize("max_in_flight", [1, 2])
async def test_what_cannot_be_encoded_is_not_sent_and_harms_nobody(
    max_in_flight: int,
) -> None:
    async with asking(max_in_flight=max_in_flight) as (requester, there, nursery):
        asked = await ask(nursery, requester, "a", "two\nlines", "c")
        await there.send("A")
        assert await receive(there, 2) == ["a", "c"]
        await there.send("C")
        await wait_all_tasks_blocked()
        assert isinstance(asked[1].error, trio_tcp.EncodeError)
        assert [each.reply for each in asked] == ["A", None, "C"]


async def test_a_requester_is_used_in_its_block() -> None:
    async with testing.connection_pair(CODEC) as (here, _):
        requester = trio_tcp.Requester(here)
        with pytest.raises(RuntimeError, match="async with"):
            await requester.request("a")


@pytest.mark.parametrize(
    "options",
    [
        {"max_in_flight": 0},
        {"max_in_flight": 1.5},
        {"max_unsolicited": 0},
        {"reply_timeout": -1},
        {"reply_timeout": math.nan},
        {"correlate": first_word, "is_unsolicited": is_news},
    ],
)
async def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    async with testing.connection_pair(CODEC) as (here, _):
        with pytest.raises(ValueError, match=r"must be|leave out"):
            trio_tcp.Requester(here, **options)


async def test_one_task_receives_and_that_is_the_requesters() -> None:
    async with testing.connection_pair(CODEC) as (here, _):
        async with trio_tcp.Requester(here):
            await wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await here.receive()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(here.receive)
            await wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                async with trio_tcp.Requester(here):
                    pass
            nursery.cancel_scope.cancel()


# What comes unasked -------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{"correlate": first_word}, {"is_unsolicited": is_news}]
)
async def test_unsolicited_messages_have_a_channel_of_their_own(
    options: dict[str, Any],
) -> None:
    async with asking(**options) as (requester, there, nursery):
        (asked,) = await ask(nursery, requester, "1 a")
        await there.send_many(["news 1", "1 A", "news 2"])
        assert await requester.unsolicited.receive() == "news 1"
        assert await requester.unsolicited.receive() == "news 2"
        assert asked.reply == "1 A"


async def test_news_that_nobody_takes_does_not_keep_replies_from_coming() -> None:
    async with asking(is_unsolicited=is_news, max_unsolicited=2) as (
        requester,
        there,
        nursery,
    ):
        (asked,) = await ask(nursery, requester, "a")
        await there.send_many([*(f"news {n}" for n in range(5)), "A"])
        await wait_all_tasks_blocked()
        assert asked.reply == "A"
        assert requester.statistics().unsolicited_dropped == 3
        assert requester.unsolicited.receive_nowait() == "news 0"
        assert requester.unsolicited.receive_nowait() == "news 1"


async def test_news_may_be_unwanted() -> None:
    async with asking(is_unsolicited=is_news) as (requester, there, nursery):
        await requester.unsolicited.aclose()
        (asked,) = await ask(nursery, requester, "a")
        await there.send_many(["news", "A"])
        await wait_all_tasks_blocked()
        assert asked.reply == "A"


# The end of the block -----------------------------------------------------------------


async def test_what_leaves_the_block_leaves_as_itself() -> None:
    async with testing.connection_pair(CODEC) as (here, _):
        with pytest.raises(LookupError, match="mine"):
            async with trio_tcp.Requester(here):
                raise LookupError("mine")


async def test_the_end_of_the_block_leaves_no_task_waiting() -> None:
    async with testing.connection_pair(CODEC) as (here, _):
        async with trio.open_nursery() as nursery:
            async with trio_tcp.Requester(here, max_in_flight=1) as requester:
                asked = await ask(nursery, requester, "a", "b")
            await wait_all_tasks_blocked()
            assert asked[0].lost.may_have_been_processed
            assert isinstance(asked[0].lost.__cause__, trio_tcp.ConnectionClosedError)
            assert isinstance(asked[1].error, trio_tcp.ConnectionClosedError)
            with pytest.raises(trio.ClosedResourceError):
                await requester.request("c")
            with pytest.raises(trio.EndOfChannel):
                await requester.unsolicited.receive()


async def test_after_the_block_the_connection_is_there_for_other_things() -> None:
    async with testing.connection_pair(CODEC) as (here, there):
        async with trio.open_nursery() as nursery:
            async with trio_tcp.Requester(here) as requester:
                await ask(nursery, requester, "a")
                await there.send("A")
                await wait_all_tasks_blocked()
        await there.send("hello")
        assert await here.receive() == "hello"


async def test_a_reply_that_is_still_to_come_is_not_left_for_others() -> None:
    async with testing.connection_pair(CODEC) as (here, there):
        async with trio.open_nursery() as nursery:
            async with trio_tcp.Requester(here) as requester:
                (asked,) = await ask(nursery, requester, "a")
                asked.scope.cancel()
                await wait_all_tasks_blocked()
        with pytest.raises(trio_tcp.ConnectionClosedError):
            async with trio_tcp.Requester(here) as requester:
                raise await _cause(requester)
        assert here.close_reason is CloseReason.CLOSED
        with pytest.raises(trio_tcp.ConnectionBroken):
            await there.send("A")
            await there.receive()


async def _cause(requester: trio_tcp.Requester[str, str]) -> BaseException:
    with pytest.raises(trio_tcp.ConnectionLost) as caught:
        await requester.request("b")
    assert caught.value.__cause__ is not None
    return caught.value.__cause__
