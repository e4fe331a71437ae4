"""Addresses read as people write them."""

from __future__ import annotations

import pytest

import trio_tcp


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (trio_tcp.TcpAddress("127.0.0.1", 80), "127.0.0.1:80"),
        (trio_tcp.TcpAddress("::1", 80), "[::1]:80"),
        (trio_tcp.UnixAddress("/run/x.sock"), "unix:/run/x.sock"),
    ],
)
def test_an_address_reads_as_people_write_it(
    address: trio_tcp.Address, text: str
) -> None:
    assert str(address) == text


def test_an_address_is_a_tuple() -> None:
    host, port = trio_tcp.TcpAddress("127.0.0.1", 80)
    assert (host, port) == ("127.0.0.1", 80)
