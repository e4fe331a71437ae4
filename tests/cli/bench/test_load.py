"""Runs on the virtual network, where it is known how long everything takes."""

from __future__ import annotations

import functools
import math
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio

import trio_tcp
from trio_tcp import codecs
from trio_tcp.cli._bench._load import LOST_SECONDS, Load
from trio_tcp.cli._bench._plan import Plan
from trio_tcp.cli._bench._prepared import Prepared
from trio_tcp.cli._bench._result import Result
from trio_tcp.testing import Host, VirtualNetwork, simulated

LINES = codecs.Lines()
PORT = 80
LATENCY = 0.005
TIMEOUT = 2.0
ROUND_TRIP = pytest.approx(2 * LATENCY, rel=0.01)
PLAN = Plan(frames=(b"hello\n",), duration=10.0)

Connection = trio_tcp.Connection[str, str]
quickly = simulated(seeds=2)


def ignore(_event: trio_tcp.Event, /) -> None:
    """Observe nothing."""


async def echo(connection: Connection) -> None:
    async for line in connection:
        await connection.send(line)


@asynccontextmanager
async def serving(
    net: VirtualNetwork, handler: trio_tcp.Handler[str, str]
) -> AsyncGenerator[trio_tcp.Server, None]:
    """Serve in the block; each way to the server takes 5 ms."""
    net.set_links(latency=LATENCY)
    serve = functools.partial(
        trio_tcp.serve_tcp, handler, PORT, codec=LINES, observer=ignore
    )
    async with trio.open_nursery() as nursery:
        server = await nursery.start(net.host("server").run, serve)
        yield server
        nursery.cancel_scope.cancel()


def load_of(plan: Plan) -> Load:
    """Make a run against the server."""
    connect = functools.partial(
        trio_tcp.connect_tcp,
        "server",
        PORT,
        codec=Prepared(LINES),
        observer=ignore,
        timeouts=trio_tcp.Timeouts(
            connect=plan.timeout, write=plan.timeout, linger=1, idle=math.inf
        ),
    )
    return Load(connect, plan)


async def run(plan: Plan = PLAN, **changes: Any) -> Result:  # noqa: ANN401 - of the plan
    """Put the server under load."""
    return await load_of(attrs.evolve(plan, **changes)).run()


async def outlive(
    net: VirtualNetwork, end: Callable[[trio.CancelScope, Host], None]
) -> tuple[Result, float]:
    """Let the server end while it is under load.

    Returns:
        What was measured, and how many seconds after the server the run ended.
    """
    host, scope = net.host("server"), trio.CancelScope()

    async def serve() -> None:
        with scope:
            await trio_tcp.serve_tcp(echo, PORT, codec=LINES, observer=ignore)

    host.start(serve)
    await net.settle()
    results: list[Result] = []

    async def load() -> None:
        endless = attrs.evolve(PLAN, duration=1000.0, rate=100.0, timeout=TIMEOUT)
        results.append(await run(endless, connections=3))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(load)
        await trio.sleep(2.0)
        end(scope, host)
        gone = trio.current_time()
    return results[0], trio.current_time() - gone


def stalling(begin: float, end: float) -> trio_tcp.Handler[str, str]:
    """Make an echo that does nothing between two moments, counted from now."""
    start = trio.current_time()

    async def handle(connection: Connection) -> None:
        async for line in connection:
            if begin <= trio.current_time() - start < end:
                await trio.sleep_until(start + end)
            await connection.send(line)

    return handle


# What is measured


@quickly
async def test_a_closed_loop_measures_the_round_trip(net: VirtualNetwork) -> None:
    """A connection that waits for each reply has as many as fit into the time."""
    async with serving(net, echo):
        result = await run(connections=3, duration=3.0)
    assert result.latency.percentiles([0, 50, 100]) == [ROUND_TRIP] * 3
    assert result.uncorrected is None
    assert result.seconds == pytest.approx(3.0, abs=0.01)
    assert result.replies_per_second == pytest.approx(3 / (2 * LATENCY), rel=0.01)
    assert result.is_good


@quickly
async def test_an_open_loop_sends_at_its_rate(net: VirtualNetwork) -> None:
    """Each request when it is due, though a faster load would be possible."""
    async with serving(net, echo):
        result = await run(connections=3, rate=50.0, arrivals="uniform")
    assert result.replies == 500
    assert result.latency.percentiles([0, 50, 100]) == [ROUND_TRIP] * 3
    assert result.lateness is not None
    assert result.lateness.greatest == pytest.approx(0, abs=1e-6)
    assert (result.unsent, result.unanswered) == (0, 0)


