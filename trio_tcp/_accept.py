"""The accept loop: which errors mean what, and why it never waits for a client."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Final

import trio

from trio_tcp._events import AcceptPaused, AcceptResumed, Observer, notify

__all__ = ["accept_forever"]

CAPACITY_ERRNOS: Final = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
)
"""The system is out of descriptors or memory (accept(2)): it may recover."""

RETRY_SECONDS: Final = 0.1
"""How long to wait for that. As `trio.serve_listeners`, Ranch and EasyNetwork."""


async def accept_forever(
    listener: trio.abc.Listener[trio.abc.Stream],
    start: Callable[[trio.abc.Stream], object],
    observer: Observer,
) -> None:
    """Accept connections until cancelled or until the listener is closed; close it.

    Args:
        listener: skips by itself what a client did wrong before it was accepted
            (``ECONNABORTED`` and the like), as Trio's listeners do.
        start: is called with each stream and must return at once: no client is waited
            for here, so none can keep others from being accepted.
        observer: is told once when accepting fails, and once when it works again.

    Raises:
        OSError: accepting failed for a reason that will not go away.
    """
    paused_at: float | None = None
    async with listener:
        while True:
            try:
                stream = await listener.accept()
            except trio.ClosedResourceError:
                return
            except OSError as error:
                if error.errno not in CAPACITY_ERRNOS:
                    raise
                if paused_at is None:
                    paused_at = trio.current_time()
                    notify(
                        observer,
                        AcceptPaused(error=error, retry_seconds=RETRY_SECONDS),
                    )
                await trio.sleep(RETRY_SECONDS)
                continue
            if paused_at is not None:
                seconds, paused_at = trio.current_time() - paused_at, None
                notify(observer, AcceptResumed(paused_seconds=seconds))
            start(stream)
