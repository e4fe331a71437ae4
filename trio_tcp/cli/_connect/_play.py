"""A script played: what differs is shown, and ends it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

import trio

import trio_tcp
from trio_tcp.cli._connect._conversation import Conversation, Entry
from trio_tcp.cli._connect._script import (
    Expect,
    ExpectEnd,
    Match,
    Send,
    SendEnd,
    Step,
)

__all__ = ["DiffersError", "play"]


class DiffersError(Exception):
    """What happened is not what the script says.

    Attributes:
        line: of the script.
    """

    def __init__(self, line: int, what: str) -> None:
        super().__init__(line, what)
        self.line = line
        self._what = what

    def __str__(self) -> str:
        return f"line {self.line}: {self._what}"


async def play(
    conversation: Conversation, steps: Sequence[Step], *, within: float
) -> None:
    """Do one step after the other.

    Args:
        conversation: with the peer. What comes after the last step does not matter.
        steps: what to send and to expect.
        within: seconds for each message that is expected.

    Raises:
        DiffersError: something else has come, or nothing in time, or the connection
            has ended.
    """
    for step in steps:
        try:
            await _take(conversation, step, within)
        except trio_tcp.ConnectionFault as error:
            raise DiffersError(step.line, f"{_wanted(step)}, but {error}") from error
        except trio.TooSlowError as error:
            late = f"{_wanted(step)}, and nothing came within {within:g} s"
            raise DiffersError(step.line, late) from error


async def _take(conversation: Conversation, step: Step, within: float) -> None:
    match step:
        case Send():
            try:
                frame = conversation.encode(step.text)
            except ValueError as error:
                raise DiffersError(step.line, f"not sent: {error}") from error
            await conversation.send(frame)
        case SendEnd():
            await conversation.send_eof()
        case ExpectEnd():
            await _expect_end(conversation, step, within)
        case Expect() | Match():
            with trio.fail_after(within):
                entry = await conversation.receive_one()
            if entry.frame.error is not None or not _fits(conversation, step, entry):
                raise DiffersError(step.line, "\n".join(_difference(step, entry)))


async def _expect_end(
    conversation: Conversation, step: ExpectEnd, within: float
) -> None:
    try:
        with trio.fail_after(within):
            entry = await conversation.receive_one()
    except trio_tcp.PeerClosed:
        return
    raise DiffersError(step.line, f"{_wanted(step)}, but this came: {entry.text}")


def _fits(conversation: Conversation, step: Expect | Match, entry: Entry) -> bool:
    if isinstance(step, Match):
        return step.pattern.fullmatch(entry.text) is not None
    if entry.text == step.text:
        return True
    try:  # other spaces in JSON, other digits in hexadecimal
        return bool(conversation.notation.read(step.text) == entry.frame.message)
    except ValueError:
        return False


def _wanted(step: Step) -> str:
    match step:
        case Send():
            return "this was to be sent"
        case SendEnd():
            return "the end was to be sent"
        case Expect():
            return f"this was expected: {step.text}"
        case Match():
            return f"this was expected: /{step.pattern.pattern}/"
        case ExpectEnd():
            return "the peer was expected to close"


def _difference(step: Expect | Match, entry: Entry) -> Iterable[str]:
    """Yield lines as ``diff`` has them: what was expected, what came, and where."""
    yield "something else has come"
    if isinstance(step, Expect) and entry.frame.error is None:
        yield from map(str.rstrip, difflib.ndiff([step.text], [entry.text]))
        return
    expected = step.text if isinstance(step, Expect) else f"/{step.pattern.pattern}/"
    yield f"- {expected}"
    yield f"+ {entry.text}"
