# lab: asyncio_streams for=key_value args=asyncio
# lab: uvloop_streams for=key_value args=uvloop
"""The small Redis of the examples on the streams of asyncio, on either loop.

Codec, commands and store are the same. All requests that have come are answered with
one write, and nothing more is read before the client has room for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import cast

from examples.key_value.caller import Caller, CommandError, Connection, Quit
from examples.key_value.commands import execute
from examples.key_value.resp import RESP2, Resp
from examples.key_value.resp_replies import Error, Reply
from examples.key_value.resp_requests import Request
from examples.key_value.store import Store
from trio_tcp import FramingError, MessageTooLargeError, codecs

READ_BYTES = 64 << 10
numbers = itertools.count(1)


@dataclass
class Client:
    """What the commands want to know of a connection.

    Attributes:
        id: its number.
        label: what it calls itself.
        codec: by which its replies are written.
    """

    id: int
    label: str = ""
    codec: Resp[Request, Reply] = RESP2

    def switch_codec(self, codec: Resp[Request, Reply]) -> None:
        """Write replies in another version of the protocol."""
        self.codec = codec


def answer(caller: Caller, client: Client, request: Request) -> bytes:
    """Do what a request says, and return the reply to write."""
    try:
        return client.codec.encode(execute(caller, request))
    except CommandError as error:
        return client.codec.encode(Error(str(error)))
    except MessageTooLargeError as error:
        text = f"ERR the reply is larger than {error.limit} bytes"
        return client.codec.encode(Error(text))


def answers(
    caller: Caller, client: Client, decoder: codecs.Decoder[Request]
) -> Iterator[bytes]:
    """Yield the replies to all requests that have come whole."""
    while (request := decoder.next_message()) is not codecs.NEED_MORE:
        yield answer(caller, client, request)


async def serve(
    store: Store, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Serve one client."""
    client = Client(next(numbers))
    caller = Caller(store, cast("Connection", client))  # it has all that they use
    decoder = codecs.Decoder(RESP2)
    replies: list[bytes] = []
    with contextlib.suppress(ConnectionError):
        try:
            while chunk := await reader.read(READ_BYTES):
                decoder.feed(chunk)
                # Those before an error are in the list even then.
                replies.extend(answers(caller, client, decoder))
                writer.write(b"".join(replies))
                replies.clear()
                await writer.drain()
        except Quit:
            writer.write(b"".join(replies) + b"+OK\r\n")
        except FramingError as error:
            last = client.codec.encode(Error(f"ERR Protocol error: {error}"))
            writer.write(b"".join(replies) + last)
    writer.close()


async def main(port: int) -> None:
    """Serve until the process is ended."""
    handler = partial(serve, Store(time.monotonic))
    server = await asyncio.start_server(handler, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


_, port, loop = sys.argv
factory = None
if loop == "uvloop":
    import uvloop

    factory = uvloop.new_event_loop
with asyncio.Runner(loop_factory=factory) as runner:
    runner.run(main(int(port)))
