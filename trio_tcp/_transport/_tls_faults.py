"""Why there is no TLS with a peer, in words, and whose fault it is."""

from __future__ import annotations

import ssl
from typing import Final

__all__ = ["explain_eof", "explain_failure", "explain_handshake"]

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

_NO_TLS: Final = "the peer does not speak TLS: it sends something else"


def _is_tls(opening: bytes) -> bool:
    """Tell whether a peer's first bytes may be TLS.

    RFC 8446, 5.1: a record begins with its type, at first handshake (22) or alert (21),
    and the version 3.x.
    """
    return opening[:1] in {b"\x16", b"\x15"} and opening[1:2] in {b"\x03", b""}


def explain_eof(opening: bytes) -> str:
    if opening and not _is_tls(opening):
        return _NO_TLS
    return "the peer closed in the middle of the TLS handshake"


def explain_handshake(error: ssl.SSLError, opening: bytes) -> str:
    """Say why there was no handshake, and whose fault that is."""
    reason: str | None = error.reason
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the peer's certificate was refused: {error.verify_message}"
    if opening and not _is_tls(opening):
        return _NO_TLS
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


def explain_failure(error: ssl.SSLError) -> str:
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
