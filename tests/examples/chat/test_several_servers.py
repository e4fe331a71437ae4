"""Servers with a hub each, joined by a backplane: in memory, and by a real Redis."""

from __future__ import annotations

import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trio

import trio_tcp
from examples.chat.hub import CODEC, HISTORY, Roster
from examples.chat.messages import (
    Entered,
    Event,
    Joined,
    Left,
    Problem,
    Said,
    Welcome,
    Whispered,
)
from tests.examples.chat.browser import CHROMIUM, open_browser
from tests.examples.chat.conftest import Served, Talker
from tests.examples.chat.stage import join_in_terminal, open_server
from tests.integration.loopback import LOOPBACK, run_program
from tests.integration.test_real_redis import free_port
from trio_tcp import testing


@asynccontextmanager
async def serving(
    broker: testing.MemoryBroker, nursery: trio.Nursery
) -> AsyncGenerator[Served, None]:
    """Run a server with a hub of its own."""
    backplane: testing.MemoryBackplane[Event | Roster] = testing.MemoryBackplane(
        broker, codec=CODEC
    )
    async with backplane as joined:
        hub = trio_tcp.Hub(history=HISTORY, backplane=joined)
        yield Served(hub, nursery)


@pytest.fixture
async def broker() -> testing.MemoryBroker:
    """Make what joins the servers."""
    return testing.MemoryBroker()


@pytest.fixture
async def one(
    broker: testing.MemoryBroker, nursery: trio.Nursery
) -> AsyncGenerator[Served, None]:
    """Run the first server."""
    async with serving(broker, nursery) as served:
        yield served


@pytest.fixture
async def two(
    broker: testing.MemoryBroker, nursery: trio.Nursery
) -> AsyncGenerator[Served, None]:
    """Run the second."""
    async with serving(broker, nursery) as served:
        yield served


async def position(talker: Talker, text: str) -> str:
    """Say something, and return where it is."""
    replies = await talker.says(text)
    [*_, position] = [reply.position for reply in replies if isinstance(reply, Event)]
    return position


async def test_people_of_two_servers_talk(one: Served, two: Served) -> None:
    async with one.join("ann") as ann, two.join("ben") as ben:
        while await ann.hears() != Joined("lobby", "ben"):
            pass
        await ann.says("hello")
        while await ben.hears() != Said("lobby", "ann", "hello"):
            pass
        await ben.says("/msg ann only for you")
        while await ann.hears() != Whispered("ben", "ann", "only for you"):
            pass


async def test_who_comes_back_to_another_server_misses_nothing(
    one: Served, two: Served
) -> None:
    async with one.join("ben") as ben:
        async with one.join("ann") as ann:
            after = await position(ann, "before")
        while await ben.hears() != Left("lobby", "ann"):
            pass
        await ben.says("meanwhile")
        async with two.hello("ann", after_room=after) as ann:
            assert isinstance(await ann.receive(), Welcome)
            assert isinstance(await ann.receive(), Entered)
            heard = [await ann.hears() for _ in range(3)]
    assert heard == [
        Left("lobby", "ann"),
        Said("lobby", "ben", "meanwhile"),
        Joined("lobby", "ann"),
    ]


async def test_who_cannot_be_heard_everywhere_is_told(
    broker: testing.MemoryBroker, one: Served
) -> None:
    async with one.join("ann") as ann, one.join("ben") as ben:
        broker.go_away()
        replies = await ann.says("hello")
        [problem] = [reply for reply in replies if isinstance(reply, Problem)]
        assert problem.text.startswith("other servers cannot be reached")
        while await ben.hears() != Said("lobby", "ann", "hello"):
            pass


@pytest.mark.skipif(CHROMIUM is None, reason="the program chromium is not installed")
@pytest.mark.skipif(
    None in map(shutil.which, ("tmux", "redis-server")),
    reason="the programs tmux and redis-server are not both installed",
)
async def test_a_redis_joins_a_terminal_here_and_a_page_there(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    port = free_port()
    options = ["--bind", LOOPBACK, "--port", str(port), "--save", ""]
    folder = tmp_path_factory.mktemp("redis")
    redis = f"redis://{LOOPBACK}:{port}"
    async with run_program("redis-server", *options, "--dir", str(folder)) as program:
        while "Ready to accept connections" not in (line := await program.line()):
            assert line
        async with (
            open_server("--redis", redis) as one,
            open_server("--redis", redis) as two,
            open_browser(tmp_path_factory.mktemp("chromium")) as browser,
            join_in_terminal("ann", one.port) as ann,
        ):
            await ann.shows("ann has joined")
            ben = await browser.open(f"http://{LOOPBACK}:{two.web_port}/")
            await ben.enters("ben")
            await ann.shows("ben has joined")
            await ben.shows("2 here")
            await ann.enters("/msg ben psst")
            await ben.shows("psst")
            await ben.enters("heard")
            await ann.shows("ben: heard")
            await two.kill()
            await ben.shows("trying again")
            await ann.enters("while you were away")
            await ann.shows("ann: while you were away")
            await two.start()
            await ben.shows("while you were away")
            assert "missing" not in await ben.text()
