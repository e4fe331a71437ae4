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
from typing import Any, Final, Generic, NoReturn, TypeAlias, TypeVar, final, overload

import trio

from trio_tcp._connection import Connection
from trio_tcp._errors import (
    ConnectionFault,
    Drained,
    MalformedMessageError,
    PeerClosed,
)
from trio_tcp._kinds import check_function, check_kind
from trio_tcp._options import Concurrency
from trio_tcp._outgoing import HIGH_WATER_BYTES
from trio_tcp._respond._concurrently import ConcurrentAnswers, Policy
from trio_tcp._respond._functions import is_async
from trio_tcp._respond._request_errors import OnError, is_final, is_of
from trio_tcp._serve_connection import Handler
from trio_tcp._transport import READ_BYTES
from trio_tcp.codecs import LARGE_BYTES, NEED_MORE, NeedMore

__all__ = ["respond"]

In = TypeVar("In")
Out = TypeVar("Out")

Bind: TypeAlias = Callable[[Connection[Any, Any]], Callable[[Any], Any]]
"""Makes a function of a request alone, for one connection."""

ANSWERS_PER_TURN: Final = 64
"""How many requests of one connection are answered before others have their turn: as
many as calls of a connection without a schedule point."""

MUCH_BYTES: Final = READ_BYTES // 2
"""Only a read of so much may be followed by another before others have their turn: one
that filled its buffer, perhaps with ciphertext, which is longer."""

WITH_CONNECTION: Final = 2
"""How many arguments a function takes that wants the connection, too."""


@overload
def respond(
    function: Callable[[In], Awaitable[Out | None]],
    *,
    on_error: OnError[In, Out] | None = None,
    concurrency: Concurrency | None = None,
    shed: Callable[[In], Out | None] | None = None,
    deadline: Callable[[In], float | None] | None = None,
) -> Handler[In, Out]: ...


@overload
def respond(
    function: Callable[[In, Connection[In, Out]], Awaitable[Out | None]],
    *,
    on_error: OnError[In, Out] | None = None,
    concurrency: Concurrency | None = None,
    shed: Callable[[In], Out | None] | None = None,
    deadline: Callable[[In], float | None] | None = None,
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
    concurrency: Concurrency | None = None,
    shed: Callable[[Any], Any] | None = None,
    deadline: Callable[[Any], float | None] | None = None,
) -> Handler[Any, Any]:
    """Make a handler of a function that answers one request.

    Replies go out in the order of the requests; the next request of a connection is not
    looked at before the last is answered, unless ``concurrency`` lets an async function
    have several. Those of different connections do not wait for each other, except that
    a plain function holds up everything while it runs, as any code does that does not
    await.

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
        concurrency: how many requests of one connection may be under way at once, and
            whether their replies keep their order; for an async function. What fails
            the connection cancels them all; at the peer's end, and while a server
            drains, they finish.
        shed: ``request -> reply``, plain: answers at once what exceeds ``concurrency``,
            or comes too late. Without it, no more is read than may be in hand.
        deadline: ``request -> seconds``, plain: for how long from now on its reply is
            wanted, as the request says; None is for ever. After that the function is
            cancelled, or not called at all, and ``shed`` replies.

    Returns:
        A handler, for `serve_tcp` and its kin.

    Raises:
        TypeError: an argument is not of its type. A plain function cannot run
            concurrently; ``shed`` needs ``concurrency``, and ``deadline`` needs
            ``shed``. A plain function that returns an awaitable raises it out of the
            handler: the async function itself is wanted.

    Cancellation:
        As every handler's: between two requests, or where an async function awaits.

    Example::

        def upper(request: str) -> str:
            return request.upper()

        trio_tcp.run_server(trio_tcp.respond(upper), 8888, codec=codecs.Lines())
    """
    bind = _binder(function)
    may_wait = is_async(function)
    _check_policies(may_wait, on_error, concurrency, shed, deadline)
    if concurrency is not None:
        policy = Policy(on_error, shed, deadline)
        return _answering_concurrently(bind, concurrency, policy)
    if may_wait:
        return _answering_async(bind, on_error)

    return _Responder(bind, on_error)


def _check_policies(
    may_wait: bool,
    on_error: object,
    concurrency: object,
    shed: object,
    deadline: object,
) -> None:
    for name, given in (("on_error", on_error), ("shed", shed), ("deadline", deadline)):
        if given is not None:
            check_function(name, given)
    if concurrency is not None:
        check_kind("concurrency", concurrency, Concurrency)
    if concurrency is not None and not may_wait:
        raise TypeError("concurrency is for an async function: a plain one never waits")
    if shed is not None and concurrency is None:
        raise TypeError("shed needs concurrency, which says what is too much")
    if deadline is not None and shed is None:
        raise TypeError("deadline needs shed, which answers what is too late")


