"""Messages on their way in: read when somebody asks, decoded one at a time.

There is no task and no queue here. What nobody receives stays in the kernel, whose
window tells the peer to wait; at most one read is held beside the unfinished message.
"""

from __future__ import annotations

from typing import Generic, Never, TypeVar, final

import trio

from trio_tcp._errors import PeerClosed
from trio_tcp._events import CloseReason
from trio_tcp._journal import Journal
from trio_tcp._transport import Transport
from trio_tcp.codecs import Buffer, Codec, Decoder

__all__ = ["Incoming"]

In = TypeVar("In")


@final
class Incoming(Generic[In]):
    """The receiving half of a connection.

    Attributes:
        receiving: a task is in `Connection.receive`. It sets this itself.
        at_eof: the peer has closed its sending direction.
        closed: nothing may be delivered any more.
        bytes_received: read from the stream.
        messages_received: returned to the user. The connection counts them.
        next_message: the decoder's method, which returns the next whole message, or
            `NEED_MORE`. Callers note its errors. (An attribute, to save a call for
            each message.)
    """

    __slots__ = (
        "_broken",
        "_decoder",
        "_garbage_reported",
        "_journal",
        "_receiver_left",
        "_transport",
        "at_eof",
        "bytes_received",
        "closed",
        "messages_received",
        "next_message",
        "receiving",
    )

    def __init__(
        self, transport: Transport, codec: Codec[In, Never], journal: Journal
    ) -> None:
        self._transport = transport
        self._decoder: Decoder[In] = Decoder(codec)
        self.next_message = self._decoder.next_message
        self._journal = journal
        self._garbage_reported = 0
        self._receiver_left: trio.Event | None = None
        self._broken = False  # reading has failed, and is not tried again
        self.bytes_received = 0
        self.messages_received = 0
        self.receiving = False
        self.at_eof = False
        self.closed = False

    @property
    def buffer(self) -> Buffer:
        """The bytes that are not yet delivered."""
        return self._decoder.buffer

    @property
    def bytes_skipped(self) -> int:
        """Garbage, in all."""
        return self._decoder.buffer.skipped

    async def read_more(self) -> None:
        """Wait for bytes, or for the end of the stream, and hand them to the decoder.

        Raises:
            PeerClosed: the end was there already.
            ConnectionBroken: the stream is broken.
            ConnectionClosedError: closed on this side meanwhile.
        """
        self.report_garbage()
        if self._broken:
            raise self._journal.broken_error()
        if self.at_eof:
            raise self.end_of_messages()
        try:
            chunk = await self._transport.receive_some()
        except trio.ClosedResourceError:
            raise self._journal.closed_error() from None
        except Exception as error:  # noqa: BLE001 - a user's stream may raise any
            self._broken = True
            raise self._journal.break_with(error)  # noqa: B904 - it has its cause
        if self.closed:
            raise self._journal.closed_error()
        if chunk:
            self.bytes_received += len(chunk)
            self._decoder.feed(chunk)
        elif self._journal.is_broken:
            # When a write has seen the reset, reads end as if the peer had closed.
            self._broken = True
            raise self._journal.broken_error()
        else:
            self.at_eof = True
            self._decoder.end()

    def end_of_messages(self) -> Exception:
        """Return what to raise when all messages before the end are delivered."""
        self._journal.end(CloseReason.PEER_CLOSED)
        return self._journal.mine(PeerClosed("the peer has closed"))

    def report_garbage(self) -> None:
        """Report what the codec has skipped since the last time."""
        count = self.bytes_skipped - self._garbage_reported
        if count:
            self._garbage_reported += count
            self._journal.report_garbage(count)

    def switch_codec(self, codec: Codec[In, Never]) -> None:
        """Decode anew from the first byte that is not yet delivered."""
        buffer = self._decoder.buffer
        buffer.cursor = buffer.start
        self._decoder = Decoder(codec, buffer)
        if self.at_eof:
            self._decoder.end()
        self.next_message = self._decoder.next_message

    def undelivered(self) -> bytes:
        """Return what was read but not yet delivered."""
        return self._decoder.buffer.unread()

    def close(self) -> None:
        """Deliver nothing more; a task that is receiving is sent away."""
        self.closed = True
        if self.receiving:
            self._receiver_left = trio.Event()
            self._transport.interrupt_receive()

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
                chunk = await self._transport.receive_some()
            except Exception as error:  # noqa: BLE001 - as in read_more
                self._journal.break_with(error)
                return
            self.bytes_received += len(chunk)
            self.at_eof = not chunk
