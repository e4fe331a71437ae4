"""A conversation through pipes: each line a message, each message a line."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeAlias, final

import attrs
import trio

import trio_tcp
from trio_tcp._nursery import ungrouped
from trio_tcp.cli._connect._conversation import Conversation, Entry

__all__ = ["Form", "Plain", "as_json", "as_text"]

Form: TypeAlias = Callable[[Entry], str | None]
"""Makes a line of a message; None where there is none for it."""

MAX_COMPLAINT: Final = 64
"""Bytes that are quoted of what was no message."""


def as_text(entry: Entry) -> str | None:
    """Return what was received, as people write it."""
    if entry.direction == "sent" or entry.frame.error is not None:
        return None
    return entry.text


def as_json(entry: Entry) -> str:
    """Return an object in one line.

    Its ``time`` is in seconds since 1970, ``seconds`` since the connection began, and
    ``size`` is in bytes on the wire. A message is in ``message``, as people write it,
    or, where that is JSON, as it is. What was no message has ``error`` instead, and
    ``bytes``, in hexadecimal.
    """
    record: dict[str, object] = {
        "time": round(entry.time, 6),
        "seconds": round(entry.seconds, 6),
        "direction": entry.direction,
        "size": len(entry.frame.data),
    }
    if entry.frame.error is not None:
        record |= {"error": entry.text, "bytes": entry.frame.data.hex()}
    else:
        record["message"] = entry.text
        if entry.notation == "json":
            with suppress(ValueError):
                record["message"] = json.loads(entry.text)
    return json.dumps(record)


@final
@attrs.define
class Plain:
    """Two tasks: one sends what is read, one writes what is received.

    Each waits for its other side, so a peer that does not read stops the reading of
    lines, and a pipe that nobody empties stops the receiving of messages.

    Attributes:
        conversation: with the peer.
        lines: messages to send. At their end the connection is half-closed.
        write: takes bytes for standard output; waits until they are written.
        form: how a message is written.
        complain: tells the user what was wrong.
        wait: for the peer to close, when nothing more is to be sent. In seconds.
        failed: a line could not be sent.
    """

    conversation: Conversation
    lines: AsyncIterator[str]
    write: Callable[[bytes], Awaitable[None]]
    form: Form
    complain: Callable[[str], None]
    wait: float
    failed: bool = False
    _writing: trio.Lock = attrs.field(init=False, factory=trio.Lock)

    async def run(self) -> None:
        """Talk until the peer closes, or for `wait` after the last line.

        Raises:
            BrokenPipeError: nobody reads what is received.

        Cancellation:
            Leaves the connection to whoever has opened it.
        """
        with ungrouped():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._send, nursery.cancel_scope)
                with suppress(trio_tcp.ConnectionFault):  # the connection keeps it
                    while True:
                        await self._print(*await self.conversation.receive())
                nursery.cancel_scope.cancel()

    async def _send(self, scope: trio.CancelScope) -> None:
        with suppress(trio_tcp.ConnectionFault):  # who receives meets the same
            await self._send_lines()
            await self.conversation.send_eof()
            scope.deadline = trio.current_time() + self.wait

    async def _send_lines(self) -> None:
        number = 0
        try:
            async for line in self.lines:
                number += 1
                await self._print(
                    await self.conversation.send(self.conversation.encode(line))
                )
        except ValueError as error:
            self.failed = True
            self.complain(
                f"line {number}: {error}; neither it nor what follows is sent"
            )

    async def _print(self, *entries: Entry) -> None:
        lines: list[str] = []
        for entry in entries:
            if (line := self.form(entry)) is not None:
                lines.append(f"{line}\n")
            if entry.frame.error is not None:
                begin = entry.frame.data[:MAX_COMPLAINT].hex(" ")
                self.complain(f"no message: {entry.text}; it begins {begin}")
        if lines:
            async with self._writing:
                await self.write("".join(lines).encode(errors="backslashreplace"))
