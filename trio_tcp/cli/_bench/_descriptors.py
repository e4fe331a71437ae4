"""Whether this process may have as many connections as are asked for."""

from __future__ import annotations

import resource
from typing import Final

import click

__all__ = ["allow_descriptors"]

OTHERS: Final = 64
"""Descriptors that are not connections: files, Trio's own, those that are closing."""


def allow_descriptors(connections: int) -> None:
    """Raise the soft limit of this process if so many connections need that.

    Raises:
        click.UsageError: the hard limit is too low; nothing has happened.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + OTHERS
    if soft == resource.RLIM_INFINITY or needed <= soft:
        return
    if hard != resource.RLIM_INFINITY and needed > hard:
        raise click.UsageError(
            f"{connections} connections need {needed} descriptors, and a process may "
            f"have {hard} (ulimit -Hn): use more --processes, or raise the limit."
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
