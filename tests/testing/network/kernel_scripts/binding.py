"""Binding: which addresses may be shared, with what, and for how long."""

from __future__ import annotations

import socket
from itertools import product
from typing import Final

from tests.testing.network.kernel_scripts._script import Play, Scripts
from tests.testing.network.kernel_scripts._steps import take
from tests.testing.network.kernel_scripts._world import LOOPBACK, World

__all__ = ["SCRIPTS"]

SCRIPTS: Final = Scripts()

_WILDCARD: Final = "0.0.0.0"
_OPTIONS: Final[dict[str, tuple[tuple[int, int], ...]]] = {
    "no option": (),
    "SO_REUSEADDR": ((socket.SO_REUSEADDR, 1),),
    "SO_REUSEPORT": ((socket.SO_REUSEPORT, 1),),
    "both options": ((socket.SO_REUSEADDR, 1), (socket.SO_REUSEPORT, 1)),
}


async def _bind_and_listen(
    world: World, address: tuple[str, int], options: tuple[tuple[int, int], ...]
) -> None:
    late = world.socket()
    for option, value in options:
        late.setsockopt(socket.SOL_SOCKET, option, value)
    await world.does("bind", late.bind, address)
    if late.getsockname() == address:
        await world.does("listen", late.listen, 1)


def _a_second(first: str, second: str, *, listens: bool) -> Play:
    async def play(world: World) -> None:
        port = await world.free_port()
        taken = await world.bound(LOOPBACK, port, *_OPTIONS[first])
        if listens:
            taken.listen(1)
        for host in (LOOPBACK, _WILDCARD, "127.0.0.2"):
            late = world.socket()
            for option, value in _OPTIONS[second]:
                late.setsockopt(socket.SOL_SOCKET, option, value)
            await world.does(f"bind {host}", late.bind, (host, port))
            late.close()

    return play


def _after_connections(first: str, second: str, closes_first: str) -> Play:
    """Bind a listener's port again while its connections are there or linger."""

    async def play(world: World) -> None:
        listener = await world.bound(LOOPBACK, 0, *_OPTIONS[first])
        listener.listen(1)
        port = listener.getsockname()[1]
        client = world.socket()
        await world.does("connect", client.connect, (LOOPBACK, port))
        accepted, _ = await world.does("accept", listener.accept)
        listener.close()
        ends = {"client": client, "server": accepted}
        if closes_first in ends:
            await take(world, closes_first, ends.pop(closes_first), "close")
            for who, end in ends.items():
                await take(world, who, end, "recv, close")
        elif closes_first == "reset":
            await take(world, "client", client, "reset")
            await take(world, "server", accepted, "close")
        await _bind_and_listen(world, (LOOPBACK, port), _OPTIONS[second])

    return play


for _first, _second, _listens in product(_OPTIONS, _OPTIONS, (False, True)):
    SCRIPTS.add_as(
        f"a second socket with {_second} binds where one with {_first} "
        f"{'listens' if _listens else 'is bound'}",
        _a_second(_first, _second, listens=_listens),
    )

for _first, _second, _closes in product(
    ("no option", "SO_REUSEADDR"),
    ("no option", "SO_REUSEADDR"),
    ("nobody", "client", "server", "reset"),
):
    SCRIPTS.add_as(
        f"a listener with {_second} takes the port of one with {_first} "
        f"whose connection was closed first by: {_closes}",
        _after_connections(_first, _second, _closes),
    )


@SCRIPTS.add
async def a_port_of_the_systems_choice(world: World) -> None:
    first, second = await world.bound(), await world.bound()
    await take(world, "first", first, "own name")
    await take(world, "second", second, "own name")


@SCRIPTS.add
async def a_new_socket_has_no_name(world: World) -> None:
    await take(world, "socket", world.socket(), "own name")


