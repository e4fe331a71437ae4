"""What a server's policies cost for each message: instructions, not seconds."""

from __future__ import annotations

import gc
import inspect
import math
import sys
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

import pytest
import trio

import trio_tcp
from trio_tcp import codecs, testing

if TYPE_CHECKING:
    from _typeshed import TraceFunction

OFF = trio_tcp.Timeouts(
    connect=math.inf,
    handshake=math.inf,
    first_message=math.inf,
    idle=math.inf,
    message=math.inf,
    write=math.inf,
    lifetime=math.inf,
    linger=math.inf,
)
UNLIMITED = trio_tcp.Limits(max_connections=math.inf, max_buffered_bytes=math.inf)

ROUNDS = 100
"""So many that it does not matter in which order Trio runs the tasks, which is luck."""


class Instructions:
    """Counts the instructions of Python that a block executes, Trio's included."""

    def __init__(self) -> None:
        self.count = 0

    def _trace(self, frame: FrameType, event: str, _: object) -> TraceFunction:
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        self.count += event == "opcode"
        return self._trace

    @contextmanager
    def counted(self) -> Generator[None, None, None]:
        """Count; frames that are suspended at the beginning are counted, too."""
        before = sys.gettrace()
        # Whose garbage is collected meanwhile is luck, and its finalizers count too.
        gc.collect()
        gc.disable()
        # Python 3.12 looks at the frames that are there whether opcodes are traced.
        frame = inspect.currentframe()
        assert frame is not None
        frame.f_trace_opcodes = True
        sys.settrace(self._trace)
        try:
            yield
        finally:
            sys.settrace(before)
            gc.enable()


async def echo(connection: trio_tcp.Connection[bytes, bytes]) -> None:
    async for message in connection:
        await connection.send(message)


def ignore(_event: trio_tcp.Event, /) -> None:
    """Observe nothing."""


def instructions_per_message(
    timeouts: trio_tcp.Timeouts,
    limits: trio_tcp.Limits,
    observer: trio_tcp.Observer,
    *,
    together: int,
) -> float:
    """Measure an echo over a stream in memory, client included."""
    instructions = Instructions()

    async def main() -> None:
        codec = codecs.LengthPrefixed()
        async with testing.serve_in_memory(
            echo, codec, timeouts=timeouts, limits=limits, observer=observer
        ) as served:
            client = await served.listener.connect()
            frames = codec.encode(b"x" * 64) * together
            for _ in range(ROUNDS):
                await client.send_all(frames)
                missing = len(frames)
                while missing:
                    missing -= len(await client.receive_some())
            await client.aclose()

    with instructions.counted():
        trio.run(main)
    return instructions.count / (ROUNDS * together)


@pytest.mark.parametrize("together", [1, 50])
def test_the_defaults_cost_less_than_a_tenth_of_a_message(together: int) -> None:
    """Timeouts, limits and observer, against a server with all of them off."""
    off = instructions_per_message(OFF, UNLIMITED, ignore, together=together)
    default = instructions_per_message(
        trio_tcp.Timeouts(), trio_tcp.Limits(), trio_tcp.log_events, together=together
    )
    assert default < off * 1.1
