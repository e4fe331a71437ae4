"""The subcommands, each loaded when it is asked for.

To add one: a module or a package ``_name`` beside this one, with a `click.Command` that
is called ``command``; and its name in `SUBCOMMANDS`. What the command returns is the
exit code; `click.ClickException` ends it with a sentence for the user.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Final, final

import click

__all__ = ["run"]

SUBCOMMANDS: Final = ("demo", "proxy")


@final
class _Subcommands(click.Group):
    """Finds them by their names, as click's documentation has it for lazy loading."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in SUBCOMMANDS:
            return None
        module = importlib.import_module(f"trio_tcp.cli._{cmd_name}")
        command: click.Command = module.command
        return command


def run(argv: Sequence[str] | None) -> int:
    """Run the command with these arguments, and return its exit code."""
    command = _Subcommands("trio-tcp", help="TCP servers and clients on Trio.")
    try:
        code = command.main(argv, prog_name="trio-tcp", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        click.echo("Aborted.", err=True)
        return 1
    return code if isinstance(code, int) else 0
