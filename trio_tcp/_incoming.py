"""Messages on their way in: read and decoded when somebody asks.

There is no task here. What nobody receives stays in the kernel, whose window tells the
peer to wait; at most one read is held beside the unfinished message, and of that the
next few messages may be decoded already.

A plain function may answer messages where their bytes arrive, for a task that waits, or
for none: see ``_respond/_respond.py`` and ``_dozing.py``.

A task that waits to receive can be interrupted, with the exception that it is to raise:
it took too long, the server drains, the connection is closed. Bytes that came at the
same moment win.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import Context
from typing import Generic, Never, TypeVar, final

import trio

from trio_tcp._budget import SMALL_BYTES
from trio_tcp._errors import (
    CloseNotifyMissingError,
    ConnectionFault,
    Drained,
    PeerClosed,
    PeerTooSlowError,
)
from trio_tcp._events import CloseReason
from trio_tcp._group import Group
from trio_tcp._journal import Journal
from trio_tcp._options import Timeouts
from trio_tcp._patience import Patience
from trio_tcp._read_ahead import ReadAhead
from trio_tcp._transport import Doze, Transport
from trio_tcp.codecs import NEED_MORE, Buffer, Codec, Decoder, NeedMore

__all__ = ["Incoming"]

In = TypeVar("In")


def _nothing() -> NeedMore:
    return NEED_MORE


@final
class Incoming(Generic[In]):
    """The receiving half of a connection.

    Attributes:
        receiving: a task is in `Connection.receive`. It sets this itself.
        at_eof: the peer has closed its sending direction.
        closed: nothing may be delivered any more.
        buffer: the bytes that are not yet decoded.
        bytes_received: read from the stream.
        bytes_held: as counted in the budget of the group.
        messages_received: returned to the user. The connection counts them.
        next_message: the decoder's method, kept to save a call for each message. It
            returns the next whole one, or `NEED_MORE`. Callers note its errors.
        ready: messages that are decoded already, kept for the same reason.
        patience: how long it waits.
    """

    __slots__ = (
        "_broken",
        "_busy",
        "_decoder",
        "_doze",
        "_failure",
        "_garbage_reported",
        "_given_up",
        "_group",
        "_interruption",
        "_is_halted",
        "_journal",
        "_read_ahead",
        "_receiver_left",
        "_source",
        "_transport",
        "_waiting",
        "_waits",
        "at_eof",
        "buffer",
        "bytes_held",
        "bytes_received",
        "closed",
        "messages_received",
        "next_message",
        "patience",
        "ready",
        "receiving",
    )

    def __init__(
        self,
        transport: Transport,
        codec: Codec[In, Never],
        journal: Journal,
        group: Group,
        timeouts: Timeouts,
        *,
        received: bytes,
        awaits_first: bool,
    ) -> None:
        self.buffer: Buffer = Buffer(received)
        self._decoder: Decoder[In] = Decoder(codec, self.buffer)
        self.next_message: Callable[[], In | NeedMore] = self._decoder.next_message
        self.ready = self._decoder.ready
        self._journal = journal
        self._group = group
        self.patience = Patience(
            timeouts,
            group.timers,
            self.interrupt,
            awaits_first=awaits_first and not received,
        )
        self._garbage_reported = 0
        self._receiver_left: trio.Event | None = None
        self._broken = False
        self._given_up: ConnectionFault | None = None
        self._is_halted = False  # one of these two, or the end
        self._busy = 0  # dialogues under way
        self._waiting = False  # a task waits for bytes
        self._waits = 0  # how many times one did
        self._interruption: ConnectionFault | None = None  # what it is to raise
        self._doze: Doze | None = None
        self._failure: BaseException | None = None  # for who waits
        self.bytes_received = len(received)
        self.bytes_held = 0
        self.messages_received = 0
        self.receiving = False
        self.at_eof = False
        self.closed = False
        self.read_from(transport)

    @property
    def has_more(self) -> bool:
        """Whether something is received that is not delivered."""
        buffer = self.buffer
        return bool(self.ready) or buffer.start < len(buffer.data)

    @property
    def bytes_ahead(self) -> int:
        """Read from the stream while nobody received."""
        return 0 if self._read_ahead is None else self._read_ahead.bytes_held

    def read_from(self, transport: Transport) -> None:
        """Read from this transport from now on."""
        self._transport = transport
        self._source: Transport | ReadAhead = transport
        self._read_ahead: ReadAhead | None = None

    async def read_more(self) -> None:  # noqa: C901 - each message goes through here
        """Wait for bytes, or for the end of the stream, and hand them to the decoder.

        Raises:
            PeerClosed: the end was there already.
            PeerTooSlowError: nothing came in time.
            Drained: the server drains, and no message has begun.
            ConnectionBroken: the stream is broken.
            ConnectionClosedError: closed on this side meanwhile.
        """
        buffer = self.buffer
        if self._is_halted or buffer.skipped != self._garbage_reported:
            self.check_for_more()
        self._interruption = None
        self._waits += 1
        self._waiting = True
        chunk = None
        try:
            self._start_to_wait(buffer)
            if self._group.is_draining:
                self._leave_if_drained()
            chunk = await self._source.receive_some()
        except trio.ClosedResourceError:
            self._raise_interruption()
        except CloseNotifyMissingError:
            held = len(buffer.data) - buffer.start + buffer.beyond
            cut = CloseNotifyMissingError(held)
            self._give_up(self._journal.lose_framing(cut))
            raise copy.copy(cut) from None
        except Exception as error:  # noqa: BLE001 - a user's stream may raise any
            self._break()
            raise self._journal.break_with(error)  # noqa: B904 - it has its cause
        finally:
            self._waiting = False
            if self._read_ahead is not None:
                self._read_ahead.receiver_left()
            if chunk:
                self.patience.stop()
            else:
                self.patience.stop_in_vain()
        if chunk and not (self.closed or self._broken):
            # As `_take`, for the usual case.
            self.bytes_received += len(chunk)
            self._decoder.feed(chunk)
            if buffer.beyond or len(buffer.data) > SMALL_BYTES:
                self._count(buffer)
        elif chunk is not None:
            self._take(chunk)

    def _leave_if_drained(self) -> None:
        if self.drain():
            raise trio.ClosedResourceError  # as if it had been interrupted later

    def check_for_more(self) -> None:
        """See to it that there is something to wait for.

        Raises:
            Exception: as `read_more`.
        """
        self.report_garbage()
        if self._broken:
            raise self._journal.broken_error()
        if self.at_eof:
            raise self.end_of_messages()
        if self._given_up is not None:
            raise copy.copy(self._given_up)

    def _start_to_wait(self, buffer: Buffer) -> None:
        """Hold on to no more than has to be held, and start the clocks."""
        size = len(buffer.data) + buffer.beyond
        held = size - buffer.start
        if size > SMALL_BYTES or self.bytes_held:
            self._let_go(held)
        self.patience.start(self.bytes_received - held, held)

    def _let_go(self, held: int) -> None:
        """Hold on to no more than the bytes that make no message yet."""
        if not held:
            self._decoder.let_go()
        self._hold(held)

    def _take(self, chunk: bytes) -> None:
        """Take what was read: bytes, or the end."""
        if self.closed:
            raise self._journal.closed_error()
        if self._broken:  # broken off, while this was on its way
            raise self._journal.broken_error()
        if chunk:
            self.bytes_received += len(chunk)
            self._decoder.feed(chunk)
            self._count(self.buffer)
        elif self._journal.is_broken:
            # When a write has seen the reset, reads end as if the peer had closed.
            self._break()
            raise self._journal.broken_error()
        else:
            self.at_eof = self._is_halted = True
            self._decoder.end()

    def _count(self, buffer: Buffer) -> None:
        """Count what is held against the budget, which it may be too much for."""
        size = len(buffer.data) + buffer.beyond
        if size > SMALL_BYTES:
            self._hold(size)
            budget = self._group.budget
            if budget.held > budget.limit:
                budget.relieve()

    def _break(self) -> None:
        """Reading has failed, and is not tried again."""
        self._broken = self._is_halted = True

    def _give_up(self, error: ConnectionFault) -> None:
        """Nothing more is waited for, because of this."""
        self._given_up = error
        self._is_halted = True

    def _hold(self, count: int) -> None:
        """Tell the budget how many bytes this holds now, if it is worth the words."""
        count = count if count > SMALL_BYTES else 0
        self._group.budget.held += count - self.bytes_held
        self.bytes_held = count

    def end_of_messages(self) -> Exception:
        """Return what to raise when all messages before the end are delivered."""
        self._journal.end(CloseReason.PEER_CLOSED)
        return self._journal.mine(PeerClosed("the peer has closed"))

    def report_garbage(self) -> None:
        """Report what the codec has skipped since the last time."""
        count = self.buffer.skipped - self._garbage_reported
        if count:
            self._garbage_reported += count
            self._journal.report_garbage(count)

    # Answering

    @contextmanager
    def answered_by(self, answer: Callable[[], bool]) -> Generator[None, None, None]:
        """In this block, let messages be answered where their bytes arrive.

        Args:
            answer: takes messages and answers them, and returns whether all are
                answered and the task in `read_more` may wait on. What it raises,
                `read_more` raises. It may be called in another task than that, but
                with its context.
        """
        context = trio.lowlevel.current_task().context

        def take(chunk: bytes) -> bool:
            return self.take_for(chunk, answer, context) and self.may_wait_on

        self.raise_failure()
        self._transport.offer_to(take)
        try:
            yield
        finally:
            self._transport.offer_to(None)
            self.raise_failure()  # also where a cancellation came first

    def take_for(
        self, chunk: bytes, answer: Callable[[], bool], context: Context
    ) -> bool:
        """Take bytes for one who waits, and have them answered; False if not all are.

        What this raises is kept for `raise_failure`.
        """
        decoder = self._decoder
        try:
            if chunk and not (self.closed or self._broken):
                # As `_take`, for the usual case.
                self.bytes_received += len(chunk)
                decoder.feed(chunk)
                buffer = decoder.buffer
                if buffer.beyond or len(buffer.data) > SMALL_BYTES:
                    self._count(buffer)
            else:
                self._take(chunk)
            is_done = context.run(answer)
        except BaseException as error:  # noqa: ASYNC103, BLE001 - it is for who waits
            self._failure = error
            is_done = False
        buffer = self.buffer
        size = len(buffer.data) + buffer.beyond
        held = size - buffer.start
        if size > SMALL_BYTES or self.bytes_held:
            self._let_go(held)
        self.patience.go_on(self.bytes_received - held, held)
        return is_done

    @property
    def may_wait_on(self) -> bool:
        """Whether one who waits may do so, as nothing else has happened."""
        return not (self._is_halted or self.closed or self._group.is_draining)

    def raise_failure(self) -> None:
        """Raise what was raised for one who waited."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            try:
                raise failure from None
            finally:
                del failure  # its traceback has this frame: a cycle

    # Dozing

    def begin_to_doze(self, doze: Doze) -> None:
        """Wait as `read_more` does, but with no task; interrupting wakes this."""
        self._doze = doze
        self.receiving = self._waiting = True
        self._waits += 1
        self._start_to_wait(self.buffer)

    def stop_to_doze(self) -> None:
        """Wait no more."""
        self._doze = None
        self.receiving = self._waiting = False
        self.receiver_left()
        if self._read_ahead is not None:
            self._read_ahead.receiver_left()
        self.patience.stop_in_vain()

    # Interrupting

    def interrupt(self, error: ConnectionFault | None = None) -> None:
        """Wake the task that waits for bytes; with no error, it just looks again."""
        if self._doze is not None:
            if isinstance(error, PeerTooSlowError):
                self._give_up(self._journal.mine(error))
                self._journal.end(CloseReason.TIMED_OUT, error)
            self._doze.wake()
        elif self._waiting:
            self._interruption = error
            self._source.interrupt_receive()

    def _raise_interruption(self) -> None:
        self.raise_failure()
        if self.closed:
            raise self._journal.closed_error() from None
        if self._broken:
            raise self._journal.broken_error() from None
        error = self._interruption
        if isinstance(error, PeerTooSlowError):
            self._give_up(error)
            self._journal.end(CloseReason.TIMED_OUT, error)
        elif error is not None:
            self._journal.drain("told")
        if error is not None:
            raise self._journal.mine(error) from None

    def drain(self) -> bool:
        """Send away a task that waits for bytes, unless a message or dialogue is on.

        What has arrived is still to be served. Returns whether it is sent away already:
        not all streams can tell what they have.
        """
        buffer = self.buffer
        if not self._waiting or self._busy or buffer.start < len(buffer.data):
            return False
        wait = self._waits

        def send_away() -> None:
            if self._waits == wait and not self._busy:
                self.interrupt(Drained("the server drains"))

        if self._source.is_quiet():
            send_away()
            return True
        self._group.call_later(send_away)
        return False

    @contextmanager
    def busy(self) -> Generator[None, None, None]:
        """Mark a dialogue that a drain is not to break."""
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            if self._group.is_draining:
                self.drain()

    # Watching

    async def wait_for_end(self) -> None:
        """Wait until the stream has ended or is closed, reading ahead a little."""
        if self._read_ahead is None and not self._is_over():
            self._transport.offer_to(None)  # its reader may be one who watches
            self._read_ahead = ReadAhead(
                self._transport, self._group.budget, receiver_here=self._waiting
            )
            self._source = self._read_ahead
            self.interrupt()  # one that reads past it comes back to read through it
        if not self._is_over() and self._read_ahead is not None:
            await self._read_ahead.wait_for_end()

    def note_end(self) -> None:
        """Note an end that nobody has received yet, but who watches has seen."""
        ahead = self._read_ahead
        if ahead is None or not ahead.ended or self._is_halted:
            return
        match ahead.error:
            case None:
                self._journal.end(CloseReason.PEER_CLOSED)
            case CloseNotifyMissingError() as cut:
                self._journal.lose_framing(cut)
            case error:
                self._journal.break_with(error)

    def _is_over(self) -> bool:
        return self.at_eof or self._broken or self.closed or self._journal.is_broken

    # Handing over

    @contextmanager
    def reserved(self) -> Generator[None, None, None]:
        """Let nobody receive, or read ahead, in this block.

        Raises:
            trio.BusyResourceError: somebody does.
        """
        if self.receiving:
            raise trio.BusyResourceError("another task is receiving")
        if self._read_ahead is not None and self._read_ahead.watchers:
            raise trio.BusyResourceError("another task waits for the peer's end")
        self.receiving = True
        try:
            yield
        finally:
            self.receiving = False
            if self.closed:
                self.receiver_left()

    def switch_codec(self, codec: Codec[In, Never]) -> None:
        """Decode anew from the first byte that is not yet delivered."""
        self._decoder.rewind()
        buffer = self.buffer
        buffer.cursor = buffer.start
        self._decoder = Decoder(codec, buffer)
        if self.at_eof:
            self._decoder.end()
        self.next_message = self._decoder.next_message
        self.ready = self._decoder.ready

    def take_undelivered(self) -> bytes:
        """Return what was read but not delivered, and hold it no more."""
        self._decoder.rewind()
        buffer = self.buffer
        undelivered = buffer.unread()
        if self._read_ahead is not None:
            ahead = self._read_ahead.take()
            self.bytes_received += len(ahead)
            undelivered += ahead
        buffer.data, buffer.start, buffer.cursor = b"", 0, 0
        self._hold(0)
        return undelivered

    # Ending

    def evict(self) -> None:
        """Let go of what is held, and break off; the connection is broken."""
        self.take_undelivered()
        # The decoder waits for more than that, and must not go on with less.
        self.next_message = _nothing
        self.break_off()

    def break_off(self) -> None:
        """Receive nothing more, and send everybody away who waits."""
        self._break()
        self._interrupt_all()

    def _interrupt_all(self) -> None:
        if self._doze is not None:
            self._doze.wake()
        elif self.receiving or self._read_ahead is not None:
            self._source.interrupt_receive()
        if self._read_ahead is not None:
            self._read_ahead.close()

    def close(self) -> None:
        """Deliver nothing more; a task that is receiving is sent away."""
        self.closed = True
        self.ready.clear()
        if self.receiving and self._receiver_left is None:
            self._receiver_left = trio.Event()
        self._interrupt_all()

    def release(self) -> None:
        """Let go of what the group has of this; nobody receives any more."""
        self.take_undelivered()
        self.patience.close()

    def receiver_left(self) -> None:
        """Note that the task which was receiving has gone."""
        if self._receiver_left is not None:
            self._receiver_left.set()

    async def discard(self) -> None:
        """Read and forget until the peer closes; after `close`."""
        if self._receiver_left is not None:
            await self._receiver_left.wait()
        while not self.at_eof:
            try:
                chunk = await self._source.receive_some()
            except (CloseNotifyMissingError, trio.ClosedResourceError):
                return  # whatever the peer had to say, nobody listens
            except Exception as error:  # noqa: BLE001 - as in read_more
                self._journal.break_with(error)
                return
            self.bytes_received += len(chunk)
            self.at_eof = not chunk
