"""What subcommands take from the command line, one kind of value a file."""

from trio_tcp.cli._parameters._address import (
    CONNECT_ADDRESS,
    LISTEN_ADDRESS,
    ConnectAddress,
    DescriptorAddress,
    HostAddress,
    ListenAddress,
    PathAddress,
    SystemdAddress,
    parse_listen_address,
)
from trio_tcp.cli._parameters._client_tls import ClientTls, client_tls_options
from trio_tcp.cli._parameters._codec import CODEC, CODEC_HELP, parse_codec
from trio_tcp.cli._parameters._escapes import escape
from trio_tcp.cli._parameters._load import NoSuchObjectError, load
from trio_tcp.cli._parameters._notation import NOTATIONS, Notation, notation_for
from trio_tcp.cli._parameters._size import parse_size

__all__ = [
    "CODEC",
    "CODEC_HELP",
    "CONNECT_ADDRESS",
    "LISTEN_ADDRESS",
    "NOTATIONS",
    "ClientTls",
    "ConnectAddress",
    "DescriptorAddress",
    "HostAddress",
    "ListenAddress",
    "NoSuchObjectError",
    "Notation",
    "PathAddress",
    "SystemdAddress",
    "client_tls_options",
    "escape",
    "load",
    "notation_for",
    "parse_codec",
    "parse_listen_address",
    "parse_size",
]
