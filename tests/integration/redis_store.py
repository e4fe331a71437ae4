"""The store of ``examples/key_value``, served over a socket in this process."""

from __future__ import annotations

from functools import partial

import trio

import trio_tcp
from examples.key_value.resp import RESP2
from examples.key_value.server import handle
from examples.key_value.store import Store
from tests.integration.loopback import start_server


async def start_store(
    nursery: trio.Nursery, observer: trio_tcp.Observer = trio_tcp.log_events
) -> int:
    """Serve an empty store, and return its port."""
    handler = partial(handle, Store(trio.current_time))
    server = await start_server(nursery, handler, RESP2, observer=observer)
    assert isinstance(server.port, int)
    return server.port
