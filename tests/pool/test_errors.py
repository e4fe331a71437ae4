"""Whom an error is raised to: all who wait, nobody, or who opens the pool."""

from __future__ import annotations

import math
import traceback
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import trio_tcp
from tests.pool.backend import Backend, Text
from tests.pool.pooling import touch
from trio_tcp import Backoff


async def test_a_permanent_error_is_raised_to_all_who_wait(
    backend: Backend,
) -> None:
    """Each raises its own: none adds to what another shows of its way."""
    backend.refuse_with = PermissionError("wrong password")
    raised: list[PermissionError] = []
    async with trio_tcp.open_pool(
        backend.connect, size=2, is_permanent=lambda _error: True
    ) as pool:

        async def ask() -> None:
            with pytest.raises(PermissionError) as caught:
                await touch(pool)
            raised.append(caught.value)

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(ask)
        for _ in range(5):
            await ask()
        assert len(backend.attempts) == 1
    assert {str(error) for error in raised} == {"wrong password"}
    assert len(set(map(id, raised))) == 10
    lengths = [len(traceback.extract_tb(error.__traceback__)) for error in raised]
    assert lengths == lengths[:1] * 5 + lengths[-1:] * 5


async def test_after_so_many_attempts_it_gives_up(
    backend: Backend, autojump_clock: MockClock
) -> None:
    backend.refuse_with = ConnectionRefusedError("down")
    backoff = Backoff(initial=1, factor=1, jitter="none", max_attempts=3)
    async with trio_tcp.open_pool(backend.connect, size=1, backoff=backoff) as pool:
        with pytest.raises(ConnectionRefusedError):
            await touch(pool)
        assert len(backend.attempts) == 3


@pytest.mark.parametrize("where", ["connect", "prepare"])
async def test_a_mistake_in_the_program_is_raised_to_all_who_wait(
    backend: Backend, where: str
) -> None:
    raised: list[ZeroDivisionError] = []

    async def prepare(_connection: Text) -> None:
        raise ZeroDivisionError("a mistake")

    if where == "connect":
        backend.refuse_with = ZeroDivisionError("a mistake")
    async with trio_tcp.open_pool(backend.connect, size=2, prepare=prepare) as pool:

        async def ask() -> None:
            with pytest.raises(ZeroDivisionError) as caught:
                await touch(pool)
            raised.append(caught.value)

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(ask)
    assert {str(error) for error in raised} == {"a mistake"}
    assert len(set(map(id, raised))) == 5
    assert backend.open == 0


async def test_a_connection_that_does_not_end_well_is_nobodys_concern(
    backend: Backend, autojump_clock: MockClock
) -> None:
    @asynccontextmanager
    async def connect() -> AsyncGenerator[Text, None]:
        async with backend.connect() as connection:
            yield connection
        await trio.sleep(1)
        raise OSError(5, "could not be closed")

    async with trio_tcp.open_pool(connect, size=1) as pool:
        async with pool.connection() as connection:
            connection.abort()
        assert await touch(pool) == 1
        assert trio.current_time() == 1


@pytest.mark.parametrize(
    "options",
    [
        {"size": 0},
        {"size": -1},
        {"size": 1.5},
        {"size": math.inf},
        {"size": True},
        {"size": 1, "max_idle": -1},
        {"size": 1, "max_lifetime": math.nan},
    ],
)
async def test_numbers_that_make_no_sense_are_refused(
    backend: Backend, options: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=list(options)[-1]):
        async with trio_tcp.open_pool(backend.connect, **options):
            pass


async def test_a_connection_is_not_a_way_to_connect(backend: Backend) -> None:
    with pytest.raises(TypeError, match="each time"):
        async with trio_tcp.open_pool(backend.connect(), size=1):  # type: ignore[arg-type] # so it says
            pass
