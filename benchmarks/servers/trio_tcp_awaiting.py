# lab: trio_tcp_sleep0 args=sleep0 only=pp64,pipe
# lab: trio_tcp_semaphore args=semaphore only=pp64,pipe
"""Framed echo with a handler that awaits something else in each request."""

import sys

import trio

import trio_tcp
from trio_tcp import codecs

AT_ONCE = 16

semaphore = trio.Semaphore(AT_ONCE)


async def echo_after_others(connection: trio_tcp.Connection[bytes, bytes]) -> None:
    """Let other tasks run before each reply."""
    async for message in connection:
        await trio.sleep(0)  # noqa: ASYNC115 - as users write it
        await connection.send(message)


async def echo_in_turn(connection: trio_tcp.Connection[bytes, bytes]) -> None:
    """Serve a request only while not too many others are being served."""
    async for message in connection:
        async with semaphore:
            await connection.send(message)


trio_tcp.run_server(
    echo_after_others if sys.argv[2] == "sleep0" else echo_in_turn,
    int(sys.argv[1]),
    host="127.0.0.1",
    codec=codecs.LengthPrefixed(),
)
