"""The commands that clients send by themselves, when they connect and when they leave.

Redis has a hundred more options. Here is what its own tools and the usual libraries
need to be content.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Final

from examples.key_value.caller import Caller, CommandError, Quit, number
from examples.key_value.resp import RESP2, RESP3
from examples.key_value.resp_replies import NIL, Reply

VERSION: Final = b"7.2.0"
"""Of the Redis whose commands these are: some clients ask, and refuse older ones."""

MAX_NAME: Final = 256
"""Bytes of a client's name, which stands in each line of the log about it."""

MAX_PATTERNS: Final = 256
"""Bytes of all patterns together. To read a long one takes `fnmatch` longer than it is
long: 2 s for 10,000 bytes of ``[``, in which nobody else is served."""

NAME: Final = re.compile(rb"[!-~]{0,%d}" % MAX_NAME)
CODECS: Final = {b"2": RESP2, b"3": RESP3}
CONFIGURATION: Final = {b"save": b"", b"appendonly": b"no", b"databases": b"1"}


def ping(_caller: Caller, message: bytes | None = None) -> bytes | str:
    """PING [message]."""
    return "PONG" if message is None else message


def echo(_caller: Caller, message: bytes) -> bytes:
    """ECHO message."""
    return message


def hello(caller: Caller, version: bytes | None = None, *options: bytes) -> Reply:
    """HELLO [2 | 3 [SETNAME name]]."""
    if version is not None and version not in CODECS:
        raise CommandError("NOPROTO unsupported protocol version")
    match options:
        case ():
            pass
        case (option, _) if option.upper() == b"SETNAME":
            client(caller, *options)
        case _:
            raise CommandError("ERR syntax error in HELLO")
    if version is not None:
        caller.version = int(version)
        # Also for this reply, which is not written yet.
        caller.connection.switch_codec(CODECS[version])
    return {
        b"server": b"redis",
        b"version": VERSION,
        b"proto": caller.version,
        b"id": caller.connection.id,
        b"mode": b"standalone",
        b"role": b"master",
        b"modules": [],
    }


def client(caller: Caller, command: bytes, *arguments: bytes) -> Reply:
    """CLIENT ID | GETNAME | SETNAME name | SETINFO attribute value."""
    match [command.upper(), *arguments]:
        case [b"ID"]:
            return caller.connection.id
        case [b"GETNAME"]:
            return caller.connection.label.encode() or NIL
        case [b"SETNAME", name]:
            if not NAME.fullmatch(name):
                raise CommandError(
                    "ERR Client names cannot contain spaces, newlines or special "
                    f"characters, nor more than {MAX_NAME} of others."
                )
            caller.connection.label = name.decode("ascii")  # for the log
            return "OK"
        case [b"SETINFO", _, _]:
            return "OK"
        case _:
            raise CommandError("ERR unknown subcommand or wrong number of arguments")


def select(_caller: Caller, index: bytes) -> str:
    """SELECT index, of which there is one."""
    if number(index):
        raise CommandError("ERR DB index is out of range")
    return "OK"


def config(_caller: Caller, command: bytes, *patterns: bytes) -> Reply:
    """CONFIG GET pattern [pattern ...]."""
    if command.upper() != b"GET" or not patterns:
        raise CommandError("ERR only CONFIG GET is possible")
    if sum(len(each) + 1 for each in patterns) > MAX_PATTERNS:
        raise CommandError("ERR too many patterns, or too long ones")
    return {
        name: value
        for name, value in CONFIGURATION.items()
        if any(fnmatchcase(name.decode(), each.decode("latin-1")) for each in patterns)
    }


def info(caller: Caller, *_sections: bytes) -> bytes:
    """INFO [section ...]: everything, whatever was asked for."""
    return (
        b"# Server\r\nredis_version:%b\r\nredis_mode:standalone\r\n"
        b"# Memory\r\nused_memory:%d\r\n"
        b"# Replication\r\nrole:master\r\n"
        b"# Keyspace\r\ndb0:keys=%d\r\n"
    ) % (VERSION, caller.store.bytes_used, len(caller.store))


def leave(_caller: Caller) -> Reply:
    """QUIT."""
    raise Quit
