"""Names on a virtual network: what getaddrinfo and getnameinfo answer."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, Literal, final

import trio

if TYPE_CHECKING:
    from trio_tcp.testing.network._wire import Wire

__all__ = ["Names"]


_Answer = (
    tuple[
        Literal[socket.AddressFamily.AF_INET],
        socket.SocketKind,
        int,
        str,
        tuple[str, int],
    ]
    | tuple[
        Literal[socket.AddressFamily.AF_INET6],
        socket.SocketKind,
        int,
        str,
        tuple[str, int, int, int] | tuple[int, bytes],
    ]
)


@final
class Names(trio.abc.HostnameResolver):
    """Resolves the names of hosts, ``localhost``, and what the test adds.

    Attributes:
        extra: Addresses by names, beside those of the hosts.
    """

    def __init__(self, wire: Wire) -> None:
        self.extra: dict[str, list[str]] = {}
        self._wire = wire

    async def getaddrinfo(  # noqa: PLR0917 - Trio's arguments
        self,
        host: bytes | None,
        port: bytes | str | int | None,
        family: int = 0,
        type: int = 0,  # noqa: A002 - Trio's name
        proto: int = 0,
        flags: int = 0,
    ) -> list[_Answer]:
        """Answer with every address of a name, those of IPv6 first.

        Raises:
            socket.gaierror: EAI_NONAME, EAI_SERVICE, EAI_SOCKTYPE.
        """
        await trio.lowlevel.checkpoint()
        if type not in (0, socket.SOCK_STREAM) or proto not in (0, socket.IPPROTO_TCP):
            raise socket.gaierror(socket.EAI_SOCKTYPE, "there is only TCP here")
        number = _port_number(port)
        addresses = self._addresses(host, flags)
        answers = [
            _answer(ip, number)
            for ip in sorted(addresses, key=lambda ip: ":" not in ip)
            if family in (0, socket.AF_INET6 if ":" in ip else socket.AF_INET)
        ]
        if not answers:
            raise socket.gaierror(
                socket.EAI_NONAME, f"{host!r} has no address of this family"
            )
        return answers

    def _addresses(self, host: bytes | None, flags: int) -> list[str]:
        if host is None:
            is_passive = flags & socket.AI_PASSIVE
            return ["0.0.0.0", "::"] if is_passive else ["127.0.0.1", "::1"]
        name = host.decode("idna")
        try:
            return [str(ipaddress.ip_address(name))]
        except ValueError:
            pass
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, f"{name!r} is no address")
        self._wire.rules.look_up(name)
        if name in self.extra:
            return self.extra[name]
        if name in self._wire.hosts:
            return list(self._wire.hosts[name].addresses)
        if name == "localhost":
            return ["127.0.0.1", "::1"]
        known = ", ".join([*self._wire.hosts, *self.extra])
        raise socket.gaierror(
            socket.EAI_NONAME, f"no host is named {name!r} on this network: {known}"
        )

    async def getnameinfo(
        self, sockaddr: tuple[str, int] | tuple[str, int, int, int], flags: int
    ) -> tuple[str, str]:
        """Answer with the name of the host that has an address."""
        await trio.lowlevel.checkpoint()
        ip, port = sockaddr[:2]
        host = self._wire.hosts_by_ip.get(ip)
        is_numeric = host is None or flags & socket.NI_NUMERICHOST
        return (ip if is_numeric or host is None else host.name, str(port))


def _answer(ip: str, port: int) -> _Answer:
    if ":" in ip:
        name = (ip, port, 0, 0)
        return (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", name)
    return (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (ip, port))


def _port_number(port: bytes | str | int | None) -> int:
    if port is None or isinstance(port, int):
        return port or 0
    text = port.decode("ascii") if isinstance(port, bytes) else port
    if text.isdigit():
        return int(text)
    try:
        return socket.getservbyname(text, "tcp")
    except OSError:
        raise socket.gaierror(
            socket.EAI_SERVICE, f"no service is named {text!r}"
        ) from None
