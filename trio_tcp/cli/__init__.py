"""The command ``trio-tcp``. Here it only starts; `_group` has its subcommands.

It needs the extra ``cli``, and this module nothing: so that who lacks the extra is told
which one it is.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

__all__ = ["main"]

FAILED: Final = 1

OF_THE_EXTRA: Final = {
    "cattrs",
    "click",
    "cryptography",
    "h11",
    "prompt_toolkit",
    "rich",
}
"""What the extra ``cli`` installs. What a user's own module lacks is theirs."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: its arguments; by default those of this process.

    Returns:
        The exit code: 0 if all is well, 1 if something went wrong, 2 for wrong usage or
        a wrong configuration.
    """
    try:
        from trio_tcp.cli._group import run  # noqa: PLC0415 - it needs the extra

        return run(argv)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in OF_THE_EXTRA:
            raise
        print(
            f"trio-tcp: {missing} is not installed. This command needs the extra "
            "'cli': pip install 'trio-tcp[cli]'",
            file=sys.stderr,
        )
        return FAILED
