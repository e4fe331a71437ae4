"""Handlers out of functions: a request in, a reply out.

An async function runs in the task of its connection, like any handler. A plain one
cannot wait, so it needs no task of its own: where the transport offers that, it runs
right where the bytes arrive, and the connection's task sleeps on. That task is woken
for all that is not the usual case: an error, the peer's end, a drain, a peer that does
not read its replies, and more requests at once than one connection may have answered
before others have their turn.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeAlias, TypeVar, final, overload

import trio

from trio_tcp._connection import Connection
from trio_tcp._errors import ConnectionFault, MalformedMessageError
from trio_tcp._outgoing import HIGH_WATER_BYTES
from trio_tcp._serve_connection import Handler
from trio_tcp.codecs import NEED_MORE

__all__ = ["respond"]

In = TypeVar("In")
Out = TypeVar("Out")

OnError: TypeAlias = Callable[[Exception, In | None], Out | None]
"""Turns an exception, and the request that it is about, into a reply."""

ANSWERS_PER_TURN: Final = 64
"""How many requests of one connection are answered before others have their turn: as
many as calls of a connection without a schedule point."""

WITH_CONNECTION: Final = 2
"""How many arguments a function takes that wants the connection, too."""


@overload
def respond(
    function: Callable[[In], Awaitable[Out | None]],
    *,
    on_error: OnError[In, Out] | None = None,
) -> Handler[In, Out]: ...


@overload
def respond(
    function: Callable[[In, Connection[In, Out]], Awaitable[Out | None]],
    *,
    on_error: OnError[In, Out] | None = None,
) -> Handler[In, Out]: ...


@overload
def respond(
    function: Callable[[In], Out | None],
    *,
    on_error: OnError[In, Out] | None = None,
) -> Handler[In, Out]: ...


@overload
def respond(
    function: Callable[[In, Connection[In, Out]], Out | None],
    *,
    on_error: OnError[In, Out] | None = None,
) -> Handler[In, Out]: ...


def respond(
    function: Callable[..., Any],
    *,
    on_error: OnError[Any, Any] | None = None,
) -> Handler[Any, Any]:
    """Make a handler of a function that answers one request.

    Replies go out in the order of the requests; the next request of a connection is not
    looked at before the last is answered. Those of different connections do not wait
    for each other, except that a plain function holds up everything while it runs, as
    any code does that does not await.

    A plain function is the fastest way to serve: it is called where the bytes arrive,
    without waking a task. At most 64 requests of one connection are answered before
    others have their turn. It has the context variables of its connection's task, but
    `trio.lowlevel.current_task` may be a task of this package; what it wants to go on
    in the background it starts in a nursery of yours.

    Args:
        function: ``request -> reply``, or ``request, connection -> reply`` if it has
            two arguments without defaults; plain or async. None is no reply.
        on_error: ``error, request -> reply``, plain: called with what the function
            raised; with an `EncodeError`, if its reply could not be encoded; or with
            a `MalformedMessageError` and None, for a request that made no sense. None
            is no reply, and the next request follows. Without it, or if it raises, the
            exception leaves the handler, and the connection ends. Errors of the
            connection itself do that in any case.

    Returns:
        A handler, for `serve_tcp` and its kin.

    Cancellation:
        As every handler's: between two requests, or where an async function awaits.

    Example::

        def upper(request: str) -> str:
            return request.upper()

        trio_tcp.run_server(trio_tcp.respond(upper), 8888, codec=codecs.Lines())
    """
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - an object with an async one
    ):
        return _answering_async(function, on_error)

    async def answer(connection: Connection[Any, Any]) -> None:
        await _Answers(_bound(function, connection), on_error, connection).run()

    return answer


def _bound(
    function: Callable[..., Any], connection: Connection[Any, Any]
) -> Callable[[Any], Any]:
    """Give it the connection, if it wants that."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # of a function in C nothing may be known
        return function
    wanted = sum(
        parameter.kind
        in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        and parameter.default is parameter.empty
        for parameter in parameters
    )
    if wanted != WITH_CONNECTION:
        return function
    return lambda request: function(request, connection)


