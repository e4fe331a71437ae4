"""A server that prints what becomes of it when it is told to end.

Its arguments: the grace in seconds; then, for TLS, a certificate and its key.
"""

from __future__ import annotations

import ssl
import sys

import trio

import trio_tcp
from trio_tcp import codecs

totals = [0, 0]


def say(*words: object) -> None:
    """Print a line at once."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def observe(event: trio_tcp.Event) -> None:
    """Print what is of interest, and count messages."""
    match event:
        case trio_tcp.ServerStarted(addresses=(trio_tcp.TcpAddress(port=port),)):
            say(port)
        case trio_tcp.ConnectionEnded(statistics=statistics):
            totals[0] += statistics.messages_received
            totals[1] += statistics.messages_sent
        case trio_tcp.DrainStarted():
            say("draining", event.connections)
        case trio_tcp.DrainReport():
            say("drained", event.finished, event.cancelled, event.aborted)
        case trio_tcp.ServerStopped():
            say("stopped")
        case _:
            pass


async def obey(connection: trio_tcp.Connection[str, str]) -> None:
    """Do what each line says; what it does not know, it sends back."""
    async for line in connection:
        match line:
            case "work":
                # For as long as it takes until the signal has come, and no longer.
                say("working")
                await connection.draining.wait()
                await connection.send("done")
            case "work for ever":
                say("working")
                await trio.sleep_forever()
            case "stay":
                with trio.CancelScope(shield=True):
                    say("staying")
                    await trio.sleep_forever()
            case _:
                await connection.send(line)


def context() -> ssl.SSLContext | None:
    """Make a context of the arguments, if they name a certificate."""
    if len(sys.argv) < 4:
        return None
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(*sys.argv[2:4])
    return made


trio_tcp.run_server(
    obey,
    0,
    host="127.0.0.1",
    codec=codecs.Lines(),
    grace=float(sys.argv[1]),
    tls=context(),
    observer=observe,
)
say("messages", *totals)
say("returned")
