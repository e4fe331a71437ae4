"""The smallest HTTP server on a Trio stream that an HTTP client can be tried against.

All of the protocol is h11's: this module moves bytes, and knows no socket.
"""

from __future__ import annotations

from typing import final

import h11
import trio

__all__ = ["HttpServer"]


@final
class HttpServer:
    """Answers each request with its own body, on connections that are kept alive.

    Attributes:
        connections: How many there were.
        requests: The paths that were asked for, in order.
    """

    def __init__(self) -> None:
        self.connections: int = 0
        self.requests: list[str] = []

    async def serve(self, stream: trio.abc.Stream) -> None:
        """Answer the requests of one connection, one after another."""
        self.connections += 1
        http = h11.Connection(h11.SERVER)
        async with stream:
            while http.our_state is not h11.MUST_CLOSE:
                request = await _next_event(http, stream)
                if not isinstance(request, h11.Request):
                    return
                self.requests.append(request.target.decode())
                await _answer(http, stream, await _body(http, stream))
                if http.our_state is h11.DONE:
                    http.start_next_cycle()


async def _next_event(http: h11.Connection, stream: trio.abc.Stream) -> object:
    while (event := http.next_event()) is h11.NEED_DATA:
        http.receive_data(bytes(await stream.receive_some()))
    return event


async def _body(http: h11.Connection, stream: trio.abc.Stream) -> bytes:
    body = bytearray()
    while isinstance(event := await _next_event(http, stream), h11.Data):
        body += event.data
    return bytes(body)


async def _answer(http: h11.Connection, stream: trio.abc.Stream, body: bytes) -> None:
    headers = [("Content-Length", str(len(body)))]
    response = h11.Response(status_code=200, headers=headers)
    for event in (response, h11.Data(data=body), h11.EndOfMessage()):
        await stream.send_all(http.send(event) or b"")
