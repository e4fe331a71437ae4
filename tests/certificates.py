"""Certificates for the tests, by an authority of their own, and contexts with them.

The keys are made once for each run. Every context is a new one: tests may change it.
"""

from __future__ import annotations

import functools
import ssl
from typing import TYPE_CHECKING

import pytest
import trustme

if TYPE_CHECKING:
    from pathlib import Path

HOST = "localhost"
ADDRESS = "127.0.0.1"

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]

each_version = pytest.mark.parametrize("version", VERSIONS, ids=["TLSv1.2", "TLSv1.3"])


@functools.cache
def authority() -> trustme.CA:
    """Return the authority that all contexts trust, unless they say otherwise."""
    return trustme.CA(organization_name="the tests' authority")


@functools.cache
def strange_authority() -> trustme.CA:
    """Return another authority, which nobody trusts."""
    return trustme.CA(organization_name="a strange authority")


@functools.cache
def certificate(*names: str) -> trustme.LeafCert:
    """Return the certificate for these names, with its key."""
    return authority().issue_cert(*names)


@functools.cache
def strange_certificate(name: str) -> trustme.LeafCert:
    """Return one by the authority that nobody trusts."""
    return strange_authority().issue_cert(name)


def server_context(
    *names: str,
    version: ssl.TLSVersion | None = None,
    certificate_from: trustme.LeafCert | None = None,
    asks_clients: bool = False,
) -> ssl.SSLContext:
    """Make a server's context.

    Args:
        names: in its certificate; by default the local host's.
        version: the only one that it speaks.
        certificate_from: its certificate, where the names are not enough.
        asks_clients: every client must have a certificate, too.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    leaf = certificate_from or certificate(*(names or (HOST, ADDRESS)))
    _show(context, leaf)
    if asks_clients:
        _trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return _only(context, version)


def client_context(
    *, version: ssl.TLSVersion | None = None, identity: trustme.LeafCert | None = None
) -> ssl.SSLContext:
    """Make a client's context.

    Args:
        version: the only one that it speaks.
        identity: its certificate, if it is to have one.
    """
    context = ssl.create_default_context()
    _trust(context)
    if identity is not None:
        _show(context, identity)
    return _only(context, version)


def _show(context: ssl.SSLContext, leaf: trustme.LeafCert) -> None:
    # As LeafCert.configure_cert, which has no types for a checker.
    with leaf.private_key_and_cert_chain_pem.tempfile() as path:
        context.load_cert_chain(path)


def _trust(context: ssl.SSLContext) -> None:
    context.load_verify_locations(cadata=authority().cert_pem.bytes().decode())


def _only(context: ssl.SSLContext, version: ssl.TLSVersion | None) -> ssl.SSLContext:
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


def der(leaf: trustme.LeafCert) -> bytes:
    """Return a certificate as TLS sends it."""
    return ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())


def write_files(leaf: trustme.LeafCert, folder: Path) -> tuple[Path, Path, Path]:
    """Write a certificate, its key and the authority's certificate, for programs."""
    chain, key, trusted = (
        folder / f"{name}.pem" for name in ("certificate", "key", "authority")
    )
    chain.write_bytes(b"".join(pem.bytes() for pem in leaf.cert_chain_pems))
    key.write_bytes(leaf.private_key_pem.bytes())
    trusted.write_bytes(authority().cert_pem.bytes())
    return chain, key, trusted
