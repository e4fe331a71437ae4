"""The transport over TLS, on top of any other transport.

OpenSSL is driven by `TlsSession`, which does no input or output. So no call of it ever
waits, and none can be cancelled in the middle; what waits is only the transport below.
(`trio.SSLStream` waits inside its calls, and one that is cancelled can lose bytes which
it has decrypted. It has no `send_eof` either.)

Whatever the session has to say is in the `Ciphertext`, in order: the user's bytes, and
between them the session's own, such as answers to a KeyUpdate. Nothing can overtake it.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, final

import trio

from trio_tcp._address import Address
from trio_tcp._errors import CloseNotifyMissingError, TlsHandshakeError
from trio_tcp._transport._as_stream import TransportStream
from trio_tcp._transport._ciphertext import Ciphertext, cancelled_earlier
from trio_tcp._transport._tls_faults import explain_eof, explain_handshake
from trio_tcp._transport._tls_info import TlsInfo
from trio_tcp._transport._tls_session import (
    RECORD_BYTES,
    TlsSession,
    is_server_context,
)
from trio_tcp._transport._transport import Doze, Offer, Transport

__all__ = ["TlsTransport", "is_server_context"]

BATCH_BYTES: Final = 64 << 10
"""How much plaintext is encrypted ahead of what the transport below has taken, at most:
one system call for several records."""

EAGER_BYTES: Final = 256 << 10
"""How much one call sends without a schedule point, at most: encrypting it takes about
0.2 ms, and the other connections want theirs."""

MAX_ANSWER_BYTES: Final = 64 << 10
"""How much may wait that was not sent by us but provoked by the peer (answers to its
KeyUpdates, 27 bytes each): a peer that provokes more reads nothing."""


@final
class TlsTransport:
    """Bytes over TLS over another transport, which it owns.

    `handshake` comes first, in a task of the caller's. Before it is done `send_now`
    takes nothing, and the methods that wait wait for it.

    Args:
        inner: the transport below.
        context: says which side this is, and what the peer must prove. It is not
            changed.
        server_hostname: on the client's side, the name that the peer must have.
        received: bytes that were read from ``inner`` already, and are TLS.
        allow_ragged_eof: take it for the peer's end when the stream ends without
            close_notify. Only for protocols whose messages show that they are whole.

    Raises:
        ValueError: the context is for neither side, or does not go with the name.
    """

    __slots__ = (
        "_allow_ragged_eof",
        "_ciphertext",
        "_closed",
        "_handshaken",
        "_inner",
        "_plaintext",
        "_session",
        "_unfed",
    )

    def __init__(
        self,
        inner: Transport,
        context: ssl.SSLContext,
        *,
        server_hostname: str | None = None,
        received: bytes = b"",
        allow_ragged_eof: bool = False,
    ) -> None:
        self._inner = inner
        self._session = TlsSession(context, server_hostname)
        self._ciphertext = Ciphertext(inner)
        self._allow_ragged_eof = allow_ragged_eof
        self._unfed = received  # read from below, for the handshake
        self._plaintext = b""  # decrypted before anybody asked
        self._closed = False
        # Set, and gone, once the handshake is over.
        self._handshaken: trio.Event | None = trio.Event()

    # The handshake

    def feed(self, received: bytes) -> None:
        """Begin with what was read from below already; before the handshake."""
        self._unfed += received

    async def handshake(self) -> None:
        """Agree on TLS with the peer.

        A server's session tickets go out with the first bytes that it sends, not here:
        a peer that never reads would reset the connection when it closes with them
        unread, and what it sent would be lost.

        Raises:
            TlsHandshakeError: it failed. The peer is told why, where that needs no
                waiting.
            trio.ClosedResourceError: closed meanwhile.

        Cancellation:
            Leaves the connection unusable but for `aclose` and `abort`.
        """
        try:
            await self._shake_hands()
        except BaseException as error:
            self._session.fail(f"the TLS handshake has not succeeded: {error}")
            raise
        finally:
            self._finish_handshake()
        # Bytes of the first messages may have come with the last of the handshake.
        self._plaintext = self._decrypt(self._next_unfed(len(self._unfed)))

    def _finish_handshake(self) -> None:
        if self._handshaken is not None:
            self._handshaken.set()
            self._handshaken = None

    async def _shake_hands(self) -> None:
        ciphertext = self._ciphertext
        opening = received = self._next_unfed(RECORD_BYTES)
        while True:
            done = self._step(received, opening)
            if done and self._session.keeps_tickets_back:
                return
            try:
                while ciphertext.pending:
                    await ciphertext.send_some()
                if done:
                    return
                self._unfed = self._unfed or await self._inner.receive_some()
            except trio.BrokenResourceError as error:
                message = "the connection broke during the TLS handshake"
                raise TlsHandshakeError(f"{message}: {error}") from error
            received = self._next_unfed(RECORD_BYTES)
            if not received:
                raise TlsHandshakeError(explain_eof(opening))
            opening = opening or received

    def _step(self, received: bytes, opening: bytes) -> bool:
        """Go on with the handshake; return whether it is done."""
        try:
            done = self._session.shake_hands(received)
        except ssl.SSLError as error:
            self._ciphertext.add(self._session.output())
            self._try_to_give()  # the alert
            raise TlsHandshakeError(explain_handshake(error, opening)) from error
        self._ciphertext.add(self._session.output())
        return done

    def _next_unfed(self, size: int) -> bytes:
        piece, self._unfed = self._unfed[:size], self._unfed[size:]
        return piece

    @property
    def tls(self) -> TlsInfo | None:
        """What the handshake has agreed on; None before that."""
        return self._session.info

    @property
    def local(self) -> Address | None:
        """Of the transport below."""
        return self._inner.local

    @property
    def peer(self) -> Address | None:
        """Of the transport below."""
        return self._inner.peer

    # Receiving

    async def receive_some(self) -> bytes:
        """Wait for bytes, and decrypt all that came.

        Raises:
            CloseNotifyMissingError: the stream below ended, but not TLS.
            trio.BrokenResourceError: also for what is no TLS, for a peer's alert, and
                for a peer that provokes answers which it does not read.
            trio.ClosedResourceError: closed, or woken by `interrupt_receive`.

        Cancellation:
            Loses nothing: nothing waits between reading and decrypting.
        """
        if self._handshaken is not None:
            await self._handshaken.wait()
        if self._plaintext:
            plaintext, self._plaintext = self._plaintext, b""
            return plaintext
        session = self._session
        while not session.at_eof:
            if session.failed:
                raise session.broken_error()
            chunk = await self._inner.receive_some()
            if not chunk:
                if self._allow_ragged_eof:
                    session.at_eof = True
                    return b""
                raise CloseNotifyMissingError(0)
            plaintext = self._decrypt(chunk)
            if plaintext:
                return plaintext
        return b""

    def _decrypt(self, chunk: bytes) -> bytes:
        """Decrypt, and send what that has brought forth: answers, alerts."""
        session, ciphertext = self._session, self._ciphertext
        plaintext = session.decrypt(chunk)
        answer = session.output()
        if answer and not session.closed:  # RFC 8446, 6.1: no more after close_notify
            ciphertext.add(answer)
            if len(ciphertext.pending) - ciphertext.in_flight > MAX_ANSWER_BYTES:
                session.fail("the peer asks for TLS answers which it does not read")
            elif not ciphertext.sending:
                self._try_to_give()
        return plaintext

    def interrupt_receive(self) -> None:
        """Wake the task that waits for bytes."""
        self._inner.interrupt_receive()

    def doze(self, doze: Doze | None) -> bool:
        """It waits in a task."""
        return False

    def close_now(self) -> bool:
        """It may wait."""
        return False

    def offer_to(self, offer: Offer | None) -> None:
        """Nothing would be saved here."""

    def is_quiet(self) -> bool:
        """Look here first, then below."""
        waits = self._handshaken is None and not self._plaintext
        over = self._session.at_eof or self._session.failed
        return waits and not over and self._inner.is_quiet()

    # Sending

    def send_now(self, data: bytes | memoryview) -> int:
        """Encrypt, and give the transport below what it takes without waiting.

        ``data`` must begin with what earlier calls did not take.
        """
        if self._handshaken is not None:
            return 0
        session, ciphertext = self._session, self._ciphertext
        if self._closed or session.failed or session.closed or ciphertext.sending:
            raise self._refusal()
        size = len(data)
        if ciphertext.pending or ciphertext.in_flight or not 0 < size <= RECORD_BYTES:
            return self._send_batches(memoryview(data)[:EAGER_BYTES])
        record = session.encrypt(data)
        taken = self._inner.send_now(record)
        if taken == len(record):
            return size
        ciphertext.add(memoryview(record)[taken:], size)
        return ciphertext.left()

    def _send_batches(self, data: memoryview) -> int:
        ciphertext = self._ciphertext
        taken = 0
        while taken < len(data):
            if not ciphertext.in_flight:
                batch = data[taken : taken + BATCH_BYTES]
                ciphertext.add(self._session.encrypt(batch), len(batch))
            ciphertext.give()
            taken += ciphertext.left()
            if ciphertext.pending:
                break
        return taken

    def send_parts_now(self, parts: Sequence[bytes | memoryview]) -> int:
        """As `send_now`: to encrypt is to copy."""
        return self.send_now(b"".join(parts))

    async def send_some(self, data: memoryview) -> int:
        """Encrypt, and wait until a part of it has left.

        ``data`` must begin with what earlier calls did not take.
        """
        if self._handshaken is not None:
            await self._handshaken.wait()
        ciphertext = self._ciphertext
        taken = self.send_now(data)
        if taken and taken < len(data) and not ciphertext.pending:
            await trio.lowlevel.checkpoint()
        while not taken:
            await ciphertext.send_some()
            taken = ciphertext.left()
        return taken

    def _refusal(self) -> Exception:
        """Return why nothing can be sent any more."""
        if self._closed:
            return trio.ClosedResourceError("this connection was closed")
        if self._session.failed:
            return self._session.broken_error()
        if self._ciphertext.sending:
            return cancelled_earlier()
        return trio.ClosedResourceError("nothing can be sent after close_notify")

    def _try_to_give(self) -> None:
        # A peer that takes nothing any more may still have sent something.
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            self._ciphertext.give()

    # Ending

    @property
    def closes_at_once(self) -> bool:
        """It may wait."""
        return False

    @property
    def can_half_close(self) -> bool:
        """TLS can, whatever is below: each direction has a close_notify."""
        return True

    async def send_eof(self) -> None:
        """Send close_notify, and then the end of the stream below if it has one.

        Receiving goes on, also in TLS 1.2, as SSL_shutdown(3) has it. Not every peer
        does: RFC 5246, 7.2.1, told it to close at once.
        """
        if self._handshaken is not None:
            await self._handshaken.wait()
        session, ciphertext = self._session, self._ciphertext
        if self._closed or session.failed:
            raise self._refusal()
        if not session.closed:
            if ciphertext.sending:
                raise self._refusal()
            ciphertext.add(session.close())
        try:
            await self._send_end()
        except trio.BrokenResourceError:
            # Most peers that have said their end are gone then, and miss only ours.
            if not session.at_eof:
                raise

    async def _send_end(self) -> None:
        while self._ciphertext.pending:
            await self._ciphertext.send_some()
        if self._inner.can_half_close:
            await self._inner.send_eof()

    async def aclose(self) -> None:
        """Close, with a close_notify if that can be sent without waiting."""
        session, ciphertext = self._session, self._ciphertext
        whole = not (ciphertext.in_flight or ciphertext.sending)
        if (
            self._handshaken is None
            and whole
            and not (session.failed or session.closed)
        ):
            ciphertext.add(session.close())
            self._try_to_give()
        self._close()
        await self._inner.aclose()

    async def abort(self) -> None:
        """Break the transport below."""
        self._close()
        await self._inner.abort()

    def _close(self) -> None:
        self._closed = True
        self._plaintext = b""
        self._finish_handshake()

    def release(self) -> trio.abc.Stream:
        """Make a stream of this transport, which goes on over TLS."""
        return TransportStream(self)
