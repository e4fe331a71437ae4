"""What browsers get: the page, and WebSocket for those that may have it."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.frame_protocol import CloseReason

from examples.chat.messages import Joined, Said
from tests.examples.chat.conftest import SECONDS, Served, token_of

HOST = "chat.example"
ORIGIN = ("Origin", f"https://{HOST}")
GET_PAGE = b"GET / HTTP/1.1\r\nHost: chat.example\r\n\r\n"


class Browser:
    """A browser's side of a WebSocket."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._protocol = WSConnection(ConnectionType.CLIENT)

    async def send(self, *events: Event) -> None:
        """Send something, all of it at once."""
        data = b"".join(self._protocol.send(event) for event in events)
        await self._stream.send_all(data)

    async def receive(self) -> Event:
        """Wait for the next event."""
        with trio.fail_after(SECONDS):
            while True:
                for event in self._protocol.events():
                    return event
                data = await self._stream.receive_some()
                self._protocol.receive_data(bytes(data) or None)

    async def open(self, *headers: tuple[str, str]) -> Event:
        """Ask for a WebSocket."""
        extra = [(name.encode(), value.encode()) for name, value in headers]
        await self.send(Request(host=HOST, target="/chat", extra_headers=extra))
        return await self.receive()

    async def says(self, **message: str) -> None:
        """Send a message of the chat."""
        await self.send(TextMessage(json.dumps(message)))

    async def hears(self, kind: str) -> dict[str, Any]:
        """Wait for a message of the chat, of this type."""
        while True:
            event = await self.receive()
            assert isinstance(event, TextMessage), event
            message: dict[str, Any] = json.loads(event.data)
            if message["type"] == kind:
                return message


@asynccontextmanager
async def browsing(served: Served, nick: str = "") -> AsyncGenerator[Browser, None]:
    """Open a WebSocket; with a name, say hello."""
    async with served.browse() as stream:
        browser = Browser(stream)
        assert isinstance(await browser.open(ORIGIN), AcceptConnection)
        if nick:
            await browser.says(type="hello", nick=nick, token=token_of(nick))
            while (await browser.hears("event"))["what"]["nick"] != nick:
                pass
        yield browser


async def fetch(served: Served, request: bytes) -> str:
    """Return the whole answer to a request."""
    with trio.fail_after(SECONDS):
        async with served.browse() as stream:
            await stream.send_all(request)
            return b"".join([bytes(chunk) async for chunk in stream]).decode()


async def test_the_page_comes_with_what_may_run_on_it(served: Served) -> None:
    answer = await fetch(served, GET_PAGE)
    head, _, body = answer.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 200 OK\r\n")
    assert f"Content-Length: {len(body.encode())}" in head
    assert "default-src 'none'" in head
    assert "unsafe" not in head
    assert body.startswith("<!doctype html>")


async def test_the_page_puts_nothing_of_others_into_itself_but_as_text(
    served: Served,
) -> None:
    answer = await fetch(served, GET_PAGE)
    unsafe = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|\son\w+="
    assert not re.search(unsafe, answer)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /favicon.ico HTTP/1.1\r\nHost: x\r\n\r\n", "404 Not Found"),
        (b"GET /../server.py HTTP/1.1\r\nHost: x\r\n\r\n", "404 Not Found"),
        (b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", "405 Method Not Allowed"),
        (b"nonsense\r\n\r\n", "400 Bad Request"),
        (b"GET / HTTP/1.1\r\n" + b"X: " + b"x" * 10_000, "431 "),
        (
            b"GET /chat HTTP/1.1\r\nHost: x\r\nOrigin: https://x\r\n\r\n",
            "400 Bad Request",
        ),
    ],
)
async def test_other_requests_are_refused(
    served: Served, request_: bytes, status: str
) -> None:
    assert (await fetch(served, request_)).startswith(f"HTTP/1.1 {status}")


async def test_a_head_that_does_not_end_is_not_waited_for(
    served: Served, autojump_clock: trio.testing.MockClock
) -> None:
    async with served.browse() as stream:
        await stream.send_all(b"GET / HTTP/1.1\r\n")
        received = b"".join([bytes(chunk) async for chunk in stream])
    assert received.startswith(b"HTTP/1.1 408 Request Timeout")
    assert trio.current_time() < 60


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Origin", "https://elsewhere.example")],
        [("Origin", f"https://{HOST}.elsewhere.example")],
        [("Origin", f"https://{HOST}:8443")],
        [("Origin", "null")],
    ],
)
async def test_pages_of_other_sites_get_no_websocket(
    served: Served, headers: list[tuple[str, str]]
) -> None:
    async with served.browse() as stream:
        answer = await Browser(stream).open(*headers)
    assert isinstance(answer, RejectConnection)
    assert answer.status_code == 403


async def test_browsers_and_terminals_are_in_one_conversation(served: Served) -> None:
    async with served.join("ann") as ann, browsing(served, "ben") as ben:
        assert await ann.hears() == Joined("lobby", "ben")
        await ben.says(type="line", text="hello")
        assert await ann.hears() == Said("lobby", "ben", "hello")
        await ann.says("/msg ben hello to you")
        while (event := await ben.hears("event"))["what"]["type"] != "whispered":
            pass
    assert event["what"] == {
        "type": "whispered",
        "nick": "ann",
        "to": "ben",
        "text": "hello to you",
    }


async def test_a_line_may_come_in_parts(served: Served) -> None:
    async with served.join("ann") as ann, browsing(served, "ben") as ben:
        assert await ann.hears() == Joined("lobby", "ben")
        await ben.send(
            TextMessage('{"type":"line",', message_finished=False),
            Ping(b"between"),
            TextMessage("", message_finished=False),
            TextMessage('"text":"hellø"}'),
        )
        assert await ben.receive() == Pong(b"between")
        assert await ann.hears() == Said("lobby", "ben", "hellø")


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (CloseConnection(CloseReason.NORMAL_CLOSURE), CloseReason.NORMAL_CLOSURE),
        (BytesMessage(b"binary"), CloseReason.UNSUPPORTED_DATA),
        (TextMessage("x" * 20_000), CloseReason.MESSAGE_TOO_BIG),
        (
            TextMessage("x" * 20_000, message_finished=False),
            CloseReason.MESSAGE_TOO_BIG,
        ),
    ],
)
async def test_the_end_is_told_with_its_reason(
    served: Served, said: Event, code: CloseReason
) -> None:
    async with served.join("ann") as ann, browsing(served, "ben") as ben:
        await ben.send(said)
        while not isinstance(event := await ben.receive(), CloseConnection):
            pass
        assert event.code == code
        replies = [await ann.hears(), await ann.hears()]
    assert [type(what).__name__ for what in replies] == ["Joined", "Left"]


async def test_a_frame_without_a_mask_breaks_the_protocol(served: Served) -> None:
    async with served.browse() as stream:
        browser = Browser(stream)
        assert isinstance(await browser.open(ORIGIN), AcceptConnection)
        await stream.send_all(b"\x81\x02hi")
        event = await browser.receive()
        assert isinstance(event, CloseConnection)
        assert event.code == CloseReason.PROTOCOL_ERROR


async def test_what_is_no_message_is_the_end_only_as_the_first(served: Served) -> None:
    async with browsing(served, "ann") as ann:
        await ann.send(TextMessage("nonsense"))
        assert "cannot be decoded" in (await ann.hears("problem"))["text"]
        await ann.hears("done")
    async with browsing(served) as nobody:
        await nobody.send(TextMessage("nonsense"))
        assert "cannot be decoded" in (await nobody.hears("goodbye"))["text"]