@SCRIPTS.add
async def a_socket_is_bound_once(world: World) -> None:
    bound = await world.bound()
    await world.does("bind again", bound.bind, (LOOPBACK, 0))
    await world.does("bind to the same", bound.bind, bound.getsockname())
    ours, theirs = await world.pair()
    await world.does("bind a client", ours.bind, (LOOPBACK, 0))
    await world.does("bind what was accepted", theirs.bind, (LOOPBACK, 0))


@SCRIPTS.add
async def a_foreign_address_is_not_available(world: World) -> None:
    stranger = world.socket()
    await world.does("bind", stranger.bind, ("192.0.2.1", 0))
    await world.does("bind after that", stranger.bind, (LOOPBACK, 0))


@SCRIPTS.add
async def a_failed_bind_leaves_the_socket_unbound(world: World) -> None:
    taken = await world.listener()
    late = world.socket()
    await world.does("bind", late.bind, taken.getsockname())
    world.say("port", late.getsockname()[1] == 0)
    await world.does("bind elsewhere", late.bind, (LOOPBACK, 0))
    await take(world, "late", late, "own name")


@SCRIPTS.add
async def the_empty_host_is_the_wildcard(world: World) -> None:
    bound = world.socket()
    await world.does("bind", bound.bind, ("", 0))
    await take(world, "bound", bound, "own name")


@SCRIPTS.add
async def a_name_is_bound_to_its_address(world: World) -> None:
    bound = world.socket()
    await world.ends("bind", bound.bind, ("localhost", 0))
    await take(world, "bound", bound, "own name")


@SCRIPTS.add
async def a_wildcard_conflicts_with_every_address(world: World) -> None:
    wildcard = await world.listener(_WILDCARD)
    port = wildcard.getsockname()[1]
    for host in (_WILDCARD, LOOPBACK, "127.0.0.2"):
        await world.does(f"bind {host}", world.socket().bind, (host, port))


@SCRIPTS.add
async def two_bound_with_reuse_cannot_both_listen(world: World) -> None:
    reuse = (socket.SO_REUSEADDR, 1)
    first = await world.bound(LOOPBACK, 0, reuse)
    second = await world.bound(LOOPBACK, first.getsockname()[1], reuse)
    await world.does("first listens", first.listen, 1)
    await world.does("second listens", second.listen, 1)


@SCRIPTS.add
async def a_listener_at_an_address_comes_before_one_at_the_wildcard(
    world: World,
) -> None:
    reuse = (socket.SO_REUSEPORT, 1)
    port = await world.free_port()
    wildcard = await world.bound(_WILDCARD, port, reuse)
    specific = await world.bound(LOOPBACK, port, reuse)
    wildcard.listen(5)
    specific.listen(5)
    for host in (LOOPBACK, "127.0.0.2"):
        await world.does(f"connect to {host}", world.socket().connect, (host, port))
    await take(world, "specific", specific, "readable")
    await take(world, "wildcard", wildcard, "readable")
    await world.does("specific accepts", specific.accept)
    await world.does("wildcard accepts", wildcard.accept)


@SCRIPTS.add
async def the_port_of_a_client_is_taken(world: World) -> None:
    ours, _ = await world.pair()
    await _bind_and_listen(world, ours.getsockname(), ())
    await _bind_and_listen(world, ours.getsockname(), _OPTIONS["SO_REUSEADDR"])


@SCRIPTS.add
async def the_port_of_a_closed_listener_is_free(world: World) -> None:
    listener = await world.listener()
    there = listener.getsockname()
    listener.close()
    await _bind_and_listen(world, there, ())


@SCRIPTS.add
async def what_is_accepted_inherits_the_option(world: World) -> None:
    listener = await world.bound(LOOPBACK, 0, (socket.SO_REUSEADDR, 1))
    listener.listen(1)
    await world.does("connect", world.socket().connect, listener.getsockname())
    accepted, _ = await world.does("accept", listener.accept)
    reuse = accepted.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
    world.say("SO_REUSEADDR", reuse)
