"""A TCP relay between a program and a server: it can hold what it carries, and cut."""

from __future__ import annotations

from functools import partial
from typing import final

import trio

from tests.integration.loopback import LOOPBACK

__all__ = ["Relay", "start_relay"]


@final
class Relay:
    """Carries bytes both ways.

    Attributes:
        port: to connect to.
    """

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self._target = target
        self._is_cut = False
        self._may_pass = trio.Event()
        self._may_pass.set()
        self._scopes: set[trio.CancelScope] = set()

    def cut(self) -> None:
        """Break all connections, and each new one at once, until `mend`."""
        self._is_cut = True
        for scope in self._scopes:
            scope.cancel()

    def mend(self) -> None:
        """Carry again."""
        self._is_cut = False

    def hold(self) -> None:
        """Carry nothing, and let nobody notice, until `let_go`."""
        self._may_pass = trio.Event()

    def let_go(self) -> None:
        """Carry what was held, and all that comes."""
        self._may_pass.set()

    async def handle(self, client: trio.SocketStream) -> None:
        """Carry one connection."""
        with trio.CancelScope() as scope:
            self._scopes.add(scope)
            try:
                if self._is_cut:
                    return
                try:
                    server = await trio.open_tcp_stream(LOOPBACK, self._target)
                except OSError:
                    return
                async with server, trio.open_nursery() as nursery:
                    nursery.start_soon(self._carry, client, server, scope)
                    nursery.start_soon(self._carry, server, client, scope)
            finally:
                self._scopes.discard(scope)
                await trio.aclose_forcefully(client)

    async def _carry(
        self,
        source: trio.SocketStream,
        target: trio.SocketStream,
        scope: trio.CancelScope,
    ) -> None:
        try:
            async for data in source:
                await self._may_pass.wait()
                await target.send_all(data)
        except trio.BrokenResourceError:
            pass
        scope.cancel()


async def start_relay(nursery: trio.Nursery, target: int) -> Relay:
    """Start a relay to a port of this machine."""
    (listener,) = await trio.open_tcp_listeners(0, host=LOOPBACK)
    relay = Relay(listener.socket.getsockname()[1], target)
    nursery.start_soon(
        partial(trio.serve_listeners, relay.handle, [listener], handler_nursery=nursery)
    )
    return relay
