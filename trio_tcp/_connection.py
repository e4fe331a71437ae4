"""Messages over a byte stream: the class that everything else is about.

Its parts: `Incoming` reads and decodes when `receive` asks; `Outgoing` holds what
`send` has accepted until the stream has taken it; `Ending` sees to the end, and the
`Journal` keeps who it is and why it ended. Whoever opened a connection calls
``_ending.terminate`` in a ``finally``: after that nothing of it is left.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Coroutine, Iterable
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any, Final, Generic, TypeVar, final

import trio
from trio.lowlevel import cancel_shielded_checkpoint, checkpoint_if_cancelled

from trio_tcp._address import Address
from trio_tcp._closing import Ending
from trio_tcp._errors import ConnectionFault, HalfCloseUnsupportedError
from trio_tcp._events import CloseReason, ConnectionStatistics
from trio_tcp._group import Group
from trio_tcp._handshake import shake_hands, tls_over
from trio_tcp._incoming import Incoming
from trio_tcp._journal import Journal
from trio_tcp._kinds import check_codec
from trio_tcp._nursery import forgetful_scope, open_quiet_nursery
from trio_tcp._options import Timeouts, Tls
from trio_tcp._outgoing import Outgoing
from trio_tcp._proxy_header import ProxyHeader
from trio_tcp._transport import TlsInfo, Transport
from trio_tcp.codecs import LARGE_BYTES, NEED_MORE, Codec, encode_parts

__all__ = ["Connection"]

In_co = TypeVar("In_co", covariant=True)
Out_contra = TypeVar("Out_contra", contravariant=True)
NewIn = TypeVar("NewIn")
NewOut = TypeVar("NewOut")

CALLS_PER_SCHEDULE_POINT: Final = 64
"""A pass of Trio's scheduler costs as much as handling several messages. So calls that
need not wait make one only this often; counted, not timed, so that runs repeat."""


@final
class Connection(
    trio.abc.SendChannel[Out_contra],
    trio.abc.ReceiveChannel[In_co],
    Generic[In_co, Out_contra],
):
    """Two peers that send each other messages, over any stream.

    Made by `connect_tcp`, `open_connection` and the servers, never by hand. It is a
    `trio.abc.ReceiveChannel` and a `trio.abc.SendChannel`: ``async for message in
    connection`` runs until the peer closes.

    Any number of tasks may send; one at a time may receive.

    Cancellation, for all methods: a cancelled call has done nothing, so it can simply
    be made again; exceptions to this say so. Calls that need not wait are schedule
    points at least every 64th time, not every time.

    Example::

        async def greet(connection: trio_tcp.Connection[str, str]) -> None:
            await connection.send("who is there?")
            async for name in connection:
                await connection.send(f"hello, {name}")
    """

    __slots__ = (
        "__weakref__",
        "_calls",
        "_codec",
        "_ending",
        "_group",
        "_incoming",
        "_journal",
        "_outgoing",
        "_proxy_header",
        "_receives_cancelled",
        "_transport",
    )

    def __init__(
        self,
        transport: Transport,
        *,
        id: int,  # noqa: A002 - what it is called
        codec: Codec[In_co, Out_contra],
        timeouts: Timeouts,
        group: Group,
        peer: Address | None = None,
        proxy_header: ProxyHeader | None = None,
        received: bytes = b"",
        awaits_first: bool = False,
    ) -> None:
        self._transport = transport
        self._codec = codec
        self._group = group
        self._journal = Journal(
            id, peer or transport.peer, group.observer, group.timers.now
        )
        self._incoming: Incoming[In_co] = Incoming(
            transport,
            codec,
            self._journal,
            group,
            timeouts,
            received=received,
            awaits_first=awaits_first,
        )
        self._outgoing = Outgoing(
            transport,
            self._journal,
            group,
            self._incoming.patience,
            self._incoming.break_off,
        )
        self._ending = Ending(
            transport, self._incoming, self._outgoing, self._journal, group
        )
        self._proxy_header = proxy_header
        self._calls = 0
        self._receives_cancelled = 0  # a pool asks: an answer may still be to come
        self._journal.report_opened()

    def __repr__(self) -> str:
        state = "open" if self.close_reason is None else self.close_reason.value
        label = f" {self.label!r}" if self.label else ""
        return f"<trio_tcp.Connection {self.id}{label} to {self.peer}: {state}>"

    # Receiving -----------------------------------------------------------------------

    def receive(self) -> Coroutine[Any, Any, In_co]:  # pyright: ignore[reportIncompatibleMethodOverride] - mypy knows no CoroutineType
        """Wait for the next message.

        Returns:
            The message, as the codec makes it.

        Raises:
            PeerClosed: the peer has closed between two messages
                (a `trio.EndOfChannel`: ``async for`` ends here).
            Drained: the server drains, and no message has begun (likewise).
            PeerTooSlowError: the peer took longer than `timeouts` allow
                (a `trio.TooSlowError`); nothing more can be received.
            MalformedMessageError: a whole message with bad content; call again.
            FramingError: the peer's bytes are no messages; or, as `TruncatedError`, it
                closed inside one (a `trio.BrokenResourceError`).
            ConnectionBroken: reset, or given up by the network
                (a `trio.BrokenResourceError`).
            ConnectionClosedError: closed on this side, perhaps just now by another task
                (a `trio.ClosedResourceError`).
            trio.BusyResourceError: another task is receiving from this connection.

        Cancellation:
            Loses nothing: the next call returns what this one would have.
        """
        return self._receive(trio.EndOfChannel)

    def __anext__(self) -> Coroutine[Any, Any, In_co]:  # pyright: ignore[reportIncompatibleMethodOverride] - as above
        """As `receive`, but for the end of the iteration."""
        return self._receive(StopAsyncIteration)

    async def _receive(self, end: type[Exception]) -> In_co:  # noqa: C901, PLR0912 - see below
        """Receive a message, or raise this at the end.

        The methods above only pass it on: another coroutine around it would cost each
        message some time, and each idle connection some memory.
        """
        try:
            await checkpoint_if_cancelled()
        except trio.Cancelled:
            self._receives_cancelled += 1
            raise
        incoming = self._incoming
        if incoming.receiving:
            raise trio.BusyResourceError("another task is receiving already")
        self._calls += 1
        if incoming.ready and self._calls < CALLS_PER_SCHEDULE_POINT:
            incoming.messages_received += 1
            return incoming.ready.pop()
        incoming.receiving = True
        try:
            if self._calls >= CALLS_PER_SCHEDULE_POINT:
                self._calls = 0
                await trio.lowlevel.checkpoint()
            if incoming.closed:
                raise self._journal.closed_error()
            while (message := incoming.next_message()) is NEED_MORE:
                if self._outgoing.bytes_queued:
                    self._outgoing.give()
                await incoming.read_more()
        except trio.EndOfChannel:
            if end is not trio.EndOfChannel:
                raise end from None
            raise
        except ConnectionFault as error:
            self._ending.note(error)
            raise
        except trio.Cancelled:
            self._receives_cancelled += 1
            raise
        finally:
            incoming.receiving = False
            if incoming.closed:
                incoming.receiver_left()
        incoming.messages_received += 1
        return message

    def receive_nowait(self) -> In_co:
        """Return the next message if it has been read already.

        It does not look into the kernel: it is for the rest of what came with the last.

        Raises:
            trio.WouldBlock: no whole message is here.
            Exception: as `receive`.
        """
        incoming = self._incoming
        if incoming.receiving:
            raise trio.BusyResourceError("another task is receiving already")
        if incoming.closed:
            raise self._journal.closed_error()
        try:
            if (message := incoming.next_message()) is NEED_MORE:
                incoming.check_for_more()
                raise trio.WouldBlock
        except ConnectionFault as error:
            self._ending.note(error)
            raise
        incoming.messages_received += 1
        return message

    # Sending -------------------------------------------------------------------------

    async def send(self, value: Out_contra) -> None:
        """Accept one message (a value of the codec) for delivery, once there is room.

        Returning means accepted: the connection delivers it whole, in the order of the
        calls, as long as the connection lives. It does not mean that the peer has it.
        Waits while 64 KiB are queued (backpressure), first come, first served.

        Raises:
            EncodeError: the codec cannot carry this message; nothing was sent.
            ConnectionBroken: an earlier message could not be delivered, and neither can
                this one (a `trio.BrokenResourceError`).
            PeerTooSlowError: likewise, as the peer took nothing for `Timeouts.write`.
            ConnectionClosedError: closed on this side, or after `send_eof`
                (a `trio.ClosedResourceError`).

        Cancellation:
            `trio.Cancelled` means that nothing of this message is sent, ever.
        """
        await checkpoint_if_cancelled()
        incoming, outgoing = self._incoming, self._outgoing
        # As `Incoming.has_more`, without the call.
        buffer = incoming.buffer
        more_to_answer = bool(incoming.ready) or buffer.start < len(buffer.data)
        if not (
            isinstance(value, bytes)
            and len(value) >= LARGE_BYTES
            and self._commit_large(value)
        ):
            data = self._codec.encode(value)
            if not outgoing.commit(data, gather=more_to_answer):
                await outgoing.wait_to_commit(data)
        outgoing.messages_sent += 1
        self._calls += 1
        if self._calls >= CALLS_PER_SCHEDULE_POINT:
            self._calls = 0
            # Shielded: the message is accepted, and Cancelled would deny it.
            await cancel_shielded_checkpoint()

    def _commit_large(self, message: bytes) -> bool:
        """Commit without putting it together; False if it is to be sent as usual."""
        parts = encode_parts(self._codec, message)
        return parts is not None and self._outgoing.commit_parts(parts)

    async def send_many(self, messages: Iterable[Out_contra]) -> None:
        """Accept several messages together: all of them, next to each other, or none.

        All are encoded before any waits for room.

        Raises:
            EncodeError: the codec cannot carry one of them; none was sent.
            Exception: as `send`.

        Cancellation:
            `trio.Cancelled` means that none of them is sent, ever.
        """
        await checkpoint_if_cancelled()
        frames = [self._codec.encode(message) for message in messages]
        data = b"".join(frames)
        if not self._outgoing.commit(data, gather=self._incoming.has_more):
            await self._outgoing.wait_to_commit(data)
        self._outgoing.messages_sent += len(frames)
        await cancel_shielded_checkpoint()  # as in send

    def send_nowait(self, message: Out_contra) -> None:
        """Accept one message for delivery if there is room right now.

        Raises:
            trio.WouldBlock: 64 KiB are queued, or others wait in line; nothing is sent.
            Exception: as `send`.
        """
        if not (
            isinstance(message, bytes)
            and len(message) >= LARGE_BYTES
            and self._commit_large(message)
        ):
            data = self._codec.encode(message)
            if not self._outgoing.commit(data, gather=self._incoming.has_more):
                raise trio.WouldBlock
        self._outgoing.messages_sent += 1

    async def flush(self) -> None:
        """Wait until the stream (the kernel) has all that was accepted before.

        Raises:
            ConnectionBroken: it cannot have it any more.
            ConnectionClosedError: the connection is closed, or aborted meanwhile.

        Cancellation:
            Changes nothing: delivery goes on.
        """
        await trio.lowlevel.checkpoint()
        self._check_open()
        await self._outgoing.flush()

    async def _empty(self) -> None:
        """Flush, also what others send who are in line already, and the end."""
        await self.flush()
        while self._outgoing.bytes_queued:
            await self._outgoing.wait_for_progress()
        await self._outgoing.wait_for_end()
        if self._incoming.closed or self._journal.is_broken:
            raise self._outgoing.refusal()

    def _check_open(self) -> None:
        if self._incoming.closed:
            raise self._journal.closed_error()

    async def send_eof(self) -> None:
        """Say that no more messages follow; go on receiving.

        Over TCP this is the FIN of a half-close. The peer sees the end of the stream
        after the last message that was accepted.

        Raises:
            HalfCloseUnsupportedError: this stream can only be closed as a whole.
            ConnectionBroken: what was accepted before cannot be delivered.
            ConnectionClosedError: closed on this side, or aborted meanwhile.

        Cancellation:
            Before anything else it does nothing; while it waits, the end is sent all
            the same, once everything before it is.
        """
        await trio.lowlevel.checkpoint()
        if not self._transport.can_half_close:
            raise HalfCloseUnsupportedError(
                "this stream cannot be closed in one direction alone; use aclose()"
            )
        self._check_open()
        await self._outgoing.send_eof().wait()
        self._journal.check_whole()
        if not self._outgoing.ended:
            raise self._journal.closed_error()

    # Ending --------------------------------------------------------------------------

    async def aclose(self) -> None:
        """Close gracefully: all that was accepted is delivered first.

        Sends what is queued, then FIN, then reads and discards what the peer still
        sends until it closes too, or for `Timeouts.linger` seconds: unread input would
        make the kernel send RST, and the peer could lose the end of what it was sent.
        Tasks that wait in `receive` or `send` get `ConnectionClosedError`; those that
        call `aclose` meanwhile wait for the first.

        Cancellation:
            Closes at once: with RST where something is still to be sent, or unread.
            It is graceful all the same if a drain has cancelled the handler.
        """
        await self._ending.aclose()

    def abort(self) -> None:
        """Close at once, and let the peer see that something is wrong.

        Forgets what is queued. Over TCP this sends RST, and so the peer may even lose
        what it had received but not read. The stream is closed by the next pass of the
        scheduler; calls in other tasks raise `ConnectionClosedError`.
        """
        self._ending.abort()

    async def detach(self) -> tuple[trio.abc.Stream, bytes]:
        """Take the stream out of the connection, to speak something else over it.

        Waits until everything accepted has been given to the stream. Afterwards the
        connection counts as closed, and closing the stream is up to the caller.

        Returns:
            The stream, and the bytes that came after the last message received.

        Raises:
            trio.BusyResourceError: another task is receiving.
            Exception: as `flush`.

        Cancellation:
            Changes nothing: the connection is still there.
        """
        await self._empty()
        with self._incoming.reserved():
            undelivered = self._incoming.take_undelivered()
            return self._ending.detach(), undelivered

    # The other end going away, and this one's server ---------------------------------

    async def wait_disconnected(self) -> None:
        """Wait until the peer has closed or is gone, or this side has closed.

        For a handler that works long, or only sends. What the peer sends meanwhile is
        kept for `receive`, up to 64 KiB; behind more than that, its end is not seen. A
        peer that has closed its sending direction alone counts as gone.

        It raises nothing: `receive` says how it ended, and so does `close_reason` when
        the end was received, or this side has closed as well. Any number of tasks may
        wait.

        Cancellation:
            Loses nothing.
        """
        await trio.lowlevel.checkpoint()
        await self._incoming.wait_for_end()

    @asynccontextmanager
    async def cancel_on_disconnect(self) -> AsyncGenerator[trio.CancelScope, None]:
        """Cancel the block when the peer is gone: nobody wants its result any more.

        ``async with connection.cancel_on_disconnect() as scope:``; afterwards
        ``scope.cancelled_caught`` tells. As `wait_disconnected`.

        Raises:
            BaseException: what the block raises, as itself and never in a group.

        Cancellation:
            Is that of the block. The connection is as it was.

        Example::

            async with connection.cancel_on_disconnect() as scope:
                await connection.send(await write_report())
            if scope.cancelled_caught:
                print("nobody waits for it any more")
        """
        async with open_quiet_nursery() as nursery:
            with forgetful_scope() as scope:

                async def watch() -> None:
                    await self._incoming.wait_for_end()
                    # The block itself may be closing, and delivers what it has sent.
                    await self._ending.wait_for_close()
                    scope.cancel()

                nursery.start_soon(watch)
                yield scope
            nursery.cancel_scope.cancel()

    @property
    def draining(self) -> trio.Event:
        """Set when the server drains. `receive` tells by itself, with `Drained`."""
        return self._group.draining

    def busy(self) -> AbstractContextManager[None]:
        """Mark a dialogue: ``with connection.busy():``.

        A drain lets a message that has been received be answered. A dialogue of several
        messages has pauses in which it looks as if nothing were under way; inside this
        block, `receive` goes on waiting while the server drains.

        Example::

            with connection.busy():
                await connection.send("password?")
                password = await connection.receive()
        """
        return self._incoming.busy()

    # Looking at it, and changing it --------------------------------------------------

    @property
    def id(self) -> int:
        """A number that no other connection of this run of Trio has."""
        return self._journal.id

    @property
    def label(self) -> str:
        """Yours, for logs and events, such as a user's name. Empty at first."""
        return self._journal.label

    @label.setter
    def label(self, label: str) -> None:
        self._journal.label = label

    @property
    def peer(self) -> Address | None:
        """The address of the other end, behind its proxy; None where there is none."""
        return self._journal.peer

    @property
    def local(self) -> Address | None:
        """The address of this end; None where the stream has none, or is closed."""
        return self._transport.local

    @property
    def proxy_header(self) -> ProxyHeader | None:
        """What the proxy said through which the peer comes: see `ProxyProtocol`."""
        return self._proxy_header

    @property
    def tls(self) -> TlsInfo | None:
        """What TLS has agreed on, and who the peer is; None without TLS."""
        return self._transport.tls

    @property
    def timeouts(self) -> Timeouts:
        """How long to wait for the peer. May be replaced; waits under way notice."""
        return self._incoming.patience.timeouts

    @timeouts.setter
    def timeouts(self, timeouts: Timeouts) -> None:
        self._incoming.patience.replace(timeouts)
        self._outgoing.rearm()

    @property
    def close_reason(self) -> CloseReason | None:
        """Why it ended; None while it is open in both directions."""
        return self._journal.reason

    @property
    def close_error(self) -> BaseException | None:
        """The exception behind `close_reason`, if there is one.

        A server's connection does not keep a handler's failure, nor tracebacks, when it
        has ended: they hold all that the handler had in hand. Its observer gets them.
        """
        return self._journal.error

    def statistics(self) -> ConnectionStatistics:
        """Return the counters as they are now; they can be read after the end, too."""
        return self._ending.statistics()

    def switch_codec(self, codec: Codec[NewIn, NewOut]) -> Connection[NewIn, NewOut]:
        """Speak another codec from here on.

        What was received begins at the first byte behind the last message that
        `receive` returned, whatever had been read before. What was sent already stays
        as it is.

        Returns:
            This same connection, with the types of the new codec.

        Raises:
            TypeError: this is no codec, such as the class of one.

        Example::

            size = int(await connection.receive())  # a line of text
            binary = connection.switch_codec(codecs.FixedLength(size))
            picture = await binary.receive()
        """
        check_codec("codec", codec)
        # One object with two types, before and after: more than a type can say.
        switched: Connection[NewIn, NewOut] = self  # type: ignore[assignment]
        switched._codec = codec
        switched._incoming.switch_codec(codec)
        return switched

    async def start_tls(
        self, tls: ssl.SSLContext | Tls, *, server_hostname: str | None = None
    ) -> None:
        """Speak TLS from here on, after the messages by which both sides agreed to.

        Everything accepted is sent in the clear first. The peer's TLS begins at the
        first byte that is not delivered; plain text there makes the handshake fail.

        Args:
            tls: says also which side this is: `ssl.PROTOCOL_TLS_SERVER` or ``_CLIENT``,
                as `ssl.create_default_context` chooses by its ``purpose``.
            server_hostname: whose certificate a client expects.

        Raises:
            TlsHandshakeError: TLS could not be agreed on; the connection is broken.
            PeerTooSlowError: it took longer than `Timeouts.handshake`; likewise.
            Exception: as `flush`, and `trio.BusyResourceError` as `detach`.

        Cancellation:
            Breaks the connection: what the peer has seen cannot be known.

        Example::

            if await connection.receive() == "STARTTLS":
                await connection.send("go ahead")
                await connection.start_tls(context)
        """
        await self._empty()
        if self._outgoing.closed:
            raise self._outgoing.refusal()
        with self._incoming.reserved():
            transport = tls_over(self._transport, tls, server_hostname=server_hostname)
            # Only now: bad arguments must take nothing away.
            transport.feed(self._incoming.take_undelivered())
            self._transport = transport
            self._ending.use(transport)
            # The decoder has seen the bytes that were taken, and might go on with them.
            self._incoming.switch_codec(self._codec)
            try:
                seconds = await shake_hands(transport, self.timeouts.handshake)
            except trio.ClosedResourceError:
                # Another task has closed it, or something else has broken it.
                raise self._outgoing.refusal() from None
            except BaseException as error:
                self._ending.give_up(error)
                raise
            self._outgoing.write_to(transport, excused=False)
        assert transport.tls is not None
        self._journal.report_tls(transport.tls, seconds)
