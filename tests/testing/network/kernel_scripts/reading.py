"""Reading: waiting, in parts, without taking, into a buffer."""

from __future__ import annotations

import socket
from typing import Final

from tests.testing.network.kernel_scripts._script import Play, Scripts
from tests.testing.network.kernel_scripts._steps import STEPS, take
from tests.testing.network.kernel_scripts._world import World

__all__ = ["SCRIPTS"]

SCRIPTS: Final = Scripts()


def _while_it_waits(who: str, step: str) -> Play:
    async def play(world: World) -> None:
        ours, theirs = await world.pair()
        recv = world.begin("recv", ours.recv, 100)
        await world.settle()
        world.look(recv)
        STEPS[step](theirs if who == "the peer" else ours)
        await world.settle()
        world.look(recv)
        if step != "close" or who == "the peer":
            await take(world, "here", ours, "recv, send")

    return play


for _who in ("the peer", "this end"):
    for _step in (
        "shutdown write",
        "shutdown read",
        "shutdown both",
        "close",
        "reset",
    ):
        if (_who, _step) != ("this end", "reset"):
            SCRIPTS.add_as(
                f"{_who} does {_step} while recv waits", _while_it_waits(_who, _step)
            )


@SCRIPTS.add
async def recv_waits_for_data(world: World) -> None:
    ours, theirs = await world.pair()
    recv = world.begin("recv", ours.recv, 100)
    await world.settle()
    world.look(recv)
    await take(world, "peer", theirs, "send")
    world.look(recv)


@SCRIPTS.add
async def what_was_sent_in_parts_is_read_whole(world: World) -> None:
    ours, theirs = await world.pair()
    await take(world, "peer", theirs, "send, send, send")
    await take(world, "here", ours, "recv")


@SCRIPTS.add
async def a_young_connection_acknowledges_small_parts_at_once(world: World) -> None:
    """Nagle's algorithm does not hold the second back for long."""
    listener = await world.listener()
    client = world.socket()
    await world.does("connect", client.connect, listener.getsockname())
    accepted, _ = await world.does("accept", listener.accept)
    await take(world, "client", client, "send, send")
    await take(world, "accepted", accepted, "recv")


@SCRIPTS.add
async def what_was_sent_whole_is_read_in_parts(world: World) -> None:
    ours, theirs = await world.pair()
    await world.does("send", theirs.send, b"abcdefgh")
    for size in (3, 1, 2, 100, 100):
        await world.does(f"recv {size}", ours.recv, size)


@SCRIPTS.add
async def parts_of_two_messages_are_read_together(world: World) -> None:
    ours, theirs = await world.pair()
    await world.does("send", theirs.send, b"abcd")
    await world.does("send", theirs.send, b"efgh")
    for size in (3, 3, 3):
        await world.does(f"recv {size}", ours.recv, size)


@SCRIPTS.add
async def a_peek_takes_nothing(world: World) -> None:
    ours, theirs = await world.pair()
    await take(world, "here", ours, "peek")
    await take(world, "peer", theirs, "send")
    await world.does("peek 2", ours.recv, 2, socket.MSG_PEEK)
    await take(world, "here", ours, "peek, recv one byte, peek, recv, peek")


@SCRIPTS.add
async def a_peek_sees_several_messages(world: World) -> None:
    ours, theirs = await world.pair()
    await take(world, "peer", theirs, "send, send, shutdown write")
    await take(world, "here", ours, "peek, recv, peek, recv")


@SCRIPTS.add
async def reading_into_a_buffer_fills_its_beginning(world: World) -> None:
    ours, theirs = await world.pair()
    await world.does("send", theirs.send, b"abcdefgh")
    room = bytearray(b"........")
    await world.does("recv_into", ours.recv_into, room, 3)
    world.say("room", room)
    await world.does("recv_into", ours.recv_into, memoryview(room)[4:6])
    world.say("room", room)
    await world.does("recv_into", ours.recv_into, room)
    world.say("room", room)
    await take(world, "peer", theirs, "close")
    await world.does("recv_into", ours.recv_into, room)


@SCRIPTS.add
async def more_than_a_buffer_has_room_for_is_not_read(world: World) -> None:
    ours, theirs = await world.pair()
    await world.does("send", theirs.send, b"abcdefgh")
    room = bytearray(b"....")
    await world.does("recv_into", ours.recv_into, room, 5)
    world.say("room", room)
    await world.does("recv_into", ours.recv_into, room, 4)
    world.say("room", room)
    await world.does("recv_into", ours.recv_into, room)
    world.say("room", room)


@SCRIPTS.add
async def no_bytes_are_read_at_once_even_if_there_are_none(world: World) -> None:
    ours, theirs = await world.pair()
    await take(world, "here", ours, "recv no bytes")
    await take(world, "peer", theirs, "send")
    await take(world, "here", ours, "recv no bytes, recv")
    await take(world, "peer", theirs, "reset")
    await take(world, "here", ours, "recv no bytes, recv, recv no bytes")


@SCRIPTS.add
async def a_negative_or_odd_size_is_refused(world: World) -> None:
    ours, _ = await world.pair()
    await world.does("recv -1", ours.recv, -1)
    await world.does("recv 1.0", ours.recv, 1.0)
    await world.does("recv None", ours.recv, None)


@SCRIPTS.add
async def one_task_reads_at_a_time(world: World) -> None:
    ours, theirs = await world.pair()
    recv = world.begin("recv", ours.recv, 100)
    await world.settle()
    await world.does("second recv", ours.recv, 100)
    await take(world, "peer", theirs, "send")
    world.look(recv)


@SCRIPTS.add
async def a_cancelled_recv_takes_nothing(world: World) -> None:
    ours, theirs = await world.pair()
    await take(world, "here", ours, "recv")
    await take(world, "peer", theirs, "send")
    await take(world, "here", ours, "recv")


@SCRIPTS.add
async def a_message_comes_with_flags_and_without_an_address(world: World) -> None:
    ours, theirs = await world.pair()
    await take(world, "peer", theirs, "send")
    await world.does("recvmsg", ours.recvmsg, 2)
    await world.does("recvfrom", ours.recvfrom, 2)


@SCRIPTS.add
async def data_from_before_a_shutdown_for_reading_is_still_read(world: World) -> None:
    ours, theirs = await world.pair()
    await take(world, "peer", theirs, "send")
    await take(world, "here", ours, "shutdown read, recv, recv")
    await take(world, "peer", theirs, "send, send")
    await take(world, "here", ours, "readable, recv, recv")
