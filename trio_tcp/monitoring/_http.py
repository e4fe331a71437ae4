"""As much of HTTP/1.1 as pages of status need, by h11 over a connection of chunks.

Requests have a small head and are to be quick about it. A body is not read: who sends
one is answered, and the connection closed.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, TypeAlias, final

import attrs
import h11
import trio

from trio_tcp._connection import Connection
from trio_tcp._errors import ConnectionFault
from trio_tcp._events import HandlerFailed, Observer, notify

__all__ = ["Answer", "Bytes", "Page", "Request", "converse"]

Bytes: TypeAlias = Connection[bytes, bytes]

MAX_HEAD_BYTES: Final = 8192
"""Of a request, as Apache's and nginx's limits for a line are."""

HEAD_SECONDS: Final = 5.0
"""For a request to arrive whole, from its first byte on. It fits into one segment."""


@final
@attrs.frozen
class Request:
    """What somebody wants.

    Attributes:
        method: such as ``"GET"``.
        path: without the query.
        accept: the ``Accept`` header, or nothing.
    """

    method: str
    path: str
    accept: str


@final
@attrs.frozen
class Page:
    """What somebody gets.

    Attributes:
        status: of HTTP.
        body: left out where only the head was asked for.
        content_type: of the body.
        headers: what else the head has.
    """

    status: HTTPStatus
    body: bytes
    content_type: str
    headers: Mapping[str, str] = {}

    @classmethod
    def json(
        cls,
        status: HTTPStatus,
        content: Mapping[str, object],
        headers: Mapping[str, str] | None = None,
    ) -> Page:
        """Make one whose body is JSON."""
        body = json.dumps(content).encode() + b"\n"
        return cls(status, body, "application/json", headers or {})

    @classmethod
    def error(
        cls, status: HTTPStatus, headers: Mapping[str, str] | None = None
    ) -> Page:
        """Make one that says what is wrong."""
        return cls.json(status, {"error": status.phrase}, headers)


Answer: TypeAlias = Callable[[Request], Awaitable[Page]]


async def converse(answer: Answer, observer: Observer, connection: Bytes) -> None:
    """Answer the requests of one connection, one after the other.

    Args:
        answer: makes the page for a request. If it raises, that is an error of this
            side, and said so to the peer.
        observer: is told of it.
        connection: where the requests come from.
    """
    peer = _Peer(connection)
    while (request := await peer.receive()) is not None:
        try:
            page = await answer(request)
        except Exception as error:  # noqa: BLE001 - it is reported
            failed = HandlerFailed(
                id=connection.id,
                label=connection.label,
                peer=connection.peer,
                error=error,
            )
            notify(observer, failed)
            page = Page.error(HTTPStatus.INTERNAL_SERVER_ERROR)
        await peer.send(page)


@final
class _Peer:
    """Who asks, over one connection."""

    def __init__(self, connection: Bytes) -> None:
        self._connection = connection
        self._http = h11.Connection(
            h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES
        )
        self._wants_body = True

    async def receive(self) -> Request | None:
        """Wait for the next request; None if there is none any more.

        One that is no HTTP, or takes too long, is answered here.
        """
        http = self._http
        if http.our_state is h11.DONE and http.their_state is h11.DONE:
            http.start_next_cycle()
        elif http.our_state is not h11.IDLE:
            return None
        try:
            return await self._receive()
        except ConnectionFault:
            raise  # also if the connection itself finds that it has taken too long
        except h11.RemoteProtocolError as error:
            status = HTTPStatus(error.error_status_hint)
        except trio.TooSlowError:
            status = HTTPStatus.REQUEST_TIMEOUT
        await self.send(Page.error(status))
        return None

    async def _receive(self) -> Request | None:
        http = self._http
        event = http.next_event()
        if event is h11.NEED_DATA:
            if not http.trailing_data[0]:
                await self._feed()  # in the time that the connection gives its peer
            with trio.fail_after(HEAD_SECONDS):
                while (event := http.next_event()) is h11.NEED_DATA:
                    await self._feed()
        if not isinstance(event, h11.Request):
            return None
        self._wants_body = event.method != b"HEAD"
        http.next_event()  # its end, if it has no body
        accept = [value for name, value in event.headers if name == b"accept"]
        return Request(
            event.method.decode("ascii"),
            _path(event.target.decode("ascii")),
            b", ".join(accept).decode("ascii", "ignore"),
        )

    async def _feed(self) -> None:
        try:
            chunk = await self._connection.receive()
        except trio.EndOfChannel:
            chunk = b""
        self._http.receive_data(chunk)

    async def send(self, page: Page) -> None:
        """Answer, and say so if that was the last time."""
        headers = {
            "Date": formatdate(usegmt=True),
            "Content-Type": page.content_type,
            "Content-Length": str(len(page.body)),
            "Cache-Control": "no-store",
            **page.headers,
        }
        if self._http.their_state is not h11.DONE:
            headers["Connection"] = "close"
        response = h11.Response(
            status_code=page.status,
            headers=list(headers.items()),
            reason=page.status.phrase,
        )
        data = self._http.send(response)
        if self._wants_body:
            data += self._http.send(h11.Data(data=page.body))
        await self._connection.send(data + self._http.send(h11.EndOfMessage()))


def _path(target: str) -> str:
    """Find the path in a target, which may also be a whole URL (RFC 9112, 3.2.2)."""
    if target.startswith("http://"):
        _, _, path = target.removeprefix("http://").partition("/")
        target = f"/{path}"
    return target.partition("?")[0]
