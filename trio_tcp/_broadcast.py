"""One message to many connections: encoded once, and sent to each that can take it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

import trio

from trio_tcp._connection import Connection
from trio_tcp._errors import ConnectionFault
from trio_tcp._nursery import open_quiet_nursery
from trio_tcp._turns import Turns

__all__ = ["broadcast", "broadcast_nowait"]

Out = TypeVar("Out")

RUN: Final[trio.lowlevel.RunVar[Turns | None]] = trio.lowlevel.RunVar(
    "trio_tcp.broadcast"
)


async def broadcast(message: Out, connections: Iterable[Connection[Any, Out]]) -> None:
    """Accept one message for delivery on many connections.

    Where there is room, it is accepted at once, and goes out in the next pass of the
    scheduler, in one piece with what else is accepted until then; so this is a schedule
    point only now and then, as `Connection.send` is. After that this waits
    for those that have no room (64 KiB are queued), each by itself, so that a slow peer
    slows down whoever broadcasts, and nobody else, and loses nothing. To leave slow
    ones behind instead, use `broadcast_nowait`.

    Connections that have ended, or end meanwhile, are left out: there is no error.

    Args:
        message: encoded once for each codec among the connections.
        connections: which may change while this waits; those that are given count.

    Raises:
        EncodeError: a codec cannot carry this message; nothing was sent.

    Cancellation:
        Where there was room the message is accepted; of the others, a part.

    Example::

        async def relay(connection: trio_tcp.Connection[str, str]) -> None:
            members[connection] = None  # a dict: the order of a set would be chance
            try:
                async for line in connection:
                    await trio_tcp.broadcast(line, members)
            finally:
                del members[connection]
    """
    await trio.lowlevel.checkpoint_if_cancelled()
    receivers = _open_ones(connections)
    slow = _accept(message, receivers)
    await _turns().took(len(receivers))
    if slow:
        # Each waits for itself: the slowest must not hold up the second slowest.
        async with open_quiet_nursery() as nursery:
            for connection, data in slow:
                nursery.start_soon(_wait_to_accept, connection, data)


def broadcast_nowait(
    message: Out, connections: Iterable[Connection[Any, Out]]
) -> list[Connection[Any, Out]]:
    """Accept one message for delivery on those connections that have room.

    Returns:
        The connections that had no room, as 64 KiB are queued: what to do with them is
        up to the caller, such as to close them, or to send something newer later. Those
        that have ended are left out, as by `broadcast`.

    Raises:
        EncodeError: a codec cannot carry this message; nothing was sent.

    Example::

        for slow in trio_tcp.broadcast_nowait("tick", members):
            slow.abort()
    """
    return [slow for slow, _ in _accept(message, _open_ones(connections))]


async def _wait_to_accept(connection: Connection[Any, Any], data: bytes) -> None:
    outgoing = connection._outgoing  # noqa: SLF001 - as `Connection.send`
    with suppress(ConnectionFault):
        if not outgoing.commit(data, gather=True):
            await outgoing.wait_to_commit(data)
        outgoing.messages_sent += 1


def _turns() -> Turns:
    """Return what counts the broadcasts of this run."""
    turns = RUN.get(None)
    if turns is None:
        turns = Turns()
        RUN.set(turns)
    return turns


def _open_ones(
    connections: Iterable[Connection[Any, Out]],
) -> list[Connection[Any, Out]]:
    return [
        connection
        for connection in connections
        if not connection._outgoing.closed  # noqa: SLF001 - as `Connection.send`
    ]


def _accept(
    message: Out, receivers: Sequence[Connection[Any, Out]]
) -> list[tuple[Connection[Any, Out], bytes]]:
    """Let those accept it that have room; return the others, with their bytes."""
    # All are encoded first: an error must leave nothing sent.
    frames: dict[int, bytes] = {}
    for connection in receivers:
        codec = connection._codec  # noqa: SLF001 - as above
        if id(codec) not in frames:
            frames[id(codec)] = codec.encode(message)
    full: list[tuple[Connection[Any, Out], bytes]] = []
    for connection in receivers:
        outgoing = connection._outgoing  # noqa: SLF001 - as above
        data = frames[id(connection._codec)]  # noqa: SLF001 - as above
        try:
            # Gathered: it may be one of several that are sent to everybody.
            accepted = outgoing.commit(data, gather=True)
        except ConnectionFault:  # just now broken, or ended as it holds too much
            continue
        if accepted:
            outgoing.messages_sent += 1
        else:
            full.append((connection, data))
    return full
