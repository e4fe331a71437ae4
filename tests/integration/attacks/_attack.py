"""What an attack is: a server, a crowd, and what each of the crowd does to it."""

from __future__ import annotations

import importlib
import math
import pkgutil
import random
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

import attrs
import trio

import trio_tcp
from trio_tcp import Limits, Timeouts, codecs

__all__ = [
    "HONEST_HOST",
    "MIB",
    "Attack",
    "Service",
    "Visit",
    "echo",
    "families",
    "find",
    "from_proxy",
    "reset",
]

HONEST_HOST: Final = "127.0.0.1"
"""Where honest clients come from. Attackers have other addresses, so that a server's
events can be told apart."""

PROXY_TIMEOUT: Final = 5.0
"""Seconds that a server behind a proxy waits for a header: the package's default."""

MIB: Final = 1 << 20

AnyConnection: TypeAlias = trio_tcp.Connection[Any, Any]


async def echo(connection: AnyConnection) -> None:
    """Send back every message."""
    async for message in connection:
        await connection.send(message)


def from_proxy(host: str) -> bytes:
    """Return the PROXY header of a client at this address."""
    return f"PROXY TCP4 {host} 127.0.0.1 40000 80\r\n".encode()


@attrs.frozen(kw_only=True)
class Service:
    """What the server does on one of its ports.

    Attributes:
        codec: what it speaks.
        hello: what an honest client sends, as bytes; it is sent back.
        handler: answers; at least to a hello.
        tls: it speaks TLS.
        proxy: it wants a PROXY header first.
    """

    codec: codecs.Codec[Any, Any] = attrs.field(factory=codecs.LengthPrefixed)
    hello: bytes = b"\0\0\0\5hello"
    handler: Callable[[AnyConnection], Awaitable[object]] = echo
    tls: bool = False
    proxy: bool = False


@attrs.frozen
class Visit:
    """One connection of one attacker.

    Attributes:
        stream: connected.
        service: to what; its number among the services of the attack.
        number: of the attacker, in its crowd.
        dice: the attacker's.
        over: set when the attack is to end.
    """

    stream: trio.SocketStream
    service: int
    number: int
    dice: random.Random
    over: trio.Event

    async def until_ended(self) -> None:
        """Read, and forget, until the server ends the connection."""
        with suppress(trio.BrokenResourceError):
            while await self.stream.receive_some(1 << 16):
                pass

    async def stay(self) -> None:
        """Do nothing until the server ends the connection, or the attack is over."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._leave_in_the_end, nursery.cancel_scope)
            await self.until_ended()
            nursery.cancel_scope.cancel()

    async def _leave_in_the_end(self, stay: trio.CancelScope) -> None:
        await self.over.wait()
        stay.cancel()

    async def pour(self, pieces: Iterable[bytes], *, pause: float = 0.0) -> None:
        """Send one piece after the other, and read, until the server ends it."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send_all, pieces, pause)
            await self.until_ended()
            nursery.cancel_scope.cancel()

    async def _send_all(self, pieces: Iterable[bytes], pause: float) -> None:
        with suppress(trio.BrokenResourceError):
            for piece in pieces:
                await self.stream.send_all(piece)
                await trio.sleep(pause)

    async def until_reset(self, *, reads: int = 0) -> None:
        """Wait for the server to reset it, and read so many bytes ten times a second.

        A reset is seen at once, and not only behind what has arrived before it.
        """
        while not self.stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            await trio.sleep(0.1)
            if reads:
                await self.stream.receive_some(reads)


def reset(stream: trio.SocketStream) -> None:
    """Close with RST instead of FIN."""
    linger_zero = struct.pack("ii", 1, 0)
    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_zero)
    stream.socket.close()


@attrs.frozen(kw_only=True)
class Attack:
    """A server, and those who attack it.

    Attributes:
        name: in a few words.
        misbehave: what an attacker does with a connection. It returns when that has
            ended, or does something else that ends it: it is closed afterwards. The
            attacker connects again, until the attack is over. It may raise
            `trio.BrokenResourceError`.
        ends: every way in which the server may say that an attacker's connection has
            ended: see ``_server.py``. The first one must be among those that it says.
        growth: how many MiB the server may grow, at its peak.
        services: of the server. Attackers and honest clients are spread over them.
        limits: of the server.
        timeouts: of the server. Where a time is tested it is two seconds, so that the
            attack ends soon; elsewhere it is long, for a busy machine does no harm.
        proxy_timeout: of the server, where it is behind a proxy.
        room: for how many connections the server has descriptors.
        crowd: how many attackers there are.
        hosts: how many addresses they have.
        at_most: how many connections they make in all.
        seconds: how long they go on.
        newcomers: how many of the honest clients connect anew for every request.
    """

    name: str
    misbehave: Callable[[Visit], Awaitable[object]]
    ends: tuple[str, ...]
    growth: float
    services: tuple[Service, ...] = (Service(),)
    limits: Limits = attrs.field(factory=Limits)
    timeouts: Timeouts = attrs.field(factory=Timeouts)
    proxy_timeout: float = PROXY_TIMEOUT
    room: float = math.inf
    crowd: int = 200
    hosts: int = 4
    at_most: float = math.inf
    seconds: float = 2.0
    newcomers: int = 5

    def settings(self) -> str:
        """Say in what the server differs from one with the defaults."""
        words = [
            f"{field.name}={_written(getattr(options, field.name))}"
            for options in (self.limits, self.timeouts)
            for field in cast("tuple[attrs.Attribute[Any], ...]", _fields(options))
            if getattr(options, field.name) != field.default
        ]
        if self.proxy_timeout != PROXY_TIMEOUT:
            words.append(f"proxy timeout={self.proxy_timeout:g}")
        if self.room < math.inf:
            words.append(f"descriptors for {self.room} connections")
        return ", ".join(words) or "defaults"


def _written(value: object) -> str:
    if isinstance(value, int) and value and not value % MIB:
        return f"{value // MIB} MiB"
    return str(value)


def _fields(options: Limits | Timeouts) -> object:
    return attrs.fields(type(options))


def families() -> list[str]:
    """Return the names of the files that have attacks."""
    found = pkgutil.iter_modules([str(Path(__file__).parent)])
    return sorted(each.name for each in found if not each.name.startswith("_"))


def find(family: str) -> list[Attack]:
    """Return the attacks of one file."""
    module = importlib.import_module(f"{__package__}.{family}")
    return list(module.ATTACKS)
