"""A server that does what its clients tell it, and prints what it does."""

from __future__ import annotations

import sys

import trio

import trio_tcp
from trio_tcp import codecs

LARGE = 16 << 20


def say(word: object) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def observe(event: trio_tcp.Event) -> None:
    """Print the port, and the end."""
    match event:
        case trio_tcp.ServerStarted(addresses=(trio_tcp.TcpAddress(port=port),)):
            say(port)
        case trio_tcp.ServerStopped():
            say("stopped")
        case _:
            pass


async def obey(connection: trio_tcp.Connection[bytes, bytes]) -> None:
    """Do what each message says; what it does not know, it sends back."""
    async for message in connection:
        match message:
            case b"sleep":
                await sleep()
            case b"stay":
                await stay()
            case b"be polite":
                await be_polite(connection)
            case b"say a lot":
                await connection.send(bytes(LARGE))
                await sleep()
            case _:
                await connection.send(message)


async def sleep() -> None:
    """Do nothing, until cancelled."""
    say("sleeping")
    try:
        await trio.sleep_forever()
    finally:
        say("cancelled")


async def stay() -> None:
    """Do nothing, and do not let go."""
    with trio.CancelScope(shield=True):
        say("staying")
        await trio.sleep_forever()


async def be_polite(connection: trio_tcp.Connection[bytes, bytes]) -> None:
    """Say goodbye when cancelled."""
    try:
        await sleep()
    finally:
        with trio.CancelScope(shield=True):
            await connection.send(b"goodbye")
            await connection.aclose()


trio_tcp.run_server(
    obey,
    0,
    host="127.0.0.1",
    codec=codecs.LengthPrefixed(max_bytes=LARGE),
    grace=0,
    observer=observe,
)
say("returned")
