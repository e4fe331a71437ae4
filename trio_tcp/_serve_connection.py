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
    MalformedMessageError,
    PeerClosed,
)
from trio_tcp._events import CloseReason
from trio_tcp._nursery import is_cancellation, leaves

__all__ = ["Handler", "serve_connection"]

_ORDERLY = (PeerClosed, ConnectionClosedError)

In = TypeVar("In")
Out = TypeVar("Out")

Handler: TypeAlias = Callable[[Connection[In, Out]], Awaitable[object]]
"""What a server runs for each client: an async function of its connection."""


async def serve_connection(
    handler: Handler[In, Out], connection: Connection[In, Out]
) -> None:
    """Run a handler, contain its failure, and end its connection.

    When the handler returns, or lets the news out that its connection has ended in
    order (`PeerClosed`; `ConnectionClosedError` when another task closed it), it is
    closed gracefully; when the handler raises anything else, it is aborted. A handler
    that is cancelled has its connection closed at once.
    """
    ending = connection._ending  # noqa: SLF001 - this is its owner
    try:
        try:
            await handler(connection)
        except BaseException as error:
            verdict = _judge(error, connection.id)
            if verdict.failure is not None:
                await ending.terminate(CloseReason.HANDLER_FAILED, verdict.failure)
            elif verdict.fault is not None:
                await ending.terminate(_reason(verdict.fault), verdict.fault)
            elif verdict.rest is not None and not is_cancellation(verdict.rest):
                await ending.terminate(CloseReason.CLOSED, verdict.rest)
            if verdict.rest is error:
                raise
            if verdict.rest is not None:
                raise verdict.rest from None
        await connection.aclose()
    finally:
        await ending.terminate()


@attrs.frozen
class _Verdict:
    """What an exception out of a handler was.

    Attributes:
        failure: what the handler has to answer for.
        fault: what the peer has to answer for, where the handler has nothing to.
            None where all was in order.
        rest: what is nobody's here, and goes on.
    """

    failure: BaseException | None
    fault: BaseException | None
    rest: BaseException | None


def _judge(error: BaseException, connection_id: int) -> _Verdict:
    contained, rest = _split(error)
    errors = list(leaves(contained))
    faults = [
        error
        for error in errors
        if isinstance(error, ConnectionFault) and error.connection_id == connection_id
    ]
    if len(faults) < len(errors):
        return _Verdict(failure=contained, fault=None, rest=rest)
    unclean = [fault for fault in faults if not isinstance(fault, _ORDERLY)]
    return _Verdict(failure=None, fault=unclean[0] if unclean else None, rest=rest)


def _reason(fault: BaseException) -> CloseReason:
    # The first cause counts: this is one only where receiving could have gone on.
    is_peers = isinstance(fault, MalformedMessageError)
    return CloseReason.PROTOCOL_ERROR if is_peers else CloseReason.CLOSED


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
