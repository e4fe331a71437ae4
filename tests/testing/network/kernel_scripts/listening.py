"""Listening and accepting: backlogs, closing, sockets that do not listen."""

from __future__ import annotations

import socket
from typing import Final

from tests.testing.network.kernel_scripts._script import Scripts
from tests.testing.network.kernel_scripts._steps import take
from tests.testing.network.kernel_scripts._world import LOOPBACK, World

__all__ = ["SCRIPTS"]

SCRIPTS: Final = Scripts()


@SCRIPTS.add
async def only_a_listener_accepts(world: World) -> None:
    await world.does("accept on a new socket", world.socket().accept)
    bound = await world.bound()
    await world.does("accept on a bound socket", bound.accept)
    ours, theirs = await world.pair()
    await world.does("accept on a client", ours.accept)
    await world.does("accept on what was accepted", theirs.accept)


@SCRIPTS.add
async def listening_unbound_takes_a_port(world: World) -> None:
    listener = world.socket()
    await world.does("listen", listener.listen, 1)
    await take(world, "listener", listener, "own name")
    client = world.socket()
    port = listener.getsockname()[1]
    await world.does("connect", client.connect, (LOOPBACK, port))
    await world.does("accept", listener.accept)


@SCRIPTS.add
async def listening_twice_changes_the_backlog(world: World) -> None:
    listener = await world.listener(LOOPBACK, 0)
    await world.does("listen", listener.listen, 5)
    for _ in range(3):
        client = world.socket()
        await world.does("connect", client.connect, listener.getsockname())


@SCRIPTS.add
async def a_connected_socket_does_not_listen(world: World) -> None:
    ours, theirs = await world.pair()
    await world.does("client", ours.listen, 1)
    await world.does("accepted", theirs.listen, 1)
    await take(world, "client", ours, "send")


@SCRIPTS.add
async def a_negative_backlog_is_a_long_one(world: World) -> None:
    listener = await world.listener(LOOPBACK, -1)
    client = world.socket()
    await world.does("connect", client.connect, listener.getsockname())


@SCRIPTS.add
async def a_listener_carries_nothing(world: World) -> None:
    listener = await world.listener()
    steps = "recv, send, peer name, error, readable, wait writable, did shut down"
    await take(world, "listener", listener, steps)


@SCRIPTS.add
async def a_listener_with_a_client_is_readable(world: World) -> None:
    listener = await world.listener()
    client = world.socket()
    await take(world, "listener", listener, "readable")
    await world.does("connect", client.connect, listener.getsockname())
    await take(world, "listener", listener, "readable")
    await world.does("accept", listener.accept)
    await take(world, "listener", listener, "readable")


@SCRIPTS.add
async def accept_waits_for_a_client(world: World) -> None:
    listener = await world.listener()
    accept = world.begin("accept", listener.accept)
    await world.settle()
    world.look(accept)
    client = world.socket()
    await world.does("connect", client.connect, listener.getsockname())
    await world.end(accept)


@SCRIPTS.add
async def clients_are_accepted_in_the_order_of_their_coming(world: World) -> None:
    listener = await world.listener()
    for _ in range(3):
        client = world.socket()
        await world.does("connect", client.connect, listener.getsockname())
        await take(world, "client", client, "own name")
    for _ in range(3):
        await world.does("accept", listener.accept)


@SCRIPTS.add
async def what_waits_in_accept_is_told_of_the_close(world: World) -> None:
    listener = await world.listener()
    accept = world.begin("accept", listener.accept)
    await world.settle()
    listener.close()
    await world.end(accept)


@SCRIPTS.add
async def a_closed_listener_refuses(world: World) -> None:
    listener = await world.listener()
    there = listener.getsockname()
    listener.close()
    client = world.socket()
    await world.does("connect", client.connect, there)
    await world.does("accept", listener.accept)


@SCRIPTS.add
async def a_closed_listener_resets_its_backlog(world: World) -> None:
    listener = await world.listener()
    silent, talking = world.socket(), world.socket()
    for client in (silent, talking):
        await world.does("connect", client.connect, listener.getsockname())
    await take(world, "talking", talking, "send")
    listener.close()
    await world.settle()
    await take(world, "silent", silent, "readable, peer name, recv, recv, send")
    await take(world, "talking", talking, "error, send, recv")


