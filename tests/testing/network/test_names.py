from __future__ import annotations

import socket

import pytest
import trio
from trio.testing import MockClock

from trio_tcp.testing.network import VirtualNetwork


async def addresses(name: str, family: int = 0) -> list[str]:
    found = await trio.socket.getaddrinfo(name, 80, family, trio.socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


async def test_a_name_gives_every_address_those_of_ipv6_first(
    autojump_clock: MockClock,
) -> None:
    async with VirtualNetwork() as net:
        net.host("server", "10.0.0.1", "fd00::1", "10.0.0.2")
        assert await addresses("server") == ["fd00::1", "10.0.0.1", "10.0.0.2"]
        assert await addresses("server", socket.AF_INET) == ["10.0.0.1", "10.0.0.2"]
        assert await addresses("server", socket.AF_INET6) == ["fd00::1"]


async def test_localhost_is_the_own_host(autojump_clock: MockClock) -> None:
    async with VirtualNetwork():
        assert await addresses("localhost") == ["::1", "127.0.0.1"]


async def test_more_names_can_be_added_and_changed(autojump_clock: MockClock) -> None:
    async with VirtualNetwork() as net:
        net.host("a", "10.0.0.1")
        net.host("b", "10.0.0.2")
        net.dns["api.example"] = ["10.0.0.1", "10.0.0.2"]
        assert await addresses("api.example") == ["10.0.0.1", "10.0.0.2"]
        net.dns["api.example"] = ["10.0.0.2"]
        assert await addresses("api.example") == ["10.0.0.2"]


async def test_an_unknown_name_is_an_error_that_tells_those_there_are(
    autojump_clock: MockClock,
) -> None:
    async with VirtualNetwork() as net:
        net.host("server")
        with pytest.raises(socket.gaierror, match=r"no host is named 'sever'.*server"):
            await trio.open_tcp_stream("sever", 80)


async def test_a_family_without_an_address_is_an_error(
    autojump_clock: MockClock,
) -> None:
    async with VirtualNetwork() as net:
        net.host("server", "10.0.0.1")
        with pytest.raises(socket.gaierror, match="no address of this family"):
            await addresses("server", socket.AF_INET6)


async def test_numeric_addresses_need_no_host(autojump_clock: MockClock) -> None:
    async with VirtualNetwork():
        assert await addresses("192.0.2.1") == ["192.0.2.1"]
        assert await addresses("2001:db8::1") == ["2001:db8::1"]


async def test_a_service_has_its_port(autojump_clock: MockClock) -> None:
    async with VirtualNetwork() as net:
        net.host("server", "10.0.0.1")
        found = await trio.socket.getaddrinfo("server", "http")
        assert found[0][4] == ("10.0.0.1", 80)
        with pytest.raises(socket.gaierror, match="no service is named"):
            await trio.socket.getaddrinfo("server", "no-such-service")


async def test_only_tcp_is_found(autojump_clock: MockClock) -> None:
    async with VirtualNetwork() as net:
        net.host("server")
        with pytest.raises(socket.gaierror, match="only TCP"):
            await trio.socket.getaddrinfo("server", 53, type=socket.SOCK_DGRAM)


async def test_an_address_leads_back_to_the_name(autojump_clock: MockClock) -> None:
    async with VirtualNetwork() as net:
        net.host("server", "10.0.0.1")
        numeric = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
        assert await trio.socket.getnameinfo(("10.0.0.1", 80), 0) == ("server", "80")
        assert await trio.socket.getnameinfo(("10.0.0.1", 80), numeric) == (
            "10.0.0.1",
            "80",
        )
        assert (await trio.socket.getnameinfo(("192.0.2.1", 80), 0))[0] == "192.0.2.1"


async def test_nobody_has_an_address_that_no_host_was_given(
    autojump_clock: MockClock,
) -> None:
    """Nothing answers, as where a firewall drops; it takes the patience of Linux."""
    async with VirtualNetwork() as net:
        began = trio.current_time()
        with trio.socket.socket() as sock:
            with pytest.raises(TimeoutError):
                await sock.connect(("192.0.2.1", 80))
        assert trio.current_time() - began == 127
        assert [s.time - began for s in net.trace] == [0, 1, 3, 7, 15, 31, 63]