@quickly
async def test_a_stall_shows_in_the_corrected_latency_alone(
    net: VirtualNetwork,
) -> None:
    """For one second of ten, the server does nothing, and fifty requests are due.

    Only one of them is sent and waits: measured from when it was sent, it is one in
    500. Measured from when they were due, each took what is left of the second, and
    what those before it took to be caught up with.
    """
    async with serving(net, stalling(5.0, 6.0)):
        result = await run(rate=50.0, arrivals="uniform")
    assert result.replies == 500
    assert result.uncorrected is not None
    assert result.uncorrected.percentile(99) == ROUND_TRIP
    assert result.uncorrected.greatest == pytest.approx(1.0, abs=0.02)
    # The sixth was due 0.1 s into the stall, and there were five before it.
    assert result.latency.percentile(99) == pytest.approx(1 - 0.1 + 5 * 0.01, abs=0.02)
    assert result.latency.percentile(75) == ROUND_TRIP


@quickly
async def test_a_stall_is_one_slow_reply_in_a_closed_loop(net: VirtualNetwork) -> None:
    """As the load waits, too: this is what an open loop is for."""
    async with serving(net, stalling(5.0, 6.0)):
        result = await run()
    assert result.latency.percentile(99) == ROUND_TRIP
    assert result.latency.greatest == pytest.approx(1.0, abs=0.01)


@quickly
async def test_the_warm_up_does_not_count(net: VirtualNetwork) -> None:
    """The server is slow in it, and nothing of that is seen."""
    async with serving(net, stalling(0.0, 2.0)):
        result = await run(rate=10.0, arrivals="uniform", warm_up=5.0)
    assert result.replies == 100
    assert result.latency.greatest == ROUND_TRIP
    assert sum(stretch.replies for stretch in result.over_time) == 100
    assert result.bytes_sent == pytest.approx(100 * len("hello\n"), abs=len("hello\n"))


@quickly
async def test_so_many_requests_are_measured(net: VirtualNetwork) -> None:
    async with serving(net, echo) as server:
        result = await run(requests=25, duration=math.inf, connections=4, in_flight=2)
        assert server.statistics().messages_received == 25
    assert result.replies == 25
    # Eight are in flight, so that the last comes with the fourth round.
    assert result.seconds == pytest.approx(4 * 2 * LATENCY, rel=0.01)


@quickly
async def test_several_requests_are_in_flight_on_each_connection(
    net: VirtualNetwork,
) -> None:
    async with serving(net, echo):
        result = await run(connections=2, in_flight=5, duration=2.0)
    assert result.replies_per_second == pytest.approx(10 / (2 * LATENCY), rel=0.01)


@quickly
async def test_what_a_slow_server_leaves_unsent_is_counted(net: VirtualNetwork) -> None:
    """One connection has 100 replies a second, where 200 were due."""
    async with serving(net, echo):
        result = await run(rate=200.0, arrivals="uniform")
    assert result.replies == pytest.approx(1000, rel=0.01)
    assert result.replies + result.unsent == 2000
    assert result.latency.greatest == pytest.approx(5.0, rel=0.02)


@quickly
async def test_with_churn_each_request_has_its_own_connection(
    net: VirtualNetwork,
) -> None:
    """Which costs a second round trip."""
    async with serving(net, echo) as server:
        result = await run(mode="churn", requests=20, duration=math.inf)
        accepted = server.statistics().accepted
    assert result.replies == 20
    assert accepted == 20 + 1  # one only looked whether the server is there
    assert result.latency.percentile(50) == pytest.approx(4 * LATENCY, rel=0.01)


@quickly
async def test_with_churn_a_slow_goodbye_is_no_late_reply(net: VirtualNetwork) -> None:
    """The server closes later than a reply may come."""

    async def linger(connection: Connection) -> None:
        await echo(connection)
        await trio.sleep(0.9)

    async with serving(net, linger):
        result = await run(mode="churn", requests=3, duration=math.inf, timeout=0.5)
    assert result.errors == {}
    assert result.latency.greatest == pytest.approx(4 * LATENCY, rel=0.01)


