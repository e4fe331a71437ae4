"""What TLS has agreed on and who the server is, in a few lines."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from trio_tcp import TlsInfo
from trio_tcp.cli._parameters import escape

__all__ = ["describe_tls"]


def describe_tls(tls: TlsInfo, belief: str | None, now: dt.datetime) -> Iterator[str]:
    """Yield the lines.

    Args:
        tls: what was agreed on.
        belief: whether the certificate is to be believed, if it was not checked for
            this connection but somebody has found out.
        now: the time; with its zone.
    """
    alpn = f"ALPN {escape(tls.alpn)}" if tls.alpn else "no ALPN"
    yield f"{tls.version}, {tls.cipher}, {alpn}"
    if tls.peer_certificate_der is None:
        yield "the server has no certificate"
        return
    try:
        certificate = x509.load_der_x509_certificate(tls.peer_certificate_der)
        yield from map(escape, _describe(certificate, now))
    except ValueError as error:
        yield f"its certificate cannot be read: {escape(str(error))}"
    checked = "yes" if tls.peer_certificate is not None else "not checked"
    yield f"believed: {belief or checked}"


def _describe(certificate: x509.Certificate, now: dt.datetime) -> Iterator[str]:
    yield f"subject: {certificate.subject.rfc4514_string() or '(empty)'}"
    yield f"issuer: {certificate.issuer.rfc4514_string() or '(empty)'}"
    yield f"names: {', '.join(_names(certificate)) or '(none)'}"
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    yield f"valid: {begin:%Y-%m-%d} to {end:%Y-%m-%d}, {_age(begin, end, now)}"
    yield f"SHA-256: {certificate.fingerprint(hashes.SHA256()).hex()}"


def _names(certificate: x509.Certificate) -> list[str]:
    """Return those that a client compares (RFC 9525, 6.3): never the common name."""
    try:
        extension = certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except x509.ExtensionNotFound:
        return []
    names: list[str] = list(extension.value.get_values_for_type(x509.DNSName))
    names += map(str, extension.value.get_values_for_type(x509.IPAddress))
    return names


def _age(begin: dt.datetime, end: dt.datetime, now: dt.datetime) -> str:
    if now < begin:
        return f"not before {(begin - now).days + 1} days from now"
    if now > end:
        return f"EXPIRED {(now - end).days} days ago"
    return f"{(end - now).days} days left"
