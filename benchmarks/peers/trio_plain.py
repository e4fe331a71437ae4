# lab: trio_plain
# lab: trio_plain_sleep0 args=sleep0 only=pp64,pipe
# lab: trio_plain_semaphore args=semaphore only=pp64,pipe
# lab: trio_plain for=tls args=tls
"""Framed echo by hand on Trio: what is received is kept in a bytearray."""

from __future__ import annotations

import contextlib
import ssl
import struct
import sys

import trio

LENGTH = struct.Struct("!I")
MOST_BYTES = 16 << 20
AT_ONCE = 16

semaphore = trio.Semaphore(AT_ONCE)


class Messages:
    """Messages over a stream of bytes."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.unread = bytearray()

    async def receive(self) -> bytes | None:
        """Return the next message, or None at the end."""
        unread = self.unread
        while True:
            if len(unread) >= LENGTH.size:
                (size,) = LENGTH.unpack_from(unread)
                if size > MOST_BYTES:
                    raise ValueError("a message is too long")
                end = LENGTH.size + size
                if len(unread) >= end:
                    message = bytes(memoryview(unread)[LENGTH.size : end])
                    del unread[:end]
                    return message
            chunk = await self.stream.receive_some()
            if not chunk:
                return None
            unread += chunk

    async def send(self, message: bytes) -> None:
        """Send a message."""
        await self.stream.send_all(LENGTH.pack(len(message)) + message)


Gone = (trio.BrokenResourceError, ValueError)


async def echo(stream: trio.abc.Stream) -> None:
    """Send every message back."""
    messages = Messages(stream)
    with contextlib.suppress(*Gone):
        while (message := await messages.receive()) is not None:
            await messages.send(message)


async def echo_after_others(stream: trio.abc.Stream) -> None:
    """Let other tasks run before each reply."""
    messages = Messages(stream)
    with contextlib.suppress(*Gone):
        while (message := await messages.receive()) is not None:
            await trio.sleep(0)  # noqa: ASYNC115 - as users write it
            await messages.send(message)


async def echo_in_turn(stream: trio.abc.Stream) -> None:
    """Serve a request only while not too many others are being served."""
    messages = Messages(stream)
    with contextlib.suppress(*Gone):
        while (message := await messages.receive()) is not None:
            async with semaphore:
                await messages.send(message)


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
    if variant == "tls":
        await trio.serve_ssl_over_tcp(echo, port, tls_context(), host="127.0.0.1")
    handlers = {"sleep0": echo_after_others, "semaphore": echo_in_turn}
    await trio.serve_tcp(handlers.get(variant, echo), port, host="127.0.0.1")


_, port, variant = [*sys.argv, ""][:3]
trio.run(main, int(port), variant)
