"""The addresses to listen on, together: none twice, and all allowed."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Final

from trio_tcp.cli._parameters import (
    HostAddress,
    ListenAddress,
    PathAddress,
    parse_listen_address,
)
from trio_tcp.cli._serve._problems import WrongValueError

__all__ = ["parse_addresses"]

IPV4: Final = re.compile(r"[0-9]+(\.[0-9]+){3}")

CAP_NET_BIND_SERVICE: Final = 10
"""capabilities(7)."""


def parse_addresses(texts: Sequence[str]) -> tuple[ListenAddress, ...]:
    """Read where to listen.

    Raises:
        ExceptionGroup: of a `WrongValueError` for each that is wrong, with its index.
    """
    wrong: list[WrongValueError] = []
    addresses: list[ListenAddress] = []
    for index, text in enumerate(texts):
        try:
            address = parse_listen_address(text)
            _check_port(address)
            for other in addresses:
                _check_apart(address, other)
        except ValueError as error:
            wrong.append(WrongValueError(str(error), (index,)))
        else:
            addresses.append(address)
    if not texts:
        wrong.append(WrongValueError("there must be at least one address"))
    if wrong:
        raise ExceptionGroup("addresses", wrong)
    return tuple(addresses)


def _check_port(address: ListenAddress) -> None:
    """Refuse a port that only root, or who has the capability, may listen on."""
    if not isinstance(address, HostAddress):
        return
    try:
        first = int(_proc_value("/proc/sys/net/ipv4/ip_unprivileged_port_start"))
        may_bind = address.port >= first or address.port == 0 or _may_bind_any_port()
    except OSError:  # no Linux, or no /proc: listening will tell
        return
    if not may_bind:
        raise ValueError(
            f"port {address.port} is below {first}: only root may listen there, or who "
            "has CAP_NET_BIND_SERVICE (systemd: AmbientCapabilities=, or a socket unit)"
        )


def _may_bind_any_port() -> bool:
    status = _proc_value("/proc/self/status")
    [effective] = (
        line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")
    )
    return bool(int(effective, 16) >> CAP_NET_BIND_SERVICE & 1)


def _proc_value(path: str) -> str:
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read()


def _check_apart(one: ListenAddress, other: ListenAddress) -> None:
    """Refuse two addresses of which the second would be in use by the first."""
    match one, other:
        case HostAddress(port=port), HostAddress() if port and port == other.port:
            clash = (
                one.host == other.host
                or _includes(one.host, other.host)
                or _includes(other.host, one.host)
            )
        case PathAddress(), PathAddress():
            clash = os.path.realpath(one.path) == os.path.realpath(other.path)
        case _:
            clash = one == other and not isinstance(one, HostAddress)
    if clash:
        raise ValueError(f"{one} cannot be listened on beside {other}")


def _includes(host: str | None, other: str | None) -> bool:
    """Say if one host surely stands for another, too. Names are not looked up."""
    match host:
        case None:
            return True
        case "::":
            return other is None or ":" in other
        case "0.0.0.0":
            return other is None or bool(IPV4.fullmatch(other))
        case _:
            return False
