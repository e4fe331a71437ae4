"""Nothing stays counted, however connections end."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import final

import attrs
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

import trio_tcp
from tests.integration.loopback import Record
from tests.limits.limiting import (
    A_LONG_TIME,
    LINES,
    Handler,
    Serving,
    Text,
    is_reset,
    receive_all,
)
from trio_tcp import Limits, Timeouts, testing


async def fail(connection: Text) -> None:
    raise LookupError


async def detach_and_close(connection: Text) -> None:
    stream, _ = await connection.detach()
    await trio.aclose_forcefully(stream)


async def abort_at_once(connection: Text) -> None:
    connection.abort()


async def close_at_once(connection: Text) -> None:
    await connection.aclose()


async def outlive(connection: Text) -> None:
    await trio.sleep_forever()


async def do_nothing(connection: Text) -> None:
    pass


HANDLER_ENDS: dict[str, Handler] = {
    "return": do_nothing,
    "fail": fail,
    "abort": abort_at_once,
    "aclose": close_at_once,
    "detach": detach_and_close,
    "go on": receive_all,
    "outlive": outlive,
}
CLIENT_ENDS = ["aclose", "reset", "stay", "send_eof"]


@final
@attrs.frozen
class Life:
    """What becomes of one connection."""

    comes_at: int
    sends: int  # bytes, of which every thousandth is a line end
    unfinished: int
    reads: bool
    client_ends: str
    answers: int
    watches: bool
    stays: int
    handler_ends: str

    async def be_client(self, serving: Serving) -> None:
        await trio.sleep(self.comes_at)
        client = await serving.connect()
        async with trio.open_nursery() as nursery:
            if self.reads:
                nursery.start_soon(is_reset, client)
            with suppress(trio.BrokenResourceError):
                await client.send_all((b"x" * 999 + b"\n") * (self.sends // 1000))
                await client.send_all(b"x" * self.unfinished)
                await trio.sleep(self.stays)
                if self.client_ends == "send_eof":
                    await client.send_eof()
            nursery.cancel_scope.cancel()
        if self.client_ends == "reset":
            client.reset()
        elif self.client_ends == "aclose":
            await client.aclose()

    async def be_server(self, connection: Text) -> None:
        async with trio.open_nursery() as nursery:
            if self.watches:
                nursery.start_soon(connection.wait_disconnected)
            with trio.move_on_after(self.stays):
                await self._answer(connection)
            nursery.cancel_scope.cancel()
        await HANDLER_ENDS[self.handler_ends](connection)

    async def _answer(self, connection: Text) -> None:
        for number in range(self.answers):
            if number % 3 == 0:
                await connection.receive()
            await connection.send("y" * 9999)


LIVES = st.builds(
    Life,
    comes_at=st.integers(0, 5),
    sends=st.sampled_from([0, 1000, 20_000, 100_000]),
    unfinished=st.sampled_from([0, 10, 5000, 60_000]),
    reads=st.booleans(),
    client_ends=st.sampled_from(CLIENT_ENDS),
    answers=st.integers(0, 30),
    watches=st.booleans(),
    stays=st.integers(0, 9),
    handler_ends=st.sampled_from([*HANDLER_ENDS]),
)


@given(st.lists(LIVES, min_size=1, max_size=6), st.sampled_from([50_000, 150_000, 1e9]))
def test_however_connections_end_nothing_stays_counted(
    lives: list[Life], limit: float
) -> None:
    """Neither as held, nor as taking a slot."""
    timeouts = Timeouts(
        first_message=7, idle=7, message=7, write=7, lifetime=20, linger=3
    )
    limits = Limits(max_buffered_bytes=int(limit), max_connections=len(lives))

    async def main() -> None:
        record = Record()
        listener = testing.MemoryListener(1000)
        waiting = iter(sorted(lives, key=lambda life: life.comes_at))

        async def handler(connection: Text) -> None:
            if (life := next(waiting, None)) is not None:
                await life.be_server(connection)

        run = partial(
            trio_tcp.serve_listeners,
            handler,
            [listener],
            codec=LINES,
            limits=limits,
            timeouts=timeouts,
            observer=record,
        )
        async with trio.open_nursery() as nursery:
            server: trio_tcp.Server = await nursery.start(run)
            serving = Serving(server, [listener], record)
            with trio.fail_after(A_LONG_TIME):
                async with trio.open_nursery() as clients:
                    for life in lives:
                        clients.start_soon(life.be_client, serving)
                    for _ in range(30):
                        await trio.sleep(1)
                        held = server.statistics().bytes_buffered
                        assert held >= 0
                await trio.sleep(50)
                assert server.connections == ()
                assert server.statistics().bytes_buffered == 0
                # All slots are free again.
                for _ in lives:
                    await serving.connect()
            nursery.cancel_scope.cancel()
        failures = {type(e.error) for e in record.all(trio_tcp.HandlerFailed)}
        assert failures <= {LookupError}
        assert server.statistics().bytes_buffered == 0

    trio.run(main, clock=MockClock(autojump_threshold=0))
