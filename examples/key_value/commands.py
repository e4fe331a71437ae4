"""All commands, and what is done with a request."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Final, final

import attrs

from examples.key_value import commands_on_connections as connections
from examples.key_value import commands_on_keys as keys
from examples.key_value.caller import Caller, CommandError
from examples.key_value.resp_replies import Reply
from examples.key_value.resp_requests import Request

__all__ = ["execute"]

MAX_STORE_BYTES: Final = 1 << 30
"""1 GiB. Then no more is taken; who has not enough uses a real Redis."""

MAX_ECHOED: Final = 40  # characters of what is wrong in a request


@final
@attrs.frozen
class Command:
    """What there is to know of a command.

    Attributes:
        function: does it, with a caller and the arguments.
        least: how many arguments it must have.
        most: how many it may have; None for any number.
        grows: it needs memory, and is refused when there is none.
    """

    function: Callable[..., Reply]
    least: int
    most: int | None
    grows: bool

    def takes(self, count: int) -> bool:
        """Say if it can be called with so many arguments."""
        return self.least <= count and (self.most is None or count <= self.most)

    def describe(self, name: str) -> Reply:
        """Return what ``COMMAND`` tells: with arguments, the name counts as one."""
        arity = 1 + self.least
        flags: list[Reply] = ["denyoom"] if self.grows else []
        return [name, arity if self.least == self.most else -arity, flags, 0, 0, 0]


def _command(function: Callable[..., Reply], *, grows: bool = False) -> Command:
    """Read off a function's parameters, behind the caller, how it is called."""
    _, *parameters = inspect.signature(function).parameters.values()
    named = [each for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
    least = sum(each.default is each.empty for each in named)
    most = len(named) if len(named) == len(parameters) else None
    return Command(function, least, most, grows)


def _list_commands(_caller: Caller, what: bytes = b"", *_names: bytes) -> Reply:
    """COMMAND [COUNT]; and no more, as for COMMAND DOCS, which redis-cli would like."""
    match what.upper():
        case b"":
            return [
                command.describe(name.decode().lower())
                for name, command in COMMANDS.items()
            ]
        case b"COUNT":
            return len(COMMANDS)
        case _:
            return {}


COMMANDS: Final = {
    b"GET": _command(keys.get),
    b"SET": _command(keys.put, grows=True),
    b"DEL": _command(keys.delete),
    b"EXISTS": _command(keys.exists),
    b"INCR": _command(keys.increment, grows=True),
    b"INCRBY": _command(keys.increment_by, grows=True),
    b"EXPIRE": _command(keys.expire, grows=True),
    b"TTL": _command(keys.time_to_live),
    b"MGET": _command(keys.get_many),
    b"MSET": _command(keys.put_many, grows=True),
    b"DBSIZE": _command(keys.size),
    b"FLUSHALL": _command(keys.clear),
    b"PING": _command(connections.ping),
    b"ECHO": _command(connections.echo),
    b"HELLO": _command(connections.hello),
    b"CLIENT": _command(connections.client),
    b"SELECT": _command(connections.select),
    b"CONFIG": _command(connections.config),
    b"INFO": _command(connections.info),
    b"QUIT": _command(connections.leave),
    b"COMMAND": _command(_list_commands),
}


def execute(caller: Caller, request: Request) -> Reply:
    """Do what a request says.

    Raises:
        CommandError: it cannot be done.
        Quit: it was QUIT.
    """
    name, *arguments = request
    command = COMMANDS.get(name) or COMMANDS.get(name.upper())
    if command is None:
        raise CommandError(f"ERR unknown command {_shown(name)}")
    if not command.takes(len(arguments)):
        raise CommandError(f"ERR wrong number of arguments for {_shown(name)} command")
    if command.grows and caller.store.bytes_used > MAX_STORE_BYTES:
        raise CommandError("OOM command not allowed when used memory > 'maxmemory'.")
    return command.function(caller, *arguments)


def _shown(name: bytes) -> str:
    return ascii(name[:MAX_ECHOED].decode("latin-1").lower())
