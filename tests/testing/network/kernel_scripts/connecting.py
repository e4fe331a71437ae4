"""Connecting: accepted, refused, from a bound port; sockets that are not connected."""

from __future__ import annotations

import socket
from typing import Final

from tests.testing.network.kernel_scripts._script import Scripts
from tests.testing.network.kernel_scripts._steps import pending_error, reset, take
from tests.testing.network.kernel_scripts._world import LOOPBACK, World

__all__ = ["SCRIPTS"]

SCRIPTS: Final = Scripts()


@SCRIPTS.add
async def a_connection_has_names_at_both_ends(world: World) -> None:
    listener = await world.listener()
    world.say("listener", listener.getsockname())
    client = world.socket()
    await world.does("connect", client.connect, listener.getsockname())
    accepted, peer = await world.does("accept", listener.accept)
    world.say("client", client.getsockname())
    world.say("client's peer", client.getpeername())
    world.say("accepted", accepted.getsockname())
    world.say("accepted's peer", accepted.getpeername())
    world.say("the same", peer == client.getsockname())


@SCRIPTS.add
async def a_connection_needs_no_accept_to_carry_data(world: World) -> None:
    listener = await world.listener()
    client = world.socket()
    await world.does("connect", client.connect, listener.getsockname())
    await take(world, "client", client, "send, shutdown write")
    accepted, _ = await world.does("accept", listener.accept)
    await take(world, "accepted", accepted, "readable, recv, recv, send")
    await take(world, "client", client, "recv")


@SCRIPTS.add
async def nothing_listens_there(world: World) -> None:
    nothing = await world.bound()
    client = world.socket()
    await world.does("connect", client.connect, nothing.getsockname())
    await take(world, "client", client, "error, peer name, recv, send, shutdown write")


@SCRIPTS.add
async def the_wildcard_is_a_bound_clients_own_address(world: World) -> None:
    listener = await world.listener("127.0.0.2")
    client = await world.bound("127.0.0.2")
    wildcard = ("0.0.0.0", listener.getsockname()[1])
    await world.does("connect", client.connect, wildcard)
    await take(world, "client", client, "own name, peer name")


@SCRIPTS.add
async def a_connection_goes_out_from_a_bound_port(world: World) -> None:
    listener = await world.listener()
    client = await world.bound()
    bound = client.getsockname()
    await world.does("connect", client.connect, listener.getsockname())
    _, peer = await listener.accept()
    _.close()
    world.say("the same", peer == bound == client.getsockname())


@SCRIPTS.add
async def a_bound_wildcard_becomes_an_address_by_connecting(world: World) -> None:
    listener = await world.listener()
    client = await world.bound("0.0.0.0")
    await take(world, "client", client, "own name")
    await world.does("connect", client.connect, listener.getsockname())
    await take(world, "client", client, "own name")


@SCRIPTS.add
async def a_socket_bound_to_another_loopback_address_connects_from_there(
    world: World,
) -> None:
    listener = await world.listener()
    client = await world.bound("127.0.0.2")
    await world.does("connect", client.connect, listener.getsockname())
    await take(world, "client", client, "own name, peer name")


@SCRIPTS.add
async def a_listener_at_another_loopback_address_is_not_at_the_first(
    world: World,
) -> None:
    listener = await world.listener("127.0.0.2")
    port = listener.getsockname()[1]
    client = world.socket()
    await world.does("connect", client.connect, (LOOPBACK, port))
    await world.does("connect there", client.connect, ("127.0.0.2", port))
    await take(world, "client", client, "own name, peer name")


@SCRIPTS.add
async def the_wildcard_is_this_host_to_a_client(world: World) -> None:
    listener = await world.listener()
    client = world.socket()
    wildcard = ("0.0.0.0", listener.getsockname()[1])
    await world.does("connect", client.connect, wildcard)
    await take(world, "client", client, "own name, peer name")


