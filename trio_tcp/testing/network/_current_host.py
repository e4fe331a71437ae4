"""On which virtual host the running task is."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from trio_tcp.testing.network._host import Host

__all__ = ["current_host"]

current_host: Final[contextvars.ContextVar[Host]] = contextvars.ContextVar(
    "trio_tcp.testing.host"
)
"""Tasks inherit it from the task that started them."""
