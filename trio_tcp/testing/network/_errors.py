"""What goes wrong with the virtual network itself, not on it."""

from __future__ import annotations

from trio_tcp._errors import TrioTcpError

__all__ = ["HostCrashedError"]


class HostCrashedError(TrioTcpError):
    """The host on which a function ran has crashed, or is down.

    Attributes:
        host: its name.
    """

    def __init__(self, host: str) -> None:
        super().__init__(host)
        self.host: str = host

    def __str__(self) -> str:
        return f"host {self.host} has crashed, and this ended with it"
