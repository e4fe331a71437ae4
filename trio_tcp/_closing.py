"""The end of a connection, of which the graceful one is harder than it looks.

To close a socket while bytes of the peer lie unread makes the kernel send RST, and a
peer that receives RST may lose what it was sent before (RFC 1122, 4.2.2.13; RFC 7230,
6.6, calls it the TCP reset problem). So a graceful close sends everything, then FIN,
then goes on reading, and forgets what it reads, until the peer closes too.

Reading starts at once, not after the last byte is sent: a peer that will not read
before it has written all its requests would wait for us while we wait for it.

Every other end is hard, and simple: `Ending.abort`, and `Ending.terminate` for whatever
was left open.
"""

from __future__ import annotations

from typing import Any, final

import trio

from trio_tcp._errors import (
    ConnectionBroken,
    ConnectionFault,
    EvictedError,
    FramingError,
    MalformedMessageError,
    PeerTooSlowError,
    SlowSubscriberError,
    TlsHandshakeError,
)
from trio_tcp._events import CloseReason, ConnectionStatistics
from trio_tcp._group import Group
from trio_tcp._incoming import Incoming
from trio_tcp._journal import Journal
from trio_tcp._outgoing import Outgoing
from trio_tcp._transport import TlsTransport, Transport

__all__ = ["Ending"]


