"""Idle connections: what they do is noticed, and they are not kept for ever."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from random import Random

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.pool.backend import LINES, Backend, Text
from tests.pool.pooling import discarded, fill, touch
from trio_tcp import DiscardReason, testing


@pytest.mark.parametrize("opaque", [False, True])
@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("whole", DiscardReason.UNREAD),
        ("half", DiscardReason.UNREAD),
        ("garbage", DiscardReason.ENDED),
        ("end", DiscardReason.ENDED),
        ("reset", DiscardReason.ENDED),
    ],
)
async def test_what_an_idle_connection_says_or_does_is_noticed(
    backend: Backend, how: str, reason: DiscardReason, *, opaque: bool
) -> None:
    backend.opaque = opaque
    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        await touch(pool)
        await wait_all_tasks_blocked()
        await happen(backend.peers[0], how)
        await wait_all_tasks_blocked()
        if how != "half":  # it might still become whole, and be noticed then
            assert pool.statistics().open == 0
        assert await touch(pool) == 1
        assert discarded(pool) == {reason: 1}


@pytest.mark.parametrize("how", ["whole", "half", "garbage", "end", "reset"])
async def test_what_has_happened_just_now_is_noticed_too(
    backend: Backend, how: str
) -> None:
    """The pool has had no time yet to read it."""
    async with trio_tcp.open_pool(backend.connect, size=1) as pool:
        await touch(pool)
        await wait_all_tasks_blocked()
        await happen(backend.peers[0], how)
        assert await touch(pool) == 1


async def happen(peer: testing.MemoryStream, how: str) -> None:
    """Let something happen; when this returns nobody has had time to notice."""
    match how:
        case "reset":
            await trio.lowlevel.checkpoint()
            peer.reset()
        case "end":
            await peer.send_eof()
        case "whole":
            await peer.send_all(b"unasked\n")
        case "half":
            await peer.send_all(b"unas")
        case _:
            await peer.send_all(b"much too long for a line")


async def test_who_is_idle_for_too_long_is_closed_gracefully(
    backend: Backend, autojump_clock: MockClock
) -> None:
    async with trio_tcp.open_pool(backend.connect, size=1, max_idle=10) as pool:
        await touch(pool)
        await trio.sleep(9)
        await touch(pool)
        await trio.sleep(9)
        assert pool.statistics().idle == 1
        await trio.sleep(2)
        assert pool.statistics().idle == 0
        assert discarded(pool) == {DiscardReason.IDLE: 1}
        assert await backend.peers[0].receive_some() == b""  # not a reset
        assert len(backend.attempts) == 1


async def test_what_is_in_surplus_ages_out(
    backend: Backend, autojump_clock: MockClock
) -> None:
    async with trio_tcp.open_pool(backend.connect, size=5, max_idle=10) as pool:
        await fill(pool, 5)
        for _ in range(20):
            await trio.sleep(1)
            await touch(pool)
        await wait_all_tasks_blocked()
        assert pool.statistics().idle == 1
        assert len(backend.peers) == 5


async def test_the_connections_own_idle_timeout_counts_too(
    autojump_clock: MockClock,
) -> None:
    async def sleep(_connection: Text) -> None:
        await trio.sleep_forever()

    short = trio_tcp.Timeouts(idle=5, linger=1)
    async with testing.serve_in_memory(sleep, LINES) as served:

        @asynccontextmanager
        async def connect() -> AsyncGenerator[Text, None]:
            async with served.connect() as connection:
                connection.timeouts = short
                yield connection

        async with trio_tcp.open_pool(connect, size=1, max_idle=100) as pool:
            async with pool.connection():
                pass
            await trio.sleep(6)
            assert discarded(pool) == {DiscardReason.ENDED: 1}


@pytest.mark.parametrize("idle", [True, False])
async def test_who_is_too_old_is_closed(
    backend: Backend, autojump_clock: MockClock, *, idle: bool
) -> None:
    async with trio_tcp.open_pool(
        backend.connect, size=1, max_idle=math.inf, max_lifetime=100
    ) as pool:
        async with pool.connection() as connection:
            if not idle:
                await trio.sleep(101)
                assert connection.close_reason is None
        await trio.sleep(101 if idle else 1)
        assert discarded(pool) == {DiscardReason.OLD: 1}
        assert await backend.peers[0].receive_some() == b""
        assert await touch(pool) == 1


async def test_those_who_were_made_together_do_not_end_together(
    backend: Backend, autojump_clock: MockClock
) -> None:
    async with trio_tcp.open_pool(
        backend.connect,
        size=10,
        max_idle=math.inf,
        max_lifetime=100,
        random=Random(1),
    ) as pool:
        await fill(pool, 10)
        ends: list[float] = []
        for peer in backend.peers:
            assert await peer.receive_some() == b""
            await peer.aclose()
            ends.append(trio.current_time())
        assert min(ends) >= 95
        assert max(ends) <= 100
        assert len(set(ends)) > 1


class Zero(Random):
    """Draws nothing but zeros: lives are as long as they may be."""

    def random(self) -> float:
        return 0.0


async def test_who_asks_at_the_moment_of_its_end_does_not_wait_until_it_is_closed(
    backend: Backend, autojump_clock: MockClock
) -> None:
    backend.linger = 5
    for _ in range(20):
        async with trio_tcp.open_pool(
            backend.connect, size=2, max_lifetime=10, random=Zero()
        ) as pool:
            begun = trio.current_time()
            await touch(pool)
            await trio.sleep_until(begun + 10)
            await touch(pool)
            assert trio.current_time() == begun + 10
