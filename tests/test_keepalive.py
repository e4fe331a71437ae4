"""`KeepAlive`: what may be in it, and what becomes of a dead peer."""

from __future__ import annotations

import errno
import math
import socket
from functools import partial
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

import trio_tcp
from trio_tcp import CloseReason, KeepAlive, codecs, testing
from trio_tcp.testing import faults

LINES = codecs.Lines()
PATIENT = trio_tcp.Timeouts(first_message=math.inf, idle=math.inf, write=math.inf)


async def listen(connection: trio_tcp.Connection[str, str]) -> None:
    async for _ in connection:
        pass


@pytest.mark.parametrize("name", ["idle", "interval", "count"])
@pytest.mark.parametrize("bad", [0, -1, 1.5, math.inf, math.nan, True, None, "60"])
def test_what_is_no_whole_number_is_refused(name: str, bad: object) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a whole number, 1 to"):
        KeepAlive(**{name: bad})  # type: ignore[arg-type] # that is the test


@pytest.mark.parametrize(
    ("name", "most"), [("idle", 32_767), ("interval", 32_767), ("count", 127)]
)
def test_what_linux_does_not_take_is_refused(name: str, most: int) -> None:
    KeepAlive(**{name: most})
    with pytest.raises(ValueError, match=f"1 to {most}"):
        KeepAlive(**{name: most + 1})


@pytest.mark.parametrize("bad", [0, -1, math.nan, True, "60", 2_147_484])
def test_a_user_timeout_that_makes_no_sense_is_refused(bad: object) -> None:
    with pytest.raises(ValueError, match="user_timeout must be None"):
        KeepAlive(user_timeout=bad)  # type: ignore[arg-type] # that is the test


def test_it_may_be_evolved() -> None:
    """And what is derived follows: it is not fixed by the first."""
    assert attrs.evolve(KeepAlive(), idle=600) == KeepAlive(idle=600)


async def connect_with(keepalive: Any) -> None:  # noqa: ANN401 - wrong ones, too
    async with trio_tcp.connect_tcp("127.0.0.1", 1, codec=LINES, keepalive=keepalive):
        raise AssertionError("nobody listens there")


async def test_what_is_no_keepalive_is_refused_before_anything_is_done() -> None:
    with pytest.raises(TypeError, match="must be of type KeepAlive"):
        await connect_with(True)
    with pytest.raises(TypeError, match="must be of type KeepAlive"):
        await trio_tcp.open_tcp_listeners(0, keepalive=60)  # type: ignore[arg-type] # that is the test


def test_what_is_no_keepalive_is_refused_by_a_server_as_a_program() -> None:
    with pytest.raises(TypeError, match="must be of type KeepAlive"):
        trio_tcp.run_server(listen, 0, codec=LINES, keepalive=True)  # type: ignore[arg-type] # that is the test


@pytest.mark.parametrize(
    ("missing", "keepalive"),
    [
        (["TCP_KEEPIDLE", "TCP_KEEPALIVE"], KeepAlive()),
        (["TCP_KEEPINTVL"], KeepAlive()),
        (["TCP_USER_TIMEOUT"], KeepAlive(user_timeout=10)),
    ],
)
async def test_what_this_system_lacks_is_said_at_once(
    monkeypatch: pytest.MonkeyPatch, missing: list[str], keepalive: KeepAlive
) -> None:
    for name in missing:
        monkeypatch.delattr(socket, name, raising=False)
    with pytest.raises(ValueError, match=f"this system has no {missing[0]}"):
        await connect_with(keepalive)
    with pytest.raises(ValueError, match=f"this system has no {missing[0]}"):
        await trio_tcp.open_tcp_listeners(0, keepalive=keepalive)


