"""Figures, over HTTP."""

from __future__ import annotations

from functools import partial

import trio

import trio_tcp
from trio_tcp import monitoring


async def main() -> None:
    async with trio.open_nursery() as nursery:
        serve = partial(monitoring.serve_status, 0, source=monitoring.Metrics())
        status: trio_tcp.Server = await nursery.start(serve)
        stream = await trio.open_tcp_stream("127.0.0.1", status.port)
        await stream.send_all(b"GET /metrics HTTP/1.0\r\nHost: here\r\n\r\n")
        page = b"".join([chunk async for chunk in stream])
        assert b"# TYPE trio_tcp_connections gauge" in page
        await status.drain(grace=1)


trio.run(main)
