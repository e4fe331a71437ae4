"""Runs of Trio with each of the transports for real sockets."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

VARIABLE: Final = "TRIO_TCP_TRANSPORT"

TRANSPORTS: Final = ("direct", "polled", "general")
"""Wait for each socket; wait for all with one epoll; know nothing of sockets."""


@contextmanager
def using(transport: str) -> Generator[None, None, None]:
    """Have all runs that begin in this block use it."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = transport
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before
