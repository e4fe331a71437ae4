"""Names that cannot be looked up."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable
from typing import Final, final

import attrs

from trio_tcp._kinds import one_of
from trio_tcp.testing.network import Target, VirtualNetwork

__all__ = ["DnsFailure"]

ERRORS: Final = {
    socket.EAI_AGAIN: "temporary failure in name resolution",
    socket.EAI_FAIL: "the name server has failed",
    socket.EAI_NONAME: "the name is not known",
}
NAMES: Final = {
    socket.EAI_AGAIN: "EAI_AGAIN",
    socket.EAI_FAIL: "EAI_FAIL",
    socket.EAI_NONAME: "EAI_NONAME",
}


@final
@attrs.frozen
class DnsFailure:
    """Names cannot be looked up: `socket.gaierror`. Addresses go on to work.

    It is about lookups by the hosts of its target.

    Attributes:
        name: The name that fails; None means all but ``localhost``.
        error: `socket.EAI_AGAIN`, the server does not answer; `socket.EAI_FAIL`, it
            fails; `socket.EAI_NONAME`, there is no such name.
    """

    name: str | None = None
    error: int = attrs.field(
        default=socket.EAI_AGAIN, kw_only=True, validator=one_of(*ERRORS)
    )

    def __str__(self) -> str:
        words = [] if self.name is None else [repr(self.name)]
        if self.error != socket.EAI_AGAIN:
            words.append(f"error={NAMES[self.error]}")
        return f"DnsFailure({', '.join(words)})"

    @classmethod
    def draw(cls, source: random.Random) -> DnsFailure:
        """Draw one of all names."""
        return cls(error=source.choice(list(ERRORS)))

    def begin(self, network: VirtualNetwork, target: Target) -> Callable[[], None]:
        """Begin for the hosts of a target."""

        def fail(name: str) -> None:
            is_meant = name != "localhost" if self.name is None else name == self.name
            hosts = target.hosts
            if is_meant and (not hosts or network.current_host().name in hosts):
                raise socket.gaierror(self.error, f"{ERRORS[self.error]}: {name}")

        return network.rules.add_lookup(fail)
