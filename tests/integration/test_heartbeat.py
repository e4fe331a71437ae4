"""A heartbeat over real sockets, with a process that stops."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.integration.loopback import Record, run_program, start_server
from trio_tcp import CloseReason, codecs, heartbeat

SECONDS = 30
"""How long anything may take on a slow machine. Nothing waits for it to pass."""

EVERY, WITHIN = 0.05, 100.0
"""The first passes; the second does so only where a test says so."""

ANSWERS = 5


async def test_a_process_that_is_stopped_is_noticed_though_its_kernel_acknowledges(
    clock: MockClock, record: Record
) -> None:
    """It lives as long as it answers. Stopped, it is dead to us, and only then."""
    answered = trio.Event()
    failures: list[trio_tcp.PeerTooSlowError] = []
    pongs = 0

    def is_pong(line: str) -> bool:
        nonlocal pongs
        pongs += 1
        if pongs == ANSWERS:
            answered.set()
        return line == "PONG"

    async def handler(connection: trio_tcp.Connection[str, str]) -> None:
        try:
            async with heartbeat(
                connection, "PING", is_pong, every=EVERY, within=WITHIN
            ) as messages:
                await connection.send("hello")
                with suppress(trio.EndOfChannel):
                    await messages.receive()
        except trio_tcp.PeerTooSlowError as error:
            failures.append(error)
            raise

    async with trio.open_nursery() as nursery:
        server = await start_server(nursery, handler, codecs.Lines(), observer=record)
        async with run_program("ponging_client.py", str(server.port)) as client:
            assert await client.line() == "hello"
            await answered.wait()
            assert not failures
            client.process.send_signal(signal.SIGSTOP)
            # In no time: until it has stopped, and not until it has ended.
            os.waitpid(client.process.pid, os.WUNTRACED)  # noqa: ASYNC222
            while not (ends := record.all(trio_tcp.ConnectionEnded)):
                clock.jump(WITHIN)
                await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    (ended,) = ends
    assert ended.reason is CloseReason.TIMED_OUT
    (failure,) = failures
    assert failure.timeout == "heartbeat"


@pytest.mark.parametrize("transport", ["direct", "polled", "general"])
async def test_both_sides_may_ask_and_both_live(
    monkeypatch: pytest.MonkeyPatch, transport: str, record: Record
) -> None:
    monkeypatch.setenv("TRIO_TCP_TRANSPORT", transport)
    asked = 0
    enough = trio.Event()

    def reply(line: str) -> str | None:
        nonlocal asked
        asked += line == "PING"
        if asked == ANSWERS:
            enough.set()
        return "PONG" if line == "PING" else None

    async def beat(connection: trio_tcp.Connection[str, str]) -> None:
        async with heartbeat(
            connection,
            "PING",
            lambda line: line == "PONG",
            every=EVERY,
            within=SECONDS,
            reply=reply,
        ) as messages:
            async for message in messages:
                await connection.send(message)

    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:
            lines = codecs.Lines()
            server = await start_server(nursery, beat, lines, observer=record)
            async with trio_tcp.connect_tcp(
                "127.0.0.1", server.port, codec=lines
            ) as client:
                async with trio.open_nursery() as inner:
                    inner.start_soon(beat, client)
                    await enough.wait()
                    assert client.close_reason is None
                    inner.cancel_scope.cancel()
                nursery.cancel_scope.cancel()
    assert not record.all(trio_tcp.HandlerFailed)
