"""What a script sees: sockets, quiescence, and a log of what came of each call."""

from __future__ import annotations

import errno
import inspect
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

import attrs
import trio

if TYPE_CHECKING:
    from trio.socket import SocketType

LOOPBACK: Final = "127.0.0.1"
LOOPBACK_6: Final = "::1"

_LONGEST_SHOWN: Final = 20

Settle: TypeAlias = Callable[[], Awaitable[None]]


@final
@attrs.define(eq=False)
class Pending:
    """A call that was begun.

    Attributes:
        name: What it is called in the log.
        scope: Cancels it.
        outcome: What came of it, as text; None while it waits.
        value: What it returned, if it did.
    """

    name: str
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    outcome: str | None = None
    value: Any = None
    over: trio.Event = attrs.field(factory=trio.Event)


@final
class World:
    """The kernel or a virtual network: a script cannot tell which.

    Attributes:
        log: One line for each thing that was seen.
    """

    def __init__(self, nursery: trio.Nursery, settle: Settle) -> None:
        self.log: list[str] = []
        self.settle: Settle = settle
        self._nursery = nursery
        self._ports: dict[int, str] = {0: "port 0"}
        self._sockets: list[SocketType] = []

    def socket(self, family: int = socket.AF_INET) -> SocketType:
        """Make a TCP socket, which is closed at the end of the script."""
        made = trio.socket.socket(family, socket.SOCK_STREAM)
        self._sockets.append(made)
        return made

    async def free_port(self) -> int:
        """Find a port that nothing has, at any address of either family.

        The system's choice for one address may be taken at another.
        """
        everywhere = self.socket(socket.AF_INET6)
        everywhere.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        await everywhere.bind(("::", 0))
        port: int = everywhere.getsockname()[1]
        everywhere.close()
        return port

    async def bound(
        self, host: str = LOOPBACK, port: int = 0, *options: tuple[int, int]
    ) -> SocketType:
        """Make a socket that is bound; options are of `SOL_SOCKET`, with values."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        made = self.socket(family)
        for option, value in options:
            made.setsockopt(socket.SOL_SOCKET, option, value)
        await made.bind((host, port))
        return made

    async def listener(self, host: str = LOOPBACK, backlog: int = 10) -> SocketType:
        """Make a socket that listens, at a port where nothing else does."""
        made = await self.bound(host, await self.free_port())
        made.listen(backlog)
        return made

    async def pair(self, host: str = LOOPBACK) -> tuple[SocketType, SocketType]:
        """Connect two sockets: the one that connected, the one that was accepted.

        They send at once. Nagle's algorithm would have a second small message wait for
        an acknowledgement, which a timer sends where the ends have talked to and fro.
        """
        listener = await self.listener(host)
        client = self.socket(listener.family)
        await client.connect(listener.getsockname())
        accepted, _ = await listener.accept()
        self._sockets.append(accepted)
        listener.close()
        for end in (client, accepted):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await self.settle()
        return client, accepted

    def say(self, name: str, value: object) -> None:
        """Write down what was seen."""
        self.log.append(f"{name}: {self._shown(value)}")

    def begin(self, name: str, call: Callable[..., Any], *args: object) -> Pending:
        """Start a call that may wait for what comes later in the script."""
        pending = Pending(name)
        self._nursery.start_soon(self._run, pending, call, *args)
        return pending

    def look(self, pending: Pending) -> None:
        """Write down what has come of a call by now."""
        self.log.append(f"{pending.name}: {pending.outcome or 'waits'}")

    async def end(self, pending: Pending) -> Any:  # noqa: ANN401 - what was called knows
        """Wait for the end of a call, and write down what came of it."""
        await pending.over.wait()
        self.look(pending)
        return pending.value

    async def ends(self, name: str, call: Callable[..., Any], *args: object) -> Any:  # noqa: ANN401 - what was called knows
        """Call something that may take time, and wait for its end."""
        return await self.end(self.begin(name, call, *args))

    async def does(self, name: str, call: Callable[..., Any], *args: object) -> Any:  # noqa: ANN401 - what was called knows
        """Call something; what still waits when all is quiet is cancelled."""
        pending = self.begin(name, call, *args)
        await self.settle()
        self.look(pending)
        pending.scope.cancel()
        await pending.over.wait()
        await self.settle()
        return pending.value

    def close(self) -> None:
        """Close every socket of the script."""
        for each in self._sockets:
            each.close()

    async def _run(
        self, pending: Pending, call: Callable[..., Any], *args: object
    ) -> None:
        with pending.scope:
            try:
                value = call(*args)
                if inspect.isawaitable(value):
                    value = await value
                pending.value = value
                pending.outcome = self._shown(value)
            except OSError as error:
                pending.outcome = errno.errorcode.get(error.errno or 0, repr(error))
            except (trio.ClosedResourceError, trio.BusyResourceError) as error:
                pending.outcome = type(error).__name__
            except (TypeError, ValueError, NotImplementedError) as error:
                pending.outcome = type(error).__name__
        pending.over.set()

    def _shown(self, value: Any) -> str:  # noqa: ANN401 - what was called knows
        """Write a value such that it is the same in both worlds."""
        match value:
            case None:
                return "done"
            case bytes() if len(value) > _LONGEST_SHOWN:
                return f"{len(value)} bytes"
            case (trio.socket.SocketType() as accepted, address):
                self._sockets.append(accepted)
                return f"a socket for {self._shown(address)}"
            case (str(host), int(port), *rest):
                return str((host, self._name_of_port(port), *rest))
            case _:
                return repr(value)

    def _name_of_port(self, port: int) -> str:
        """Call ports by the order in which they were seen: numbers differ."""
        return self._ports.setdefault(port, f"port {len(self._ports)}")
