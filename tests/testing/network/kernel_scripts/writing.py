"""Writing: in parts, gathered, and into a window that the reader keeps closed."""

from __future__ import annotations

import socket
from itertools import product
from typing import TYPE_CHECKING, Final

from tests.testing.network.kernel_scripts._script import Play, Scripts
from tests.testing.network.kernel_scripts._steps import STEPS, take
from tests.testing.network.kernel_scripts._world import Pending, World

if TYPE_CHECKING:
    from trio.socket import SocketType

__all__ = ["SCRIPTS"]

SCRIPTS: Final = Scripts()

_PATTERN: Final = bytes(range(251)) * 300


async def _narrow_pair(world: World) -> tuple[SocketType, SocketType]:
    """Connect two sockets with buffers that the kernel does not grow.

    That for sending is the larger by far: a full sender is writable again once a third
    of it is free, and no late acknowledgement of what the reader took frees as much.
    """
    ends = await world.pair()
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    return ends


async def _fill(world: World, end: SocketType) -> tuple[bytes, Pending]:
    """Send until both buffers and the window are full.

    Returns:
        What was sent, and the call to send more, which waits.
    """
    sent = bytearray()
    while True:
        more = _PATTERN[len(sent) % 251 :]
        send = world.begin("send", end.send, more)
        await world.settle()
        if send.outcome is None:
            return bytes(sent), send
        sent += more[: send.value]


async def _read(end: SocketType, size: int) -> bytes:
    """Read as many bytes, or all there are before the end."""
    read = bytearray()
    while len(read) < size and (data := await end.recv(size - len(read))):
        read += data
    return bytes(read)


def _while_full(who: str, step: str) -> Play:
    """Have something happen while a sender waits for the reader."""

    async def play(world: World) -> None:
        ours, theirs = await _narrow_pair(world)
        _, send = await _fill(world, ours)
        STEPS[step](theirs if who == "the peer" else ours)
        await world.settle()
        world.look(send)
        if who == "the peer":
            await take(world, "here", ours, "recv, error")

    return play


for _who, _step in product(
    ("the peer", "this end"),
    ("shutdown write", "shutdown read", "shutdown both", "close", "reset"),
):
    if (_who, _step) != ("the peer", "shutdown both"):
        SCRIPTS.add_as(
            f"{_who} does {_step} while send waits for the reader",
            _while_full(_who, _step),
        )

SCRIPTS.add_as(
    "the peer does shutdown both while send waits for the reader",
    _while_full("the peer", "shutdown both"),
    # The window is closed to the last byte, so that no byte comes too late.
    ("send: waits", "here: recv: b''", "here: error: 'none'"),
    # A last byte found room, and was answered with a reset after the FIN.
    ("send: EPIPE", "here: recv: b''", "here: error: 'none'"),
)


@SCRIPTS.add
async def a_send_that_waits_goes_on_with_the_reader(world: World) -> None:
    ours, theirs = await _narrow_pair(world)
    sent, send = await _fill(world, ours)
    world.look(send)
    world.say("all arrived", await _read(theirs, len(sent)) == sent)
    await send.over.wait()
    more = _PATTERN[len(sent) % 251 :][: send.value]
    world.say("more was sent", len(more) > 0)
    world.say("it arrived", await _read(theirs, len(more)) == more)
    await take(world, "peer", theirs, "recv")


@SCRIPTS.add
async def a_full_socket_is_not_writable(world: World) -> None:
    ours, theirs = await _narrow_pair(world)
    await take(world, "here", ours, "wait writable")
    sent, send = await _fill(world, ours)
    send.scope.cancel()
    await send.over.wait()
    await take(world, "here", ours, "error, wait writable")
    wait = world.begin("wait writable", ours.wait_writable)
    await world.settle()
    world.look(wait)
    await _read(theirs, len(sent))
    await world.end(wait)
    await take(world, "here", ours, "wait writable, send")
    await take(world, "peer", theirs, "recv, recv")


