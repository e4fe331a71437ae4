from __future__ import annotations

import math
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import attrs
import click
import pytest

from tests.cli.serve import services
from tests.cli.serve.configuring import MINIMAL, configured, mistakes, parse
from trio_tcp import KeepAlive, Limits, ProxyProtocol, Timeouts, codecs
from trio_tcp.cli._parameters import (
    DescriptorAddress,
    HostAddress,
    PathAddress,
    SystemdAddress,
)
from trio_tcp.cli._serve._configuration import Configuration, Log
from trio_tcp.cli._serve._options import OPTIONS
from trio_tcp.cli._serve._settings import read_settings

WHOLE = (
    MINIMAL.replace("localhost:0", 'localhost:0", ":8888", "fd:3", "systemd')
    + r"""
workers = 2
grace = 5.5
drain_delay = 1
status = "127.0.0.1:9100"

[limits]
max_connections = 500
when_full = "reject"
farewell = "BUSY\r\n"
max_buffered_bytes = "64MiB"

[timeouts]
idle = inf
write = 10

[keepalive]

[proxy_protocol]
trusted = ["10.0.0.0/8"]

[log]
format = "json"
level = "debug"
"""
)


def test_a_file_says_all_that_a_service_needs(tmp_path: Path) -> None:
    """Each table is a class, each key a field."""
    assert configured(tmp_path, WHOLE) == Configuration(
        handler=services.echo,
        codec=codecs.Lines(),
        listen=(
            HostAddress("localhost", 0),
            HostAddress(None, 8888),
            DescriptorAddress(3),
            SystemdAddress(),
        ),
        workers=2,
        grace=5.5,
        drain_delay=1,
        status=HostAddress("127.0.0.1", 9100),
        limits=Limits(
            max_connections=500,
            when_full="reject",
            farewell=b"BUSY\r\n",
            max_buffered_bytes=64 << 20,
        ),
        timeouts=Timeouts(idle=math.inf, write=10),
        keepalive=KeepAlive(),
        proxy_protocol=ProxyProtocol(trusted=["10.0.0.0/8"]),
        log=Log(format="json", level="debug"),
    )


def test_the_command_line_says_the_same(tmp_path: Path) -> None:
    """An option for each key, or each table."""
    options = [
        *("--listen", "localhost:0", "--listen", ":8888", "--listen", "fd:3"),
        *("--listen", "systemd", "--codec", "lines"),
        *("--workers", "2", "--grace", "5.5", "--drain-delay", "1"),
        *("--status", "127.0.0.1:9100"),
        *("--limit", "max_connections=500", "--limit", "when_full=reject"),
        *("--limit", r'farewell="BUSY\r\n"', "--limit", "max_buffered_bytes=64MiB"),
        *("--timeout", "idle=inf", "--timeout", "write=10"),
        *("--keepalive", "idle=60", "--proxy-trusted", "10.0.0.0/8"),
        *("--log-format", "json", "--log-level", "debug"),
    ]
    handler = MINIMAL.splitlines()[0]
    assert configured(tmp_path, handler, *options) == configured(tmp_path, WHOLE)


def test_the_command_line_comes_first(tmp_path: Path) -> None:
    """A list replaces a list; in a table each key stands for itself."""
    text = f"{MINIMAL}grace = 1\n[limits]\nmax_connections = 5\nmax_per_address = 2\n"
    made = configured(
        tmp_path,
        text,
        *("--listen", "unix:/run/x.sock,mode=660", "--grace", "3"),
        *("--limit", "max_connections=7"),
    )
    assert made.listen == (PathAddress("/run/x.sock", 0o660),)
    assert made.grace == 3
    assert made.limits == Limits(max_connections=7, max_per_address=2)


def test_every_key_has_an_option() -> None:
    """Of the tables, either each key, or the table as a whole."""
    paths = {option.path for option in OPTIONS}
    tables = {option.path: option.keys for option in OPTIONS if option.keys}
    missing = [
        (field.name, *inner)
        for field in attrs.fields(Configuration)
        for inner in keys_of(field)
        if (field.name, *inner) not in paths and (field.name,) not in tables
    ]
    assert missing == [("handler",)]  # the argument
    assert tables == {
        ("limits",): Limits,
        ("timeouts",): Timeouts,
        ("keepalive",): KeepAlive,
    }


def keys_of(field: attrs.Attribute[Any]) -> list[tuple[str, ...]]:
    """Return what is in a table; of another value, itself."""
    by_name = {
        "tls": ("cert", "key", "client_ca", "alpn", "min_version"),
        "proxy_protocol": ("trusted", "timeout"),
        "log": ("format", "level"),
    }
    return [(key,) for key in by_name.get(field.name, ())] or [()]


@pytest.mark.parametrize("cls", [Limits, Timeouts, KeepAlive])
def test_every_limit_and_timeout_is_in_the_help(cls: type) -> None:
    """With its default, taken from the class."""
    [option] = [option for option in OPTIONS if option.keys is cls]
    for field in attrs.fields(cls):
        assert f"{field.name} (" in option.full_help


BAD = """\
handler = "tests.cli.serve.services:ecoh"
codec = "linse"
listen = [
    ":8888",
    "127.0.0.1:8888",
]
grase = 3
workers = -1

[limits]
max_conections = 5
max_connections = "many"
max_buffered_bytes = "64MB and more"
when_full = "drop"
farewell = 3

[timeouts]
idle = "10"
first_message = -1
write = nan

[tls]
key = "key.pem"

[proxy_protocol]
trusted = ["10.0.0.1/8"]
timeout = true

[keepalive]
count = 500

[log]
level = "trace"
colour = "red"
"""


