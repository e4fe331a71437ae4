"""TLS put over a transport: on both sides, at the beginning or in the middle."""

from __future__ import annotations

import ssl

import trio

from trio_tcp._errors import PeerTooSlowError
from trio_tcp._options import Tls
from trio_tcp._transport import TlsTransport, Transport, is_server_context

__all__ = ["check_side", "shake_hands", "tls_over"]


def check_side(tls: ssl.SSLContext | Tls, *, server: bool) -> None:
    """Refuse a context that is made for the other side, before anything is opened.

    Raises:
        ValueError: it is.
    """
    if is_server_context(_as_tls(tls).context) is not server:
        here, needed = (
            ("server", "CLIENT_AUTH") if server else ("client", "SERVER_AUTH")
        )
        raise ValueError(
            f"this SSLContext is not for a {here}: make one with "
            f"ssl.create_default_context(ssl.Purpose.{needed})"
        )


def tls_over(
    transport: Transport,
    tls: ssl.SSLContext | Tls,
    *,
    server_hostname: str | None = None,
    received: bytes = b"",
) -> TlsTransport:
    """Make the transport that speaks TLS over another; the handshake is still to come.

    Args:
        transport: below. It belongs to the new one.
        tls: says also which side this is.
        server_hostname: whose certificate a client expects.
        received: what was read from the transport, and is TLS already.
    """
    tls = _as_tls(tls)
    return TlsTransport(
        transport,
        tls.context,
        server_hostname=server_hostname,
        received=received,
        allow_ragged_eof=tls.allow_ragged_eof,
    )


async def shake_hands(transport: TlsTransport, seconds: float) -> None:
    """Do the TLS handshake, in time.

    Raises:
        TlsHandshakeError: TLS could not be agreed on.
        PeerTooSlowError: the peer took too long.

    Cancellation:
        Leaves a transport that can only be closed.
    """
    with trio.move_on_after(seconds):
        await transport.handshake()
        return
    raise PeerTooSlowError("handshake", seconds)


def _as_tls(tls: ssl.SSLContext | Tls) -> Tls:
    return tls if isinstance(tls, Tls) else Tls(tls)
