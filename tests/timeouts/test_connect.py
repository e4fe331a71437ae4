"""`connect`: how long a client tries to reach a server."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import NoReturn, TypeAlias, final

import pytest
import trio
from trio.testing import MockClock

import trio_tcp
from tests.timeouts.timing_out import A_LONG_TIME, LINES, OFF, Text, only

Connect: TypeAlias = Callable[..., AbstractAsyncContextManager[Text]]
Silence: TypeAlias = Callable[[pytest.MonkeyPatch], Connect]


@final
class SilentNames(trio.abc.HostnameResolver):
    """A name server that does not answer."""

    async def getaddrinfo(self, *_: object, **__: object) -> NoReturn:
        await trio.sleep_forever()

    async def getnameinfo(self, *_: object, **__: object) -> NoReturn:
        await trio.sleep_forever()


@final
class SilentHosts(trio.abc.SocketFactory):
    """A network in which no host answers.

    Attributes:
        open: sockets.
    """

    def __init__(self) -> None:
        self.open: list[SilentSocket] = []

    def socket(self, *_: object, **__: object) -> SilentSocket:
        sock = SilentSocket(self.open)
        self.open.append(sock)
        return sock


@final
class SilentSocket(trio.socket.SocketType):
    def __init__(self, still_open: list[SilentSocket]) -> None:
        self._still_open = still_open

    async def connect(self, address: object) -> None:
        await trio.sleep_forever()

    def close(self) -> None:
        self._still_open.remove(self)


async def _never(*_: object, **__: object) -> NoReturn:
    await trio.sleep_forever()


def no_name(_: pytest.MonkeyPatch) -> Connect:
    trio.socket.set_custom_hostname_resolver(SilentNames())
    return partial(trio_tcp.connect_tcp, "silent.example", 1, codec=LINES)


def no_host(_: pytest.MonkeyPatch) -> Connect:
    trio.socket.set_custom_socket_factory(SilentHosts())
    return partial(trio_tcp.connect_tcp, "192.0.2.1", 1, codec=LINES)


def no_socket(monkeypatch: pytest.MonkeyPatch) -> Connect:
    # A listener whose backlog is full lets them wait (unix(7)).
    monkeypatch.setattr(trio, "open_unix_socket", _never)
    return partial(trio_tcp.connect_unix, "/silent.sock", codec=LINES)


each_silence = pytest.mark.parametrize("silence", [no_name, no_host, no_socket])


@each_silence
@pytest.mark.parametrize("seconds", [10, 0.25])
async def test_connecting_is_given_up_at_its_second(
    silence: Silence,
    seconds: float,
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: MockClock,
) -> None:
    connect = silence(monkeypatch)
    with trio.fail_after(A_LONG_TIME), pytest.raises(trio_tcp.ConnectError) as caught:
        async with connect(timeouts=only(connect=seconds)):
            pytest.fail("nobody has answered")
    assert trio.current_time() == seconds
    assert caught.value.errno == errno.ETIMEDOUT
    assert str(caught.value).startswith("could not connect to ")
    assert str(caught.value).endswith(f"no answer in {seconds} s (timeouts.connect)")


async def test_a_connect_that_is_given_up_leaves_no_socket_open(
    autojump_clock: MockClock,
) -> None:
    hosts = SilentHosts()
    trio.socket.set_custom_socket_factory(hosts)
    with pytest.raises(trio_tcp.ConnectError):
        async with trio_tcp.connect_tcp(
            "192.0.2.1", 1, codec=LINES, timeouts=only(connect=10)
        ):
            pytest.fail("nobody has answered")
    assert hosts.open == []


@each_silence
async def test_connecting_can_take_as_long_as_it_likes(
    silence: Silence, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """And a scope around it is the user's: it is no `ConnectError`."""
    connect = silence(monkeypatch)
    with trio.move_on_after(A_LONG_TIME) as waited:
        async with connect(timeouts=OFF):
            pytest.fail("nobody has answered")
    assert waited.cancelled_caught
    assert trio.current_time() == A_LONG_TIME
