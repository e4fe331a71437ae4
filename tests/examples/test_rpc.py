from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import trio

import trio_tcp
from examples.rpc import (
    CODEC,
    CONCURRENCY,
    Call,
    CountWords,
    Divide,
    Failed,
    Message,
    Quotient,
    Return,
    Words,
)
from trio_tcp import codecs

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from tests.examples.conftest import Program, Programs

SECONDS = 40
FOR_EVER = 3600


async def start(programs: Programs) -> tuple[Program, int]:
    """Start a server."""
    server = await programs.start("rpc.py", "serve", "--port", 0)
    return server, await server.port()


def connect(
    port: int,
) -> AbstractAsyncContextManager[trio_tcp.Connection[Message, Message]]:
    """Connect a client."""
    return trio_tcp.connect_tcp("127.0.0.1", port, codec=CODEC)


async def test_quick_calls_do_not_wait_for_a_slow_one(programs: Programs) -> None:
    """Though all are made at once, over one connection."""
    server, port = await start(programs)
    said = await (await programs.start("rpc.py", "call", "--port", port)).ends()
    *quick, slow = said.splitlines()
    assert sorted(quick) == [
        "1 / 0: float division by zero",
        "1 / 8 = 0.125",
        "quick quick: {'quick': 2}",
    ]
    assert slow == "slow but thorough: {'slow': 1, 'but': 1, 'thorough': 1}"
    assert "stopped, after 1 connections" in await server.interrupt()


async def test_each_reply_has_the_number_of_its_call(programs: Programs) -> None:
    """In whatever order they come."""
    _, port = await start(programs)
    count = CONCURRENCY.limit + CONCURRENCY.queue
    async with connect(port) as client:
        with trio.fail_after(SECONDS):
            for number in range(count):
                request = (
                    Divide(number, 2)
                    if number % 3
                    else CountWords(f"a b{number}", number % 2 / 10)
                )
                await client.send(Call(number, request, None))
            replies = [await client.receive() for _ in range(count)]
    assert {reply.id: reply for reply in replies} == {
        number: Return(
            number,
            Quotient(number / 2) if number % 3 else Words({"a": 1, f"b{number}": 1}),
        )
        for number in range(count)
    }


async def test_what_is_too_much_is_refused_at_once(programs: Programs) -> None:
    """While the rest is worked at."""
    _, port = await start(programs)
    most = CONCURRENCY.limit + CONCURRENCY.queue
    async with connect(port) as client:
        with trio.fail_after(SECONDS):
            await client.send_many(
                Call(number, CountWords("", FOR_EVER), None)
                for number in range(most + 10)
            )
            replies = [await client.receive() for _ in range(10)]
            client.abort()
    refusal = Failed("the server has no time for this")
    assert {reply.id: reply for reply in replies} == {
        number: Return(number, refusal) for number in range(most, most + 10)
    }


async def test_nobody_works_for_a_caller_who_has_given_up(programs: Programs) -> None:
    """The call says how long it waits; then it is told that there is nothing."""
    _, port = await start(programs)
    async with connect(port) as client:
        with trio.fail_after(SECONDS):
            await client.send(Call(1, CountWords("", FOR_EVER), 0.05))
            refusal = Failed("the server has no time for this")
            assert await client.receive() == Return(1, refusal)


async def test_what_has_the_wrong_type_ends_its_connection_alone(
    programs: Programs,
) -> None:
    """Nobody knows what to reply to; it is in the log."""
    server, port = await start(programs)
    async with connect(port) as other:
        async with trio_tcp.connect_tcp(
            "127.0.0.1", port, codec=codecs.MessagePack()
        ) as client:
            await client.send({"type": "Call", "id": "one"})
            await server.prints("ended, protocol error: .*int.*\n")
        with trio.fail_after(SECONDS):
            await other.send(Call(1, Divide(1, 2), None))
            assert await other.receive() == Return(1, Quotient(0.5))


async def test_the_client_gives_up_where_nobody_listens(programs: Programs) -> None:
    """After a few attempts."""
    server, port = await start(programs)
    await server.interrupt()
    client = await programs.start("rpc.py", "call", "--port", port)
    await client.prints("^rpc: could not connect to .*refused.*\n$")
    assert await client.process.wait() == 1


async def test_the_client_gives_up_where_nobody_replies(programs: Programs) -> None:
    """After as long as it was told to wait."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        arguments = ("--port", port, "--patience", 0.1)
        client = await programs.start("rpc.py", "call", *arguments)
        await client.prints("^rpc: not done in 0.1 s\n$")
        assert await client.process.wait() == 1
