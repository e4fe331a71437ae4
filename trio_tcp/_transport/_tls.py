"""The transport over TLS, on top of any other transport.

It drives `ssl.SSLObject`, which does no input or output: what the peer sent is written
into one `ssl.MemoryBIO`, and what the peer is to be sent is read out of another. So no
call of OpenSSL ever waits, and none can be cancelled in the middle; what waits is only
the transport below. (`trio.SSLStream` waits inside its calls, and one that is cancelled
can lose bytes which it has decrypted. It has no `send_eof` either.)

Two invariants hold whenever no method runs. Nothing lies in the incoming BIO but an
unfinished record: whole ones are decrypted as they come. Nothing lies in the outgoing
BIO: it is in ``_pending``, ciphertext in order, which nothing can overtake. Both BIOs
keep the memory that they once needed, so they are filled one record at a time.

What was encrypted has to be sent, or the stream is torn; but its ciphertext may not
have left when a call returns. ``_in_flight`` says how much of the caller's next
``data``, which begins with everything not yet taken, is encrypted already. A byte of
it is never shorter in ciphertext, so with ``n`` bytes of ciphertext still here at most
the last ``n`` bytes of plaintext are: all before them has left, and counts as taken.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import Final, final

import trio

from trio_tcp._address import Address
from trio_tcp._errors import CloseNotifyMissingError, TlsHandshakeError
from trio_tcp._transport._as_stream import TransportStream
from trio_tcp._transport._tls_info import TlsInfo
from trio_tcp._transport._transport import Transport

__all__ = ["TlsTransport", "is_server_context"]

RECORD_BYTES: Final = 16 << 10
"""The most plaintext that one TLS record can carry (RFC 8446, 5.1)."""

BATCH_BYTES: Final = 64 << 10
"""How much plaintext is encrypted ahead of what the transport below has taken, at most:
one system call for several records."""

EAGER_BYTES: Final = 256 << 10
"""How much one call sends without a schedule point, at most: encrypting it takes about
0.2 ms, and the other connections want theirs."""

MAX_ANSWER_BYTES: Final = 64 << 10
"""How much may wait that was not sent by us but provoked by the peer (answers to its
KeyUpdates, 26 bytes each): a peer that provokes more reads nothing."""

_NOTHING: Final = memoryview(b"")


def is_server_context(context: ssl.SSLContext) -> bool:
    """Tell which side of a handshake a context is for.

    Raises:
        ValueError: it is for both, or for something else.
    """
    if context.protocol is ssl.PROTOCOL_TLS_SERVER:
        return True
    if context.protocol is ssl.PROTOCOL_TLS_CLIENT:
        return False
    raise ValueError(
        "the SSLContext must be made with ssl.PROTOCOL_TLS_SERVER or "
        f"ssl.PROTOCOL_TLS_CLIENT, not {context.protocol!r}; "
        "ssl.create_default_context() does that"
    )


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
        "_at_eof",
        "_closed",
        "_eof_sent",
        "_failure",
        "_from_peer",
        "_handshaken",
        "_in_flight",
        "_inner",
        "_pending",
        "_plaintext",
        "_sending",
        "_ssl",
        "_to_peer",
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
        self._from_peer = ssl.MemoryBIO()
        self._to_peer = ssl.MemoryBIO()
        self._ssl = context.wrap_bio(
            self._from_peer,
            self._to_peer,
            server_side=is_server_context(context),
            server_hostname=server_hostname,
        )
        self._allow_ragged_eof = allow_ragged_eof
        self._unfed = received  # read from below, and not yet in the incoming BIO
        self._plaintext = b""  # decrypted before anybody asked
        self._at_eof = False  # the peer's close_notify has come
        self._pending = _NOTHING
        self._in_flight = 0
        # A task waits for the transport below to take a part of what is pending, or
        # was cancelled in that: then which part it took nobody knows.
        self._sending = False
        self._eof_sent = False  # our close_notify is at least pending
        self._closed = False
        self._failure: tuple[str, Exception | None] | None = None
        # Set, and gone, once the handshake is over.
        self._handshaken: trio.Event | None = trio.Event()

    # The handshake

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
            self._fail(f"the TLS handshake has not succeeded: {error}", None)
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
        opening = b""  # of what the peer sends
        while True:
            done = self._step(opening)
            self._collect()
            if done and self._ssl.server_side and self._ssl.version() == "TLSv1.3":
                return  # what is pending are the tickets
            try:
                while self._pending:
                    await self._send_pending()
                if not done and not self._unfed:
                    self._unfed = await self._inner.receive_some()
            except trio.BrokenResourceError as error:
                message = "the connection broke during the TLS handshake"
                raise TlsHandshakeError(f"{message}: {error}") from error
            if done:
                return
            if not self._unfed:
                raise TlsHandshakeError(_explain_eof(opening))
            piece = self._next_unfed(RECORD_BYTES)
            opening = opening or piece
            self._from_peer.write(piece)

    def _step(self, opening: bytes) -> bool:
        """Go on with the handshake; return whether it is done."""
        try:
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            self._collect()
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                self._give()  # the alert
            raise TlsHandshakeError(_explain(error, opening)) from error
        return True

    def _next_unfed(self, size: int) -> bytes:
        piece, self._unfed = self._unfed[:size], self._unfed[size:]
        return piece

    @property
    def tls(self) -> TlsInfo:
        """What the handshake has agreed on. It is looked up at every call."""
        cipher = self._ssl.cipher()
        return TlsInfo(
            version=self._ssl.version() or "",
            cipher="" if cipher is None else cipher[0],
            alpn=self._ssl.selected_alpn_protocol(),
            # It is empty for a peer that was not verified.
            peer_certificate=self._ssl.getpeercert() or None,
            peer_certificate_der=self._ssl.getpeercert(binary_form=True),
        )

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
        while not self._at_eof:
            if self._failure is not None:
                raise self._broken_error()
            chunk = await self._inner.receive_some()
            if not chunk:
                if self._allow_ragged_eof:
                    return b""
                raise CloseNotifyMissingError(0)
            plaintext = self._decrypt(chunk)
            if plaintext:
                return plaintext
        return b""

    def _decrypt(self, chunk: bytes) -> bytes:
        """Decrypt every record that is whole.

        What was whole before an error is returned; the error is noted.
        """
        parts: list[bytes] = []
        if len(chunk) <= RECORD_BYTES:
            self._from_peer.write(chunk)
            self._read_records(parts)
        else:
            for start in range(0, len(chunk), RECORD_BYTES):
                self._from_peer.write(chunk[start : start + RECORD_BYTES])
                self._read_records(parts)
                if self._at_eof or self._failure is not None:
                    break
        if self._to_peer.pending:
            self._answer()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _read_records(self, parts: list[bytes]) -> None:
        """Decrypt what is in the incoming BIO."""
        from_peer, read = self._from_peer, self._ssl.read
        try:
            # OpenSSL takes no more than one record at a time. With nothing left
            # there is none, and the exception need not be provoked.
            while from_peer.pending:
                if not (part := read(RECORD_BYTES)):
                    self._at_eof = True
                    return
                parts.append(part)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:  # the peer's close_notify came after ours
            self._at_eof = True
        except ssl.SSLError as error:
            self._fail(_explain_failure(error), error)

    def _answer(self) -> None:
        """Send what decrypting has brought forth: answers, alerts."""
        if self._eof_sent:  # RFC 8446, 6.1: nothing follows a close_notify
            self._to_peer.read()
            return
        self._collect()
        if len(self._pending) - self._in_flight > MAX_ANSWER_BYTES:
            self._fail("the peer asks for TLS answers which it does not read", None)
        elif not self._sending:
            # A peer that takes nothing any more may still have sent something.
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                self._give()

    def interrupt_receive(self) -> None:
        """Wake the task that waits for bytes."""
        self._inner.interrupt_receive()

    # Sending

    def send_now(self, data: bytes | memoryview) -> int:
        """Encrypt, and give the transport below what it takes without waiting.

        ``data`` must begin with what earlier calls did not take.
        """
        if self._handshaken is not None:
            return 0
        if self._closed or self._eof_sent or self._sending or self._failure is not None:
            raise self._refusal()
        size = len(data)
        if self._pending or self._in_flight or not 0 < size <= RECORD_BYTES:
            return self._send_batches(memoryview(data)[:EAGER_BYTES])
        ciphertext = self._encrypted(data)
        taken = self._inner.send_now(ciphertext)
        if taken == len(ciphertext):
            return size
        self._pending = memoryview(ciphertext)[taken:]
        self._in_flight = size
        return self._left()

    def _send_batches(self, data: memoryview) -> int:
        taken = 0
        while taken < len(data):
            if not self._in_flight:
                batch = data[taken : taken + BATCH_BYTES]
                self._pending = memoryview(self._pending_and(self._encrypted(batch)))
                self._in_flight = len(batch)
            self._give()
            taken += self._left()
            if self._pending:
                break
        return taken

    async def send_some(self, data: memoryview) -> int:
        """Encrypt, and wait until a part of it has left.

        ``data`` must begin with what earlier calls did not take.
        """
        if self._handshaken is not None:
            await self._handshaken.wait()
        taken = self.send_now(data)
        if taken and taken < len(data) and not self._pending:
            await trio.lowlevel.checkpoint()
        while not taken:
            await self._send_pending()
            taken = self._left()
        return taken

    def _refusal(self) -> Exception:
        """Return why nothing can be sent any more."""
        if self._closed:
            return trio.ClosedResourceError("this connection was closed")
        if self._failure is not None:
            return self._broken_error()
        if self._sending:
            return trio.BrokenResourceError("an earlier write was cancelled half-way")
        return trio.ClosedResourceError("nothing can be sent after close_notify")

    def _encrypted(self, data: bytes | memoryview) -> bytes:
        write, read = self._ssl.write, self._to_peer.read
        try:
            start = write(data[:RECORD_BYTES])
            if start == len(data):
                return read()
            parts = [read()]
            # Records are smaller where the peer has asked for that (RFC 6066, 4).
            while start < len(data):
                start += write(data[start : start + RECORD_BYTES])
                parts.append(read())
        except ssl.SSLError as error:
            text = (
                "the peer renegotiates TLS, which cannot be done while this side sends "
                "(ssl.OP_NO_RENEGOTIATION forbids it)"
                if isinstance(error, ssl.SSLWantReadError)
                else _explain_failure(error)
            )
            self._fail(text, error)
            raise self._broken_error() from error
        return b"".join(parts)

    def _collect(self) -> None:
        """Take what OpenSSL wants to send."""
        if self._to_peer.pending:
            self._pending = memoryview(self._pending_and(self._to_peer.read()))

    def _pending_and(self, ciphertext: bytes) -> bytes:
        return b"".join((self._pending, ciphertext)) if self._pending else ciphertext

    def _give(self) -> None:
        """Give the transport below what it takes at once of what is pending."""
        if self._pending:
            self._forget(self._inner.send_now(self._pending))

    async def _send_pending(self) -> None:
        """Wait until the transport below has taken a part of what is pending."""
        if self._sending:
            raise self._refusal()
        self._sending = True
        try:
            taken = await self._inner.send_some(self._pending)
        except Exception:
            self._sending = False
            raise
        self._sending = False
        self._forget(taken)

    def _forget(self, taken: int) -> None:
        rest = self._pending[taken:]
        self._pending = rest or _NOTHING  # an empty part would keep the whole

    def _left(self) -> int:
        """Return how much more of the plaintext in flight has left."""
        before = self._in_flight
        self._in_flight = min(before, len(self._pending))
        return before - self._in_flight

    # Failing

    def _fail(self, text: str, cause: Exception | None) -> None:
        """Note that there is no TLS any more. The first cause is kept."""
        if self._failure is None:
            # Its traceback would make a cycle with this object.
            self._failure = text, None if cause is None else cause.with_traceback(None)

    def _broken_error(self) -> trio.BrokenResourceError:
        assert self._failure is not None
        text, cause = self._failure
        error = trio.BrokenResourceError(text)
        error.__cause__ = cause
        return error

    # Ending

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
        if not self._eof_sent:
            if self._closed or self._sending or self._failure is not None:
                raise self._refusal()
            self._shut_down()
        while self._pending:
            await self._send_pending()
        if self._inner.can_half_close:
            await self._inner.send_eof()

    def _shut_down(self) -> None:
        self._eof_sent = True
        # It calls SSL_shutdown twice, and the second call reads: with a whole record
        # in the incoming BIO it would fail, but there never is one. It finds that the
        # peer has not closed yet.
        with suppress(ssl.SSLError):
            self._ssl.unwrap()
        self._collect()

    async def aclose(self) -> None:
        """Close, with a close_notify if that can be sent without waiting."""
        unharmed = self._handshaken is None and self._failure is None
        if unharmed and not (self._eof_sent or self._in_flight or self._sending):
            self._shut_down()
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                self._give()
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


# Whose fault it was ------------------------------------------------------------------

_NOTHING_IN_COMMON: Final = {
    "NO_PROTOCOLS_AVAILABLE",
    "NO_SHARED_CIPHER",
    "NO_SHARED_GROUP",
    "NO_SUITABLE_GROUPS",
    "NO_SUITABLE_KEY_SHARE",
    "NO_SUITABLE_SIGNATURE_ALGORITHM",
    "UNSUPPORTED_PROTOCOL",
    "VERSION_TOO_LOW",
    "WRONG_SSL_VERSION",
}

NO_TLS: Final = "the peer does not speak TLS: it sends something else"


def _is_tls(opening: bytes) -> bool:
    """Tell whether a peer's first bytes may be TLS.

    RFC 8446, 5.1: a record begins with its type, at first handshake (22) or alert (21),
    and the version 3.x.
    """
    return opening[:1] in {b"\x16", b"\x15"} and opening[1:2] in {b"\x03", b""}


def _explain_eof(opening: bytes) -> str:
    if opening and not _is_tls(opening):
        return NO_TLS
    return "the peer closed in the middle of the TLS handshake"


def _explain(error: ssl.SSLError, opening: bytes) -> str:
    """Say why there was no handshake, and whose fault that is."""
    reason: str | None = error.reason
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the peer's certificate was refused: {error.verify_message}"
    if opening and not _is_tls(opening):
        return NO_TLS
    if reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return "the peer has sent no certificate"
    if reason in _NOTHING_IN_COMMON:
        return (
            f"no TLS version or cipher is common to both sides: {_words(error)} "
            "(a server whose context has no certificate has none at all)"
        )
    if (alert := _alert(error)) is not None:
        return f"the peer refused the TLS handshake with the alert '{alert}'"
    return f"the TLS handshake failed: {_words(error)}"


def _explain_failure(error: ssl.SSLError) -> str:
    """Say why there is no TLS any more."""
    if (alert := _alert(error)) is not None:
        return f"the peer ended the connection with the TLS alert '{alert}'"
    return f"the peer's bytes are no valid TLS: {_words(error)}"


def _alert(error: ssl.SSLError) -> str | None:
    """Return the name of the alert that the peer has sent, if it did."""
    _, found, name = (error.reason or "").partition("_ALERT_")
    return name.replace("_", " ").lower() if found else None


def _words(error: ssl.SSLError) -> str:
    """Return OpenSSL's reason, as in "no shared cipher"."""
    return error.reason.replace("_", " ").lower() if error.reason else str(error)
