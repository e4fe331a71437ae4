"""IPv6, and the sockets that serve both families."""

from __future__ import annotations

import socket
from itertools import product
from typing import TYPE_CHECKING, Final

from tests.testing.network.kernel_scripts._script import Play, Scripts
from tests.testing.network.kernel_scripts._steps import take
from tests.testing.network.kernel_scripts._world import LOOPBACK, LOOPBACK_6, World

if TYPE_CHECKING:
    from trio.socket import SocketType

__all__ = ["SCRIPTS"]

SCRIPTS: Final = Scripts()

_WILDCARD: Final = "0.0.0.0"


async def _bind(world: World, host: str, port: int, *, only_6: bool) -> SocketType:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = world.socket(family)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only_6)
    await world.does(f"bind {host}", made.bind, (host, port))
    return made


def _conflict(first: str, second: str, *, only_6: bool) -> Play:
    async def play(world: World) -> None:
        port = await world.free_port()
        await _bind(world, first, port, only_6=only_6)
        await _bind(world, second, port, only_6=only_6)

    return play


for _first, _second, _only_6 in product(
    ("::", LOOPBACK_6, _WILDCARD, LOOPBACK),
    ("::", LOOPBACK_6, _WILDCARD, LOOPBACK),
    (False, True),
):
    if ":" in _first + _second:
        SCRIPTS.add_as(
            f"{_first} and {_second} are bound, "
            f"{'for IPv6 only' if _only_6 else 'for both families'}",
            _conflict(_first, _second, only_6=_only_6),
        )


@SCRIPTS.add
async def a_connection_over_ipv6(world: World) -> None:
    ours, theirs = await world.pair(LOOPBACK_6)
    for who, end in (("client", ours), ("accepted", theirs)):
        await take(world, who, end, "own name, peer name")
        world.say("family", end.family)
    await take(world, "client", ours, "send, shutdown write")
    await take(world, "accepted", theirs, "recv, recv, send, close")
    await take(world, "client", ours, "recv, recv, send, send")


@SCRIPTS.add
async def a_listener_for_both_families_sees_mapped_addresses(world: World) -> None:
    listener = await _bind(world, "::", 0, only_6=False)
    listener.listen(5)
    port = listener.getsockname()[1]
    await take(world, "listener", listener, "own name")
    over_4, over_6 = world.socket(), world.socket(socket.AF_INET6)
    await world.does("connect over IPv4", over_4.connect, (LOOPBACK, port))
    accepted, _ = await world.does("accept", listener.accept)
    await take(world, "accepted", accepted, "own name, peer name, send")
    world.say("family", accepted.family)
    await take(world, "client", over_4, "own name, peer name, recv")
    await world.does("connect over IPv6", over_6.connect, (LOOPBACK_6, port))
    accepted, _ = await world.does("accept", listener.accept)
    await take(world, "accepted", accepted, "own name, peer name")


@SCRIPTS.add
async def a_listener_for_ipv6_only_refuses_ipv4(world: World) -> None:
    listener = await _bind(world, "::", 0, only_6=True)
    listener.listen(5)
    port = listener.getsockname()[1]
    over_4, over_6 = world.socket(), world.socket(socket.AF_INET6)
    await world.does("connect over IPv4", over_4.connect, (LOOPBACK, port))
    await world.does("connect over IPv6", over_6.connect, (LOOPBACK_6, port))


@SCRIPTS.add
async def a_listener_at_an_ipv6_address_refuses_ipv4(world: World) -> None:
    listener = await world.listener(LOOPBACK_6)
    port = listener.getsockname()[1]
    await world.does("connect", world.socket().connect, (LOOPBACK, port))


@SCRIPTS.add
async def a_listener_at_an_ipv4_address_refuses_ipv6(world: World) -> None:
    listener = await world.listener(_WILDCARD)
    port = listener.getsockname()[1]
    client = world.socket(socket.AF_INET6)
    await world.does("connect", client.connect, (LOOPBACK_6, port))


@SCRIPTS.add
async def an_ipv6_socket_connects_to_a_mapped_address(world: World) -> None:
    listener = await world.listener()
    port = listener.getsockname()[1]
    client = world.socket(socket.AF_INET6)
    await world.does("connect", client.connect, (f"::ffff:{LOOPBACK}", port))
    await take(world, "client", client, "own name, peer name")
    await world.does("accept", listener.accept)


@SCRIPTS.add
async def an_ipv6_socket_for_ipv6_only_does_not_reach_a_mapped_address(
    world: World,
) -> None:
    listener = await world.listener()
    port = listener.getsockname()[1]
    client = world.socket(socket.AF_INET6)
    client.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, True)
    await world.does("connect", client.connect, (f"::ffff:{LOOPBACK}", port))


@SCRIPTS.add
async def an_ipv6_socket_at_an_ipv6_address_does_not_reach_a_mapped_address(
    world: World,
) -> None:
    listener = await world.listener()
    mapped = (f"::ffff:{LOOPBACK}", listener.getsockname()[1])
    client = await world.bound(LOOPBACK_6)
    await world.does("connect", client.connect, mapped)


@SCRIPTS.add
async def an_ipv6_socket_at_a_mapped_address_reaches_no_ipv6_address(
    world: World,
) -> None:
    listener = await _bind(world, "::", 0, only_6=False)
    listener.listen(5)
    port = listener.getsockname()[1]
    for host in (LOOPBACK_6, "::", f"::ffff:{LOOPBACK}"):
        client = await world.bound(f"::ffff:{LOOPBACK}")
        await take(world, "client", client, "own name")
        await world.does(f"connect to {host}", client.connect, (host, port))
        await take(world, "client", client, "own name, peer name")


@SCRIPTS.add
async def a_socket_for_ipv6_only_is_not_bound_to_a_mapped_address(
    world: World,
) -> None:
    await _bind(world, f"::ffff:{LOOPBACK}", 0, only_6=True)
    await _bind(world, f"::ffff:{LOOPBACK}", 0, only_6=False)


@SCRIPTS.add
async def the_wildcard_of_ipv6_is_this_host_to_a_client(world: World) -> None:
    listener = await world.listener(LOOPBACK_6)
    client = world.socket(socket.AF_INET6)
    await world.does("connect", client.connect, ("::", listener.getsockname()[1]))
    await take(world, "client", client, "own name, peer name")


@SCRIPTS.add
async def nothing_listens_there_over_ipv6(world: World) -> None:
    nothing = await world.bound(LOOPBACK_6)
    client = world.socket(socket.AF_INET6)
    await world.does("connect", client.connect, nothing.getsockname())


@SCRIPTS.add
async def a_new_ipv6_socket_has_no_name(world: World) -> None:
    await take(world, "socket", world.socket(socket.AF_INET6), "own name, peer name")


@SCRIPTS.add
async def a_foreign_ipv6_address_is_not_available(world: World) -> None:
    stranger = world.socket(socket.AF_INET6)
    await world.does("bind", stranger.bind, ("2001:db8::1", 0))


@SCRIPTS.add
async def sockets_say_if_they_are_for_ipv6_only(world: World) -> None:
    end = world.socket(socket.AF_INET6)
    for only in (False, True):
        end.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
        world.say("only", end.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY))
    await world.does("bind", end.bind, (LOOPBACK_6, 0))
    await world.does(
        "change", end.setsockopt, socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, False
    )
