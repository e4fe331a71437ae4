"""A host that loses its power: its programs end, and its peers are not told."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import final

import attrs

from trio_tcp.testing.faults._covered import only_host
from trio_tcp.testing.network import Target, VirtualNetwork

__all__ = ["Crash"]


@final
@attrs.frozen
class Crash:
    """A host loses its power, and gets it back at the end.

    Its programs are cancelled, its connections are gone, and nobody is told. At the
    end, what was started with `Host.start` is started again; what ran with `Host.run`
    has raised `HostCrashedError`.
    """

    @classmethod
    def draw(cls, _source: random.Random) -> Crash:
        """Draw nothing."""
        return cls()

    def begin(self, network: VirtualNetwork, target: Target) -> Callable[[], None]:
        """Begin on a host. One that is down already stays so.

        Raises:
            TypeError: The target is no host.
        """
        host = only_host(self, target)
        if not host.is_up:
            return lambda: None
        host.crash()
        return host.restart
