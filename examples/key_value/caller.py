"""Who calls a command: a client, its connection, and the store that it works on."""

from __future__ import annotations

import re
from typing import Final, TypeAlias, final

import attrs

import trio_tcp
from examples.key_value.resp_replies import SIGNED_64, Reply
from examples.key_value.resp_requests import Request
from examples.key_value.store import Store

__all__ = ["Caller", "CommandError", "Quit", "number"]

Connection: TypeAlias = trio_tcp.Connection[Request, Reply]

NUMBER: Final = re.compile(rb"-?[1-9][0-9]{0,18}|0")


@final
@attrs.define
class Caller:
    """What a command may use.

    Attributes:
        store: with the values.
        connection: of this client.
        version: of RESP that it speaks.
    """

    store: Store
    connection: Connection
    version: int = 2


class CommandError(Exception):
    """A command cannot be done. Its text is the reply."""


class Quit(Exception):
    """A client has said goodbye."""


def number(argument: bytes) -> int:
    """Read a number as Redis does: no blanks, no zero in front, 64 bits."""
    if not NUMBER.fullmatch(argument) or (value := int(argument)) not in SIGNED_64:
        raise CommandError("ERR value is not an integer or out of range")
    return value
