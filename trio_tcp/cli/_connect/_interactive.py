"""A conversation at the terminal.

Three tasks. One listens, and shows what comes. One reads what is typed, and one does
it, line by line in order: messages are sent, and commands are run. Only ``/abort`` is
done before its turn, as it is for when the line before it waits for a peer that does
not read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias, final

import trio

import trio_tcp
from trio_tcp._nursery import open_quiet_nursery
from trio_tcp.cli._connect._commands import ABORT, Commands, RefusedError
from trio_tcp.cli._connect._conversation import Conversation, Entry
from trio_tcp.cli._connect._dial import NamelessError
from trio_tcp.cli._connect._terminal import Fragments, Terminal
from trio_tcp.cli._connect._view import View, notice, warning

__all__ = ["Interactive"]

Upgrade: TypeAlias = Callable[[], Awaitable[list[str]]]


@final
class Interactive:
    """What happens between a person and a peer."""

    def __init__(
        self,
        conversation: Conversation,
        terminal: Terminal,
        view: View,
        upgrade: Upgrade,
    ) -> None:
        """Begin nothing yet.

        Args:
            conversation: with the peer.
            terminal: with the person.
            view: how messages are shown.
            upgrade: speaks TLS from here on, and returns lines about it.
        """
        self._conversation = conversation
        self._terminal = terminal
        self._view = view
        self._upgrade = upgrade
        self._commands = Commands(conversation, view, self.say, self._start_tls)
        self._hearing = trio.CancelScope()
        self._upgraded: trio.Event | None = None

    @property
    def farewell(self) -> str:
        """Why the person has left, if that was said."""
        return self._commands.farewell

    async def run(self) -> None:
        """Talk until one side has had enough. The connection tells which.

        Raises:
            trio_tcp.TrioTcpError: TLS was asked for, and could not be agreed on.

        Cancellation:
            Leaves the connection to whoever has opened it.
        """
        async with open_quiet_nursery() as nursery:
            nursery.start_soon(self._read, nursery.cancel_scope)
            await self._listen()
            nursery.cancel_scope.cancel()

    async def say(self, *lines: str) -> None:
        """Show lines that are not of the peer."""
        await self._terminal.show([notice(line) for line in lines])

    # What comes

    async def _listen(self) -> None:
        while True:
            with trio.CancelScope() as self._hearing:
                await self._hear()
                return
            if self._upgraded is not None:
                try:
                    await self.say(*await self._upgrade())
                except NamelessError as error:
                    await self._warn(error)
                self._upgraded.set()

    async def _hear(self) -> None:
        try:
            while True:
                await self._show(await self._conversation.receive())
        except trio_tcp.ConnectionFault:
            pass  # the connection keeps it

    async def _show(self, entries: list[Entry]) -> None:
        lines: list[Fragments] = []
        for entry in entries:
            lines += self._view.lines(entry)
        # Shielded: these are received, and would be lost.
        with trio.CancelScope(shield=True):
            await self._terminal.show(lines)

    async def _start_tls(self) -> None:
        """Have TLS started by the task that listens: only one task may read."""
        self._upgraded = trio.Event()
        self._hearing.cancel()
        await self._upgraded.wait()
        self._upgraded = None

    # What is typed

    async def _read(self, scope: trio.CancelScope) -> None:
        to_do, lines = trio.open_memory_channel[str | None](float("inf"))
        async with open_quiet_nursery() as nursery:
            nursery.start_soon(self._work, lines, scope)
            while True:
                try:
                    typed = await self._terminal.read_line()
                except trio.EndOfChannel:  # the terminal is gone
                    scope.cancel()
                    return
                if typed is not None and typed.strip() == ABORT:
                    self._conversation.connection.abort()
                for line in [None] if typed is None else typed.split("\n"):
                    to_do.send_nowait(line)

    async def _work(
        self, lines: AsyncIterator[str | None], scope: trio.CancelScope
    ) -> None:
        try:
            async for line in lines:
                if await self._do(line):
                    scope.cancel()
        except trio_tcp.ConnectionFault:
            pass  # who listens meets the same, after what came before it

    async def _do(self, line: str | None) -> bool:
        """Do what a line says, None being Ctrl-D; return whether to leave."""
        try:
            if line is None:
                return await self._commands.end_input()
            if line.startswith("//"):
                await self._send(line[1:])
            elif line.startswith("/"):
                return await self._commands.run(line)
            else:
                await self._send(line)
        except (RefusedError, ValueError) as error:
            await self._warn(error)
        return False

    async def _send(self, text: str) -> None:
        if self._commands.eof_sent:
            raise RefusedError("not sent: nothing can be after /eof")
        frame = self._conversation.encode(text)
        try:
            entry = self._conversation.send_nowait(frame)
        except trio.WouldBlock:
            await self.say(f"the peer does not read; this waits, and {ABORT} ends it")
            entry = await self._conversation.send(frame)
        await self._show([entry])

    async def _warn(self, error: Exception) -> None:
        await self._terminal.show([warning(str(error))])
