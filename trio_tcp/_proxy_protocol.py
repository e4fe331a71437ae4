"""Behind a proxy: whom to believe, and reading the header that it sends first.

A proxy that passes a connection on hides the client's address. With HAProxy's PROXY
protocol it sends that address in a header before all else (`_proxy_header` has the
format). Anyone can write such a header, so who may is the question, and `ProxyProtocol`
the answer. Section 2 of ``proxy-protocol.txt``: "only trusted proxies", and a receiver
must not guess from the bytes whether there is a header.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final, TypeAlias, final

import attrs

from trio_tcp._address import Address, TcpAddress
from trio_tcp._errors import TruncatedError
from trio_tcp._kinds import check_kind
from trio_tcp._proxy_header import ProxyHeader, ProxyHeaders
from trio_tcp._transport import Transport
from trio_tcp._validators import duration
from trio_tcp.codecs import Decoder, NeedMore

__all__ = ["ProxyProtocol", "read_proxy_header"]

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")


def _network(item: object) -> Network:
    """Make a network of what stands for one."""
    # Not all that ipaddress takes: it would make 0.0.0.5/32 of the number 5.
    if not isinstance(item, str | Network):
        raise ValueError(  # noqa: TRY004 - as every bad option
            f"trusted must hold networks such as '10.0.0.0/8', not {item!r}"
        )
    try:
        network = ipaddress.ip_network(item)
    except ValueError as error:
        raise ValueError(f"trusted must hold networks, but {error}") from error
    if isinstance(network, ipaddress.IPv4Network):
        return network
    if network.network_address.scope_id is not None:
        # It would be ignored, and the addresses of every interface trusted.
        raise ValueError(f"trusted must hold networks without a zone, not {item!r}")
    if network.subnet_of(MAPPED):
        ipv4 = network.network_address.packed[-4:]
        return ipaddress.IPv4Network((ipv4, network.prefixlen - MAPPED.prefixlen))
    return network


def _networks(items: Iterable[str | Network]) -> tuple[Network, ...]:
    """Make networks of what stands for them, at least one."""
    if isinstance(items, str):
        # Its characters would be looked at, one by one.
        raise ValueError(  # noqa: TRY004 - as every bad option
            f"trusted must be a list of networks, such as [{items!r}]"
        )
    check_kind("trusted", items, Iterable)
    networks = tuple(map(_network, items))
    if not networks:
        raise ValueError("trusted must hold at least one network")
    return networks


@final
@attrs.frozen(kw_only=True)
class ProxyProtocol:
    """That connections come through proxies, which ones, and how long to wait for them.

    A trusted peer must send a header, of version 1 or 2 of the PROXY protocol; any
    other peer is refused (HAProxy, ``proxy-protocol.txt``, sections 2 and 5). Trust
    only what no client can connect from: whoever is trusted can claim any address.

    Args:
        trusted: the networks of the proxies, in any iterable. Text such as
            ``"10.0.0.0/8"`` or ``"::1"``, or `ipaddress` networks.
        timeout: seconds.

    Attributes:
        trusted: the networks whose peers send a header.
        timeout: how long in seconds the whole header may take. Section 2 asks for at
            least 3, so that a lost packet can be sent again. (Caddy: 5, for its
            ``proxy_protocol``.)

    Raises:
        ValueError: no network, or one that is none (such as ``"10.0.0.1/8"``, which
            has bits behind its prefix); or no duration.

    Example::

        proxies = ProxyProtocol(trusted=["10.0.0.0/8", "::1"])
        assert proxies.trusts(TcpAddress("10.1.2.3", 40000))
    """

    trusted: tuple[Network, ...] = attrs.field(converter=_networks)
    timeout: float = attrs.field(default=5.0, validator=duration)

    def trusts(self, peer: Address | None) -> bool:
        """Say if the peer at this address is one of the proxies.

        An IPv4 address that a dual-stack socket shows as ``::ffff:10.1.2.3`` counts as
        IPv4, and only so. A zone (``fe80::1%eth0``) does not count. Who connects to a
        Unix socket is trusted: the permissions of its path decide who can. A peer
        without an address is not.
        """
        if not isinstance(peer, TcpAddress):
            return peer is not None
        try:
            host = ipaddress.ip_address(peer.host)
        except ValueError:
            return False
        if isinstance(host, ipaddress.IPv6Address):
            host = host.ipv4_mapped or host
        return any(host in network for network in self.trusted)


async def read_proxy_header(transport: Transport) -> tuple[ProxyHeader, bytes]:
    """Read the header that a proxy sends first, version 1 or 2 of the PROXY protocol.

    HAProxy's ``proxy-protocol.txt`` defines them in sections 2.1 and 2.2. There is no
    timeout here: put a `trio.fail_after` of `ProxyProtocol.timeout` around it.

    Returns:
        The header, and the bytes that came behind it: the first of the connection.

    Raises:
        InvalidFrameError: the peer sends something else, or a damaged header. Raised
            at the first byte that no header can have there.
        FrameTooLargeError: a line of version 1 over 107 bytes, or a header of version
            2 over 4096.
        TruncatedError: the end came before a whole header, or before any byte.
        trio.BrokenResourceError: the connection is broken.
        trio.ClosedResourceError: the transport is closed, or was interrupted.

    Cancellation:
        Loses what was read: the connection is to be given up. So it is after an error.
    """
    decoder = Decoder(ProxyHeaders())
    while True:
        chunk = await transport.receive_some()
        if chunk:
            decoder.feed(chunk)
        else:
            decoder.end()
        header = decoder.next_message()
        if not isinstance(header, NeedMore):
            return header, decoder.buffer.unread()
        if not chunk:
            raise TruncatedError(0)
