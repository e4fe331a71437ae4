"""`RedisBackplane`: hubs of several machines, joined by Redis."""

from __future__ import annotations

import importlib.util
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType
from typing import Final, Generic, TypeVar, final
from urllib.parse import urlsplit

from trio_tcp._backplane import ReconnectingBackplane, connected
from trio_tcp._events import Observer
from trio_tcp._kinds import check_kind
from trio_tcp._log_events import log_events
from trio_tcp._reconnecting import Backoff
from trio_tcp._redis._link import open_redis_link
from trio_tcp._redis._names import Names
from trio_tcp._validators import check_span
from trio_tcp.codecs import Codec

__all__ = ["RedisBackplane"]

T = TypeVar("T")

BACKOFF: Final = Backoff(initial=0.2, maximum=5.0)
"""Quicker than for strangers: it is one's own Redis, and few connect to it."""

DAY: Final = 86_400.0


@final
class RedisBackplane(Generic[T]):
    """Joins the hubs of several machines through one Redis.

    Enter it with ``async with``, and give what that returns to a `Hub`: one for each.
    The block waits for the first attempt to connect, whether it succeeds or not. It
    then stays connected, or connects again, until its end. After that the hub goes on
    alone.

    A topic with a history is numbered and kept by Redis: all hubs have to keep the same
    histories. What is not published to for a while expires, so that names which come
    from peers do not fill Redis.

    Args:
        url: where Redis is, and who we are: ``redis://user:password@host:6379/0``,
            ``rediss://`` for TLS, ``unix:///path``. Redis 6 or later; no cluster.
        codec: makes bytes of messages, each a payload of its own.
        prefix: what all names in Redis begin with.
        timeout: seconds that an answer may take. A Redis that hangs, or that is cut
            off while nobody says so, is noticed within twice as long.
        expire: seconds after its last publication when a topic's history is forgotten.
        backoff: when to try again after a break.
        observer: is told when it is connected (`BackplaneConnected`) and lost
            (`BackplaneLost`).

    Raises:
        ModuleNotFoundError: coredis is not installed:
            ``pip install 'trio-tcp[redis]'``.
        ValueError: a number or the URL is bad.
        ConnectError: ``backoff`` has given up. It cancels the block, and leaves it.

    Example::

        async with trio_tcp.RedisBackplane(
            "redis://localhost", codec=codecs.Json()
        ) as backplane:
            hub = trio_tcp.Hub(history={"room.*": 100}, backplane=backplane)
            await trio_tcp.serve_tcp(partial(chat, hub), 8888, codec=codecs.Lines())
    """

    def __init__(
        self,
        url: str,
        *,
        codec: Codec[T, T],
        prefix: str = "trio_tcp",
        timeout: float = 5.0,
        expire: float = DAY,
        backoff: Backoff = BACKOFF,
        observer: Observer = log_events,
    ) -> None:
        if importlib.util.find_spec("coredis") is None:
            raise ModuleNotFoundError(
                "RedisBackplane needs coredis: pip install 'trio-tcp[redis]'",
                name="coredis",
            )
        check_kind("url", url, str)
        check_kind("prefix", prefix, str)
        check_span("expire", expire)
        if expire < 1:
            raise ValueError(f"expire must be at least one second, not {expire!r}")
        self._context: AbstractAsyncContextManager[ReconnectingBackplane[T]] = (
            connected(
                ReconnectingBackplane(
                    partial(
                        open_redis_link,
                        url,
                        Names(prefix),
                        seconds=timeout,
                        expiry=int(expire * 1000),
                    ),
                    codec,
                    name=_name(url),
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


def _name(url: str) -> str:
    """Return where Redis is, without a password."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return parts.path
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise ValueError(
            "the URL of a Redis begins with redis://, rediss:// or unix://, and names "
            "a host, as redis://localhost:6379"
        )
    return f"{parts.hostname}:{parts.port or 6379}"
