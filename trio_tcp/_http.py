"""As much of HTTP/1.1 as pages for operators need: h11 over a connection of chunks.

For the status of a server and for the control of a proxy, so it is small, and quick to
end: heads are small, each part of a request is to arrive soon, and a body is read only
by who asks for it. Where it is not, the answer is the last on its connection.

h11 comes with the extras that have such pages.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, TypeAlias, final

import attrs
import h11
import trio

from trio_tcp._connection import Connection
from trio_tcp._errors import ConnectionFault
from trio_tcp._events import HandlerFailed, Observer, notify

__all__ = ["Answer", "Bytes", "Reply", "Request", "converse"]

Bytes: TypeAlias = Connection[bytes, bytes]

MAX_HEAD_BYTES: Final = 8192
"""Of a request, as Apache's and nginx's limits for a line are."""

MAX_BODY_BYTES: Final = 64 << 10
"""Of a request: a hundred times what is asked of a proxy."""

ARRIVAL_SECONDS: Final = 5.0
"""For a head to arrive whole, from its first byte on, and for a body. Either fits into
a few segments."""


@final
@attrs.frozen
class Request:
    """What somebody wants.

    Attributes:
        method: such as ``"GET"``.
        path: without the query.
        headers: by their names in small letters; those of one name joined by commas.
        read_body: waits for all of the body. What it raises is `converse`'s to handle:
            the body is too large, too late, or none.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    read_body: Callable[[], Awaitable[bytes]]


@final
@attrs.frozen
class Reply:
    """What somebody gets.

    Attributes:
        status: of HTTP.
        body: left out where only the head was asked for.
        content_type: of the body; None if there is none.
        headers: what else the head has.
    """

    status: HTTPStatus
    body: bytes = b""
    content_type: str | None = None
    headers: Mapping[str, str] = {}

    @classmethod
    def json(
        cls,
        status: HTTPStatus,
        content: object,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Make one whose body is JSON."""
        body = json.dumps(content).encode() + b"\n"
        return cls(status, body, "application/json", headers or {})

    @classmethod
    def error(
        cls, status: HTTPStatus, why: str = "", headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Make one that says what is wrong."""
        return cls.json(status, {"error": why or status.phrase}, headers)


Answer: TypeAlias = Callable[[Request], Awaitable[Reply]]


async def converse(answer: Answer, observer: Observer, connection: Bytes) -> None:
    """Answer the requests of one connection, one after the other.

    Args:
        answer: makes the reply to a request. If it raises, that is an error of this
            side, and said so to the peer.
        observer: is told of it.
        connection: where the requests come from.
    """
    peer = _Peer(connection)
    while peer.may_go_on:
        try:
            request = await peer.receive()
            if request is None:
                return
            reply = await answer(request)
        except _UnwelcomeError as error:
            reply = Reply.error(error.status, error.why)
        except Exception as error:
            if isinstance(error, ConnectionFault) and (
                error.connection_id == connection.id
            ):
                raise
            failed = HandlerFailed(
                id=connection.id,
                label=connection.label,
                peer=connection.peer,
                error=error,
            )
            notify(observer, failed)
            reply = Reply.error(HTTPStatus.INTERNAL_SERVER_ERROR)
        await peer.send(reply)


class _UnwelcomeError(Exception):
    """A request is none, or asks for too much."""

    def __init__(self, status: HTTPStatus, why: str = "") -> None:
        super().__init__(status, why)
        self.status = status
        self.why = why


@final
class _Peer:
    """Who asks, over one connection."""

    def __init__(self, connection: Bytes) -> None:
        self._connection = connection
        self._http = h11.Connection(
            h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES
        )
        self._wants_body = True
        self._behind_head: object = h11.NEED_DATA  # an event

    @property
    def may_go_on(self) -> bool:
        """Whether another request may follow."""
        http = self._http
        if http.our_state is h11.DONE and http.their_state is h11.DONE:
            http.start_next_cycle()
        return http.our_state is h11.IDLE

    async def receive(self) -> Request | None:
        """Wait for the head of the next request; None if there is none.

        Raises:
            _UnwelcomeError: it is no HTTP, or takes too long.
        """
        http = self._http
        self._wants_body = True
        if http.trailing_data == (b"", False):
            await self._feed()  # in the time that the connection gives its peer
        with _arriving():
            while (head := http.next_event()) is h11.NEED_DATA:
                await self._feed()
            if not isinstance(head, h11.Request):
                return None
            self._wants_body = head.method != b"HEAD"
            self._behind_head = http.next_event()  # the end, if it has no body
        return Request(
            head.method.decode("ascii"),
            _path(head.target.decode("ascii")),
            _joined(head.headers),
            self._read_body,
        )

    async def _read_body(self) -> bytes:
        body = bytearray()
        event = self._behind_head
        with _arriving():
            while not isinstance(event, h11.EndOfMessage):
                if isinstance(event, h11.Data):
                    body += event.data
                    if len(body) > MAX_BODY_BYTES:
                        raise _UnwelcomeError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                else:
                    await self._let_go_on()
                    await self._feed()
                event = self._http.next_event()
        return bytes(body)

    async def _let_go_on(self) -> None:
        """Tell who waits for it to send the body (RFC 9110, 10.1.1)."""
        if self._http.they_are_waiting_for_100_continue:
            go_on = h11.InformationalResponse(status_code=100, headers=[])
            await self._connection.send(self._http.send(go_on))

    async def _feed(self) -> None:
        try:
            chunk = await self._connection.receive()
        except trio.EndOfChannel:
            chunk = b""
        self._http.receive_data(chunk)

    async def send(self, reply: Reply) -> None:
        """Answer, and say so if that was the last time."""
        headers = {"Date": formatdate(usegmt=True), "Cache-Control": "no-store"}
        if reply.content_type is not None:
            headers["Content-Type"] = reply.content_type
        if reply.status is not HTTPStatus.NO_CONTENT:  # which has none (RFC 9110, 8.6)
            headers["Content-Length"] = str(len(reply.body))
        headers.update(reply.headers)
        if self._http.their_state is not h11.DONE:
            headers["Connection"] = "close"
        head = h11.Response(
            status_code=reply.status,
            headers=list(headers.items()),
            reason=reply.status.phrase,
        )
        data = self._http.send(head)
        if self._wants_body and reply.body:
            data += self._http.send(h11.Data(data=reply.body))
        await self._connection.send(data + self._http.send(h11.EndOfMessage()))


@contextmanager
def _arriving() -> Generator[None, None, None]:
    """What arrives in this block has to be HTTP, and to be quick."""
    try:
        with trio.fail_after(ARRIVAL_SECONDS):
            yield
    except ConnectionFault:
        raise  # also if the connection itself finds that it has taken too long
    except trio.TooSlowError as error:
        raise _UnwelcomeError(HTTPStatus.REQUEST_TIMEOUT) from error
    except h11.RemoteProtocolError as error:
        status = HTTPStatus(error.error_status_hint)
        raise _UnwelcomeError(status, str(error)) from error


def _joined(fields: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Put the fields of one name together (RFC 9110, 5.3)."""
    found: dict[str, str] = {}
    for name, value in fields:
        key, text = name.decode("ascii"), value.decode("ascii", "ignore")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


def _path(target: str) -> str:
    """Find the path in a target, which may also be a whole URL (RFC 9112, 3.2.2)."""
    if target.startswith("http://"):
        _, _, path = target.removeprefix("http://").partition("/")
        target = f"/{path}"
    return target.partition("?")[0]