@quickly
async def test_in_one_direction_all_messages_arrive(net: VirtualNetwork) -> None:
    """They are counted when the connection takes them, and none is left behind."""
    received: list[str] = []

    async def swallow(connection: Connection) -> None:
        received.extend([line async for line in connection])

    async with serving(net, swallow):
        result = await run(mode="one-way", rate=100.0, arrivals="uniform")
        await net.settle()
        assert result.replies == len(received) == 1000
        large = (b"x" * 50_000 + b"\n",)
        result = await run(mode="one-way", frames=large, requests=20, duration=math.inf)
        await net.settle()
        assert result.replies == len(received) - 1000 == 20


@quickly
async def test_messages_are_sent_in_turn(net: VirtualNetwork) -> None:
    received: list[str] = []

    async def note(connection: Connection) -> None:
        async for line in connection:
            received.append(line)
            await connection.send(line)

    async with serving(net, note):
        await run(frames=(b"a\n", b"b\n", b"c\n"), requests=7, duration=math.inf)
    assert received == list("abcabca")


@quickly
async def test_messages_for_which_there_is_no_room_keep_their_order(
    net: VirtualNetwork,
) -> None:
    """More is in flight than both ends and the network hold, and all replies come."""
    lines = [letter * 60_000 for letter in "abcde"]

    def is_expected(number: int, reply: object) -> bool:
        return reply == lines[number]

    frames = tuple(f"{line}\n".encode() for line in lines)
    async with serving(net, echo):
        net.set_links(latency=LATENCY, bandwidth=1e7)
        result = await run(
            frames=frames,
            in_flight=8,
            requests=40,
            duration=math.inf,
            is_expected=is_expected,
        )
    assert result.replies == 40
    assert not result.errors


@quickly
async def test_connections_are_opened_at_their_rate(net: VirtualNetwork) -> None:
    async with serving(net, echo):
        begin = trio.current_time()
        await run(connections=5, connect_rate=2.0, requests=1, duration=math.inf)
        assert trio.current_time() - begin == pytest.approx(2.0, abs=0.1)


# What goes wrong


@quickly
async def test_a_server_that_is_not_there_is_an_error(net: VirtualNetwork) -> None:
    net.host("server")
    for mode in ("request-reply", "churn", "one-way"):
        with pytest.raises(trio_tcp.ConnectError):
            await run(mode=mode)


@quickly
async def test_wrong_replies_are_counted_and_not_measured(net: VirtualNetwork) -> None:
    def is_expected(_number: int, reply: object) -> bool:
        return reply == "goodbye"

    async with serving(net, echo):
        for mode in ("request-reply", "churn"):
            result = await run(
                mode=mode, requests=5, duration=math.inf, is_expected=is_expected
            )
            assert result.errors == {"wrong reply": 5}
            assert result.replies == 0
            assert not result.is_good


@quickly
async def test_malformed_replies_are_survived(net: VirtualNetwork) -> None:
    async def garble(connection: Connection) -> None:
        stream, _ = await connection.detach()
        while await stream.receive_some():
            await stream.send_all(b"\xff\n")

    async with serving(net, garble):
        result = await run(requests=5, duration=math.inf)
    assert result.errors == {"malformed reply": 5}


@quickly
async def test_a_reply_that_nobody_asked_for_ends_the_connection(
    net: VirtualNetwork,
) -> None:
    async def say_more(connection: Connection) -> None:
        async for line in connection:
            await connection.send_many([line, line])

    async with serving(net, say_more):
        result = await run(requests=2, duration=math.inf)
    assert result.errors == {"reply to no request": 1}
    assert result.replies == 2


@quickly
async def test_a_server_that_never_replies_is_not_waited_for_for_ever(
    net: VirtualNetwork,
) -> None:
    async def swallow(connection: Connection) -> None:
        async for _ in connection:
            pass

    async with serving(net, swallow):
        for mode in ("request-reply", "churn"):
            result = await run(mode=mode, duration=3.0, timeout=2.0)
            assert result.errors["timed out"] >= 1
            assert result.unanswered >= 1
            assert result.replies == 0


@quickly
async def test_a_server_that_does_not_read_is_not_waited_for_for_ever(
    net: VirtualNetwork,
) -> None:
    async def sleep(connection: Connection) -> None:
        await trio.sleep_forever()

    async with serving(net, sleep):
        result = await run(mode="one-way", frames=(b"x" * 999 + b"\n",), timeout=2.0)
    assert result.errors["timed out"] >= 1


