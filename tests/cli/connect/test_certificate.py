from __future__ import annotations

import datetime as dt
import re

import attrs
import trustme

from tests.certificates import authority, certificate, der
from trio_tcp import TlsInfo
from trio_tcp.cli._connect._certificate import describe_tls

NOW = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)


def info(leaf: trustme.LeafCert) -> TlsInfo:
    """Return what TLS has agreed on with whoever has this certificate."""
    return TlsInfo(
        version="TLSv1.3",
        cipher="TLS_AES_256_GCM_SHA384",
        alpn="h2",
        server_name=None,
        peer_certificate={},
        peer_certificate_der=der(leaf),
    )


def describe(tls: TlsInfo, belief: str | None = None) -> list[str]:
    """Return the lines."""
    lines = list(describe_tls(tls, belief, NOW))
    assert all(line.isprintable() for line in lines)
    return lines


def test_it_says_what_people_look_for() -> None:
    """Protocol, cipher, ALPN; and of the certificate all that is checked."""
    leaf = authority().issue_cert(
        "localhost", "127.0.0.1", not_after=dt.datetime(2026, 1, 12, tzinfo=dt.UTC)
    )
    lines = describe(info(leaf))
    assert lines[0] == "TLSv1.3, TLS_AES_256_GCM_SHA384, ALPN h2"
    assert lines[1].startswith("subject: OU=Testing cert")
    assert lines[2].startswith("issuer: OU=Testing CA")
    assert lines[2].endswith("O=the tests' authority")
    assert lines[3] == "names: localhost, 127.0.0.1"
    assert lines[4] == "valid: 2000-01-01 to 2026-01-12, 10 days left"
    assert re.fullmatch("SHA-256: [0-9a-f]{64}", lines[5])
    assert lines[6:] == ["believed: yes"]


def test_an_expired_certificate_stands_out() -> None:
    """With how long it has been so."""
    leaf = authority().issue_cert(
        "localhost", not_after=dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    )
    assert describe(info(leaf))[4].endswith("2026-01-01, EXPIRED 1 days ago")


def test_a_certificate_that_was_not_checked_is_not_called_believed() -> None:
    """What was found out otherwise is told."""
    unchecked = attrs.evolve(info(certificate("localhost")), peer_certificate=None)
    assert describe(unchecked)[-1] == "believed: not checked"
    assert describe(unchecked, "no: self-signed")[-1] == "believed: no: self-signed"


def test_a_certificate_controls_no_terminal() -> None:
    """Its names are the peer's to choose."""
    evil = authority().issue_cert(
        "localhost", organization_name="\x1b[2Jevil\u202e", common_name="\x9b2J"
    )
    lines = describe(info(evil))
    assert r"\x1b[2Jevil\u202e" in lines[1]


def test_what_is_no_certificate_is_told() -> None:
    """And nothing breaks."""
    broken = attrs.evolve(info(certificate("localhost")), peer_certificate_der=b"\x30")
    assert describe(broken)[1].startswith("its certificate cannot be read: ")
    none = attrs.evolve(broken, peer_certificate_der=None, alpn=None)
    assert describe(none) == [
        "TLSv1.3, TLS_AES_256_GCM_SHA384, no ALPN",
        "the server has no certificate",
    ]
