"""One of several servers behind a balancer, which asks it for its health over HTTP.

Its argument is its name, which it puts before each line that it sends back. It prints
its port, that of its status, and in the end how the drain went.

On SIGTERM it says that it is not ready, goes on until the balancer has been told three
times, so that two answers have arrived (``fall 2``), and drains then. A real service
waits for a time that is long enough for that.
"""

from __future__ import annotations

import signal
import sys
from functools import partial

import trio

import trio_tcp
from trio_tcp import codecs

ENOUGH = 3
"""Probes that have heard it is not ready."""


class Status:
    """Whether it is ready, and how often it has said that it is not."""

    def __init__(self) -> None:
        self.is_ready = True
        self.refusals = 0
        self.is_known = trio.Event()

    async def answer(self, connection: trio_tcp.Connection[bytes, bytes]) -> None:
        """Answer one probe."""
        await connection.receive()
        said = b"200 OK" if self.is_ready else b"503 Service Unavailable"
        await connection.send(b"HTTP/1.0 " + said)
        self.refusals += not self.is_ready
        if self.refusals == ENOUGH:
            self.is_known.set()


async def answer(name: str, connection: trio_tcp.Connection[str, str]) -> None:
    """Send each line back, and who it comes from."""
    async for line in connection:
        await connection.send(f"{name} {line}")


async def main(name: str) -> None:
    """Serve until SIGTERM, and a little longer."""
    status = Status()
    serve = partial(
        trio_tcp.serve_tcp,
        partial(answer, name),
        0,
        host="127.0.0.1",
        codec=codecs.Lines(),
        proxy_protocol=trio_tcp.ProxyProtocol(trusted=["127.0.0.0/8"]),
    )
    serve_status = partial(
        trio_tcp.serve_tcp,
        status.answer,
        0,
        host="127.0.0.1",
        codec=codecs.Delimited(b"\r\n\r\n"),  # the head of a request, and of a reply
    )
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            server: trio_tcp.Server = await nursery.start(serve)
            probed: trio_tcp.Server = await nursery.start(serve_status)
            say(server.port, probed.port)
            async for _ in signals:
                break
            status.is_ready = False
            await status.is_known.wait()
            report = await server.drain(grace=30)
            nursery.cancel_scope.cancel()
    say("drained", report.finished, report.cancelled, report.aborted)


def say(*words: object) -> None:
    """Print a line at once."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


trio.run(main, sys.argv[1])
