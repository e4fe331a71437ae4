"""Functions that are timed answer as before, and how long they took is counted."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.monitoring.scraping import Fresh
from trio_tcp import codecs, testing

CODEC = codecs.Lines()
Text = trio_tcp.Connection[str, str]


def shout(request: str) -> str:
    return request.upper()


def shout_name(request: str, connection: Text) -> str:
    return request.upper() + str(bool(connection.id))


async def shout_later(request: str) -> str:
    await trio.lowlevel.checkpoint()
    return request.upper()


async def shout_name_later(request: str, connection: Text) -> str:
    await trio.lowlevel.checkpoint()
    return shout_name(request, connection)


@attrs.frozen
class Shouter:
    end: str = "!"

    def __call__(self, request: str) -> str:
        return request.upper() + self.end


@attrs.frozen
class LateShouter:
    async def __call__(self, request: str, connection: Text) -> str:
        await trio.lowlevel.checkpoint()
        return shout_name(request, connection)


def shout_with(end: str, request: str) -> str:
    return request.upper() + end


FUNCTIONS: dict[str, tuple[Callable[..., Any], str, str]] = {
    "plain": (shout, "A", "shout"),
    "plain, with its connection": (shout_name, "ATrue", "shout_name"),
    "async": (shout_later, "A", "shout_later"),
    "async, with its connection": (shout_name_later, "ATrue", "shout_name_later"),
    "an object": (Shouter(), "A!", "Shouter"),
    "an async object": (LateShouter(), "ATrue", "LateShouter"),
    "a bound method": (Shouter("?").__call__, "A?", "__call__"),
    "a partial": (functools.partial(shout_with, "."), "A.", "shout_with"),
    "an async partial": (functools.partial(shout_later), "A", "shout_later"),
    "of C": (str.upper, "A", "upper"),
}


@pytest.mark.parametrize("kind", FUNCTIONS)
async def test_it_answers_as_before(kind: str) -> None:
    """Every kind of function that `respond` takes, and under its own name."""
    function, expected, name = FUNCTIONS[kind]
    fresh = Fresh()
    handler = trio_tcp.respond(fresh.metrics.timed(function))
    async with testing.serve_in_memory(handler, CODEC) as served:
        async with served.connect() as client:
            for _ in range(3):
                await client.send("a")
                assert await client.receive() == expected
    now = fresh.now()
    assert now[f"request_duration_seconds_count{{function={name}}}"] == 3
    assert now[f"request_duration_seconds_sum{{function={name}}}"] >= 0
    assert now[f"requests_failed_total{{function={name}}}"] == 0
    assert now[f"requests_under_way{{function={name}}}"] == 0


def test_it_keeps_its_kind_and_its_signature() -> None:
    metrics = Fresh().metrics
    for function in (shout, shout_name, shout_later, shout_name_later):
        timed = metrics.timed(function)
        assert inspect.signature(timed) == inspect.signature(function)
        assert inspect.iscoroutinefunction(timed) == inspect.iscoroutinefunction(
            function
        )
        assert (timed.__name__, timed.__doc__) == (function.__name__, function.__doc__)


async def test_a_timed_plain_function_runs_where_the_bytes_arrive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As one that is not timed, without a task of its own."""
    monkeypatch.setenv("TRIO_TCP_TRANSPORT", "polled")
    tasks: list[trio.lowlevel.Task] = []

    def note(request: str) -> str:
        tasks.append(trio.lowlevel.current_task())
        return request

    fresh = Fresh()
    for function in (note, fresh.metrics.timed(note)):
        tasks.clear()
        handler = trio_tcp.respond(function)
        async with trio.open_nursery() as nursery:
            serve = functools.partial(trio_tcp.serve_tcp, codec=CODEC, host="127.0.0.1")
            server: trio_tcp.Server = await nursery.start(serve, handler, 0)
            async with (
                trio_tcp.connect_tcp("127.0.0.1", server.port, codec=CODEC) as one,
                trio_tcp.connect_tcp("127.0.0.1", server.port, codec=CODEC) as two,
            ):
                for client in (one, two, one, two):
                    await client.send("a")
                    await client.receive()
            await server.drain()
        assert len(set(tasks)) == 1, "there is a task for each connection"


async def test_waiting_counts_by_the_clock_of_trio(autojump_clock: MockClock) -> None:
    """In the bucket that it belongs to; the sum is exact."""
    fresh = Fresh()

    async def sleepy(request: str) -> str:
        await trio.sleep(float(request))
        return request

    timed = fresh.metrics.timed(sleepy)
    for seconds in ("0.3", "0.5", "60"):
        assert await timed(seconds) == seconds
    now = fresh.now()
    bucket = "request_duration_seconds_bucket{{function=sleepy,le={}}}".format
    assert [now[bucket(le)] for le in ("0.25", "0.5", "1.0", "50.0", "+Inf")] == [
        0,
        2,
        2,
        2,
        3,
    ]
    assert now["request_duration_seconds_sum{function=sleepy}"] == pytest.approx(60.8)


async def test_failures_are_timed_and_counted_and_go_on() -> None:
    fresh = Fresh()

    def refuse(request: str) -> str:
        raise KeyError(request)

    async def refuse_later(request: str) -> str:
        raise KeyError(request)

    for function in (refuse, refuse_later):
        with pytest.raises(KeyError):
            handler = fresh.metrics.timed(function)
            result = handler("a")
            if inspect.isawaitable(result):
                await result
        name = f"{{function={function.__name__}}}"
        assert fresh.changed()[f"requests_failed_total{name}"] == 1
        assert fresh.changed()[f"request_duration_seconds_count{name}"] == 1


async def test_what_is_under_way_shows(autojump_clock: MockClock) -> None:
    """Until it ends, also if it is cancelled, which is no failure."""
    fresh = Fresh()

    async def hang(_: str) -> None:
        await trio.sleep_forever()

    timed = fresh.metrics.timed(hang)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(timed, "a")
        nursery.start_soon(timed, "b")
        await wait_all_tasks_blocked()
        assert fresh.changed()["requests_under_way{function=hang}"] == 2
        nursery.cancel_scope.cancel()
    now = fresh.changed()
    assert "requests_under_way{function=hang}" not in now
    assert "requests_failed_total{function=hang}" not in now
    assert now["request_duration_seconds_count{function=hang}"] == 2


def test_functions_of_the_same_name_share_their_figures() -> None:
    """So one that is made anew for each connection makes no new series."""
    fresh = Fresh()
    for _ in range(100):

        def answer(request: str) -> str:
            return request

        fresh.metrics.timed(answer)("a")
    now = fresh.now()
    assert now["request_duration_seconds_count{function=answer}"] == 100
    assert sum("request_duration_seconds_count" in name for name in now) == 1
