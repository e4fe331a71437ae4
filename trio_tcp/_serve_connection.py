"""One connection under a server's policies: its handler fails alone.

What leaves a handler is judged here. An error of the handler's own connection is its
peer's doing: it ends that connection, and is noted as its reason. Any other exception
is the handler's failure, reported with its traceback. Neither goes further. What is not
about this connection at all (`trio.Cancelled`, `KeyboardInterrupt`, `SystemExit`,
`trio.TrioInternalError`) passes through, also out of the middle of a group.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar, cast

import attrs
import trio

from trio_tcp._connection import Connection
from trio_tcp._errors import (
    ConnectionClosedError,
    ConnectionFault,
    Drained,
    MalformedMessageError,
    PeerClosed,
    PeerTooSlowError,
)
from trio_tcp._events import CloseReason
from trio_tcp._nursery import is_cancellation, leaves

__all__ = ["Handler", "serve_connection"]


In = TypeVar("In")
Out = TypeVar("Out")

Handler: TypeAlias = Callable[[Connection[In, Out]], Awaitable[object]]
"""What a server runs for each client: an async function of its connection."""


async def serve_connection(
    handler: Handler[In, Out],
    connection: Connection[In, Out],
    note_served: Callable[[Connection[In, Out]], None],
) -> None:
    """Run a handler, contain its failure, and end its connection.

    When the handler returns, or lets the news out that its connection has ended in
    order (`PeerClosed`, `Drained`; `ConnectionClosedError` when another task closed
    it), it is closed gracefully; when the handler raises anything else, it is aborted.
    A handler that is cancelled, or whose peer is too slow, has its connection closed at
    once: with FIN, or, where something is still to be sent or unread, with RST.

    Args:
        handler: the user's.
        connection: belongs to this from now on.
        note_served: is told at the very end.
    """
    ending = connection._ending  # noqa: SLF001 - this is its owner
    try:
        try:
            with trio.CancelScope() as scope:
                ending.begin_life(scope)
                await handler(connection)
            if ending.is_too_old:
                return
        except BaseException as error:  # noqa: ASYNC103 - Cancelled is in the rest
            verdict = _judge(error, connection.id)
            if verdict.ends_at_once:
                await ending.terminate(verdict.reason, verdict.error)  # noqa: ASYNC102 - shielded
            if verdict.rest is error:
                raise
            if verdict.rest is not None:
                raise verdict.rest from None  # noqa: ASYNC104 - Cancelled is in it
            # It has the error, whose traceback has this frame, and those below with
            # all that they held: a cycle that could wait long for the collector.
            del verdict
        await connection.aclose()
    finally:
        await ending.terminate()  # noqa: ASYNC102 - it shields itself
        connection._journal.forget_frames()  # noqa: SLF001 - as above
        note_served(connection)


@attrs.frozen
class _Verdict:
    """What an exception out of a handler was.

    Attributes:
        ends_at_once: the connection is not closed gracefully.
        reason: why it ends, if nothing is noted yet.
        error: what went wrong; the connection is aborted.
        rest: what is not about this connection, and goes on.
    """

    ends_at_once: bool
    reason: CloseReason
    error: BaseException | None
    rest: BaseException | None


def _judge(raised: BaseException, connection_id: int) -> _Verdict:
    contained, rest = _split(raised)
    errors = list(leaves(contained))
    faults = [
        error
        for error in errors
        if isinstance(error, ConnectionFault) and error.connection_id == connection_id
    ]
    if len(faults) < len(errors):
        return _Verdict(True, CloseReason.HANDLER_FAILED, contained, rest)
    for fault in faults:
        if isinstance(fault, MalformedMessageError):
            return _Verdict(True, CloseReason.PROTOCOL_ERROR, fault, rest)
        if isinstance(fault, PeerTooSlowError):
            return _Verdict(True, CloseReason.TIMED_OUT, None, rest)
        if not isinstance(fault, PeerClosed | Drained | ConnectionClosedError):
            # Its reason is noted already: the first cause counts.
            return _Verdict(True, CloseReason.CLOSED, fault, rest)
    if rest is not None and not is_cancellation(rest):
        return _Verdict(True, CloseReason.CLOSED, rest, rest)
    return _Verdict(False, CloseReason.CLOSED, None, rest)


def _is_containable(error: BaseException) -> bool:
    return isinstance(error, Exception) and not isinstance(
        error, BaseExceptionGroup | trio.TrioInternalError
    )


def _split(error: BaseException) -> tuple[BaseException | None, BaseException | None]:
    """Divide an error into what a connection answers for, and what passes through."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return group.split(_is_containable)
    return (error, None) if _is_containable(error) else (None, error)
