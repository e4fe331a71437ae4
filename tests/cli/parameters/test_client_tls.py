from __future__ import annotations

import ssl
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from trio_tcp.cli._parameters import ClientTls, client_tls_options


def parse(*arguments: str) -> ClientTls:
    """Return what a command gets for its arguments."""
    got: list[ClientTls] = []

    @click.command()
    @client_tls_options
    def command(tls: ClientTls) -> None:
        got.append(tls)

    result = CliRunner().invoke(command, arguments)
    if result.exit_code:
        raise ValueError(result.output)
    return got[0]


def test_without_options_there_is_no_tls() -> None:
    """Plain TCP."""
    assert parse() == ClientTls(None, None)


def test_tls_checks_the_certificate_and_the_name() -> None:
    """Unless it is told not to."""
    tls = parse("--tls", "--server-name", "example.org")
    assert tls.server_hostname == "example.org"
    assert tls.context is not None
    assert tls.context.verify_mode is ssl.CERT_REQUIRED
    assert tls.context.check_hostname


def test_insecure_believes_anybody() -> None:
    """And is TLS by itself."""
    tls = parse("--insecure")
    assert tls.context is not None
    assert tls.context.verify_mode is ssl.CERT_NONE
    assert not tls.context.check_hostname
    assert tls.checking is not None
    assert tls.checking.verify_mode is ssl.CERT_REQUIRED
    assert parse("--tls").checking is None


def test_wrong_options_are_refused(tmp_path: Path) -> None:
    """Files that are missing, or something else; options that exclude each other."""
    nothing = tmp_path / "nothing.pem"
    with pytest.raises(ValueError, match="does not exist"):
        parse("--ca", str(nothing))
    nothing.touch()
    with pytest.raises(ValueError, match=r"nothing\.pem"):
        parse("--ca", str(nothing))
    with pytest.raises(ValueError, match="--key needs --cert"):
        parse("--key", str(nothing))
    with pytest.raises(ValueError, match="means nothing with"):
        parse("--insecure", "--ca", str(nothing))
