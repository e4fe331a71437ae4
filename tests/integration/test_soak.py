"""Many clients of every kind, and nothing is left of them."""

from __future__ import annotations

import gc
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TypeAlias

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.integration.loopback import (
    LOOPBACK,
    connect,
    open_descriptors,
    receive_all,
    reset,
    start_server,
    until,
)
from trio_tcp import CloseReason, Timeouts, codecs

CLIENTS = 400
AT_ONCE = 20

Binary: TypeAlias = codecs.Codec[bytes, bytes]

FRAMINGS: dict[str, Binary] = {
    "LengthPrefixed": codecs.LengthPrefixed(max_bytes=5000),
    "Netstrings": codecs.Netstrings(max_bytes=5000),
    "Delimited": codecs.Delimited(b"\n", max_bytes=5000),
    "LengthField": codecs.LengthField(
        offset=2,
        magic=b"\xaa\x55",
        strip_header=6,
        max_garbage_bytes=1000,
        max_bytes=5000,
    ),
}


async def echo_or_fail(connection: trio_tcp.Connection[bytes, bytes]) -> None:
    """Send back every message, but for some kinds."""
    async for message in connection:
        match message[:1]:
            case b"f":
                raise LookupError("on request")
            case b"l":
                return
            case b"a":
                connection.abort()
            case b"m":
                await connection.send_many([message] * 50)
            case _:
                await connection.send(message)


def some_bytes(dice: random.Random, codec: Binary) -> bytes:
    """Make messages, parts of them, and garbage."""
    data = b""
    for _ in range(dice.randrange(8)):
        size = dice.choice([0, 1, 10, 100, 4000])
        message = dice.choice(b"eeeeemmmflab").to_bytes(1, "big") + b"x" * size
        frame = codec.encode(message)
        data += dice.choices(
            [frame, frame[: dice.randrange(len(frame))], dice.randbytes(size)],
            [20, 1, 1],
        )[0]
    return data


# What a client does in the end


async def wait_for_the_end(stream: trio.SocketStream) -> None:
    """Half-close, and read the answers."""
    await stream.send_eof()
    await receive_all(stream)


async def close(stream: trio.SocketStream) -> None:
    """Vanish, whether there are answers to read or not."""
    await stream.aclose()


async def reset_now(stream: trio.SocketStream) -> None:
    """Reset, whatever is under way."""
    await trio.lowlevel.checkpoint()
    reset(stream)


async def reset_later(stream: trio.SocketStream) -> None:
    """Reset in the middle of an answer, if there is one."""
    await stream.send_eof()
    await stream.receive_some(10)
    reset(stream)


ENDS: list[Callable[[trio.SocketStream], Awaitable[None]]] = [
    wait_for_the_end,
    close,
    reset_now,
    reset_later,
]


async def be_a_client(port: int, seed: int, codec: Binary) -> None:
    """Do what the dice say."""
    dice = random.Random(seed)
    async with connect(port, small_buffers=dice.random() < 0.5) as stream:
        try:
            for _ in range(dice.randrange(4)):
                await stream.send_all(some_bytes(dice, codec))
                if dice.random() < 0.5:
                    await trio.lowlevel.checkpoint()
            await dice.choice(ENDS)(stream)
        except trio.BrokenResourceError:
            pass  # the server did not like it


def our_objects() -> Counter[str]:
    """Count what this package keeps in memory, by type."""
    gc.collect()
    everything: list[object] = gc.get_objects()
    return Counter(
        type(each).__qualname__
        for each in everything
        # Not every class has a name there: a proxy of Twisted's has a property.
        if str(type(each).__module__).startswith("trio_tcp.")
    )


def living_tasks() -> int:
    return trio.lowlevel.current_statistics().tasks_living


async def be_all_clients(port: int, codec: Binary) -> None:
    """Have all clients come and go, so many at a time."""
    slots = trio.CapacityLimiter(AT_ONCE)

    async def be_one_of_them(seed: int) -> None:
        async with slots:
            await be_a_client(port, seed, codec)

    async with trio.open_nursery() as nursery:
        for seed in range(CLIENTS):
            nursery.start_soon(be_one_of_them, seed)


async def say_hello(port: int, codec: Binary) -> None:
    """See whether the server answers."""
    async with trio_tcp.connect_tcp(LOOPBACK, port, codec=codec) as connection:
        await connection.send(b"hello")
        assert await connection.receive() == b"hello"


async def say_hello_together(port: int, codec: Binary) -> None:
    """Have so many clients at once that there is all that a run keeps to its end.

    That is a task and a descriptor, which many sockets share.
    """
    async with AsyncExitStack() as stack:
        for _ in range(AT_ONCE):
            connection = await stack.enter_async_context(
                trio_tcp.connect_tcp(LOOPBACK, port, codec=codec)
            )
            await connection.send(b"hello")
            assert await connection.receive() == b"hello"


async def all_have_ended(server: trio_tcp.Server, count: int) -> None:
    """Wait until so many clients have come, and all have gone."""
    await until(lambda: server.statistics().accepted == count)
    await until(lambda: server.statistics().open == 0)
    await wait_all_tasks_blocked()


@pytest.mark.parametrize("codec", FRAMINGS.values(), ids=FRAMINGS.keys())
async def test_after_many_clients_of_every_kind_nothing_is_left(
    nursery: trio.Nursery, codec: Binary
) -> None:
    """No task, no descriptor, no object; and the server answers."""

    def ignore(_event: trio_tcp.Event, /) -> None:
        """Keep the handlers' failures out of the log."""

    server = await start_server(
        nursery, echo_or_fail, codec, observer=ignore, timeouts=Timeouts(linger=0.5)
    )
    await say_hello_together(server.port, codec)
    await all_have_ended(server, AT_ONCE)
    # Objects first: it collects garbage, in which descriptors may be open.
    objects, tasks, descriptors = our_objects(), living_tasks(), open_descriptors()
    await be_all_clients(server.port, codec)
    await all_have_ended(server, CLIENTS + AT_ONCE)
    assert not our_objects() - objects
    assert living_tasks() == tasks
    assert open_descriptors() == descriptors
    await say_hello(server.port, codec)
    # The clients have had all the ends that there are.
    assert server.statistics().ended.keys() == {
        CloseReason.PEER_CLOSED,
        CloseReason.TRUNCATED,
        CloseReason.BROKEN,
        CloseReason.PROTOCOL_ERROR,
        CloseReason.HANDLER_FAILED,
        CloseReason.CLOSED,
    }