@SCRIPTS.add
async def a_name_is_looked_up(world: World) -> None:
    listener = await world.listener()
    client = world.socket()
    port = listener.getsockname()[1]
    await world.ends("connect", client.connect, ("localhost", port))
    await take(world, "client", client, "peer name")


@SCRIPTS.add
async def two_connections_of_one_client_have_ports_of_their_own(world: World) -> None:
    listener = await world.listener()
    first, second = world.socket(), world.socket()
    await world.does("connect", first.connect, listener.getsockname())
    await world.does("connect", second.connect, listener.getsockname())
    world.say("different", first.getsockname() != second.getsockname())


@SCRIPTS.add
async def one_pair_of_addresses_has_one_connection(world: World) -> None:
    listener = await world.listener()
    reuse = (socket.SO_REUSEADDR, 1)
    first = await world.bound(LOOPBACK, 0, reuse)
    second = await world.bound(LOOPBACK, first.getsockname()[1], reuse)
    await world.does("connect", first.connect, listener.getsockname())
    await world.does("connect", second.connect, listener.getsockname())


@SCRIPTS.add
async def a_socket_connects_to_itself(world: World) -> None:
    alone = await world.bound()
    await world.does("connect", alone.connect, alone.getsockname())
    await take(world, "alone", alone, "peer name, send, recv, shutdown write, recv")


@SCRIPTS.add
async def an_unconnected_socket_carries_nothing(world: World) -> None:
    unconnected = world.socket()
    steps = "recv, recv no bytes, send, send nothing, shutdown write, peer name"
    await take(world, "socket", unconnected, f"own name, {steps}, error, did shut down")


@SCRIPTS.add
async def an_unconnected_socket_is_readable_and_writable(world: World) -> None:
    unconnected = world.socket()
    await take(world, "socket", unconnected, "readable, wait writable")


@SCRIPTS.add
async def an_unconnected_socket_is_shut_down_although_that_fails(world: World) -> None:
    listener = await world.listener()
    unconnected = world.socket()
    await take(world, "socket", unconnected, "shutdown read, recv, readable")
    await world.does("connect", unconnected.connect, listener.getsockname())
    accepted, _ = await world.does("accept", listener.accept)
    await take(world, "accepted", accepted, "send")
    await take(world, "socket", unconnected, "recv, recv, send")


@SCRIPTS.add
async def a_bound_socket_carries_nothing(world: World) -> None:
    bound = await world.bound()
    steps = "recv, send, shutdown write, shutdown read, shutdown both, peer name"
    await take(world, "socket", bound, f"{steps}, error, readable")


@SCRIPTS.add
async def a_closed_socket_does_nothing(world: World) -> None:
    listener = await world.listener()
    ours, _ = await world.pair()
    steps = "recv, send, shutdown write, peer name, own name, error, readable"
    await take(world, "here", ours, f"close, {steps}, close, did shut down")
    await world.does("connect", ours.connect, listener.getsockname())
    await world.does("bind", ours.bind, (LOOPBACK, 0))
    await world.does("listen", ours.listen, 1)
    await world.does("accept", ours.accept)
    world.say("descriptor", ours.fileno())


@SCRIPTS.add
async def a_client_that_is_reset_before_accept_is_accepted(world: World) -> None:
    listener = await world.listener()
    client = world.socket()
    await world.does("connect", client.connect, listener.getsockname())
    reset(client)
    await world.settle()
    accepted, _ = await world.does("accept", listener.accept)
    await take(world, "accepted", accepted, "peer name, recv, recv, send")


@SCRIPTS.add
async def a_client_that_closes_before_accept_is_accepted(world: World) -> None:
    listener = await world.listener()
    client = world.socket()
    await world.does("connect", client.connect, listener.getsockname())
    await take(world, "client", client, "send, close")
    accepted, _ = await world.does("accept", listener.accept)
    await take(world, "accepted", accepted, "peer name, recv, recv, send, send")


@SCRIPTS.add
async def a_connection_is_made_without_an_error(world: World) -> None:
    ours, theirs = await world.pair()
    world.say("client", pending_error(ours))
    world.say("accepted", pending_error(theirs))
