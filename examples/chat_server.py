"""A chat server: nicknames, rooms, and nobody waits for a slow reader.

    python examples/chat_server.py [PORT]

Join from as many terminals as you like with ``python examples/chat_client.py``, or with
``nc 127.0.0.1 8888``; /help lists the commands. Ctrl-C ends it.
"""

import argparse
import logging
import math
import re
import sys
import textwrap
from collections.abc import Callable

import attrs
import trio

import trio_tcp
from trio_tcp import codecs

NICK = re.compile(r"\w{1,16}")
MAX_TEXT = 1000  # characters; what is longer is cut

HELP = """\
/nick NAME   take another name
/join ROOM   go to another room; it exists as long as somebody is in it
/who         who is where
/quit        leave
anything else is said to everybody in your room"""


def clean(line: str) -> str:
    """Leave out what plays tricks on other people's terminals, and endless text."""
    return "".join(filter(str.isprintable, line))[:MAX_TEXT].strip()


@attrs.define(eq=False)
class Member:
    """Somebody with a name."""

    connection: trio_tcp.Connection[str, str]
    nick: str
    room: str = "lobby"
    farewell: str = "has left"


class Chat:
    """Who is here. Nothing in here awaits between a look and a change."""

    def __init__(self) -> None:
        self.members: dict[str, Member] = {}  # by nick
        self.commands: dict[str, Callable[[Member, str], str]] = {
            "/help": self.help,
            "/join": self.join,
            "/nick": self.nick,
            "/who": self.who,
        }

    async def handle(self, connection: trio_tcp.Connection[str, str]) -> None:
        """Serve one client, from its first line to its last."""
        me = await self.enter(connection)
        try:
            self.tell(me, f"* {me.nick} has joined")
            hello = f"* hello {me.nick}, you are in {me.room}; /help lists the commands"
            await connection.send(hello)
            while (line := clean(await connection.receive())) != "/quit":
                if line.startswith("/"):
                    await self.command(me, line)
                elif line:
                    self.tell(me, f"<{me.nick}> {line}")
        finally:
            # However this ends: /quit, Ctrl-D, a reset, the end of the server.
            del self.members[me.nick]
            self.tell(me, f"* {me.nick} {me.farewell}")

    async def enter(self, connection: trio_tcp.Connection[str, str]) -> Member:
        """Ask for a name until there is one that will do."""
        await connection.send("* welcome! what is your name?")
        while problem := self.why_not(nick := clean(await connection.receive())):
            await connection.send(f"* {problem}; another name?")
        connection.label = nick  # for the log
        self.members[nick] = Member(connection, nick)
        return self.members[nick]

    def why_not(self, nick: str) -> str:
        """Say what is wrong with a name, if anything is."""
        if not NICK.fullmatch(nick):
            return "a name has 1 to 16 letters, digits and underscores"
        return f"{nick} is taken" if nick in self.members else ""

    def tell(self, speaker: Member, line: str) -> None:
        """Send a line to the others in the room, and wait for none of them."""
        for member in self.members.values():
            if member is speaker or member.room != speaker.room:
                continue
            try:
                member.connection.send_nowait(line)
            except trio.WouldBlock:
                # It has not read the last 64 KiB, nor what its kernel holds. It could
                # miss some lines instead; then it would not know that it did.
                member.farewell = "was too slow, and has been cut off"
                member.connection.abort()
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass  # gone already: its own task is about to notice

    # The commands: each returns the answer -------------------------------------------

    async def command(self, me: Member, line: str) -> None:
        """Do what a line with a slash says."""
        name, _, argument = line.partition(" ")
        command = self.commands.get(name)
        answer = command(me, argument.strip()) if command else "no such command; /help?"
        # This may wait: for nobody but the one who asked.
        await me.connection.send_many(f"* {part}" for part in answer.splitlines())

    def help(self, _me: Member, _argument: str) -> str:
        """List the commands."""
        return HELP

    def nick(self, me: Member, nick: str) -> str:
        """Change a name."""
        if problem := self.why_not(nick):
            return problem
        self.tell(me, f"* {me.nick} is now {nick}")
        self.members[nick] = self.members.pop(me.nick)
        me.nick = me.connection.label = nick
        return f"you are now {nick}"

    def join(self, me: Member, room: str) -> str:
        """Go to another room."""
        if not NICK.fullmatch(room):
            return "the name of a room is like that of a person"
        self.tell(me, f"* {me.nick} has gone to {room}")
        me.room = room
        self.tell(me, f"* {me.nick} has joined")
        return f"you are in {room}"

    def who(self, _me: Member, _argument: str) -> str:
        """List everybody, by room."""
        rooms: dict[str, list[str]] = {}
        for member in self.members.values():
            rooms.setdefault(member.room, []).append(member.nick)
        return "\n".join(
            textwrap.fill(f"{room}: {', '.join(sorted(nicks))}")
            for room, nicks in sorted(rooms.items())
        )


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Let people talk.")
    parser.add_argument("port", nargs="?", type=int, default=8888, help="0: any")
    port = parser.parse_args().port
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    trio_tcp.run_server(
        Chat().handle,
        port,
        host="127.0.0.1",
        codec=codecs.Lines(),
        # A room may be quiet, and whoever only listens is welcome.
        timeouts=trio_tcp.Timeouts(first_message=math.inf, idle=math.inf),
    )


if __name__ == "__main__":
    main()
