from __future__ import annotations

import os
import socket
from pathlib import Path

import click
import pytest

from tests.integration.loopback import LOOPBACK, open_descriptors
from trio_tcp import KeepAlive
from trio_tcp.cli._listening import open_listeners
from trio_tcp.cli._parameters import (
    DescriptorAddress,
    HostAddress,
    ListenAddress,
    PathAddress,
    SystemdAddress,
)


async def test_listeners_are_closed_with_the_block(tmp_path: Path) -> None:
    """And the file of a Unix socket is removed."""
    before = open_descriptors()
    path = tmp_path / "x.sock"
    addresses: list[ListenAddress] = [HostAddress(LOOPBACK, 0), PathAddress(str(path))]
    async with open_listeners(addresses, None) as listeners:
        assert len(listeners) == 2
        assert path.exists()
    assert open_descriptors() == before
    assert not path.exists()


async def test_where_one_address_fails_none_is_left_open(tmp_path: Path) -> None:
    """And it is said which one, and why."""
    before = open_descriptors()
    path = str(tmp_path / "missing" / "x.sock")
    addresses: list[ListenAddress] = [HostAddress(LOOPBACK, 0), PathAddress(path)]
    with pytest.raises(click.ClickException) as caught:
        async with open_listeners(addresses, None):
            pass
    assert caught.value.message == (
        f"cannot listen on unix:{path}: No such file or directory."
    )
    assert open_descriptors() == before


async def test_a_name_that_nobody_has_is_a_failure() -> None:
    """As the resolver says it."""
    with pytest.raises(click.ClickException, match=r"on nobody\.invalid:80: .*known"):
        async with open_listeners([HostAddress("nobody.invalid", 80)], None):
            pass


async def test_keepalive_is_set_on_every_socket_of_tcp() -> None:
    """Also on one that somebody else has opened. Clients' sockets inherit it."""
    with socket.create_server((LOOPBACK, 0)) as theirs:
        inherited = DescriptorAddress(os.dup(theirs.fileno()))
        addresses: list[ListenAddress] = [HostAddress(LOOPBACK, 0), inherited]
        async with open_listeners(addresses, KeepAlive(count=3)) as listeners:
            for listener in listeners:
                option = listener.socket.getsockopt(
                    socket.IPPROTO_TCP, socket.TCP_KEEPCNT
                )
                assert option == 3


async def test_systemd_must_have_handed_something_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else it would listen nowhere, and serve nobody."""
    monkeypatch.delenv("LISTEN_FDS", raising=False)
    with pytest.raises(click.ClickException, match="systemd: systemd has handed down"):
        async with open_listeners([SystemdAddress()], None):
            pass
