from __future__ import annotations

import click
import pytest

from trio_tcp.cli._parameters import (
    CONNECT_ADDRESS,
    LISTEN_ADDRESS,
    DescriptorAddress,
    HostAddress,
    PathAddress,
    SystemdAddress,
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("localhost:80", HostAddress("localhost", 80)),
        ("127.0.0.1:0", HostAddress("127.0.0.1", 0)),
        ("[::1]:8888", HostAddress("::1", 8888)),
        (":8888", HostAddress(None, 8888)),
        ("unix:/run/echo.sock", PathAddress("/run/echo.sock")),
        ("unix:a:b", PathAddress("a:b")),
        ("fd:3", DescriptorAddress(3)),
        ("systemd", SystemdAddress()),
    ],
)
def test_a_place_to_listen_reads_back_as_it_is_written(
    text: str, address: object
) -> None:
    """As servers take them."""
    read = LISTEN_ADDRESS.convert(text, None, None)
    assert read == address
    assert str(read) == text


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("8888", "did you mean"),
        ("localhost", "localhost:8888"),
        ("::1:8888", "in brackets"),
        ("localhost:http", "HOST:PORT"),
        ("localhost:65536", "above 65535"),
        ("localhost:-1", "HOST:PORT"),
        ("localhost:1_0", "HOST:PORT"),
        ("unix:", "needs a path"),
        ("unix:,mode=660", "needs a path"),
        ("unix:/run/echo.sock,mode=rw", "octal, as in unix:/run/echo.sock,mode=660"),
        ("unix:/run/echo.sock,mode=888", "octal"),
        ("fd:x", "fd:3"),
        ("fd:-1", "fd:3"),
        ("", "HOST:PORT"),
    ],
)
def test_what_is_no_place_to_listen_is_refused_with_a_hint(
    text: str, hint: str
) -> None:
    """And says what would be right."""
    with pytest.raises(click.BadParameter, match=hint):
        LISTEN_ADDRESS.convert(text, None, None)


def test_to_connect_without_a_host_means_this_machine() -> None:
    """Where to listen it means all addresses."""
    address = CONNECT_ADDRESS.convert(":80", None, None)
    assert address == HostAddress("localhost", 80)


@pytest.mark.parametrize("text", ["localhost:0", "systemd"])
def test_nobody_connects_to_what_only_a_server_has(text: str) -> None:
    """Port 0, what systemd hands down."""
    with pytest.raises(click.BadParameter):
        CONNECT_ADDRESS.convert(text, None, None)
