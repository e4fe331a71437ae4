"""Who gets in: a server's `Limits`, applied.

A slot is one connection's place among ``max_connections``, from the moment of its
acceptance to its end. The accept loops ask for room before they accept, so that those
who must wait do so in the kernel's backlog, where they cost nothing.
"""

from __future__ import annotations

import ipaddress
import math
import sys
from collections import Counter
from typing import Final, final

import trio

from trio_tcp._address import Address, TcpAddress
from trio_tcp._events import LimitReached, Observer, notify
from trio_tcp._options import Limits

__all__ = ["UNTRUSTED", "Admission"]

QUIET_SECONDS: Final = 10.0
"""A limit that is met again within this time is not reported again: under attack it is
met thousands of times a second. (Ranch: 5 s, its alarms' ``cooldown``.)"""

UNTRUSTED: Final = "proxy_protocol"
"""Why a client is refused that is no proxy, where there should be one. No limit."""

IPV6_PREFIX: Final = 64
"""Bits of an IPv6 address that tell subscribers apart (RFC 6177, RFC 4291, 2.5.1)."""


@final
class Admission:
    """The places of one server, and who has them.

    Attributes:
        taken: how many slots are taken.
        rejected: how many clients were refused, for each limit.
    """

    def __init__(self, limits: Limits, observer: Observer) -> None:
        self.taken: int = 0
        self.rejected: Counter[str] = Counter()
        self._limits = limits
        self._observer = observer
        self._room = trio.lowlevel.ParkingLot()
        self._emptied = trio.lowlevel.ParkingLot()
        self._addresses: Counter[str] = Counter()
        self._tokens = math.inf  # the bucket is full at first
        self._tokens_at = trio.current_time()
        self._met_at: dict[str, float] = {}

    @property
    def limits(self) -> Limits:
        """The limits. New ones hold for who comes next, and end no connection."""
        return self._limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._limits = limits
        self._room.unpark_all()

    # Slots

    @property
    def is_full(self) -> bool:
        """Whether all slots are taken."""
        return self.taken >= self._limits.max_connections

    @property
    def room(self) -> int:
        """How many clients to accept now, at most: at least one, if only to refuse."""
        if self._limits.max_connections == math.inf:
            return sys.maxsize
        return max(1, int(self._limits.max_connections) - self.taken)

    async def wait_for_room(self) -> None:
        """Wait until there is a free slot, where that is the policy.

        Waits only if it must: not a schedule point if there is room.
        """
        while self.is_full and self._limits.when_full == "wait":
            self._meet("max_connections")
            await self._room.park()

    def take(self) -> str | None:
        """Take a slot.

        Returns:
            None; or the limit for which the client is refused, and has no slot.
        """
        if self.is_full and self._limits.when_full == "reject":
            return "max_connections"
        if not self._take_token():
            return "max_accept_rate"
        self.taken += 1
        return None

    def give_back(self) -> None:
        """Give back a slot."""
        self.taken -= 1
        if self._room and not self.is_full:
            # All: the loop that wakes first may have no client for this slot.
            self._room.unpark_all()
        if self._emptied and not self.taken:
            self._emptied.unpark_all()

    async def wait_until_empty(self) -> None:
        """Wait until nobody has a slot."""
        while self.taken:
            await self._emptied.park()

    def _take_token(self) -> bool:
        """Count against the accept rate: a bucket that holds one second's worth."""
        rate = self._limits.max_accept_rate
        if rate == math.inf:
            return True
        now = trio.current_time()
        # A rate below one per second must still be able to fill up to a whole token.
        size = max(rate, 1.0)
        self._tokens = min(size, self._tokens + (now - self._tokens_at) * rate)
        self._tokens_at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    # Addresses

    def enter(self, peer: Address | None) -> bool:
        """Count a client's address; False if it has too many connections already."""
        if (network := _network_of(peer)) is None:
            return True
        if self._addresses[network] >= self._limits.max_per_address:
            return False
        self._addresses[network] += 1
        return True

    def leave(self, peer: Address | None) -> None:
        """Count an address no more that `enter` has counted."""
        if (network := _network_of(peer)) is not None:
            self._addresses[network] -= 1
            if not self._addresses[network]:
                del self._addresses[network]

    # Refusing

    def count_rejected(self, limit: str) -> None:
        """Count a client that is refused."""
        self.rejected[limit] += 1
        if limit != UNTRUSTED:
            self._meet(limit)

    def _meet(self, limit: str) -> None:
        """Report that a limit is met, unless it was met a short time ago."""
        now = trio.current_time()
        if now - self._met_at.get(limit, -math.inf) > QUIET_SECONDS:
            value: float = getattr(self._limits, limit)
            notify(self._observer, LimitReached(limit=limit, value=value))
        self._met_at[limit] = now


def _network_of(peer: Address | None) -> str | None:
    """Return what a client's address counts as; None if it does not count."""
    if not isinstance(peer, TcpAddress):
        return None
    if ":" not in peer.host:
        return peer.host
    address = ipaddress.IPv6Address(peer.host.partition("%")[0])
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address), IPV6_PREFIX), strict=False))