def _binder(function: Callable[..., Any]) -> Bind:
    """Return what gives it the connection, if it wants that."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # of a function in C nothing may be known
        return lambda _: function
    wanted = sum(
        parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        and parameter.default is parameter.empty
        for parameter in parameters
    )
    if wanted != WITH_CONNECTION:
        return lambda _: function
    return lambda connection: lambda request: function(request, connection)


def _answering_concurrently(
    bind: Bind, concurrency: Concurrency, policy: Policy[Any, Any]
) -> Handler[Any, Any]:
    async def answer(connection: Connection[Any, Any]) -> None:
        function = bind(connection)
        await ConcurrentAnswers(function, connection, concurrency, policy).run()

    return answer


def _answering_async(
    bind: Bind, on_error: OnError[Any, Any] | None
) -> Handler[Any, Any]:
    async def answer(connection: Connection[Any, Any]) -> None:
        function = bind(connection)
        while True:
            request: object = NEED_MORE
            try:
                request = await connection.receive()
                reply = await function(request)
                if reply is not None:
                    await connection.send(reply)
            except Exception as error:
                if request is NEED_MORE and isinstance(error, trio.EndOfChannel):
                    return
                if on_error is None or is_final(error, request, connection):
                    raise
                apology = on_error(error, None if request is NEED_MORE else request)
                if apology is not None:
                    await connection.send(apology)

    return answer


def _refuse_awaitable(reply: object) -> None:
    """See that a reply which cannot be encoded is not one that is still to come."""
    if inspect.isawaitable(reply):
        if inspect.iscoroutine(reply):
            reply.close()
        raise TypeError(
            "respond() was given a plain function, which returned an awaitable: "
            "give it the async function itself"
        ) from None


@final
class _Responder:
    """A handler whose connections may doze: see ``_dozing.py``."""

    def __init__(self, bind: Bind, on_error: OnError[Any, Any] | None) -> None:
        self._bind = bind
        self._on_error = on_error

    def sleeper(self, connection: Connection[Any, Any], /) -> _Answers[Any, Any]:
        return _Answers(self._bind(connection), self._on_error, connection)

    async def __call__(self, connection: Connection[Any, Any], /) -> None:
        await self.sleeper(connection).run()


@final
class _Answers(Generic[In, Out]):
    """A plain function that answers the requests of one connection."""

    __slots__ = (
        "_answered",
        "_bytes_seen",
        "_connection",
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
        self._unsent: bytes | None = None  # a reply for which there was no room
        self._answered = 0  # since others had their turn for certain
        self._bytes_seen = 0  # received when it last ran out of requests

    async def __call__(self, _: Connection[In, Out], /) -> None:
        """Go on as the connection's handler."""
        await self.run()

    async def run(self) -> None:
        """Answer until the peer's end."""
        incoming = self._incoming
        try:
            with incoming.reserved(), incoming.answered_by(self.answer):
                await trio.lowlevel.checkpoint_if_cancelled()
                await self._run()
        except ConnectionFault as error:
            if not is_of(error, self._connection):
                raise
            if isinstance(error, PeerClosed | Drained):
                return
            if not isinstance(error, MalformedMessageError):  # noted already
                self._note(error)
            raise

    async def _run(self) -> NoReturn:
        incoming, outgoing = self._incoming, self._outgoing
        while True:
            if self._unsent is not None:
                data, self._unsent = self._unsent, None
                await outgoing.wait_to_commit(data)
                outgoing.messages_sent += 1
            elif self.answer():
                await incoming.read_more()
            elif outgoing.is_full:
                await outgoing.wait_for_progress()
            else:
                await trio.lowlevel.checkpoint()

    # It may be called by Trio's own tasks, in which Ctrl-C has to wait.
    @trio.lowlevel.disable_ki_protection
    def answer(self) -> bool:  # noqa: C901 - for each request, a call is much
        """Answer what is received; False if something is left for the task to do."""
        incoming, outgoing = self._incoming, self._outgoing
        function, connection = self._function, self._connection
        reply: Out | None = None
        try:
            for answered in range(self._answered, ANSWERS_PER_TURN):
                if incoming.closed:
                    raise outgoing.refusal()
                if outgoing.bytes_queued >= HIGH_WATER_BYTES and self._is_full():
                    return False
                request: In | NeedMore = NEED_MORE
                try:
                    if ready := incoming.ready:
                        request = ready.pop()  # as `next_message`, without the call
                    elif (request := incoming.next_message()) is NEED_MORE:
                        received = incoming.bytes_received
                        is_much = received - self._bytes_seen >= MUCH_BYTES
                        self._answered = answered if is_much else 0
                        self._bytes_seen = received
                        return True
                    incoming.messages_received += 1
                    if (reply := function(request)) is None:
                        continue
                    if (
                        isinstance(reply, bytes)
                        and len(reply) >= LARGE_BYTES
                        and connection._commit_large(reply)  # noqa: SLF001 - as above
                    ):
                        outgoing.messages_sent += 1
                        continue
                    data = connection._codec.encode(reply)  # noqa: SLF001 - as above
                except Exception as error:
                    _refuse_awaitable(reply)
                    if not self._is_to_apologise(error, request):
                        raise
                    if (apology := self._apology(error, request)) is None:
                        continue
                    data = apology
                if not outgoing.gather(data):  # the function has sent something itself
                    self._unsent = data
                    return False
                outgoing.messages_sent += 1
        finally:
            outgoing.give()
        self._answered = 0
        return False

    def _is_full(self) -> bool:
        """Give what is queued, and say whether what is received has to wait."""
        self._outgoing.give()
        return self._outgoing.is_full and self._incoming.has_more

    def _note(self, error: ConnectionFault) -> None:
        self._connection._ending.note(error)  # noqa: SLF001 - as above

    def _is_to_apologise(self, error: Exception, request: In | NeedMore) -> bool:
        if request is NEED_MORE and isinstance(error, ConnectionFault):
            self._note(error)
        return self._on_error is not None and not is_final(
            error, request, self._connection
        )

    def _apology(self, error: Exception, request: In | NeedMore) -> bytes | None:
        assert self._on_error is not None
        apology = self._on_error(error, None if request is NEED_MORE else request)
        codec = self._connection._codec  # noqa: SLF001 - as above
        return None if apology is None else codec.encode(apology)
