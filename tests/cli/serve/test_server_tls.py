from __future__ import annotations

import datetime as dt
import ssl
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from tests.certificates import authority, certificate, write_files
from tests.cli.serve.configuring import MINIMAL, configured, mistakes

NAMES = ("localhost", "127.0.0.1")


def tls(**keys: object) -> str:
    """Return a configuration with these keys in the table, on the lines from 5 on."""
    lines = [f"{key} = '{value}'" for key, value in keys.items()]
    return "\n".join([MINIMAL + "[tls]", *lines])


def context(folder: Path, text: str, *arguments: str) -> ssl.SSLContext:
    """Return the context that a configuration makes."""
    made = configured(folder, text, *arguments).tls
    assert made is not None
    return made.context()


def test_a_certificate_and_its_key_make_a_context(tmp_path: Path) -> None:
    """In two files; TLS 1.2 and newer; clients need no certificate."""
    cert, key, _ = write_files(certificate(*NAMES), tmp_path)
    made = context(tmp_path, tls(cert=cert, key=key))
    assert made.minimum_version is ssl.TLSVersion.TLSv1_2
    assert made.verify_mode is ssl.CERT_NONE


def test_both_may_be_in_one_file(tmp_path: Path) -> None:
    """Then no key is named."""
    both = tmp_path / "both.pem"
    both.write_bytes(certificate(*NAMES).private_key_and_cert_chain_pem.bytes())
    assert context(tmp_path, tls(cert=both)).cert_store_stats()["x509"] == 0


def test_clients_can_be_made_to_show_certificates(tmp_path: Path) -> None:
    """Those of the authority that is named; likewise by the command line."""
    cert, key, ca = write_files(certificate(*NAMES), tmp_path)
    made = context(
        tmp_path,
        MINIMAL,
        *("--tls-cert", str(cert), "--tls-key", str(key), "--tls-client-ca", str(ca)),
        *("--tls-alpn", "one", "--tls-alpn", "two", "--tls-min-version", "1.3"),
    )
    assert made.verify_mode is ssl.CERT_REQUIRED
    assert made.get_ca_certs()
    assert made.minimum_version is ssl.TLSVersion.TLSv1_3


def test_files_that_are_missing_are_named(tmp_path: Path) -> None:
    """With their keys."""
    cert, key, _ = write_files(certificate(*NAMES), tmp_path)
    gone = tmp_path / "gone.pem"
    for keys, line in (
        ({"cert": gone, "key": key}, 5),
        ({"cert": cert, "key": gone}, 6),
        ({"cert": cert, "key": key, "client_ca": gone}, 7),
    ):
        [found] = mistakes(tmp_path, tls(**keys))
        name = list(keys)[line - 5]
        assert found == (
            f"service.toml:{line}: tls.{name}: cannot read {gone} "
            "(No such file or directory)"
        )


def test_files_that_hold_something_else_are_named(tmp_path: Path) -> None:
    """No certificate, no key, no authority; a key of another certificate."""
    cert, key, _ = write_files(certificate(*NAMES), tmp_path)
    other = tmp_path / "other.pem"
    other.write_bytes(certificate("other.example").private_key_pem.bytes())
    text = tmp_path / "text.pem"
    text.write_text("hello")
    for keys, told in (
        ({"cert": text, "key": key}, f"5: tls.cert: {text} holds no certificate"),
        ({"cert": key, "key": key}, f"5: tls.cert: {key} holds no certificate"),
        ({"cert": cert}, f"5: tls.cert: {cert} holds no key"),
        ({"cert": cert, "key": text}, f"6: tls.key: {text} holds no key"),
        ({"cert": cert, "key": other}, f"6: tls.key: the key in {other} is not that"),
        (
            {"cert": cert, "key": key, "client_ca": text},
            f"7: tls.client_ca: {text} holds no certificate",
        ),
    ):
        [found] = mistakes(tmp_path, tls(**keys))
        assert found.startswith(f"service.toml:{told}")


def test_a_key_that_wants_a_password_is_refused(tmp_path: Path) -> None:
    """Nobody could type it."""
    cert, key, _ = write_files(certificate(*NAMES), tmp_path)
    plain = load_pem_private_key(key.read_bytes(), None)
    key.write_bytes(
        plain.private_bytes(
            Encoding.PEM,
            PrivateFormat.PKCS8,
            BestAvailableEncryption(b"open sesame"),
        )
    )
    [found] = mistakes(tmp_path, tls(cert=cert, key=key))
    assert found.startswith("service.toml:6: tls.key: the key is encrypted")


@pytest.mark.parametrize(
    ("begins", "ends", "told"),
    [
        (-20, -10, "certificate has expired"),
        (10, 20, "certificate is not yet valid"),
    ],
)
def test_a_certificate_that_is_not_valid_now_is_refused(
    tmp_path: Path, begins: int, ends: int, told: str
) -> None:
    """Too late, or too early."""
    now = dt.datetime.now(dt.UTC)
    leaf: trustme.LeafCert = authority().issue_cert(
        *NAMES,
        not_before=now + dt.timedelta(days=begins),
        not_after=now + dt.timedelta(days=ends),
    )
    cert, key, _ = write_files(leaf, tmp_path)
    [found] = mistakes(tmp_path, tls(cert=cert, key=key))
    assert found == f"service.toml:5: tls.cert: {cert}: {told}"


def test_values_that_tls_does_not_know_are_refused(tmp_path: Path) -> None:
    """Old versions, protocols without a name."""
    cert, key, _ = write_files(certificate(*NAMES), tmp_path)
    text = tls(cert=cert, key=key, min_version="1.1")
    assert mistakes(tmp_path, text) == [
        "service.toml:7: tls.min_version: must be 1.2 or 1.3, not '1.1'"
    ]
    text = tls(cert=cert, key=key) + '\nalpn = ["ok", ""]'
    assert mistakes(tmp_path, text) == [
        "service.toml:7: tls.alpn: names are of 1 to 255 characters of ASCII"
    ]


def test_a_key_that_everybody_can_read_is_warned_of(tmp_path: Path) -> None:
    """It works all the same."""
    cert, key, _ = write_files(certificate(*NAMES), tmp_path)
    made = configured(tmp_path, tls(cert=cert, key=key)).tls
    assert made is not None
    key.chmod(0o640)
    assert made.warnings() == []
    key.chmod(0o644)
    [warning] = made.warnings()
    assert str(key) in warning
    assert "chmod o-r" in warning
