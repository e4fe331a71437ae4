"""A fault in force: from when it begins until it ends."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, final

from trio_tcp.testing.traces import FaultSpan

if TYPE_CHECKING:
    from trio_tcp.testing.network._rules import Target
    from trio_tcp.testing.network._virtual_network import VirtualNetwork

__all__ = ["Fault", "Injection"]


class Fault(Protocol):
    """Something that goes wrong on a network, on purpose.

    A fault is configuration, and may be used many times: what it counts and keeps
    belongs to each beginning.
    """

    def begin(self, network: VirtualNetwork, target: Target) -> Callable[[], None]:
        """Begin on a target, and return how to end it.

        Args:
            network: The network. ``network.rules`` is where a fault asks to be asked
                about segments, reads and names; ``network.random`` is what it draws
                from.
            target: What it is in force on.
        """
        ...


@final
class Injection:
    """A fault that is in force. Made by `VirtualNetwork.inject`.

    It ends with `end`, or with the block, as a context manager.
    """

    def __init__(self, network: VirtualNetwork, fault: Fault, target: Target) -> None:
        self.fault: Fault = fault
        self.target: Target = target
        self._network = network
        hosts = target.hosts or tuple(network.hosts)
        self._span = FaultSpan(str(fault), str(target), hosts, network.now())
        self._undo: Callable[[], None] | None = fault.begin(network, target)
        network.trace.faults.append(self._span)
        network.injections.append(self)
        network.on_injection(self)

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._undo is None

    def end(self) -> None:
        """Let it go wrong no more; once is enough."""
        undo, self._undo = self._undo, None
        if undo is not None:
            self._span.end = self._network.now()
            undo()
            self._network.injections.remove(self)
            self._network.on_injection(self)

    def __enter__(self) -> Injection:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()
