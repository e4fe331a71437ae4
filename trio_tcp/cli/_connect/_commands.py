"""What can be typed besides messages: lines that begin with a slash."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias, final

import attrs

import trio_tcp
from trio_tcp.cli._connect._conversation import Conversation
from trio_tcp.cli._connect._view import TIMINGS, View
from trio_tcp.cli._parameters import NOTATIONS, notation_for

__all__ = ["ABORT", "COMMAND_NAMES", "Commands", "RefusedError"]

Run: TypeAlias = Callable[["Commands", str], Awaitable[bool]]
"""Does what a command is for, with its argument; returns whether to leave."""

ABORT: Final = "/abort"


class RefusedError(Exception):
    """A command cannot be done, now or at all. The connection is unharmed."""


@attrs.frozen
class _Command:
    usage: str
    meaning: str
    run: Run


@final
@attrs.define
class Commands:
    """The commands, and what they act on.

    Attributes:
        conversation: with the peer.
        view: of its messages.
        say: shows lines to the person.
        start_tls: speaks TLS from here on.
        eof_sent: nothing more can be sent.
        farewell: why the person has closed, if that was said.
    """

    conversation: Conversation
    view: View
    say: Callable[..., Awaitable[None]]
    start_tls: Callable[[], Awaitable[None]]
    eof_sent: bool = False
    farewell: str = ""

    async def run(self, line: str) -> bool:
        """Run a command.

        Args:
            line: as it was typed, with its slash.

        Returns:
            Whether it was the last.

        Raises:
            RefusedError: there is no such command, or it cannot be done.
            trio_tcp.ConnectionFault: as the method of `Connection` that it calls.
        """
        name, _, argument = line.partition(" ")
        command = COMMANDS.get(name)
        if command is None:
            raise RefusedError(
                f"there is no {name!r}; /help lists the commands, and // begins a "
                "message with a slash"
            )
        return await command.run(self, argument.strip())

    async def end_input(self) -> bool:
        """Say that no more is sent; the second time, leave."""
        if self.eof_sent:
            return True
        try:
            await self.conversation.send_eof()
        except trio_tcp.HalfCloseUnsupportedError as error:
            raise RefusedError(str(error)) from error
        self.eof_sent = True
        await self.say("nothing more is sent; /quit, or Ctrl-D again, leaves")
        return False

    async def do_help(self, _argument: str) -> bool:
        """Show the commands."""
        usages = [command.usage for command in COMMANDS.values()]
        width = max(map(len, usages))
        await self.say(
            *(f"{c.usage:<{width}}  {c.meaning}" for c in COMMANDS.values()),
            f"{'//…':<{width}}  a message that begins with a slash",
            f"{'Ctrl-C':<{width}}  clears the line; Ctrl-D is /eof, then /quit",
        )
        return False

    async def do_hex(self, _argument: str) -> bool:
        """Show the bytes of messages, or no more."""
        self.view.dumps = not self.view.dumps
        await self.say(f"dumps of messages: {'on' if self.view.dumps else 'off'}")
        return False

    async def do_view(self, argument: str) -> bool:
        """Write messages in another notation."""
        try:
            self.conversation.notation = notation_for(self.conversation.codec, argument)
        except ValueError as error:
            raise RefusedError(str(error)) from error
        await self.say(f"messages are written as {argument}")
        return False

    async def do_timing(self, argument: str) -> bool:
        """Count times from elsewhere."""
        for timing in TIMINGS:
            if timing == argument:
                self.view.timing = timing
                return False
        raise RefusedError(f"/timing is one of {', '.join(TIMINGS)}")

    async def do_eof(self, _argument: str) -> bool:
        """Half-close."""
        return await self.end_input()

    async def do_abort(self, _argument: str) -> bool:
        """Reset the connection."""
        self.conversation.connection.abort()
        return True

    async def do_starttls(self, _argument: str) -> bool:
        """Speak TLS."""
        if self.eof_sent:
            raise RefusedError("too late: nothing more can be sent")
        if self.conversation.connection.tls is not None:
            raise RefusedError("this is TLS already")
        await self.start_tls()
        return False

    async def do_stats(self, _argument: str) -> bool:
        """Show the connection's counters."""
        figures = attrs.asdict(self.conversation.connection.statistics())
        width = max(map(len, figures))
        await self.say(
            *(f"{name:<{width}}  {value:>12,}" for name, value in figures.items())
        )
        return False

    async def do_quit(self, argument: str) -> bool:
        """Leave, perhaps with a reason."""
        self.farewell = argument
        return True


COMMANDS: Final[dict[str, _Command]] = {
    command.usage.partition(" ")[0]: command
    for command in (
        _Command("/help", "show this", Commands.do_help),
        _Command("/hex", "show the bytes of each message, or no more", Commands.do_hex),
        _Command("/view NOTATION", "write messages so from now on", Commands.do_view),
        _Command(
            "/timing FROM", "time since start, request; or none", Commands.do_timing
        ),
        _Command("/stats", "count messages and bytes", Commands.do_stats),
        _Command("/starttls", "speak TLS from here on", Commands.do_starttls),
        _Command("/eof", "send no more, go on receiving: half-close", Commands.do_eof),
        _Command("/close [REASON]", "close gracefully, and say why", Commands.do_quit),
        _Command("/quit", "the same", Commands.do_quit),
        _Command(ABORT, "close at once, with a reset", Commands.do_abort),
    )
}

COMMAND_NAMES: Final = [
    *(name for name in COMMANDS if name not in ("/view", "/timing")),
    *(f"/view {notation}" for notation in NOTATIONS),
    *(f"/timing {timing}" for timing in TIMINGS),
]
"""All that can be completed."""
