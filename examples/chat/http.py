"""As much of HTTP/1.1 as it takes to hand out a page, or to change to WebSocket.

Each connection is good for one request. h11 reads it, over a connection of chunks.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, TypeAlias, final

import attrs
import h11
import trio
from wsproto.connection import ConnectionType
from wsproto.events import AcceptConnection
from wsproto.handshake import H11Handshake
from wsproto.utilities import RemoteProtocolError

import trio_tcp

__all__ = ["BadRequest", "Bytes", "Request", "accept_websocket", "page", "read_request"]

Bytes: TypeAlias = trio_tcp.Connection[bytes, bytes]

MAX_HEAD_BYTES: Final = 8192
HEAD_SECONDS: Final = 10


class BadRequest(Exception):
    """There is no good answer.

    Attributes:
        status: what to answer.
    """

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status)
        self.status = status


@final
@attrs.frozen
class Request:
    """What a browser wants.

    Attributes:
        method: such as ``"GET"``.
        path: without the query.
        headers: by their names, in small letters.
    """

    method: str
    path: str
    headers: Mapping[str, str]


async def read_request(connection: Bytes) -> Request:
    """Wait for the head of a request.

    Raises:
        BadRequest: it is none, or takes too long.
        trio.EndOfChannel: there is none.
    """
    http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
    try:
        with trio.fail_after(HEAD_SECONDS):
            while (event := http.next_event()) is h11.NEED_DATA:
                http.receive_data(await connection.receive())
    except h11.RemoteProtocolError as error:
        raise BadRequest(HTTPStatus(error.error_status_hint)) from error
    except trio.TooSlowError as error:
        raise BadRequest(HTTPStatus.REQUEST_TIMEOUT) from error
    # A body, or another request: neither belongs here, and nobody reads it.
    if not isinstance(event, h11.Request) or http.trailing_data[0]:
        raise BadRequest(HTTPStatus.BAD_REQUEST)
    return Request(
        event.method.decode("ascii"),
        event.target.decode("ascii").partition("?")[0],
        {
            name.decode("ascii"): value.decode("latin-1")
            for name, value in event.headers
        },
    )


def page(status: HTTPStatus, body: bytes, headers: Mapping[str, str]) -> bytes:
    """Return the bytes of an answer, after which the connection is closed."""
    http = h11.Connection(h11.SERVER)
    response = h11.Response(
        status_code=status,
        reason=status.phrase,
        headers=[
            ("Date", formatdate(usegmt=True)),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
            *headers.items(),
        ],
    )
    return b"".join(
        http.send(event) or b""
        for event in (response, h11.Data(data=body), h11.EndOfMessage())
    )


def accept_websocket(request: Request) -> bytes:
    """Return the bytes after which both sides speak WebSocket.

    Raises:
        BadRequest: the browser does not ask for it as it should.
    """
    handshake = H11Handshake(ConnectionType.SERVER)
    headers = [
        (name.encode("ascii"), value.encode("latin-1"))
        for name, value in request.headers.items()
    ]
    try:
        handshake.initiate_upgrade_connection(headers, request.path)
        return handshake.send(AcceptConnection())
    except RemoteProtocolError as error:
        raise BadRequest(HTTPStatus.BAD_REQUEST) from error
