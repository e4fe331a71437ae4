"""One direction of a connection, as rules are asked about it."""

from __future__ import annotations

from typing import final

from trio_tcp.testing.traces import Endpoint

__all__ = ["Direction"]


@final
class Direction:
    """From where to where bytes go: a `Flow`."""

    __slots__ = ("destination", "receiver", "sender", "source")

    def __init__(
        self, sender: str, source: Endpoint, receiver: str, destination: Endpoint
    ) -> None:
        self.sender: str = sender
        self.source: Endpoint = source
        self.receiver: str = receiver
        self.destination: Endpoint = destination
