"""Whether this process may have as many connections as are asked for."""

from __future__ import annotations

from typing import Final

import click

from trio_tcp.cli._descriptors import make_room

__all__ = ["allow_descriptors"]

OTHERS: Final = 64
"""Descriptors that are not connections: files, Trio's own, those that are closing."""


def allow_descriptors(connections: int) -> None:
    """Raise the limit of this process if so many connections need that.

    Raises:
        click.UsageError: it cannot be raised so far.
    """
    needed = connections + OTHERS
    count = make_room(needed)
    if count < needed:
        raise click.UsageError(
            f"{connections} connections need {needed} descriptors, and a process may "
            f"have {count:.0f} (ulimit -Hn): use more --processes, or raise the limit."
        )
