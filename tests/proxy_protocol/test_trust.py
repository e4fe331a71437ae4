"""`ProxyProtocol` says who is trusted: the networks of proxies, and Unix sockets."""

from __future__ import annotations

import ipaddress
import math

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_tcp import TcpAddress, UnixAddress
from trio_tcp._proxy_protocol import ProxyProtocol


@pytest.mark.parametrize(
    ("trusted", "host", "expected"),
    [
        ("10.0.0.0/8", "10.255.0.1", True),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("10.0.0.0/255.0.0.0", "10.255.0.1", True),
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("10.0.0.0/8", "::ffff:10.1.2.3", True),
        ("10.0.0.0/8", "::ffff:a01:203", True),
        ("10.0.0.0/8", "::ffff:11.1.2.3", False),
        ("10.0.0.0/8", "::10.1.2.3", False),
        ("::ffff:10.0.0.0/104", "10.1.2.3", True),
        ("::ffff:10.0.0.0/104", "::ffff:10.1.2.3", True),
        ("::ffff:10.0.0.0/104", "::ffff:11.1.2.3", False),
        ("::ffff:0:0/96", "203.0.113.1", True),
        ("::1", "::1", True),
        ("::1", "0:0:0:0:0:0:0:1", True),
        ("::1", "127.0.0.1", False),
        ("::/0", "2001:db8::1", True),
        ("::/0", "10.1.2.3", False),
        ("::/0", "::ffff:10.1.2.3", False),
        ("0.0.0.0/0", "::1", False),
        ("fe80::/10", "fe80::1%eth0", True),
        ("fe80::1", "fe80::1%2", True),
        ("fe80::1", "fe80::2%2", False),
        ("0.0.0.0/0", "localhost", False),
        ("0.0.0.0/0", "", False),
    ],
)
def test_a_peer_is_trusted_by_its_network(
    trusted: str, host: str, expected: bool
) -> None:
    assert ProxyProtocol(trusted=[trusted]).trusts(TcpAddress(host, 1)) is expected


def test_any_of_the_networks_is_enough() -> None:
    proxies = ProxyProtocol(trusted=["10.0.0.0/8", "::1", "192.0.2.0/24"])
    hosts = ["10.0.0.1", "::1", "192.0.2.1", "192.0.3.1", "::2"]
    trust = [proxies.trusts(TcpAddress(host, 0)) for host in hosts]
    assert trust == [True, True, True, False, False]


def test_who_may_connect_to_a_unix_socket_is_trusted_and_nobody_is_not() -> None:
    proxies = ProxyProtocol(trusted=["192.0.2.1"])
    assert proxies.trusts(UnixAddress(""))
    assert proxies.trusts(UnixAddress("/run/proxy.sock"))
    assert not proxies.trusts(None)


@given(st.ip_addresses(v=4), st.integers(0, 32), st.ip_addresses(v=4))
def test_a_mapped_address_is_trusted_as_its_ipv4_address_is(
    network: ipaddress.IPv4Address, prefix: int, peer: ipaddress.IPv4Address
) -> None:
    trusted = ipaddress.ip_network(f"{network}/{prefix}", strict=False)
    mapped = f"::ffff:{trusted.network_address}/{96 + prefix}"
    proxies = ProxyProtocol(trusted=[trusted])
    assert proxies == ProxyProtocol(trusted=[mapped])
    expected = peer in trusted
    assert proxies.trusts(TcpAddress(str(peer), 1)) is expected
    assert proxies.trusts(TcpAddress(f"::ffff:{peer}", 1)) is expected


@pytest.mark.parametrize(
    "bad",
    [
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0",
        "localhost",
        "",
        "10.0.0.0/8 ",
        "fe80::%eth0/64",
        "::1/64",
        5,
        b"\x0a\0\0\1",
        None,
        ("10.0.0.0", 8),
    ],
)
def test_what_is_no_network_is_refused_by_name(bad: str) -> None:
    with pytest.raises(ValueError, match=r"trusted must hold networks"):
        ProxyProtocol(trusted=["::1", bad])


def test_trust_must_be_in_somebody() -> None:
    with pytest.raises(ValueError, match=r"trusted must hold at least one network"):
        ProxyProtocol(trusted=[])


def test_one_text_is_not_taken_for_many() -> None:
    with pytest.raises(ValueError, match=r"such as \['10\.0\.0\.0/8'\]"):
        ProxyProtocol(trusted="10.0.0.0/8")


def test_a_policy_is_immutable_and_comparable() -> None:
    networks = ["10.0.0.0/8", ipaddress.ip_network("::1")]
    proxies = ProxyProtocol(trusted=iter(networks))
    assert proxies.trusted == tuple(map(ipaddress.ip_network, networks))
    assert proxies == ProxyProtocol(trusted=networks, timeout=5)
    assert hash(proxies) == hash(ProxyProtocol(trusted=networks))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        proxies.timeout = 1  # type: ignore[misc]  # the error is the point


@pytest.mark.parametrize("timeout", [0, 3, 0.5, math.inf])
def test_a_timeout_is_a_number_of_seconds(timeout: float) -> None:
    assert ProxyProtocol(trusted=["::1"], timeout=timeout).timeout == timeout


@pytest.mark.parametrize("timeout", [-1, math.nan, "5", None, True])
def test_any_other_timeout_is_refused_by_name(timeout: float) -> None:
    with pytest.raises(ValueError, match=r"timeout must be a number of seconds"):
        ProxyProtocol(trusted=["::1"], timeout=timeout)