@final
class Ending:
    """How one connection ends, and that it ends once.

    Attributes:
        handler: the scope in which a server runs the connection's handler.
        is_too_old: its lifetime is over.
        released: its stream and tasks are somebody else's, or gone.
    """

    __slots__ = (
        "_abortive",
        "_close_is_protected",
        "_closed",
        "_closing",
        "_group",
        "_incoming",
        "_is_cancelled",
        "_journal",
        "_outgoing",
        "_transport",
        "handler",
        "is_too_old",
        "released",
    )

    def __init__(
        self,
        transport: Transport,
        incoming: Incoming[Any],
        outgoing: Outgoing,
        journal: Journal,
        group: Group,
    ) -> None:
        self._transport = transport
        self._incoming = incoming
        self._outgoing = outgoing
        self._journal = journal
        self._group = group
        self._closed: trio.Event | None = None  # while `aclose` runs, and after it
        self._closing: trio.CancelScope | None = None  # that it does so in
        self._close_is_protected = False
        self._abortive = False
        self._is_cancelled = False  # its handler is, or will be when it starts
        self.handler: trio.CancelScope | None = None
        self.is_too_old = False
        self.released = False
        group.hold()
        group.writers.hold()
        group.budget.holders[journal.id] = self

    async def aclose(self) -> None:
        """Deliver everything, then close; when called again, wait for the first."""
        if self._incoming.closed:
            await trio.lowlevel.checkpoint()
            await self.wait_for_close()
            return
        self._closed = trio.Event()
        self._incoming.note_end()
        self._journal.end(CloseReason.CLOSED)
        self._incoming.close()
        self._outgoing.close()
        try:
            if self.everything_is_said or self._journal.is_broken:
                await trio.lowlevel.checkpoint_if_cancelled()
            else:
                with trio.CancelScope(shield=self._close_is_protected) as scope:
                    self._closing = scope
                    await trio.lowlevel.checkpoint_if_cancelled()
                    await self._say_goodbye(self._incoming.patience.timeouts.linger)
        finally:
            await self.terminate()  # noqa: ASYNC102 - it shields itself
            self._closed.set()

    @property
    def everything_is_said(self) -> bool:
        """Whether both sides have sent all, and their end, but for closing."""
        return (
            self._incoming.at_eof
            and not self._outgoing.bytes_queued
            # TLS has an end of its own to send; so may have a stream that cannot
            # half-close, such as Trio's TLS.
            and not isinstance(self._transport, TlsTransport)
            and self._transport.can_half_close
        )

    async def wait_for_close(self) -> None:
        """Wait for an `aclose` that is under way, if there is one."""
        if self._closed is not None:
            await self._closed.wait()

    async def _say_goodbye(self, linger: float) -> None:
        """Send what is queued, and the end, while reading until the peer's end.

        Args:
            linger: seconds for the peer to take the next part of what is queued, and
                once it has it all, to close. After that the rest is given up.
        """
        discarded = trio.Event()

        async def discard() -> None:
            try:
                await self._incoming.discard()
            finally:
                discarded.set()

        writer = self._group.writers.start(discard)
        try:
            if await self._flush(linger):
                with trio.move_on_after(linger) as scope:
                    await self._outgoing.send_eof().wait()
                    if self._transport.can_half_close:
                        await discarded.wait()
                is_late = scope.cancelled_caught
            else:
                is_late = self._outgoing.bytes_queued > 0  # not dropped meanwhile
            if is_late:
                self._journal.report_timed_out("linger", linger)
        finally:
            if not discarded.is_set():
                writer.cancel()
                with trio.CancelScope(shield=True):
                    await discarded.wait()

    async def _flush(self, linger: float) -> bool:
        """Wait until all is sent; False if for ``linger`` seconds nothing could be."""
        outgoing = self._outgoing
        outgoing.give()
        while outgoing.bytes_queued:
            before = outgoing.bytes_sent
            with trio.move_on_after(linger):
                await outgoing.wait_for_progress()
            if outgoing.bytes_sent == before:
                return False
        return True

    def finish(self) -> bool:
        """End as after a handler that returns at the peer's end, if nothing can wait.

        Returns:
            False, and nothing is done, if something can.
        """
        if self._journal.is_broken or not self.everything_is_said:
            return False
        self._incoming.close()
        self._outgoing.close()
        if not self._transport.close_now():
            return False
        self._journal.end(CloseReason.PEER_CLOSED)
        self.released = True
        self._report()
        return True

    def abort(self) -> None:
        """Break the connection; one of the writers closes the stream."""
        if not self.released:
            self._abortive = True
            self._journal.end(CloseReason.CLOSED)
            self._incoming.close()
            self._outgoing.abort()
            self._group.writers.start(self._transport.abort)

    def reset(self) -> None:
        """Abort, as the drain of its server waits no longer."""
        if not self.released:
            self._journal.drain("aborted")
        self.abort()

    async def terminate(
        self,
        reason: CloseReason = CloseReason.CLOSED,
        error: BaseException | None = None,
    ) -> None:
        """Release everything, at once; for the ``finally`` of whoever opened it.

        Args:
            reason: why, where no cause is known yet.
            error: what went wrong, if something did: then the connection is aborted.
                It is, too, where something is queued, or could not be delivered: the
                peer must not take the rest for all. Otherwise it is closed, and what
                the kernel has still arrives.
        """
        if self.released:
            if reason is CloseReason.HANDLER_FAILED and error is not None:
                # After it had closed or detached: too late to be why it has ended.
                self._journal.report_failed(error)
            return
        undelivered = self._outgoing.bytes_queued or self._journal.is_broken
        if error is not None or undelivered:
            self._abortive = True
        self._journal.end(reason, error)
        self._incoming.close()
        self._outgoing.abort()
        self.released = True
        try:
            if self._transport.closes_at_once:
                await self._close_transport()
            else:
                with trio.CancelScope(shield=True):
                    await self._close_transport()
        finally:
            self._report()

    async def _close_transport(self) -> None:
        if self._abortive:
            await self._transport.abort()
        else:
            await self._transport.aclose()

    def note(self, error: ConnectionFault) -> None:
        """Take notice of what receiving met."""
        match error:
            case MalformedMessageError():
                self._journal.report_malformed(error)
            case FramingError() if not self._journal.is_broken:
                self._journal.lose_framing(error)
            case ConnectionBroken():
                self._outgoing.drop()  # what cannot be read cannot be written either
            case _:
                pass

    def give_up(self, error: BaseException) -> None:
        """Break the connection: it is in no state to go on."""
        if not isinstance(error, Exception):
            error = TlsHandshakeError("the TLS handshake was broken off on this side")
            self._journal.end(CloseReason.CLOSED, self._journal.mine(error))
        if isinstance(error, ConnectionFault):
            self._journal.mine(error)
        self._journal.break_with(error)
        self._outgoing.drop()
        self._incoming.break_off()

    @property
    def bytes_held(self) -> int:
        """How many bytes are held for it, of those that a budget counts."""
        incoming = self._incoming.bytes_held + self._incoming.bytes_ahead
        return incoming + self._outgoing.bytes_held

    def evict(self, error: EvictedError | SlowSubscriberError) -> None:
        """Break the connection, and let go of what it holds."""
        self._journal.break_with(error)
        self._outgoing.abort()
        self._incoming.evict()

    def fail(self, error: Exception) -> None:
        """Abort: what the handler has left here to be called has failed."""
        self._journal.end(CloseReason.HANDLER_FAILED, error)
        self.abort()

    def begin_life(self, handler: trio.CancelScope | None = None) -> None:
        """Start the clock of the connection's lifetime; at its end, cancel."""
        self.handler = handler
        if self.is_too_old or self._is_cancelled:  # before it needed a handler
            self._cancel_handler()
            return
        self._incoming.patience.begin_life(self._journal.opened_at, self._outlived)

    def _outlived(self, error: PeerTooSlowError) -> None:
        self._journal.end(CloseReason.TIMED_OUT, self._journal.mine(error))
        self.is_too_old = True
        self._cancel_handler()

    def _cancel_handler(self) -> None:
        if self.handler is not None:
            self.handler.cancel()
        else:  # to be cancelled as soon as it starts, and so let it
            self._incoming.interrupt()

    def cancel(self) -> None:
        """Cancel the handler, as its server drains; what it has sent is delivered."""
        if not self.released:
            self._journal.drain("cancelled")
        # The handler may be closing already, or do so when it is cancelled.
        self.protect_close(protected=True)
        self._is_cancelled = True
        self._cancel_handler()

    def protect_close(self, *, protected: bool) -> None:
        """Let an `aclose` go on when its task is cancelled, or no more."""
        self._close_is_protected = protected
        if self._closing is not None:
            self._closing.shield = protected

    def use(self, transport: Transport) -> None:
        """Go on over this transport, which has the old one below, and begins soon."""
        self._transport = transport
        self._incoming.read_from(transport)
        self._outgoing.write_to(transport, excused=True)

    def detach(self) -> trio.abc.Stream:
        """Take the stream out of the connection, which ends."""
        self._journal.end(CloseReason.DETACHED)
        self._incoming.close()
        self._outgoing.close()
        self.released = True
        stream = self._transport.release()
        self._report()
        return stream

    def statistics(self) -> ConnectionStatistics:
        """Return the counters of both halves."""
        return ConnectionStatistics(
            messages_received=self._incoming.messages_received,
            messages_sent=self._outgoing.messages_sent,
            bytes_received=self._incoming.bytes_received + self._incoming.bytes_ahead,
            bytes_sent=self._outgoing.bytes_sent,
            bytes_queued=self._outgoing.bytes_queued,
            bytes_skipped=self._incoming.buffer.skipped,
        )

    def _report(self) -> None:
        # First of all: Ctrl-C may come while an observer is told, and the tasks of a
        # group that nobody lets go of would never end.
        self._incoming.release()
        self._outgoing.release()
        del self._group.budget.holders[self._journal.id]
        self._group.writers.release()
        self._group.release()
        self._incoming.report_garbage()
        self._journal.report_ended(self.statistics())
