"""Connecting again: after a success, after a failure, while another try is under way.

A socket of Linux knows that it was told to connect, and learns at the next call that
concerns it what came of that (`inet_stream_connect`). Trio looks for itself, and makes
no such call: the socket still waits to tell.
"""

from __future__ import annotations

from typing import Final

from tests.testing.network.kernel_scripts._script import Play, Scripts
from tests.testing.network.kernel_scripts._steps import take
from tests.testing.network.kernel_scripts._world import LOOPBACK, World

__all__ = ["SCRIPTS"]

SCRIPTS: Final = Scripts()


@SCRIPTS.add
async def a_failed_socket_connects_again(world: World) -> None:
    later = await world.bound()
    client = world.socket()
    await world.does("connect", client.connect, later.getsockname())
    await world.does("connect again", client.connect, later.getsockname())
    later.listen(1)
    await world.does("connect to a listener", client.connect, later.getsockname())
    accepted, _ = await world.does("accept", later.accept)
    await take(world, "client", client, "send")
    await take(world, "accepted", accepted, "recv")


@SCRIPTS.add
async def a_failed_socket_keeps_the_name_that_it_was_given(world: World) -> None:
    nothing = await world.bound()
    client = await world.bound()
    await take(world, "client", client, "own name")
    await world.does("connect", client.connect, nothing.getsockname())
    await take(world, "client", client, "own name")


@SCRIPTS.add
async def a_failed_socket_still_tells_the_name_that_it_took(world: World) -> None:
    nothing = await world.bound()
    client = world.socket()
    await world.does("connect", client.connect, nothing.getsockname())
    await take(world, "client", client, "own name")
    await world.does("connect again", client.connect, nothing.getsockname())
    await take(world, "client", client, "own name")


@SCRIPTS.add
async def a_failed_socket_does_not_listen(world: World) -> None:
    nothing = await world.bound()
    client = await world.bound()
    await world.does("connect", client.connect, nothing.getsockname())
    await world.does("listen", client.listen, 1)


@SCRIPTS.add
async def a_connected_socket_does_not_connect_again(world: World) -> None:
    """The second time tells the success of the first: a connect that did not block."""
    listener = await world.listener()
    client = world.socket()
    await world.does("connect", client.connect, listener.getsockname())
    await world.does("connect again", client.connect, listener.getsockname())
    await world.does("and again", client.connect, listener.getsockname())
    await take(world, "client", client, "send")


@SCRIPTS.add
async def an_accepted_socket_does_not_connect(world: World) -> None:
    listener = await world.listener()
    _, accepted = await world.pair()
    await world.does("connect", accepted.connect, listener.getsockname())
    await take(world, "accepted", accepted, "send")


def _while_it_connects(step: str, *args: object) -> Play:
    """Have something happen to a client that a full backlog keeps waiting."""

    async def play(world: World) -> None:
        listener = await world.listener(LOOPBACK, 0)
        first, client = world.socket(), world.socket()
        await world.does("connect", first.connect, listener.getsockname())
        connect = world.begin("connect", client.connect, listener.getsockname())
        await world.settle()
        if args:
            await world.does(step, getattr(client, step), *args)
        else:
            await take(world, "client", client, step)
        world.look(connect)

    return play


for _step in (
    "own name, peer name, readable, error, did shut down",
    "recv",
    "send",
    "shutdown write, peer name",
    "shutdown read, peer name",
    "shutdown both, peer name",
    "close",
    "reset",
):
    SCRIPTS.add_as(
        f"while it connects, a client does {_step}", _while_it_connects(_step)
    )

SCRIPTS.add_as(
    "a client is bound while it connects", _while_it_connects("bind", (LOOPBACK, 0))
)
SCRIPTS.add_as("a client listens while it connects", _while_it_connects("listen", 1))
SCRIPTS.add_as(
    "a client connects while it connects", _while_it_connects("connect", (LOOPBACK, 1))
)


@SCRIPTS.add
async def a_listener_does_not_connect(world: World) -> None:
    listener = await world.listener()
    other = await world.listener()
    await world.does("connect", other.connect, listener.getsockname())


@SCRIPTS.add
async def a_connection_that_the_peer_closed_does_not_connect_again(
    world: World,
) -> None:
    listener = await world.listener()
    ours, theirs = await world.pair()
    await take(world, "peer", theirs, "close")
    await world.does("connect", ours.connect, listener.getsockname())
    await world.does("connect again", ours.connect, listener.getsockname())


@SCRIPTS.add
async def a_connection_that_was_reset_connects_again(world: World) -> None:
    """The first time tells that there was a failure, the second time connects."""
    listener = await world.listener()
    ours, theirs = await world.pair()
    await take(world, "peer", theirs, "reset")
    await take(world, "here", ours, "recv")
    await world.does("connect", ours.connect, listener.getsockname())
    await world.does("connect again", ours.connect, listener.getsockname())
    await take(world, "here", ours, "send, peer name")


@SCRIPTS.add
async def a_connection_that_was_shut_down_does_not_connect_again(world: World) -> None:
    listener = await world.listener()
    ours, theirs = await world.pair()
    await take(world, "here", ours, "shutdown write")
    await take(world, "peer", theirs, "close")
    await world.does("connect", ours.connect, listener.getsockname())


@SCRIPTS.add
async def an_accepted_socket_that_was_reset_does_not_connect(world: World) -> None:
    listener = await world.listener()
    ours, theirs = await world.pair()
    await take(world, "here", ours, "reset")
    await take(world, "accepted", theirs, "recv")
    await world.does("connect", theirs.connect, listener.getsockname())
    await world.does("listen", theirs.listen, 1)


@SCRIPTS.add
async def a_failed_socket_that_was_shut_down_does_not_connect_again(
    world: World,
) -> None:
    nothing, listener = await world.bound(), await world.listener()
    client = world.socket()
    await world.does("connect", client.connect, nothing.getsockname())
    await take(world, "client", client, "shutdown write")
    await world.does("connect", client.connect, listener.getsockname())
    await world.does("connect again", client.connect, listener.getsockname())


@SCRIPTS.add
async def a_socket_that_gave_up_connecting_connects_again(world: World) -> None:
    full, listener = await world.listener(LOOPBACK, 0), await world.listener()
    first, client = world.socket(), world.socket()
    await world.does("connect", first.connect, full.getsockname())
    connect = world.begin("connect", client.connect, full.getsockname())
    await world.settle()
    await take(world, "client", client, "shutdown both, own name, error")
    world.look(connect)
    await world.does("connect again", client.connect, listener.getsockname())
    await take(world, "client", client, "send, peer name")
