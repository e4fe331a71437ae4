"""TLS put over a transport: on both sides, at the beginning or in the middle."""

from __future__ import annotations

import ssl

import trio

from trio_tcp._address import Address
from trio_tcp._errors import PeerTooSlowError
from trio_tcp._events import TlsEstablished
from trio_tcp._kinds import check_kind
from trio_tcp._options import Tls
from trio_tcp._transport import TlsInfo, TlsTransport, Transport, is_server_context

__all__ = ["check_side", "shake_hands", "tls_established", "tls_over"]


def check_side(tls: ssl.SSLContext | Tls, *, server: bool) -> None:
    """Refuse a context that is made for the other side, before anything is opened.

    Raises:
        ValueError: it is.
        TypeError: it is no context at all.
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


async def shake_hands(transport: TlsTransport, seconds: float) -> float:
    """Do the TLS handshake, in time.

    Returns:
        How many seconds it took.

    Raises:
        TlsHandshakeError: TLS could not be agreed on.
        PeerTooSlowError: the peer took too long.

    Cancellation:
        Leaves a transport that can only be closed.
    """
    began_at = trio.current_time()
    with trio.move_on_after(seconds):
        await transport.handshake()
        return trio.current_time() - began_at
    raise PeerTooSlowError("handshake", seconds)


def tls_established(
    id: int,  # noqa: A002 - what it is called
    label: str,
    peer: Address | None,
    info: TlsInfo,
    seconds: float,
) -> TlsEstablished:
    """Make the record of a handshake that went well."""
    return TlsEstablished(
        id=id,
        label=label,
        peer=peer,
        version=info.version,
        cipher=info.cipher,
        alpn=info.alpn,
        server_name=info.server_name,
        seconds=seconds,
    )


def _as_tls(tls: ssl.SSLContext | Tls) -> Tls:
    check_kind("tls", tls, ssl.SSLContext, Tls)
    return tls if isinstance(tls, Tls) else Tls(tls)
