"""``trio-tcp connect``: a client for any protocol that a codec can be named for.

Here are its options. `_run` connects, and talks in one of three ways: `_interactive` at
the terminal, `_plain` through pipes, `_play` as a script has it. All three hold a
`_conversation`, below which are the messages with their bytes, `_frames`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import click
import trio
from prompt_toolkit.history import InMemoryHistory

from trio_tcp import codecs
from trio_tcp.cli._connect._conversation import ignore
from trio_tcp.cli._connect._history import open_history
from trio_tcp.cli._connect._plain import as_json, as_text
from trio_tcp.cli._connect._record import open_record
from trio_tcp.cli._connect._run import AtTerminal, Mode, Piped, Scripted, Target, talk
from trio_tcp.cli._connect._script import parse_script, script_notation
from trio_tcp.cli._connect._signalled import run_until_signalled
from trio_tcp.cli._connect._view import TIMINGS, Timing, View
from trio_tcp.cli._parameters import (
    CODEC,
    CODEC_HELP,
    CONNECT_ADDRESS,
    NOTATIONS,
    ClientTls,
    ConnectAddress,
    client_tls_options,
    notation_for,
)

__all__ = ["command"]

HELP = """Talk to a server at ADDRESS: HOST:PORT, [::1]:PORT, :PORT or unix:PATH.

At a terminal, each line that is typed is a message, and /help lists the commands.
Otherwise each line of standard input is a message, and each message is a line of
standard output; at the end of the input the connection is half-closed, and read to its
end.

Exit codes: 0 if both sides have ended in order, and all was as a script has it;
1 if not; 2 for wrong usage; 128 and its number if a signal has ended it.
"""


@click.command("connect", short_help="Talk to a server, in messages.", help=HELP)
@click.argument("address", type=CONNECT_ADDRESS)
@click.option(
    "--codec", type=CODEC, default="lines", show_default=True, help=CODEC_HELP
)
@click.option(
    "--as",
    "notation",
    type=click.Choice(NOTATIONS),
    help="How messages are written; by default, as is usual for the codec.",
)
@client_tls_options
@click.option(
    "--starttls", is_flag=True, help="Speak TLS only from the command /starttls on."
)
@click.option(
    "--timing",
    type=click.Choice(TIMINGS),
    default="start",
    show_default=True,
    help="What the times at the terminal count from.",
)
@click.option("--no-history", is_flag=True, help="Keep nothing of what is typed.")
@click.option("--json", "as_objects", is_flag=True, help="Write an object a message.")
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=math.inf,
    help="Seconds to wait for the server to close, at the end of the input.",
)
@click.option(
    "--script",
    type=click.File(encoding="utf-8"),
    help="Play the conversation of this file; - is standard input.",
)
@click.option(
    "--within",
    type=click.FloatRange(min=0, min_open=True),
    default=5.0,
    show_default=True,
    help="Seconds for each message that a script expects.",
)
@click.option(
    "--record",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the conversation to this file, as a script.",
)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing about the connection.")
def command(
    tls: ClientTls,
    *,
    address: ConnectAddress,
    codec: codecs.Codec[Any, Any],
    notation: str | None,
    starttls: bool,
    timing: Timing,
    no_history: bool,
    as_objects: bool,
    wait: float,
    script: TextIO | None,
    within: float,
    record: Path | None,
    quiet: bool,
) -> int:
    """Choose how to talk, and talk."""
    if script is None and (sys.stdin is None or sys.stdout is None):
        raise click.UsageError("Standard input or output is closed: try /dev/null.")
    mode: Mode
    tell: Callable[[str], None] = partial(_tell, err=True)
    try:
        written = notation_for(codec, notation)
        in_script = script_notation(codec, notation)
        if script is not None:
            mode = Scripted(script.name, parse_script(script), within)
            written = in_script
        elif sys.stdin.isatty() and sys.stdout.isatty() and not as_objects:
            history = InMemoryHistory() if no_history else open_history()
            mode = AtTerminal(history, View(timing))
            tell = partial(_tell, err=False)
        else:
            mode = Piped(as_json if as_objects else as_text, wait)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error
    try:
        recording = open_record(record, in_script) if record else None
    except OSError as error:
        raise click.UsageError(f"--record: {error}.") from error
    if quiet:
        tell = _tell_nothing
    target = Target(
        address=address,
        codec=codec,
        notation=written,
        tls=tls,
        tls_at_once=tls.context is not None and not starttls,
    )
    with recording or nullcontext(ignore) as note:
        run = partial(talk, target, mode, tell, note)
        return trio.run(run_until_signalled, run, tell)


def _tell(line: str, *, err: bool) -> None:
    click.echo(f"* {line}", err=err)  # nowhere, if that is closed


def _tell_nothing(_line: str) -> None:
    pass
