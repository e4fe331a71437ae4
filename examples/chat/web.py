"""The chat for browsers: one page, and the WebSocket that it opens."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from http import HTTPStatus
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import attrs
import trio
from wsproto.events import CloseConnection, Ping, Pong
from wsproto.frame_protocol import CloseReason

import trio_tcp
from examples.chat.community import Community
from examples.chat.conversation import converse
from examples.chat.http import (
    BadRequest,
    Bytes,
    Request,
    accept_websocket,
    page,
    read_request,
)
from examples.chat.messages import MAX_BYTES, Reply, write
from examples.chat.messages import Request as ChatRequest
from examples.chat.messages import read_request as read_chat_request
from examples.chat.websocket import Control, Frame, WebSocket
from trio_tcp import codecs

__all__ = ["serve_browser"]

FromBrowser: TypeAlias = ChatRequest | Control
ToBrowser: TypeAlias = Reply | Control


def _decode(frame: Frame) -> FromBrowser:
    return read_chat_request(frame) if isinstance(frame, str) else frame


def _encode(message: ToBrowser) -> Frame:
    if isinstance(message, Ping | Pong | CloseConnection):
        return message
    return write(message).decode()


FRAMES: Final[codecs.Codec[Frame, Frame]] = WebSocket(MAX_BYTES)
BROWSER: Final = codecs.Mapped[FromBrowser, ToBrowser](
    FRAMES, decode=_decode, encode=_encode
)

PAGE: Final = Path(__file__).with_name("page.html").read_bytes()


def _source(element: str) -> str:
    """Name the contents of an element of the page as the only ones that may be."""
    found = re.search(rf"<{element}>(.*?)</{element}>".encode(), PAGE, re.DOTALL)
    assert found is not None
    return f"'sha256-{base64.b64encode(hashlib.sha256(found[1]).digest()).decode()}'"


HEADERS: Final = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        f"default-src 'none'; img-src data:; script-src {_source('script')}; "
        f"style-src {_source('style')}; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


async def serve_browser(community: Community, connection: Bytes) -> None:
    """Answer the one request of a connection."""
    try:
        request = await read_request(connection)
        if request.path == "/chat":
            check_origin(request)
            await connection.send(accept_websocket(request))
        else:
            await connection.send(find_page(request))
            return
    except BadRequest as error:
        text = {"Content-Type": "text/plain; charset=utf-8", **HEADERS}
        body = f"{error.status} {error.status.phrase}\n".encode()
        await connection.send(page(error.status, body, text))
        return
    await talk(community, connection.switch_codec(BROWSER))


def find_page(request: Request) -> bytes:
    """Return the answer to a request for a page: there is only one.

    Raises:
        BadRequest: it asks for something else.
    """
    if request.path != "/":
        raise BadRequest(HTTPStatus.NOT_FOUND)
    if request.method != "GET":
        raise BadRequest(HTTPStatus.METHOD_NOT_ALLOWED)
    html = {"Content-Type": "text/html; charset=utf-8", **HEADERS}
    return page(HTTPStatus.OK, PAGE, html)


def check_origin(request: Request) -> None:
    """Refuse pages of other sites, which any browser would let connect.

    Raises:
        BadRequest: the page that asks is not of this server.
    """
    origin = urlsplit(request.headers.get("origin", "")).netloc
    if not origin or origin != request.headers.get("host"):
        raise BadRequest(HTTPStatus.FORBIDDEN)


async def talk(
    community: Community, connection: trio_tcp.Connection[FromBrowser, ToBrowser]
) -> None:
    """Have a browser take part."""
    # A room may be quiet, and whoever only listens is welcome.
    connection.timeouts = attrs.evolve(connection.timeouts, idle=math.inf)

    closing = CloseConnection(CloseReason.GOING_AWAY)

    async def receive() -> ChatRequest:
        """Return what is said, and see to the frames that are not about that."""
        nonlocal closing
        while True:
            match await connection.receive():
                case Ping() as ping:
                    await connection.send(ping.response())
                case Pong():
                    pass
                case CloseConnection() as close:
                    closing = close.response()
                    raise trio.EndOfChannel
                case request:
                    return request

    await converse(community, connection, receive)
    await connection.send(closing)
