"""HTTP for operators, over memory: what is answered to whom."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus

import pytest
import trio

import trio_tcp
from trio_tcp import codecs, testing
from trio_tcp._http import Reply, Request, converse


async def answer(request: Request) -> Reply:
    """Tell what was asked."""
    if request.path == "/gone":
        return Reply(HTTPStatus.NO_CONTENT)
    if request.path == "/lost":
        raise trio_tcp.ConnectionLost(may_have_been_processed=True)
    body = await request.read_body()
    told = [request.method, request.path, body.decode()]
    return Reply.json(HTTPStatus.OK, told, {"X-Told": "yes"})


handler = partial(converse, answer, trio_tcp.log_events)


async def talk(sent: bytes) -> bytes:
    """Send bytes and the end of the stream; return all that comes back."""
    async with testing.serve_in_memory(handler, codec=codecs.Chunks()) as server:
        stream = await server.listener.connect()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send, stream, sent)
            answered = b"".join([chunk async for chunk in stream])
    return answered


async def send(stream: trio.abc.HalfCloseableStream, sent: bytes) -> None:
    try:
        await stream.send_all(sent)
        await stream.send_eof()
    except trio.BrokenResourceError:
        pass  # it has heard enough


def status(answered: bytes) -> int:
    return int(answered.split()[1])


async def test_requests_of_one_connection_are_answered_in_order() -> None:
    answered = await talk(
        b"GET /faults?x=1 HTTP/1.1\r\nHost: a\r\n\r\n"
        b"POST /faults HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
        b"GET /gone HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )
    assert answered.count(b"HTTP/1.1 200 OK") == 2
    assert answered.index(b'["GET", "/faults", ""]') < answered.index(
        b'["POST", "/faults", "{}"]'
    )
    assert answered.count(b"X-Told: yes") == 2
    _, _, last = answered.partition(b"HTTP/1.1 204 No Content")
    assert last
    assert b"Content-Length" not in last


async def test_a_failure_to_answer_is_said_and_ends_nothing() -> None:
    """Even one of a connection, if it is another than this."""
    answered = await talk(
        b"GET /lost HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    assert status(answered) == 500
    assert b"HTTP/1.1 200 OK" in answered


async def test_a_body_may_come_in_chunks() -> None:
    answered = await talk(
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"
    )
    assert b'"{}"' in answered


async def test_who_waits_for_permission_gets_it() -> None:
    answered = await talk(
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
        b"Expect: 100-continue\r\n\r\n"
    )
    assert answered.startswith(b"HTTP/1.1 100")


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"\x16\x03\x01 this is TLS\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # without a Host
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 100_000, 431),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n", 400),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
            + bytes(100_000),
            413,
        ),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
    ],
)
async def test_what_is_no_request_is_answered_with_what_is_wrong(
    sent: bytes, code: int
) -> None:
    answered = await talk(sent)
    assert status(answered) == code
    assert b"Connection: close" in answered


async def test_who_asks_for_the_head_gets_no_more() -> None:
    answered = await talk(
        b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    assert answered.count(b"HTTP/1.1 200 OK") == 2
    assert answered.count(b'["GET"') == 1
    assert b'["HEAD"' not in answered


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost:",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{",
    ],
    ids=["head", "body"],
)
async def test_a_request_that_does_not_arrive_is_not_waited_for(
    sent: bytes, autojump_clock: trio.abc.Clock
) -> None:
    async with testing.serve_in_memory(handler, codec=codecs.Chunks()) as server:
        stream = await server.listener.connect()
        start = trio.current_time()
        await stream.send_all(sent)
        answered = b"".join([chunk async for chunk in stream])
        assert status(answered) == 408
        assert trio.current_time() - start == pytest.approx(5)


async def test_who_says_nothing_gets_nothing() -> None:
    assert await talk(b"") == b""