def _answering_async(
    function: Callable[..., Awaitable[Any]], on_error: OnError[Any, Any] | None
) -> Handler[Any, Any]:
    async def answer(connection: Connection[Any, Any]) -> None:
        call = _bound(function, connection)
        while True:
            request = None
            try:
                request = await connection.receive()
                reply = await call(request)
                if reply is not None:
                    await connection.send(reply)
            except trio.EndOfChannel:
                return
            except Exception as error:
                apology = _apology(error, request, on_error, connection)
                if apology is not None:
                    await connection.send(apology)

    return answer


def _apology(
    error: Exception,
    request: object,
    on_error: OnError[Any, Any] | None,
    connection: Connection[Any, Any],
) -> object:
    """Return what to reply instead.

    Raises:
        Exception: the error itself, if it is not one to reply to.
    """
    is_of_this = (
        isinstance(error, ConnectionFault) and error.connection_id == connection.id
    )
    if (
        on_error is None
        or (is_of_this and not isinstance(error, MalformedMessageError))
        or isinstance(error, trio.TrioInternalError)
    ):
        raise error
    return on_error(error, request)


@final
class _Answers(Generic[In, Out]):
    """A plain function that answers the requests of one connection."""

    __slots__ = (
        "_connection",
        "_encode",
        "_function",
        "_incoming",
        "_on_error",
        "_outgoing",
        "_unsent",
    )

    def __init__(
        self,
        function: Callable[[In], Out | None],
        on_error: OnError[In, Out] | None,
        connection: Connection[In, Out],
    ) -> None:
        self._function = function
        self._on_error = on_error
        self._connection = connection
        # As the connection itself would: this is a part of it that has its own module.
        self._incoming = connection._incoming  # noqa: SLF001
        self._outgoing = connection._outgoing  # noqa: SLF001
        self._encode = connection._codec.encode  # noqa: SLF001
        self._unsent: bytes | None = None  # a reply for which there was no room

    async def run(self) -> None:
        """Answer until the peer's end."""
        incoming, outgoing = self._incoming, self._outgoing
        await trio.lowlevel.checkpoint_if_cancelled()
        with incoming.reserved(), incoming.answered_by(self.answer):
            try:
                while True:
                    if self._unsent is not None:
                        data, self._unsent = self._unsent, None
                        await outgoing.wait_to_commit(data)
                    elif self.answer():
                        await incoming.read_more()
                    elif outgoing.is_full:
                        await outgoing.wait_for_progress()
                    else:
                        await trio.lowlevel.checkpoint()
            except trio.EndOfChannel:
                pass
            except ConnectionFault as error:
                if not isinstance(error, MalformedMessageError):  # noted already
                    self._note(error)
                raise

    # It may be called by Trio's own tasks, in which Ctrl-C has to wait.
    @trio.lowlevel.disable_ki_protection
    def answer(self) -> bool:
        """Answer what is received; False if something is left for the task to do."""
        incoming, outgoing = self._incoming, self._outgoing
        function, encode = self._function, self._encode
        next_message, gather = incoming.next_message, outgoing.gather
        try:
            for _ in range(ANSWERS_PER_TURN):
                if outgoing.bytes_queued >= HIGH_WATER_BYTES:
                    outgoing.give()
                    if outgoing.is_full:
                        return not incoming.has_more
                if incoming.closed:
                    raise outgoing.refusal()
                request = None
                try:
                    if (request := next_message()) is NEED_MORE:
                        return True
                    incoming.messages_received += 1
                    if (reply := function(request)) is None:
                        continue
                    data = encode(reply)
                except Exception as error:  # noqa: BLE001 - the user says what follows
                    if (data := self._apologise(error, request)) is None:
                        continue
                outgoing.messages_sent += 1
                if not gather(data):  # the function has sent something itself
                    self._unsent = data
                    return False
        finally:
            outgoing.give()
        return False

    def _note(self, error: ConnectionFault) -> None:
        self._connection._ending.note(error)  # noqa: SLF001 - as above

    def _apologise(self, error: Exception, request: In | None) -> bytes | None:
        if request is None and isinstance(error, ConnectionFault):
            self._note(error)
        apology = _apology(error, request, self._on_error, self._connection)
        return None if apology is None else self._encode(apology)
