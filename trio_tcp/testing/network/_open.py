"""A network is opened: Trio asks it for sockets and names, and its events happen."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

from trio_tcp._nursery import open_quiet_nursery, ungrouped

if TYPE_CHECKING:
    from trio_tcp.testing.network._timeline import Timeline
    from trio_tcp.testing.network._virtual_network import VirtualNetwork

__all__ = ["drive_by_sleeping", "open_network"]


@asynccontextmanager
async def open_network(
    network: VirtualNetwork,
    drive: Callable[[Timeline], Awaitable[None]],
    now: Callable[[], float] = trio.current_time,
) -> AsyncGenerator[None, None]:
    """Let a network be that of the running Trio program.

    At the end its programs are cancelled. What they still do then, shielded, to clean
    up, happens on the network as everything before.

    Args:
        network: The network.
        drive: An async function that lets events happen when their time has come,
            until it is cancelled.
        now: Says what time it is by Trio's clock. Who moves the clock may know a
            faster way than to ask Trio.
    """
    network.start_clock(now)
    factory = trio.socket.set_custom_socket_factory(network)
    resolver = trio.socket.set_custom_hostname_resolver(network.resolver)
    try:
        async with open_quiet_nursery() as driving:
            driver = trio.CancelScope(shield=True)
            driving.start_soon(_drive, drive, network.timeline, driver)
            try:
                with ungrouped():
                    async with trio.open_nursery() as nursery:
                        network.programs.nursery = nursery
                        try:
                            yield
                        finally:
                            network.programs.nursery = None
                            nursery.cancel_scope.cancel()
            finally:
                driver.cancel()
    finally:
        trio.socket.set_custom_socket_factory(factory)
        trio.socket.set_custom_hostname_resolver(resolver)


async def _drive(
    drive: Callable[[Timeline], Awaitable[None]],
    timeline: Timeline,
    until: trio.CancelScope,
) -> None:
    with until:
        await drive(timeline)


async def drive_by_sleeping(timeline: Timeline) -> None:
    """Sleep from event to event, by whatever clock Trio runs with."""
    while True:
        timeline.run_due(trio.current_time())
        with trio.CancelScope(deadline=timeline.next_time) as until_next:
            timeline.on_earlier = until_next.cancel
            await trio.sleep_forever()
