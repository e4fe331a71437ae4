"""A heartbeat: notice a peer that is dead, or cannot answer, in a known time.

TCP says nothing of a peer that has vanished, and its own keepalive is answered by the
peer's kernel, also for a program that hangs. Only a message that the program itself
answers shows that it lives.

A silent peer is asked; any sign of life will do as an answer, as in gRPC's keepalive.
So nothing is sent while the peer talks anyway. Time in which this side does not listen,
or cannot get its question out, is not the peer's silence.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Generic, TypeVar, final

import trio

from trio_tcp._connection import Connection
from trio_tcp._errors import ConnectionFault, PeerTooSlowError
from trio_tcp._group import PASSES_TO_LOOK
from trio_tcp._heartbeat._pump import Pump
from trio_tcp._kinds import check_function, check_kind
from trio_tcp._nursery import open_quiet_nursery

__all__ = ["heartbeat"]

In = TypeVar("In")
Out = TypeVar("Out")


@asynccontextmanager
async def heartbeat(
    connection: Connection[In, Out],
    message: Out,
    is_answer: Callable[[In], bool],
    *,
    every: float,
    within: float,
    reply: Callable[[In], Out | None] | None = None,
) -> AsyncGenerator[trio.abc.ReceiveChannel[In], None]:
    """Notice a peer that gives no sign of life, in ``every + within`` seconds.

    For either side. In this block receive from what it gives you, which has all
    messages but the answers, and raises what the connection would have raised; send
    over the connection itself. When nothing has come for ``every`` seconds, ``message``
    is sent; when then nothing comes ``within`` seconds, the peer is dead: `receive` and
    `send` raise `PeerTooSlowError`, and the connection is broken.

    It listens also while you work and receive nothing, up to 16 messages and 64 KiB
    ahead. When that much waits for you the clock stands still: this side is slow, and
    not the peer. It does so, too, while the peer still takes what was sent before.

    Any byte that comes is a sign of life, also of an unfinished message. A peer that
    falls silent inside one is noticed after ``2 * within`` if that is more. After the
    peer's end (`PeerClosed`) or `Connection.send_eof` nobody is asked any more.

    Args:
        connection: from which nobody else receives in this block.
        message: what the peer answers, such as ``"PING"``. Sent as any other.
        is_answer: plain; says of a message received whether it is such an answer. They
            are not seen by you, whoever has asked for them.
        every: seconds of silence after which the peer is asked. `math.inf`: never.
        within: seconds in which it is to answer, once the stream has the question.
        reply: plain; where the peer asks, too: what to answer to a message received, at
            once, also while you work; you do not see it then. None: the message is
            yours. While its answer waits for room, several questions may get one.

    Returns:
        A context manager, which gives a `trio.abc.ReceiveChannel`. Closing that closes
        the connection. What was read ahead can still be received after the block.

    Raises:
        ValueError: ``every`` or ``within`` is no number above zero.
        TypeError: another argument is not of its type.
        EncodeError: the codec cannot carry ``message``.
        Exception: what ``is_answer`` or ``reply`` has raised; the block is cancelled.
        BaseException: what the block raises, as itself and never in a group.

    Cancellation:
        Ends the heartbeat. The connection is as it was.

    Example::

        def is_pong(message: str) -> bool:
            return message == "PONG"

        async with trio_tcp.heartbeat(
            connection, "PING", is_pong, every=10, within=5
        ) as messages:
            async for message in messages:
                ...
    """
    check_kind("connection", connection, Connection)
    check_function("is_answer", is_answer)
    if reply is not None:
        check_function("reply", reply)
    _check_seconds("every", every)
    _check_seconds("within", within)
    connection._codec.encode(message)  # noqa: SLF001 - now, not in the middle of it all
    failures: list[Exception] = []
    async with open_quiet_nursery() as nursery:
        pulse = _Pulse(
            connection,
            message,
            is_answer=is_answer,
            reply=reply,
            every=every,
            within=within,
            nursery=nursery,
        )

        async def listen() -> None:
            try:
                await pulse.listen()
            except Exception as error:  # noqa: BLE001 - raised below
                failures.append(error)
                nursery.cancel_scope.cancel()

        nursery.start_soon(listen)
        nursery.start_soon(pulse.ask_forever)
        try:
            yield pulse.pump
        finally:
            pulse.pump.end(trio.ClosedResourceError("the heartbeat has ended"))
            nursery.cancel_scope.cancel()
    if failures:
        raise failures[0]


def _check_seconds(name: str, value: object) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and value > 0):  # type: ignore[operator] # is a number
        raise ValueError(f"{name} must be a number of seconds, above 0, not {value!r}")


@final
class _Pulse(Generic[In, Out]):
    """The heartbeat of one connection.

    Attributes:
        pump: the messages that are not its own.
    """

    def __init__(
        self,
        connection: Connection[In, Out],
        question: Out,
        *,
        is_answer: Callable[[In], bool],
        reply: Callable[[In], Out | None] | None,
        every: float,
        within: float,
        nursery: trio.Nursery,
    ) -> None:
        self._connection = connection
        self._question = question
        self._is_answer = is_answer
        self._reply = reply
        self._every = every
        self._within = within
        self._nursery = nursery
        self._asking = trio.CancelScope()
        self._replying = False
        self.pump: Pump[In] = Pump(connection, self._takes)

    # Listening

    async def listen(self) -> None:
        """Receive until nothing more can be; then there is no use in asking."""
        await self.pump.run()
        self._asking.cancel()

    def _takes(self, message: In) -> bool:
        if self._is_answer(message):
            return True
        answer = None if self._reply is None else self._reply(message)
        if answer is None:
            return False
        self._send(answer)
        return True

    def _send(self, answer: Out) -> None:
        """Answer; the listener must not wait for the peer to take it."""
        with suppress(ConnectionFault):  # whoever receives or sends hears of it
            try:
                self._connection.send_nowait(answer)
            except trio.WouldBlock:
                if not self._replying:
                    self._replying = True
                    self._nursery.start_soon(self._send_when_taken, answer)

    async def _send_when_taken(self, answer: Out) -> None:
        with suppress(ConnectionFault):
            await self._connection.send(answer)
        self._replying = False

    # Asking

    async def ask_forever(self) -> None:
        """Ask the peer whenever it is silent, and break off when it does not answer."""
        with self._asking, suppress(ConnectionFault):
            lives = True
            while lives:
                await self._wait_for_silence()
                heard = self.pump.heard
                lives = await self._ask() and await self._gives_a_sign(heard)
            error = PeerTooSlowError("heartbeat", self._within)
            self._connection._ending.give_up(error)  # noqa: SLF001 - a part of it

    async def _wait_for_silence(self) -> None:
        now = trio.current_time()
        while (until := min(self.pump.silent_since, now) + self._every) > now:
            await trio.sleep_until(until)
            now = trio.current_time()

    async def _ask(self) -> bool:
        """Give the stream the question, and all that is before it.

        That may take long where much is to be sent, and is none of the peer's doing as
        long as it takes some of it. Returns False if it does not.
        """
        is_accepted = False
        before = -1
        while (now := self._progress()) > before:
            before = now
            with trio.move_on_after(self._within):
                if not is_accepted:
                    await self._connection.send(self._question)
                    is_accepted = True
                await self._connection.flush()
                return True
        return False

    def _progress(self) -> int:
        return self._connection.statistics().bytes_sent + self.pump.bytes_received

    async def _gives_a_sign(self, heard: int) -> bool:
        """Wait until more is heard than this; False if nothing comes in time."""
        pump = self.pump
        received = -1
        while pump.heard == heard and pump.bytes_received > received:
            received = pump.bytes_received
            with trio.move_on_after(self._within):
                await pump.wait_until_heard()
                return True
            # If this process has slept, the answer may be here, and not yet received.
            for _ in range(PASSES_TO_LOOK):
                await trio.lowlevel.checkpoint()
        return pump.heard > heard
