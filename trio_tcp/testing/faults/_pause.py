"""A host that stands still, as a virtual machine that is moved."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import final

import attrs

from trio_tcp.testing.faults._covered import only_host
from trio_tcp.testing.faults._hold import Hold
from trio_tcp.testing.network import Target, VirtualNetwork

__all__ = ["Pause"]


@final
@attrs.frozen
class Pause:
    """A host stands still, as a virtual machine that is moved: it loses nothing.

    All that it sends, and all that others send to it, is held back until the end. Its
    programs go on, but nobody can notice that meanwhile.
    """

    @classmethod
    def draw(cls, _source: random.Random) -> Pause:
        """Draw nothing."""
        return cls()

    def begin(self, network: VirtualNetwork, target: Target) -> Callable[[], None]:
        """Begin on a host.

        Raises:
            TypeError: The target is no host.
        """
        return Hold().begin(network, only_host(self, target))
