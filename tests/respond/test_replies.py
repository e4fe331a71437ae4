"""What `respond` replies: to every request, in order, before the end."""

from __future__ import annotations

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.respond.answering import (
    LINES,
    Flavour,
    Text,
    answers,
    as_async,
    as_it_is,
    plain_and_async,
    receive_all,
    serving,
    upper,
)
from tests.tls.peer import serving as serving_tls
from trio_tcp import CloseReason


def hush(request: str) -> str | None:
    return None if request == "hush" else request


@plain_and_async
async def test_none_is_no_reply(flavour: Flavour) -> None:
    handler = trio_tcp.respond(flavour(hush))
    received, ended = await answers(handler, b"a\nhush\nb\nhush\n")
    assert received == b"a\nb\n"
    assert ended.statistics.messages_received == 4
    assert ended.statistics.messages_sent == 2


@plain_and_async
async def test_every_request_is_answered_in_order_before_the_end(
    flavour: Flavour,
) -> None:
    """More than has room anywhere, from a client that has closed its direction."""
    sent = b"".join(b"%d\n" % number for number in range(50_000))
    received, ended = await answers(trio_tcp.respond(flavour(as_it_is)), sent)
    assert received == sent
    assert ended.reason is CloseReason.PEER_CLOSED
    assert ended.statistics == trio_tcp.ConnectionStatistics(
        messages_received=50_000,
        messages_sent=50_000,
        bytes_received=len(sent),
        bytes_sent=len(sent),
        bytes_queued=0,
        bytes_skipped=0,
    )


@pytest.mark.parametrize("flavour", [as_it_is, as_async])
@given(
    requests=st.lists(st.text("ab", max_size=4), max_size=8),
    cuts=st.lists(st.integers(1, 6), max_size=30),
)
def test_however_requests_are_cut_the_replies_are_the_same(
    flavour: Flavour, requests: list[str], cuts: list[int]
) -> None:
    stream = "".join(f"{request}\n" for request in requests).encode()

    async def main() -> bytes:
        async with serving(trio_tcp.respond(flavour(upper))) as (served, _):
            client = await served.listener.connect()
            rest = stream
            for cut in cuts:
                if rest:
                    await client.send_all(rest[:cut])
                    rest = rest[cut:]
                    await wait_all_tasks_blocked()
            await client.send_all(rest)
            await client.send_eof()
            return await receive_all(client)

    assert trio.run(main) == stream.upper()


@plain_and_async
async def test_what_a_function_sends_itself_keeps_its_place(flavour: Flavour) -> None:
    def twice(request: str, connection: Text) -> str:
        connection.send_nowait(f"{request} first")
        return f"{request} second"

    received, ended = await answers(trio_tcp.respond(flavour(twice)), b"1\n2\n3\n")
    assert received.decode().splitlines() == [
        f"{number} {word}" for number in (1, 2, 3) for word in ("first", "second")
    ]
    assert ended.statistics.messages_sent == 6


@plain_and_async
async def test_it_answers_over_tls(flavour: Flavour) -> None:
    requests = [str(number) for number in range(5000)]
    handler = trio_tcp.respond(flavour(as_it_is))
    sent = "".join(f"{request}\n" for request in requests).encode()
    async with serving_tls(handler, LINES) as served:
        client = await served.connect_peer()
        async with trio.open_nursery() as nursery:

            async def send() -> None:
                await client.send(sent)
                await client.end()

            nursery.start_soon(send)
            assert await client.receive_all() == sent
        await client.stream.aclose()
