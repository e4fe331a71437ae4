"""A backplane in memory, for tests of programs that are to run on several machines."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType
from typing import Final, Generic, TypeVar, final

from trio_tcp._backplane import ReconnectingBackplane, connected
from trio_tcp._events import Observer
from trio_tcp._log_events import log_events
from trio_tcp._reconnecting import Backoff
from trio_tcp.codecs import Codec
from trio_tcp.testing._memory_broker import MemoryBroker
from trio_tcp.testing._memory_link import open_memory_link

__all__ = ["MemoryBackplane"]

T = TypeVar("T")

BACKOFF: Final = Backoff(initial=0.1, maximum=1.0)
"""Quick, as a test wants it."""


@final
class MemoryBackplane(Generic[T]):
    """One node's backplane over a `MemoryBroker`: `RedisBackplane` without Redis.

    All but the connection is the same. Enter it with ``async with``.

    Args:
        broker: what joins the nodes.
        codec: makes bytes of messages.
        timeout: seconds that an answer may take.
        backoff: when to try again after a break.
        observer: is told when it is connected and lost.
    """

    def __init__(
        self,
        broker: MemoryBroker,
        *,
        codec: Codec[T, T],
        timeout: float = 5.0,
        backoff: Backoff = BACKOFF,
        observer: Observer = log_events,
    ) -> None:
        self._context: AbstractAsyncContextManager[ReconnectingBackplane[T]] = (
            connected(
                ReconnectingBackplane(
                    partial(open_memory_link, broker),
                    codec,
                    name="memory",
                    timeout=timeout,
                    backoff=backoff,
                    observer=observer,
                )
            )
        )

    async def __aenter__(self) -> ReconnectingBackplane[T]:
        return await self._context.__aenter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        # It waits for nothing but tasks that it has cancelled.
        return await self._context.__aexit__(  # noqa: ASYNC102 - see above
            exc_type, exc_value, traceback
        )