@quickly
async def test_connections_that_break_are_opened_again(net: VirtualNetwork) -> None:
    """What was in flight is counted, and the load goes on."""

    async def reset_at_the_third(connection: Connection) -> None:
        for _ in range(3):
            await connection.send(await connection.receive())
        await connection.receive()
        connection.abort()

    async with serving(net, reset_at_the_third):
        for rate in (None, 50.0):
            result = await run(requests=12, duration=math.inf, rate=rate)
            assert result.replies == 9
            assert result.errors["reset"] >= 2
            assert result.unanswered == 3


@quickly
async def test_connections_that_end_while_nothing_is_due_cost_no_request(
    net: VirtualNetwork,
) -> None:
    async def answer_once(connection: Connection) -> None:
        await connection.send(await connection.receive())

    async with serving(net, answer_once):
        result = await run(
            requests=10, duration=math.inf, rate=5.0, arrivals="uniform", connections=2
        )
    assert result.replies == 10
    assert result.unanswered == 0
    assert set(result.errors) == {"closed by the server"}


@quickly
async def test_a_server_that_comes_back_each_time_is_not_given_up(
    net: VirtualNetwork,
) -> None:
    """Two short breaks, far from each other, are no long one."""
    start = trio.current_time()
    breaks = [start + 1.0, start + 2 * LOST_SECONDS]

    async def reset_at_times(connection: Connection) -> None:
        async for line in connection:
            if breaks and trio.current_time() > breaks[0]:
                del breaks[0]
                connection.abort()
                return
            await connection.send(line)

    async with serving(net, reset_at_times):
        result = await run(duration=3 * LOST_SECONDS, rate=10.0)
    assert result.ending == "complete"
    assert result.errors == {"reset": 2}


@quickly
async def test_a_server_that_goes_away_ends_the_run(net: VirtualNetwork) -> None:
    """It is tried again and again, and given up in a known time."""
    result, seconds = await outlive(net, lambda server, _: server.cancel())
    assert result.ending == "lost"
    assert seconds == pytest.approx(LOST_SECONDS, abs=0.5)
    assert result.errors["connect: refused"] > 3
    assert not result.is_good


@quickly
async def test_a_host_that_goes_away_ends_the_run(net: VirtualNetwork) -> None:
    """It refuses nothing, so that a timeout has to tell that it is gone."""
    result, seconds = await outlive(net, lambda _, host: host.crash())
    assert result.ending == "lost"
    assert seconds == pytest.approx(TIMEOUT + LOST_SECONDS, abs=TIMEOUT)
    assert result.errors["timed out"] == 3
    assert result.errors["connect: timed out"] >= 3


@quickly
async def test_a_run_that_is_stopped_has_what_was_measured_so_far(
    net: VirtualNetwork,
) -> None:
    """And does not wait for its planned end."""
    async with serving(net, echo):
        load = load_of(attrs.evolve(PLAN, duration=1000.0, rate=50.0))
        results: list[Result] = []

        async def go() -> None:
            results.append(await load.run())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(go)
            await trio.sleep(10.0)
            load.stop()
        [result] = results
    assert result.ending == "interrupted"
    assert result.seconds == pytest.approx(10.0, abs=0.1)
    assert result.replies == pytest.approx(500, rel=0.2)
    assert result.unsent == 0


@quickly
async def test_a_run_that_is_stopped_while_it_connects_has_measured_nothing(
    net: VirtualNetwork,
) -> None:
    async with serving(net, echo):
        load = load_of(attrs.evolve(PLAN, connections=100, connect_rate=1.0))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(load.run)
            await trio.sleep(3.0)
            load.stop()
            stopped = trio.current_time()
        assert trio.current_time() == pytest.approx(stopped, abs=0.1)
    assert load.result().ending == "interrupted"
    assert load.result().replies == 0


@quickly
async def test_replies_of_the_last_requests_are_waited_for(
    net: VirtualNetwork,
) -> None:
    """The slowest are not left out because they come when the time is over."""
    async with serving(net, stalling(2.0, 5.0)):
        result = await run(connections=2, duration=3.0)
    assert result.latency.greatest == pytest.approx(3.0, abs=0.1)
    assert result.unanswered == 0
    assert result.seconds == pytest.approx(5.0, abs=0.1)


@quickly
async def test_progress_is_told_while_it_runs(net: VirtualNetwork) -> None:
    seen: list[int] = []
    async with serving(net, echo):
        load = load_of(attrs.evolve(PLAN, rate=10.0, arrivals="uniform"))
        await load.run(lambda result: seen.append(result.replies))
    assert len(seen) >= 10
    assert seen == sorted(seen)
    assert seen[-1] > 50
