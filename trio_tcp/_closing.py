"""The graceful end of a connection, which is harder than it looks.

To close a socket while bytes of the peer lie unread makes the kernel send RST, and a
peer that receives RST may lose what it was sent before (RFC 1122, 4.2.2.13; RFC 7230,
6.6, calls it the TCP reset problem). So a graceful close sends everything, then FIN,
then goes on reading, and forgets what it reads, until the peer closes too.

Reading starts at once, not after the last byte is sent: a peer that will not read
before it has written all its requests would wait for us while we wait for it.
"""

from __future__ import annotations

from typing import TypeVar

import trio

from trio_tcp._incoming import Incoming
from trio_tcp._outgoing import Outgoing
from trio_tcp._transport import Transport
from trio_tcp._writers import Writers

__all__ = ["close_gracefully"]

In = TypeVar("In")


async def close_gracefully(
    incoming: Incoming[In],
    outgoing: Outgoing,
    transport: Transport,
    writers: Writers,
    linger: float,
) -> None:
    """Say goodbye, so that the stream can be closed without loss.

    Args:
        incoming: closed already.
        outgoing: closed already; what is queued is sent.
        transport: the stream below both; it is left open.
        writers: lends a task to read while the queue is written.
        linger: seconds for the peer to take the next part of what is queued, and once
            it has it all, to close. After that the rest is given up.
    """
    discarded = trio.Event()

    async def discard() -> None:
        try:
            await incoming.discard()
        finally:
            discarded.set()

    worker = writers.start(discard)
    try:
        if not await _flush(outgoing, linger) or not transport.can_half_close:
            return
        with trio.move_on_after(linger):
            await outgoing.send_eof().wait()
            await discarded.wait()
    finally:
        if not discarded.is_set():
            worker.cancel()
            with trio.CancelScope(shield=True):
                await discarded.wait()


async def _flush(outgoing: Outgoing, linger: float) -> bool:
    """Wait until all is sent; False if for ``linger`` seconds nothing could be."""
    outgoing.give()
    while outgoing.bytes_queued:
        before = outgoing.bytes_sent
        with trio.move_on_after(linger):
            await outgoing.wait_for_progress()
        if outgoing.bytes_sent == before:
            return False
    return True
