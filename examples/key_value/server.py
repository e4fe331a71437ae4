"""The server: each client's requests are answered by one plain function."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable
from functools import partial
from typing import Final

import trio

import trio_tcp
from examples.key_value.caller import Caller, CommandError, Connection, Quit
from examples.key_value.commands import execute
from examples.key_value.resp import RESP2
from examples.key_value.resp_replies import Error, Reply
from examples.key_value.resp_requests import Request
from examples.key_value.store import Store

__all__ = ["handle", "serve", "sweep"]

GRACE: Final = 10  # seconds for what is under way, when it ends
SWEEP_SECONDS: Final = 0.1
SWEEP_KEYS: Final = 20

# A pool keeps connections that are quiet for hours: Redis does not mind either.
TIMEOUTS: Final = trio_tcp.Timeouts(first_message=math.inf, idle=math.inf)


def explain(error: Exception, _request: Request | None) -> Reply:
    """Return what to reply instead."""
    match error:
        case CommandError():
            return Error(str(error))
        case trio_tcp.MessageTooLargeError():
            return Error(f"ERR the reply is larger than {error.limit} bytes")
        case _:
            raise error  # it ends the connection, and a bug is in the log


async def handle(store: Store, connection: Connection) -> None:
    """Serve one client."""
    caller = Caller(store, connection)
    function: Callable[[Request], Reply] = partial(execute, caller)
    answer: trio_tcp.Handler[Request, Reply]
    answer = trio_tcp.respond(function, on_error=explain)
    try:
        await answer(connection)
    except Quit:
        await connection.send("OK")
    except (trio_tcp.InvalidFrameError, trio_tcp.FrameTooLargeError) as error:
        # Nobody knows where the next request begins. It ends here, but says why.
        await connection.send(Error(f"ERR Protocol error: {error}"))


async def sweep(store: Store) -> None:
    """Remove what has expired, a little at a time: where much has, more often."""
    while True:
        is_much = store.sweep(SWEEP_KEYS) > SWEEP_KEYS // 4
        await trio.sleep(0 if is_much else SWEEP_SECONDS)


async def serve(port: int) -> None:
    """Serve until a signal, and let those finish who are in the middle of something."""
    store = Store(trio.current_time)
    async with trio.open_nursery() as nursery:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            nursery.start_soon(sweep, store)
            server: trio_tcp.Server = await nursery.start(
                partial(
                    trio_tcp.serve_tcp,
                    partial(handle, store),
                    port,
                    host="127.0.0.1",
                    codec=RESP2,
                    timeouts=TIMEOUTS,
                )
            )
            await anext(aiter(signals))
        await server.drain(GRACE)  # a second signal does not wait for it
        nursery.cancel_scope.cancel()
