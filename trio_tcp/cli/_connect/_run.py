"""One run of ``trio-tcp connect``: reach the server, talk, and say how it ended."""

from __future__ import annotations

import datetime as dt
import signal
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

import attrs
import click
from prompt_toolkit.history import History

import trio_tcp
from trio_tcp import codecs
from trio_tcp.cli._connect._certificate import describe_tls
from trio_tcp.cli._connect._commands import COMMAND_NAMES
from trio_tcp.cli._connect._conversation import Conversation, FrameConnection, Note
from trio_tcp.cli._connect._dial import dial, encrypt, find_belief
from trio_tcp.cli._connect._frames import Frames
from trio_tcp.cli._connect._interactive import Interactive
from trio_tcp.cli._connect._pipes import LineReader, write_all
from trio_tcp.cli._connect._plain import Form, Plain
from trio_tcp.cli._connect._play import DiffersError, play
from trio_tcp.cli._connect._script import Step
from trio_tcp.cli._connect._signalled import KILLED
from trio_tcp.cli._connect._terminal import open_terminal
from trio_tcp.cli._connect._view import View
from trio_tcp.cli._parameters import ClientTls, ConnectAddress, Notation, escape

__all__ = ["AtTerminal", "Mode", "Piped", "Scripted", "Target", "talk"]

STDIN: Final = 0
STDOUT: Final = 1

DONE: Final = 0
FAILED: Final = 1


@attrs.frozen
class Target:
    """Whom to talk to, and how.

    Attributes:
        address: where the server is.
        codec: of its protocol.
        notation: how messages are written.
        tls: what is needed for TLS.
        tls_at_once: TLS is spoken from the beginning.
    """

    address: ConnectAddress
    codec: codecs.Codec[Any, Any]
    notation: Notation
    tls: ClientTls
    tls_at_once: bool


@attrs.frozen
class AtTerminal:
    """With a person.

    Attributes:
        history: what was typed before.
        view: how messages are shown.
    """

    history: History
    view: View

    async def __call__(self, conversation: Conversation, target: Target) -> bool:
        """Talk; return whether all was well."""
        async with open_terminal(self.history, COMMAND_NAMES) as terminal:
            upgrade = partial(_encrypt, conversation.connection, target)
            session = Interactive(conversation, terminal, self.view, upgrade)
            await session.run()
        if session.farewell:
            click.echo(f"* {escape(session.farewell)}")
        return True


@attrs.frozen
class Piped:
    """With other programs, through standard input and output.

    Attributes:
        form: how a message is written.
        wait: for the peer to close, at the end of the input. In seconds.
    """

    form: Form
    wait: float

    async def __call__(self, conversation: Conversation, _target: Target) -> bool:
        """Talk; return whether all was well."""
        plain = Plain(
            conversation,
            LineReader(STDIN),
            partial(write_all, STDOUT),
            self.form,
            _complain,
            self.wait,
        )
        await plain.run()
        return not plain.failed


@attrs.frozen
class Scripted:
    """As a script has it.

    Attributes:
        name: of the script, for people.
        steps: of it.
        within: seconds for each message that is expected.
    """

    name: str
    steps: Sequence[Step]
    within: float

    async def __call__(self, conversation: Conversation, _target: Target) -> bool:
        """Play it; return whether all was as it says."""
        try:
            await play(conversation, self.steps, within=self.within)
        except DiffersError as error:
            _complain(f"{self.name}, {error}")
            return False
        click.echo(f"{self.name}: {len(self.steps)} steps, all as they should be")
        return True


Mode: TypeAlias = AtTerminal | Piped | Scripted


async def talk(
    target: Target,
    mode: Mode,
    tell: Callable[[str], None],
    note: Note,
) -> int:
    """Connect, talk, and tell how it ended.

    Args:
        target: whom to talk to.
        mode: with whom, on this side.
        tell: shows a line about the connection.
        note: is told of all that is said.

    Returns:
        The exit code.

    Raises:
        click.ClickException: the server cannot be reached, or not be believed.
    """
    try:
        return await _talk(target, mode, tell, note)
    except BrokenPipeError:
        return KILLED + signal.SIGPIPE
    except trio_tcp.TrioTcpError as error:
        raise click.ClickException(escape(str(error))) from error


async def _talk(
    target: Target, mode: Mode, tell: Callable[[str], None], note: Note
) -> int:
    frames = Frames(target.codec)
    belief = None
    if target.tls_at_once:
        belief = await find_belief(target.address, frames, target.tls)
    async with dial(target.address, frames) as connection:
        tell(f"connected to {connection.peer or target.address}")
        if target.tls_at_once:
            for line in await _encrypt(connection, target, belief):
                tell(line)
        conversation = Conversation(connection, target.codec, target.notation, note)
        went_well = await mode(conversation, target)
    why, is_clean = conversation.ending()
    code = DONE if went_well and is_clean else FAILED
    tell(f"{why}; exit code {code}")
    return code


async def _encrypt(
    connection: FrameConnection, target: Target, belief: str | None = None
) -> list[str]:
    """Speak TLS from here on; return lines that describe it."""
    await encrypt(connection, target.address, target.tls)
    assert connection.tls is not None
    now = dt.datetime.now(dt.UTC)
    return list(describe_tls(connection.tls, belief, now))


def _complain(text: str) -> None:
    click.echo(f"trio-tcp: {text}", err=True)
