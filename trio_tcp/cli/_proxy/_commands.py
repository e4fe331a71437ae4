"""What people type while a proxy runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from trio_tcp.cli._proxy._desk import Desk
from trio_tcp.cli._proxy._notation import NUMBER, parse_words

__all__ = ["HELP", "obey"]

HELP: Final = """\
add FAULT [OPTION=VALUE …] [@PLACE]   as: add latency seconds=0.2 @to-client
list                                  the faults that are in force
end NUMBER | all                      end one of them, or all
connections                           who is connected
reset [NUMBER]                        reset a connection, or all
quit                                  stop"""


def obey(desk: Desk, line: str) -> str:
    """Do what a line says, other than to quit.

    Returns:
        What it has to tell, perhaps in several lines; often nothing, as what happens
        is told anyway.

    Raises:
        ValueError: it cannot be done; the text says why.
    """
    word, *rest = line.split() or [""]
    command = COMMANDS.get(word)
    if command is None:
        raise ValueError(f"{word!r} is no command; see: help")
    try:
        return command(desk, rest)
    except (LookupError, TypeError) as error:
        raise ValueError(str(error.args[0])) from error


def _add(desk: Desk, words: Sequence[str]) -> str:
    desk.add(parse_words(words))
    return ""


def _list(desk: Desk, _: Sequence[str]) -> str:
    lines = [f"{number}  {desk.describe(number)}" for number in desk.faults]
    return "\n".join(lines) or "no fault is in force"


def _end(desk: Desk, words: Sequence[str]) -> str:
    if list(words) == ["all"]:
        desk.end_all()
    else:
        desk.end(_number(words, "end 1"))
    return ""


def _connections(desk: Desk, _: Sequence[str]) -> str:
    lines = [
        f"{number}  from {each.client}: {each.to_server} bytes to the server, "
        f"{each.to_client} to the client"
        for number, each in desk.proxy.connections.items()
    ]
    return "\n".join(lines) or "nobody is connected"


def _reset(desk: Desk, words: Sequence[str]) -> str:
    if words:
        desk.reset(_number(words, "reset 1"))
    else:
        desk.reset_all()
    return ""


def _help(_: Desk, __: Sequence[str]) -> str:
    return HELP


def _number(words: Sequence[str], example: str) -> int:
    if len(words) != 1 or not NUMBER.fullmatch(words[0]):
        raise ValueError(f"it takes a number, as in: {example}")
    return int(words[0])


COMMANDS: Final[dict[str, Callable[[Desk, Sequence[str]], str]]] = {
    "add": _add,
    "list": _list,
    "end": _end,
    "connections": _connections,
    "reset": _reset,
    "help": _help,
}