TOLD = """\
1: handler: tests.cli.serve.services has no 'ecoh'; did you mean echo?
2: codec: there is no codec 'linse'; did you mean lines?
3: listen[1]: 127.0.0.1:8888 cannot be listened on beside :8888
7: grase: there is no such key; did you mean grace?
8: workers: must be a whole number, 0 or more, not -1
11: limits.max_conections: there is no such key; did you mean max_connections?
12: limits.max_connections: must be a whole number, one or more, or inf, not 'many'
13: limits.max_buffered_bytes: '64MB and more' is no number of bytes,
    as 4096, 64KiB or 1MiB are
14: limits.when_full: must be wait or reject, not 'drop'
15: limits.farewell: must be a text, as in "…", not 3
18: timeouts.idle: must be a number of seconds, zero or more, not '10'
19: timeouts.first_message: must be a number of seconds, zero or more, not -1
20: timeouts.write: must be a number of seconds, zero or more, not nan
22: tls.cert: is missing; the file: --tls-cert cert.pem, or cert = "cert.pem"
26: proxy_protocol.trusted: must hold networks, but 10.0.0.1/8 has host bits set
27: proxy_protocol.timeout: must be a number of seconds, zero or more, not True
30: keepalive.count: must be a whole number, 1 to 127, not 500
33: log.level: must be debug or info or warning or error, not 'trace'
34: log.colour: there is no such key; there are format, level
"""


def test_all_mistakes_are_told_at_once_each_with_its_line(tmp_path: Path) -> None:
    """And with what would be right."""
    told = TOLD.replace("\n    ", " ").splitlines()
    assert mistakes(tmp_path, BAD) == [f"service.toml:{line}" for line in told]


def test_a_mistake_on_the_command_line_is_told_by_its_option(tmp_path: Path) -> None:
    """As the user has written it, also if the file has the same key."""
    text = f"{MINIMAL}[limits]\nmax_connections = 5\n"
    assert mistakes(
        tmp_path,
        text,
        *("--limit", "max_connections=0", "--limit", "max_conn=3"),
        *("--listen", ":8888", "--listen", "fd:x", "--grace", "long"),
    ) == [
        "--grace long: must be a number of seconds, zero or more, not 'long'",
        "--limit max_conn=3: there is no such key; did you mean max_connections?",
        "--limit max_connections=0: must be a whole number, one or more, or inf, not 0",
        "--listen fd:x: 'fd:x' has no number of a descriptor, as in fd:3",
    ]


def test_what_is_missing_is_asked_for(tmp_path: Path) -> None:
    """All of it, with how to say it in the file or on the command line."""
    found = mistakes(tmp_path, "")
    assert [line.partition(" is missing")[0] for line in found] == [
        "service.toml: codec:",
        "service.toml: handler:",
        "service.toml: listen:",
    ]
    assert mistakes(tmp_path, MINIMAL.replace('"localhost:0"', "")) == [
        "service.toml:3: listen: there must be at least one address"
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("limits = 5\n", "limits: must be a table, with keys, not 5"),
        ("tls = []\n", "tls: must be a table, with keys, not []"),
        ("grace = true\n", "grace: must be a number of seconds"),
        ('status = "unix:/x"\n', "status: must be HOST:PORT, not unix:/x"),
        ("keepalive = { user_timeout = 0 }\n", "must be left out, inf, or a number"),
        ("proxy_protocol = { trusted = 5 }\n", 'must be a list, as in ["…"], not 5'),
        ("proxy_protocol = { trusted = [5] }\n", 'must be a text, as in "…", not 5'),
        ("proxy_protocol = {}\n", "trusted: is missing"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(
    tmp_path: Path, text: str, told: str
) -> None:
    """Tables where a table belongs, numbers where a number does."""
    [found] = mistakes(tmp_path, MINIMAL + text)
    assert found.startswith("service.toml:4: ")
    assert told in found


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\nb = = 2\n", "service.toml:2: this is not TOML: "),
        ("a = 1\na = 2\n", "service.toml:2: this is not TOML: "),
        ('a = """\n', "service.toml:"),
    ],
)
def test_what_is_not_toml_is_refused_with_its_line(
    tmp_path: Path, text: str, line: str
) -> None:
    """As the parser has it."""
    [found] = mistakes(tmp_path, text)
    assert found.startswith(line)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """Missing, or not text."""
    with pytest.raises(click.ClickException, match=r"nothing\.toml: No such file"):
        read_settings(str(tmp_path / "nothing.toml"), [])
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"a = 1\nb = '\xff'\n")
    with pytest.raises(click.ClickException, match=r"binary\.toml:2: .*UTF-8"):
        read_settings(str(binary), [])


def test_an_option_for_a_table_needs_a_name_and_a_value() -> None:
    """That is wrong usage, as click has it."""
    with pytest.raises(click.UsageError, match="must be NAME=VALUE"):
        parse("--limit", "max_connections")


def test_networks_are_what_they_say(tmp_path: Path) -> None:
    """And a timeout for the header."""
    options = ["--proxy-trusted", "10.0.0.0/8", "--proxy-timeout", "3"]
    proxy_protocol = configured(tmp_path, MINIMAL, *options).proxy_protocol
    assert proxy_protocol is not None
    assert proxy_protocol.trusted == (IPv4Network("10.0.0.0/8"),)
    assert proxy_protocol.timeout == 3
