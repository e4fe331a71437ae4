"""One side of a TLS connection, as bytes in and bytes out: nothing here waits.

It drives `ssl.SSLObject`: what the peer sent is written into one `ssl.MemoryBIO`, and
what the peer is to be sent is read out of another. Both keep the memory that they once
needed, so they are filled one record at a time.

Whole records are decrypted as they come: between calls nothing lies in the incoming BIO
but an unfinished one.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import Final, final

import trio

from trio_tcp._transport._client_hello import MAX_HELLO_BYTES, requested_name
from trio_tcp._transport._tls_faults import explain_failure
from trio_tcp._transport._tls_info import TlsInfo

__all__ = ["RECORD_BYTES", "TlsSession", "is_server_context"]

RECORD_BYTES: Final = 16 << 10
"""The most plaintext that one TLS record can carry (RFC 8446, 5.1)."""

MAX_FRUITLESS_BYTES: Final = RECORD_BYTES + (4 << 10)
"""How much may come from the peer without any data in it: an unfinished record (RFC
5246, 6.2.3: 2 KiB more than its plaintext), and some of the session's own. A read of
64 KiB that is nothing but KeyUpdates keeps OpenSSL busy for 60 ms."""

MAX_ANSWER_BYTES: Final = 1024
"""How much one read may make OpenSSL answer: 37 KeyUpdates. (BoringSSL and rustls: 32,
without data in between.)"""


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
class TlsSession:
    """The keys and the state of one connection, by OpenSSL.

    Args:
        context: says which side this is, and what the peer must prove. It is not
            changed.
        server_hostname: on the client's side, the name that the peer must have.

    Attributes:
        at_eof: the peer's close_notify has come, or need not come any more.
        closed: ours is made, and nothing can follow it.
        failed: there is no TLS any more; `broken_error` says why.
        info: what the handshake has agreed on; None before. (OpenSSL tells it only as
            long as nothing has failed.)

    Raises:
        ValueError: the context is for neither side, or does not go with the name.
    """

    __slots__ = (
        "_failure",
        "_from_peer",
        "_fruitless",
        "_hello",
        "_is_first",
        "_ssl",
        "_to_peer",
        "at_eof",
        "closed",
        "failed",
        "info",
    )

    def __init__(self, context: ssl.SSLContext, server_hostname: str | None) -> None:
        if context.check_hostname and server_hostname is None:
            # Python checks that for sockets alone, and OpenSSL would check no name.
            raise ValueError("this SSLContext checks names: it needs a server_hostname")
        if server_hostname is not None and is_server_context(context):
            raise ValueError("this SSLContext is for servers: no server_hostname")
        self._from_peer = ssl.MemoryBIO()
        self._to_peer = ssl.MemoryBIO()
        self._ssl = context.wrap_bio(
            self._from_peer,
            self._to_peer,
            server_side=is_server_context(context),
            server_hostname=server_hostname,
        )
        self._is_first = True  # what comes next belongs to the peer's first message
        self._hello = b""  # the ClientHello; to a server
        self._failure: tuple[str, Exception | None] | None = None
        self._fruitless = 0  # bytes from the peer since the last that had data in them
        self.at_eof: bool = False
        self.closed: bool = False
        self.failed: bool = False
        self.info: TlsInfo | None = None

    @property
    def keeps_tickets_back(self) -> bool:
        """Whether what the handshake has left to be sent can wait: session tickets."""
        return self._ssl.server_side and self._ssl.version() == "TLSv1.3"

    def _look_up(self) -> TlsInfo:
        cipher = self._ssl.cipher()
        return TlsInfo(
            version=self._ssl.version() or "",
            cipher="" if cipher is None else cipher[0],
            alpn=self._ssl.selected_alpn_protocol(),
            server_name=(
                requested_name(self._hello)
                if self._ssl.server_side
                else self._ssl.server_hostname
            ),
            # It is empty for a peer that was not verified.
            peer_certificate=self._ssl.getpeercert() or None,
            peer_certificate_der=self._ssl.getpeercert(binary_form=True),
        )

    def shake_hands(self, received: bytes) -> bool:
        """Go on with the handshake; return whether it is done.

        Args:
            received: from the peer, one record at most.

        Raises:
            ssl.SSLError: it has failed. There may be an alert to be sent.
        """
        self._from_peer.write(received)
        if self._is_first and self._ssl.server_side:
            self._hello = (self._hello + received)[:MAX_HELLO_BYTES]
        try:
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            # OpenSSL answers when it has the whole ClientHello.
            self._is_first = not self._to_peer.pending and self._is_first
            return False
        self.info = self._look_up()
        self._hello = b""
        return True

    def output(self) -> bytes:
        """Take what OpenSSL wants to send of its own accord."""
        return self._to_peer.read() if self._to_peer.pending else b""

    def decrypt(self, chunk: bytes) -> bytes:
        """Decrypt every record that is whole.

        What was whole before a failure is returned; the failure is noted.
        """
        parts: list[bytes] = []
        if len(chunk) <= RECORD_BYTES:
            self._feed(chunk, parts)
        else:
            for start in range(0, len(chunk), RECORD_BYTES):
                self._feed(chunk[start : start + RECORD_BYTES], parts)
                if self.at_eof or self.failed:
                    break
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _feed(self, piece: bytes, parts: list[bytes]) -> None:
        """Decrypt, but not for ever where nothing comes of it."""
        count = len(parts)
        self._from_peer.write(piece)
        self._read_records(parts)
        self._fruitless = 0 if len(parts) > count else self._fruitless + len(piece)
        if (
            self._fruitless > MAX_FRUITLESS_BYTES
            or self._to_peer.pending > MAX_ANSWER_BYTES
        ):
            self.fail("the peer sends TLS records without end, and no data in them")

    def _read_records(self, parts: list[bytes]) -> None:
        """Decrypt what is in the incoming BIO."""
        from_peer, read = self._from_peer, self._ssl.read
        try:
            # OpenSSL takes no more than one record at a time. With nothing left
            # there is none, and the exception need not be provoked.
            while from_peer.pending:
                if not (part := read(RECORD_BYTES)):
                    self.at_eof = True
                    return
                parts.append(part)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:  # the peer's close_notify came after ours
            self.at_eof = True
        except ssl.SSLError as error:
            self.fail(explain_failure(error), error)

    def encrypt(self, data: bytes | memoryview) -> bytes:
        """Encrypt all of ``data``.

        Raises:
            trio.BrokenResourceError: OpenSSL cannot, and never will.
        """
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
                else explain_failure(error)
            )
            self.fail(text, error)
            raise self.broken_error() from error
        return b"".join(parts)

    def close(self) -> bytes:
        """Return our close_notify. The peer may go on sending."""
        self.closed = True
        # It calls SSL_shutdown twice, and the second call reads: with a whole record
        # in the incoming BIO it would fail, but there never is one. It finds that the
        # peer has not closed yet.
        with suppress(ssl.SSLError):
            self._ssl.unwrap()
        return self._to_peer.read()

    def fail(self, text: str, cause: Exception | None = None) -> None:
        """Note that there is no TLS any more. The first cause is kept."""
        if self._failure is None:
            # Its traceback would make a cycle with this object.
            self._failure = text, None if cause is None else cause.with_traceback(None)
            self.failed = True

    def broken_error(self) -> trio.BrokenResourceError:
        """Return what to raise when it has failed; a new one each time."""
        assert self._failure is not None
        text, cause = self._failure
        error = trio.BrokenResourceError(text)
        error.__cause__ = cause
        return error
