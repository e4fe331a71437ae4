"""The commands: what a line with a slash does. Each is a function, and a line of help.

They are understood by the server, so that every client has them all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import attrs

from examples.chat.community import Community, Member, Refused, check_name
from examples.chat.messages import Notice, Problem, Welcome

__all__ = ["Leave", "Move", "Outcome", "obey", "told"]


@attrs.frozen
class Move:
    """Go to another room."""

    room: str


@attrs.frozen
class Leave:
    """Leave the chat."""


Outcome: TypeAlias = Notice | Problem | Welcome | Move | Leave | None
"""What is to be answered, or to be done by the conversation."""

Do: TypeAlias = Callable[[Community, Member, str], Awaitable[Outcome]]


@attrs.frozen
class Command:
    """One of them.

    Attributes:
        arguments: their names, for the help; each must be there, and the last has all
            the rest of the line.
        help: what it does.
        do: is called with the community, who it is, and the arguments as they are.
    """

    arguments: str
    help: str
    do: Do


def told(is_told_everywhere: bool) -> Outcome:
    """Return what to answer to who has said something."""
    if is_told_everywhere:
        return None
    return Problem("other servers cannot be reached: only those with this one got it")


async def show_help(_community: Community, _me: Member, _argument: str) -> Outcome:
    """List the commands."""
    lines = [
        f"{f'/{name} {command.arguments}':<18} {command.help}"
        for name, command in COMMANDS.items()
    ]
    return Notice("\n".join([*lines, "anything else is said to all in your room"]))


async def join(_community: Community, _me: Member, room: str) -> Outcome:
    """Go to another room."""
    return Move(check_name(room))


async def whisper(community: Community, me: Member, argument: str) -> Outcome:
    """Say something to one person."""
    nick, _, text = argument.partition(" ")
    if not text.strip():
        raise Refused("/msg NAME TEXT: there is no text")
    return told(await community.whisper(me, nick, text.strip()))


async def who(community: Community, me: Member, _argument: str) -> Outcome:
    """Say who is in the same room."""
    nicks = community.presence.in_room(me.person.room)
    return Notice(f"in {me.person.room}: {', '.join(nicks)}")


async def rooms(community: Community, _me: Member, _argument: str) -> Outcome:
    """Say who is where."""
    people = community.presence.everybody()
    names = sorted({person.room for person in people})
    lines = [f"{name}: {', '.join(community.presence.in_room(name))}" for name in names]
    return Notice("\n".join(lines))


async def rename(community: Community, me: Member, nick: str) -> Outcome:
    """Take another name."""
    await community.rename(me, nick)
    return Welcome(nick)


async def leave(_community: Community, _me: Member, _argument: str) -> Outcome:
    """Leave."""
    return Leave()


COMMANDS: Final = {
    "join": Command("ROOM", "go to another room", join),
    "msg": Command("NAME TEXT", "say something to one person", whisper),
    "who": Command("", "who is in your room", who),
    "rooms": Command("", "who is where", rooms),
    "nick": Command("NAME", "take another name", rename),
    "quit": Command("", "leave", leave),
    "help": Command("", "this list", show_help),
}


async def obey(community: Community, me: Member, line: str) -> Outcome:
    """Do what a line says, that begins with a slash.

    Raises:
        Refused: there is no such command, or it cannot be done.
    """
    name, _, argument = line.removeprefix("/").partition(" ")
    command = COMMANDS.get(name)
    if command is None:
        raise Refused(f"there is no command /{name}; /help lists them")
    if command.arguments and not argument.strip():
        raise Refused(f"/{name} {command.arguments}: something is missing")
    return await command.do(community, me, argument.strip())
