"""As much of HTTP/1.1 as the control address needs: h11 over a connection of chunks.

Requests are small, and each is to arrive soon.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final, TypeAlias, final

import attrs
import h11
import trio

import trio_tcp

__all__ = ["Answer", "Bytes", "Reply", "Request", "converse"]

Bytes: TypeAlias = trio_tcp.Connection[bytes, bytes]

MAX_HEAD_BYTES: Final = 8192
"""Of a request, as Apache's and nginx's limits for a line are."""

MAX_BODY_BYTES: Final = 64 << 10
"""Of a request: a hundred times what a fault needs."""

REQUEST_SECONDS: Final = 10.0
"""For a request to arrive whole, from its first byte on."""


@final
@attrs.frozen
class Request:
    """What somebody wants.

    Attributes:
        method: such as ``"GET"``.
        path: without the query.
        body: all of it.
        headers: by their names in small letters; of several, the last.
    """

    method: str
    path: str
    body: bytes
    headers: Mapping[str, str]


@final
@attrs.frozen
class Reply:
    """What somebody gets.

    Attributes:
        status: of HTTP.
        content: becomes JSON; None for no body.
        headers: what else the head has.
    """

    status: HTTPStatus
    content: object = None
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])

    @classmethod
    def error(
        cls, status: HTTPStatus, why: str = "", headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Make one that says what is wrong."""
        return cls(status, {"error": why or status.phrase}, headers or {})


Answer: TypeAlias = Callable[[Request], Reply]


class _TooLargeError(Exception):
    """The body has more than `MAX_BODY_BYTES`."""


async def converse(answer: Answer, connection: Bytes) -> None:
    """Answer the requests of one connection, one after the other."""
    http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
    while True:
        try:
            request = await _receive(http, connection)
        except h11.RemoteProtocolError as error:
            reply = Reply.error(HTTPStatus(error.error_status_hint), str(error))
        except _TooLargeError:
            reply = Reply.error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        except trio.TooSlowError:
            reply = Reply.error(HTTPStatus.REQUEST_TIMEOUT)
        else:
            if request is None:
                return
            reply = answer(request)
        await connection.send(_encode(http, reply))
        if http.our_state is not h11.DONE or http.their_state is not h11.DONE:
            return
        http.start_next_cycle()


async def _receive(http: h11.Connection, connection: Bytes) -> Request | None:
    """Wait for the next request; None if there is none any more."""
    event = http.next_event()
    if event is h11.NEED_DATA and not http.trailing_data[0]:
        await _feed(http, connection)  # as long as the connection lets its peer wait
        event = http.next_event()
    body = bytearray()
    head: h11.Request | None = None
    with trio.fail_after(REQUEST_SECONDS):
        while not isinstance(event, h11.EndOfMessage):
            if event is h11.NEED_DATA:
                await _greet(http, connection)
                await _feed(http, connection)
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > MAX_BODY_BYTES:
                    raise _TooLargeError
            else:
                return None
            event = http.next_event()
    assert head is not None
    headers = {name.decode(): text.decode("latin-1") for name, text in head.headers}
    path = head.target.decode("ascii").partition("?")[0]
    return Request(head.method.decode("ascii"), path, bytes(body), headers)


async def _greet(http: h11.Connection, connection: Bytes) -> None:
    """Tell who waits for it to send the body (RFC 9110, 10.1.1)."""
    if http.they_are_waiting_for_100_continue:
        go_on = h11.InformationalResponse(status_code=100, headers=[])
        await connection.send(http.send(go_on))


async def _feed(http: h11.Connection, connection: Bytes) -> None:
    try:
        chunk = await connection.receive()
    except trio.EndOfChannel:
        chunk = b""
    http.receive_data(chunk)


def _encode(http: h11.Connection, reply: Reply) -> bytes:
    has_body = reply.content is not None
    body = json.dumps(reply.content).encode() + b"\n" if has_body else b""
    headers = [*reply.headers.items()]
    if has_body:
        headers.append(("Content-Type", "application/json"))
    if reply.status is not HTTPStatus.NO_CONTENT:  # which has none (RFC 9110, 8.6)
        headers.append(("Content-Length", str(len(body))))
    if http.their_state is not h11.DONE:
        headers.append(("Connection", "close"))
    head = h11.Response(
        status_code=reply.status, headers=headers, reason=reply.status.phrase
    )
    data = http.send(head)
    if body and reply.status is not HTTPStatus.NO_CONTENT:
        data += http.send(h11.Data(data=body))
    return data + http.send(h11.EndOfMessage())
