"""The options of the command line: each names a place that the file has, too."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import attrs
import click

from trio_tcp import KeepAlive, Limits, Timeouts
from trio_tcp.cli._parameters import CODEC_HELP
from trio_tcp.cli._serve._settings import Given
from trio_tcp.cli._serve._toml_lines import KeyPath

__all__ = ["OPTIONS", "given_options", "service_options"]

F = TypeVar("F", bound=Callable[..., Any])
Read = Callable[[str], Any]


def _toml_value(text: str) -> object:
    """Read a value as the file would; a text needs no quotes."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


@attrs.frozen(kw_only=True)
class Option:
    """An option that sets one value, or one in a table each time that it is given.

    Attributes:
        name: with its dashes.
        path: the place in the file.
        metavar: what stands for the value in the help.
        help: what it is for.
        repeated: how often it may be given: the value is a list then.
        keys: if it sets one value of a table, ``NAME=VALUE``: the class of that table.
        read: makes a value of a text.
    """

    name: str
    path: KeyPath
    metavar: str
    help: str
    repeated: bool = False
    keys: type | None = None
    read: Read = str

    @property
    def full_help(self) -> str:
        """What it is for, and the names and defaults if it sets values of a table."""
        if self.keys is None:
            return self.help
        defaults = ", ".join(
            f"{field.name} ({_shown(field.default)})"
            for field in attrs.fields(self.keys)
        )
        return f"{self.help} May be repeated. Names, and defaults: {defaults}."


def _shown(default: object) -> str:
    if default is None:
        return "left out"
    return default.decode() or "none" if isinstance(default, bytes) else str(default)


OPTIONS: Final = (
    Option(
        name="--listen",
        path=("listen",),
        metavar="ADDRESS",
        repeated=True,
        help="Where to listen: HOST:PORT, [::1]:PORT, :PORT for every address of this "
        "machine, unix:PATH or unix:PATH,mode=660, fd:NUMBER for an inherited socket, "
        "systemd for its sockets. May be repeated.",
    ),
    Option(name="--codec", path=("codec",), metavar="CODEC", help=CODEC_HELP),
    Option(
        name="--workers",
        path=("workers",),
        metavar="N",
        read=_toml_value,
        help="Serve in so many processes, under one that starts them again when they "
        "die. 0: in this process. Default: 0.",
    ),
    Option(
        name="--grace",
        path=("grace",),
        metavar="SECONDS",
        read=_toml_value,
        help="How long connections may finish after a signal. Default: 30.",
    ),
    Option(
        name="--drain-delay",
        path=("drain_delay",),
        metavar="SECONDS",
        read=_toml_value,
        help="How long to go on as before after a signal, while /ready says no: until "
        "a load balancer has noticed. Not with workers. Default: 0.",
    ),
    Option(
        name="--status",
        path=("status",),
        metavar="HOST:PORT",
        help="Answer /metrics, /live and /ready there, over HTTP.",
    ),
    Option(
        name="--limit",
        path=("limits",),
        metavar="NAME=VALUE",
        keys=Limits,
        help="How much to take on.",
    ),
    Option(
        name="--timeout",
        path=("timeouts",),
        metavar="NAME=SECONDS",
        keys=Timeouts,
        help="How long to wait for a client; inf is for ever.",
    ),
    Option(
        name="--keepalive",
        path=("keepalive",),
        metavar="NAME=VALUE",
        keys=KeepAlive,
        help="Let TCP itself look whether clients' hosts are still there.",
    ),
    Option(
        name="--tls-cert",
        path=("tls", "cert"),
        metavar="FILE",
        help="Speak TLS, with the certificates in this file (PEM).",
    ),
    Option(
        name="--tls-key",
        path=("tls", "key"),
        metavar="FILE",
        help="Its key, if it is in another file.",
    ),
    Option(
        name="--tls-client-ca",
        path=("tls", "client_ca"),
        metavar="FILE",
        help="Only let in who has a certificate of an authority in this file.",
    ),
    Option(
        name="--tls-alpn",
        path=("tls", "alpn"),
        metavar="PROTOCOL",
        repeated=True,
        help="Agree on this protocol (ALPN). May be repeated, the preferred one first.",
    ),
    Option(
        name="--tls-min-version",
        path=("tls", "min_version"),
        metavar="[1.2|1.3]",
        help="The oldest version of TLS. Default: 1.2.",
    ),
    Option(
        name="--proxy-trusted",
        path=("proxy_protocol", "trusted"),
        metavar="NETWORK",
        repeated=True,
        help="Clients come through proxies of this network, as in 10.0.0.0/8, which "
        "send PROXY headers. May be repeated.",
    ),
    Option(
        name="--proxy-timeout",
        path=("proxy_protocol", "timeout"),
        metavar="SECONDS",
        read=_toml_value,
        help="How long the header may take. Default: 5.",
    ),
    Option(
        name="--log-format",
        path=("log", "format"),
        metavar="[text|json]",
        help="Lines for people, or an object on each. Default: text.",
    ),
    Option(
        name="--log-level",
        path=("log", "level"),
        metavar="LEVEL",
        help="The least to write: debug, info, warning or error. Default: info.",
    ),
)


def service_options(function: F) -> F:
    """Add them all to a command; what they get, `given_options` reads."""
    for option in reversed(OPTIONS):
        function = click.option(
            option.name,
            multiple=option.repeated or option.keys is not None,
            metavar=option.metavar,
            help=option.full_help,
        )(function)
    return function


def given_options(values: dict[str, Any]) -> list[Given]:
    """Say which values click has found on the command line.

    Raises:
        click.UsageError: one is no ``NAME=VALUE``.
    """
    given: list[Given] = []
    for option in OPTIONS:
        value: str | Sequence[str] | None = values[option.name[2:].replace("-", "_")]
        if value is None or value == ():
            continue
        if isinstance(value, str):
            text = f"{option.name} {value}"
            given.append(Given(option.path, option.read(value), text))
        elif option.keys is not None:
            given.extend(_given_key(option, text) for text in value)
        else:
            given.append(Given(option.path, list(value), option.name))
    return given


def _given_key(option: Option, text: str) -> Given:
    key, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"{option.name} {text}: must be {option.metavar}.")
    path = (*option.path, key)
    return Given(path, _toml_value(value), f"{option.name} {text}")
