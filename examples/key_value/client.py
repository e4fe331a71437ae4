"""A client of the small Redis, and of any other.

    python -m examples.key_value.client [--port PORT] COMMAND [ARGUMENT ...]
    python -m examples.key_value.client [--port PORT] --load < FILE

The first does one command and prints the reply. The second sets what is in a file, a
line for each key and its value, over several connections at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from functools import partial
from typing import Final, TypeAlias

import trio

import trio_tcp
from examples.key_value.resp import CLIENT
from examples.key_value.resp_replies import Error, Nil, Reply
from examples.key_value.resp_requests import Request

__all__ = ["Pool", "ReplyError", "Requester", "ask", "load"]

Requester: TypeAlias = trio_tcp.ReconnectingRequester[Reply, Request]
Pool: TypeAlias = trio_tcp.Pool[Reply, Request]

READING: Final = frozenset({b"GET", b"MGET", b"EXISTS", b"TTL", b"PING", b"DBSIZE"})
"""What changes nothing, and may be done twice."""

BACKOFF: Final = trio_tcp.Backoff(initial=0.1, max_attempts=3)
CONNECTIONS: Final = 4
BATCH_BYTES: Final = 16 << 10
"""The replies to so much are short enough never to fill a connection unread."""


class ReplyError(Exception):
    """The server has replied with an error. Its text is that of the reply."""


# One command, of any number of tasks over one connection


async def ask(requester: Requester, *request: bytes) -> Reply:
    """Have one command done.

    When the connection is lost meanwhile, what only reads is asked again over the next.

    Raises:
        ReplyError: the server has refused it.
        trio_tcp.ConnectionLost: nobody knows whether it was done.
    """
    if request[0].upper() in READING:
        reply = await requester.request_repeatable(list(request))
    else:
        reply = await requester.request(list(request))
    return checked(reply)


def checked(reply: Reply) -> Reply:
    """Return a reply that is none of an error.

    Raises:
        ReplyError: it is.
    """
    if isinstance(reply, Error):
        raise ReplyError(reply.text)
    return reply


# Many commands that are known beforehand, over several connections


async def load(pool: Pool, lines: list[bytes]) -> None:
    """Set what is in these lines, a key and its value in each.

    They leave together, and have a connection for themselves: nothing of others comes
    between them.

    Raises:
        ReplyError: the server has refused one.
        trio_tcp.ConnectionFault: nobody knows how many were set.
    """
    async with pool.connection() as connection:
        await connection.send_many(map(set_line, lines))
        for _ in lines:
            checked(await connection.receive())


def set_line(line: bytes) -> Request:
    """Return the request for a line with a key and its value."""
    key, _, value = line.rstrip(b"\r\n").partition(b" ")
    return [b"SET", key, value]


# The program


async def load_input(pool: Pool, patience: float) -> int:
    """Set what is in the standard input, and count the keys."""
    count = 0
    send, receive = trio.open_memory_channel[list[bytes]](0)

    async def load_batches() -> None:
        async for lines in receive:
            with trio.fail_after(patience):
                await load(pool, lines)

    async with trio.open_nursery() as nursery:
        for _ in range(CONNECTIONS):
            nursery.start_soon(load_batches)
        async with send:
            file = trio.wrap_file(sys.stdin.buffer)
            while lines := await file.readlines(BATCH_BYTES):
                await send.send(lines)
                count += len(lines)
    return count


def shown(reply: Reply) -> Iterator[str]:
    """Return what to print, line by line."""
    match reply:
        case bytes():
            yield reply.decode("utf-8", "backslashreplace")
        case Nil():
            yield "(nil)"
        case list():
            for number, item in enumerate(reply, 1):
                yield from (f"{number}) {line}" for line in shown(item))
        case _:
            yield str(reply)


async def run(args: argparse.Namespace) -> None:
    """Do what the command line says."""
    connect = partial(trio_tcp.connect_tcp, args.host, args.port, codec=CLIENT)
    if args.load:
        async with trio_tcp.open_pool(
            connect, size=CONNECTIONS, backoff=BACKOFF
        ) as pool:
            print(f"{await load_input(pool, args.patience)} keys are set")
    else:
        async with trio_tcp.open_requester(connect, backoff=BACKOFF) as requester:
            with trio.fail_after(args.patience):
                reply = await ask(requester, *map(os.fsencode, args.command))
            print(*shown(reply), sep="\n")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Use a small or a large Redis.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8888)
    parser.add_argument("--load", action="store_true", help="set what is in the input")
    parser.add_argument("--patience", type=float, default=10, help="in seconds")
    parser.add_argument("command", metavar="COMMAND", nargs="*")
    args = parser.parse_args()
    if bool(args.command) == args.load:
        parser.error("either a command, or --load")
    try:
        trio.run(run, args)
    except* trio.TooSlowError:
        sys.exit(f"client: no reply in {args.patience:g} s")
    except* (ReplyError, trio_tcp.TrioTcpError) as errors:
        sys.exit(f"client: {errors.exceptions[0]}")
    except* KeyboardInterrupt:
        sys.exit("client: interrupted")


if __name__ == "__main__":
    main()