@SCRIPTS.add
async def a_closed_listener_leaves_what_was_accepted(world: World) -> None:
    listener = await world.listener()
    client = world.socket()
    await world.does("connect", client.connect, listener.getsockname())
    accepted, _ = await world.does("accept", listener.accept)
    listener.close()
    await take(world, "client", client, "send")
    await take(world, "accepted", accepted, "recv, own name")


@SCRIPTS.add
async def a_listener_that_is_shut_down_for_writing_goes_on(world: World) -> None:
    listener = await world.listener()
    await take(world, "listener", listener, "shutdown write")
    client = world.socket()
    await world.does("connect", client.connect, listener.getsockname())
    await world.does("accept", listener.accept)


@SCRIPTS.add
async def a_listener_that_is_shut_down_for_reading_listens_no_more(
    world: World,
) -> None:
    listener = await world.listener()
    accept = world.begin("accept", listener.accept)
    await world.settle()
    await take(world, "listener", listener, "shutdown read")
    await world.end(accept)
    await world.does("accept", listener.accept)
    client = world.socket()
    await world.does("connect", client.connect, listener.getsockname())
    listening = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    world.say("listening", listening)


@SCRIPTS.add
async def a_listener_that_was_shut_down_listens_again(world: World) -> None:
    listener = await world.listener()
    await take(world, "listener", listener, "shutdown both, own name, recv")
    await world.does("listen", listener.listen, 1)
    client = world.socket()
    await world.does("connect", client.connect, listener.getsockname())
    await world.does("accept", listener.accept)


@SCRIPTS.add
async def a_listener_that_was_shut_down_connects(world: World) -> None:
    there, listener = await world.listener(), world.socket()
    listener.listen(1)
    await take(world, "listener", listener, "shutdown both, own name")
    await world.does("connect", listener.connect, there.getsockname())
    await take(world, "client", listener, "send, peer name")


@SCRIPTS.add
async def what_waits_until_a_listener_is_writable_is_told_of_its_end(
    world: World,
) -> None:
    for step in ("shutdown read", "close"):
        listener = await world.listener()
        wait = world.begin("wait writable", listener.wait_writable)
        await world.settle()
        world.look(wait)
        await take(world, "listener", listener, step)
        await world.end(wait)


@SCRIPTS.add
async def a_backlog_of_no_clients_holds_one(world: World) -> None:
    listener = await world.listener(LOOPBACK, 0)
    first, second = world.socket(), world.socket()
    await world.does("connect", first.connect, listener.getsockname())
    await world.does("connect", second.connect, listener.getsockname())


@SCRIPTS.add
async def a_backlog_holds_one_client_more_than_it_says(world: World) -> None:
    listener = await world.listener(LOOPBACK, 2)
    for _ in range(4):
        client = world.socket()
        await world.does("connect", client.connect, listener.getsockname())
    for _ in range(4):
        await world.does("accept", listener.accept)


@SCRIPTS.add
async def a_client_tries_again_where_a_backlog_was_full(world: World) -> None:
    """It does so after a second, for which two stories wait together."""
    clears, closes = [await world.listener(LOOPBACK, 0) for _ in range(2)]
    first, second, third, fourth = [world.socket() for _ in range(4)]
    await world.does("connect", first.connect, clears.getsockname())
    await world.does("connect", second.connect, closes.getsockname())
    gets_in = world.begin("gets in", third.connect, clears.getsockname())
    is_refused = world.begin("is refused", fourth.connect, closes.getsockname())
    await world.settle()
    world.look(gets_in)
    world.look(is_refused)
    await world.does("accept", clears.accept)
    closes.close()
    await world.end(gets_in)
    await world.end(is_refused)
    await world.does("accept", clears.accept)
    await take(world, "third", third, "send")


@SCRIPTS.add
async def a_client_that_gives_up_leaves_nothing_in_the_backlog(world: World) -> None:
    listener = await world.listener(LOOPBACK, 0)
    first, second = world.socket(), world.socket()
    await world.does("connect", first.connect, listener.getsockname())
    await world.does("connect", second.connect, listener.getsockname())
    await take(world, "second", second, "own name")
    await world.does("accept", listener.accept)
    await world.does("accept", listener.accept)
