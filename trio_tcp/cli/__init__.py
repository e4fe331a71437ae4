"""The command ``trio-tcp``. Here it is only handed on to its subcommands.

To add one: a file beside this one with `add_to`, which adds its parser and says by
``set_defaults(run=…)`` what to call with the parsed arguments; and a line in
`SUBCOMMANDS`. What is called returns the exit code: 0 if all is well, 1 if not, 2 for
wrong usage.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Final

from trio_tcp.cli import _demo

__all__ = ["main"]

SUBCOMMANDS: Final = (_demo,)

WRONG_USAGE: Final = 2  # as argparse has it


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: its arguments; by default those of this process.

    Returns:
        The exit code.

    Raises:
        SystemExit: argparse has printed help, or what is wrong with the arguments.
    """
    parser = argparse.ArgumentParser(
        prog="trio-tcp", description="TCP servers and clients on Trio."
    )
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND")
    for subcommand in SUBCOMMANDS:
        subcommand.add_to(subparsers)
    args = parser.parse_args(argv)
    run: Callable[[argparse.Namespace], int] | None = getattr(args, "run", None)
    if run is None:
        parser.print_help(sys.stderr)
        return WRONG_USAGE
    return run(args)