def _after_full(step: str, *, rest: bool) -> Play:
    """Have the sender end while the reader has not read; the rest comes or is lost."""

    async def play(world: World) -> None:
        ours, theirs = await _narrow_pair(world)
        sent, send = await _fill(world, ours)
        send.scope.cancel()
        await send.over.wait()
        STEPS[step](ours)
        await world.settle()
        if rest:
            world.say("all arrived", await _read(theirs, len(sent)) == sent)
            await take(world, "peer", theirs, "recv, recv, send, send")
            return
        world.say("some had arrived", len(await _read(theirs, 10)))
        await take(world, "peer", theirs, "error")
        lost = len(sent) - 10 - len(await _read(theirs, len(sent)))
        world.say("some was lost", lost > 0)

    return play


SCRIPTS.add_as(
    "all arrives after a close while the window is closed",
    _after_full("close", rest=True),
)
SCRIPTS.add_as(
    "all arrives after a half-close while the window is closed",
    _after_full("shutdown write", rest=True),
)
SCRIPTS.add_as(
    "all arrives after a shutdown of both ways while the window is closed",
    _after_full("shutdown both", rest=True),
)
SCRIPTS.add_as(
    "a reset while the window is closed keeps what had arrived",
    _after_full("reset", rest=False),
)


@SCRIPTS.add
async def both_ends_are_full(world: World) -> None:
    ours, theirs = await _narrow_pair(world)
    there, sending = await _fill(world, ours)
    here, answering = await _fill(world, theirs)
    sending.scope.cancel()
    answering.scope.cancel()
    await world.settle()
    world.say("all arrived", await _read(theirs, len(there)) == there)
    world.say("all arrived", await _read(ours, len(here)) == here)


@SCRIPTS.add
async def one_task_writes_at_a_time(world: World) -> None:
    ours, _ = await _narrow_pair(world)
    await _fill(world, ours)
    await world.does("wait until writable", ours.wait_writable)


@SCRIPTS.add
async def a_full_socket_reads(world: World) -> None:
    ours, theirs = await _narrow_pair(world)
    _, send = await _fill(world, ours)
    await take(world, "peer", theirs, "send")
    await take(world, "here", ours, "recv")
    world.look(send)


@SCRIPTS.add
async def a_gathered_message_is_one(world: World) -> None:
    ours, theirs = await world.pair()
    await world.does("sendmsg", ours.sendmsg, [b"ab", b"", bytearray(b"cd")])
    await world.does("sendmsg of nothing", ours.sendmsg, [])
    await take(world, "peer", theirs, "recv")


@SCRIPTS.add
async def no_bytes_are_sent(world: World) -> None:
    ours, theirs = await world.pair()
    await take(world, "here", ours, "send nothing")
    await take(world, "peer", theirs, "readable, recv")
    await take(world, "here", ours, "shutdown write, send nothing")
    await take(world, "peer", theirs, "close")
    await take(world, "here", ours, "send nothing")


@SCRIPTS.add
async def any_buffer_is_sent(world: World) -> None:
    ours, theirs = await world.pair()
    await world.does("bytearray", ours.send, bytearray(b"ab"))
    await world.does("memoryview", ours.send, memoryview(b"cdef")[1:3])
    await world.does("text", ours.send, "text")
    await take(world, "peer", theirs, "recv")


@SCRIPTS.add
async def what_was_sent_cannot_be_changed(world: World) -> None:
    ours, theirs = await world.pair()
    data = bytearray(b"before")
    await world.does("send", ours.send, data)
    data[:] = b"after!"
    await take(world, "peer", theirs, "recv")


@SCRIPTS.add
async def a_message_for_a_connected_socket_needs_no_address(world: World) -> None:
    ours, theirs = await world.pair()
    await world.does("send", ours.send, b"abc", socket.MSG_NOSIGNAL)
    await take(world, "peer", theirs, "recv")
