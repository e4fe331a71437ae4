"""Serve lines and status until a signal, with a delay before the drain.

Prints the port of each that listens: of the status first.
"""

from __future__ import annotations

from functools import partial

import trio

import trio_tcp
from trio_tcp import codecs, monitoring


def announce(event: trio_tcp.Event) -> None:
    """Print the port."""
    match event:
        case trio_tcp.ServerStarted(addresses=(trio_tcp.TcpAddress(port=port),)):
            print(port, flush=True)  # noqa: T201 - the test reads it
        case _:
            pass


async def echo(connection: trio_tcp.Connection[str, str]) -> None:
    """Send back every line."""
    async for line in connection:
        await connection.send(line)


async def main() -> None:
    """Serve both."""
    metrics = monitoring.Metrics(observer=announce)
    serve = partial(
        trio_tcp.serve_tcp,
        echo,
        0,
        codec=codecs.Lines(),
        host="127.0.0.1",
        observer=metrics,
    )
    status = partial(monitoring.serve_status, source=metrics, observer=announce)
    async with trio.open_nursery() as nursery:
        await nursery.start(status, 0)
        await trio_tcp.serve_until_signalled(metrics.watched(serve), drain_delay=3600)
        nursery.cancel_scope.cancel()


trio.run(main)
