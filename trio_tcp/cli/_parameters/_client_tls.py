"""TLS for a client, as options of the command line."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import attrs
import click

__all__ = ["ClientTls", "client_tls_options"]

P = ParamSpec("P")
R = TypeVar("R")

FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)

OPTIONS = (
    click.option("--tls", is_flag=True, help="Speak TLS, and check the certificate."),
    click.option(
        "--ca", type=FILE, help="Believe the certificates of this file instead."
    ),
    click.option(
        "--insecure", is_flag=True, help="Believe any certificate. Only to look around."
    ),
    click.option("--cert", type=FILE, help="Show this certificate (PEM)."),
    click.option("--key", type=FILE, help="Its key, if it is in another file."),
    click.option("--alpn", multiple=True, help="Offer this protocol. May be repeated."),
    click.option("--server-name", help="Expect this name instead of the host's."),
)


@attrs.frozen
class ClientTls:
    """What a client needs for TLS.

    Attributes:
        context: None for no TLS.
        server_hostname: to ask for, and to check; None is the host's.
        checking: where ``context`` believes anybody (``--insecure``), the same but that
            it checks; else None.
    """

    context: ssl.SSLContext | None
    server_hostname: str | None
    checking: ssl.SSLContext | None = None


def client_tls_options(
    function: Callable[Concatenate[ClientTls, P], R],
) -> Callable[..., R]:
    """Add the options of TLS to a command; its function gets a `ClientTls` first.

    Any of them means ``--tls``.
    """

    @functools.wraps(function)
    def with_tls(**options: Any) -> R:  # noqa: ANN401 - as click passes them
        own = {field.name: options.pop(field.name) for field in attrs.fields(_Options)}
        return function(_client_tls(_Options(**own)), **options)  # type: ignore[call-arg] # click passes the rest of P by name

    for option in reversed(OPTIONS):
        with_tls = option(with_tls)
    return with_tls


@attrs.frozen(kw_only=True)
class _Options:
    tls: bool
    ca: Path | None
    insecure: bool
    cert: Path | None
    key: Path | None
    alpn: tuple[str, ...]
    server_name: str | None


def _client_tls(options: _Options) -> ClientTls:
    if not any(attrs.astuple(options)):
        return ClientTls(None, None)
    if options.insecure and options.ca:
        raise click.UsageError("--ca means nothing with --insecure.")
    if options.key and not options.cert:
        raise click.UsageError("--key needs --cert.")
    try:
        context = _checking(options)
        if not options.insecure:
            return ClientTls(context, options.server_name)
        believing = _checking(options)
        believing.check_hostname = False
        believing.verify_mode = ssl.CERT_NONE
        return ClientTls(believing, options.server_name, context)
    except (OSError, ssl.SSLError) as error:
        files = filter(None, (options.ca, options.cert, options.key))
        raise click.UsageError(f"TLS, {', '.join(map(str, files))}: {error}") from error


def _checking(options: _Options) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=options.ca)
    if options.cert:
        context.load_cert_chain(options.cert, options.key)
    if options.alpn:
        context.set_alpn_protocols(options.alpn)
    return context
