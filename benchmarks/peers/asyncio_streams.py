# lab: asyncio_streams args=asyncio
# lab: uvloop_streams args=uvloop
# lab: asyncio_streams for=tls args=asyncio,tls
# lab: uvloop_streams for=tls args=uvloop,tls
"""Framed echo on the streams of asyncio, on either loop, also over TLS."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
import sys

LENGTH = struct.Struct("!I")
MOST_BYTES = 16 << 20

Gone = (asyncio.IncompleteReadError, ConnectionError, ValueError)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send every message back."""
    with contextlib.suppress(*Gone):
        while True:
            header = await reader.readexactly(LENGTH.size)
            (size,) = LENGTH.unpack(header)
            if size > MOST_BYTES:
                break
            message = await reader.readexactly(size)
            writer.write(header + message)
            await writer.drain()
    writer.close()


def tls_context() -> ssl.SSLContext:
    """Make a certificate, and a context with it."""
    import trustme  # noqa: PLC0415 - only here

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    identity = trustme.CA().issue_cert("localhost")
    with identity.private_key_and_cert_chain_pem.tempfile() as path:
        context.load_cert_chain(path)
    return context


async def main(port: int, variant: str) -> None:
    """Serve until the process is ended."""
    context = tls_context() if variant == "tls" else None
    server = await asyncio.start_server(
        echo, "127.0.0.1", port, ssl=context, backlog=4096
    )
    await server.serve_forever()


_, port, loop, variant = [*sys.argv, ""][:4]
factory = None
if loop == "uvloop":
    import uvloop

    factory = uvloop.new_event_loop
with asyncio.Runner(loop_factory=factory) as runner:
    runner.run(main(int(port), variant))