@pytest.mark.parametrize("user_timeout", [None, math.inf])
async def test_a_system_without_a_user_timeout_has_the_rest(
    monkeypatch: pytest.MonkeyPatch, user_timeout: float | None
) -> None:
    monkeypatch.delattr(socket, "TCP_USER_TIMEOUT")
    with pytest.raises(trio_tcp.ConnectError):
        await connect_with(KeepAlive(user_timeout=user_timeout))


# On a virtual network -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("keepalive", "seconds"),
    [
        (KeepAlive(), 120),
        (KeepAlive(idle=5, interval=2, count=3), 11),
        (KeepAlive(idle=5, interval=2, count=3, user_timeout=math.inf), 11),
        (KeepAlive(idle=5, interval=2, count=3, user_timeout=6), 7),
    ],
)
async def test_a_client_that_only_receives_notices_a_black_hole(
    autojump_clock: MockClock, keepalive: KeepAlive, seconds: float
) -> None:
    async with testing.VirtualNetwork() as net:
        net.host("server").start(
            partial(trio_tcp.serve_tcp, listen, 80, codec=LINES, timeouts=PATIENT)
        )
        await net.settle()
        async with trio_tcp.connect_tcp(
            "server", 80, codec=LINES, keepalive=keepalive, timeouts=PATIENT
        ) as client:
            await net.settle()
            began = trio.current_time()
            with net.inject(faults.BlackHole()):
                with pytest.raises(trio_tcp.ConnectionBroken) as caught:
                    await client.receive()
            assert caught.value.errno == errno.ETIMEDOUT
            assert trio.current_time() - began == pytest.approx(seconds, abs=0.1)
            assert client.close_reason is CloseReason.BROKEN


@pytest.mark.parametrize("has_sent", [False, True])
async def test_a_server_notices_a_client_that_is_gone(
    autojump_clock: MockClock, has_sent: bool
) -> None:
    """With something to say to it, or nothing: both in 9 seconds."""
    ended: list[tuple[trio_tcp.ConnectionEnded, float]] = []

    def observe(event: trio_tcp.Event) -> None:
        if isinstance(event, trio_tcp.ConnectionEnded):
            ended.append((event, trio.current_time()))

    async def handle(connection: trio_tcp.Connection[str, str]) -> None:
        if has_sent:
            await trio.sleep(10)
            await connection.send("are you there?")
        await listen(connection)

    async def stay() -> None:
        async with trio_tcp.connect_tcp("server", 80, codec=LINES, timeouts=PATIENT):
            await trio.sleep_forever()

    async with testing.VirtualNetwork() as net:
        serve = partial(
            trio_tcp.serve_tcp,
            handle,
            80,
            codec=LINES,
            keepalive=KeepAlive(idle=5, interval=2, count=2),
            timeouts=PATIENT,
            observer=observe,
        )
        net.host("server").start(serve)
        await net.settle()
        net.host("client").start(stay)
        await trio.sleep(8)
        with net.inject(faults.Crash(), on=net.host("client")):
            await trio.sleep(20)
        ((event, at),) = ended
        assert event.reason is CloseReason.BROKEN
        assert isinstance(event.error, trio_tcp.ConnectionBroken)
        assert event.error.errno == errno.ETIMEDOUT
        heard = 5  # the answer to the first question
        assert at == pytest.approx(10 + 9.2 if has_sent else heard + 9, abs=0.2)


async def test_without_it_nobody_notices(autojump_clock: MockClock) -> None:
    """It is off by default, and then nothing is asked."""
    async with testing.VirtualNetwork() as net:
        net.host("server").start(
            partial(trio_tcp.serve_tcp, listen, 80, codec=LINES, timeouts=PATIENT)
        )
        await net.settle()
        async with trio_tcp.connect_tcp(
            "server", 80, codec=LINES, timeouts=PATIENT
        ) as client:
            await net.settle()
            segments = len(net.trace.segments)
            with net.inject(faults.BlackHole()), trio.move_on_after(50_000) as long:
                await client.receive()
            assert long.cancelled_caught
            assert len(net.trace.segments) == segments
            client.abort()
