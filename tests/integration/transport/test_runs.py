"""Runs of Trio: several, at once, as a guest, and how one ends."""

from __future__ import annotations

import queue
import signal
import socket
import threading
from collections.abc import AsyncGenerator, Callable
from typing import Any

import outcome
import pytest
import trio

import trio_tcp
from tests.integration.loopback import LOOPBACK, Record, connect, echo, start_server
from tests.integration.transport.ends import LINES, PATIENCE, stream_of, tcp_pair
from trio_tcp import CloseReason
from trio_tcp._nursery import leaves
from trio_tcp._transport import make_transport

pytestmark = pytest.mark.usefixtures("transport")

CLIENTS = 12


async def serve_some() -> int:
    """Have a server and some clients; return how many answers were right."""
    right = 0

    async def ask(port: int, number: int) -> None:
        nonlocal right
        async with trio_tcp.connect_tcp(LOOPBACK, port, codec=LINES) as connection:
            for turn in range(5):
                await connection.send(b"%d, %d" % (number, turn))
                answer = await connection.receive()
                right += answer == b"%d, %d" % (number, turn)

    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            server = await start_server(nursery, echo, LINES)
            async with trio.open_nursery() as clients:
                for number in range(CLIENTS):
                    clients.start_soon(ask, server.port, number)
            nursery.cancel_scope.cancel()
    return right


def test_one_run_after_the_other() -> None:
    assert [trio.run(serve_some) for _ in range(3)] == [CLIENTS * 5] * 3


def test_two_runs_at_the_same_time() -> None:
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(trio.run(serve_some)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [CLIENTS * 5] * 2


def test_a_run_that_is_a_guest() -> None:
    todo: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
    ended: list[outcome.Outcome[int]] = []
    trio.lowlevel.start_guest_run(
        serve_some,
        run_sync_soon_threadsafe=todo.put,
        done_callback=ended.append,
    )
    while not ended:
        todo.get()()
    assert ended[0].unwrap() == CLIENTS * 5


# How one ends


async def answer_goodbye(peer: trio.SocketStream) -> None:
    """Answer each message in a task that nothing cancels."""
    with trio.CancelScope(shield=True):
        async with peer:
            async for chunk in peer:
                await peer.send_all(chunk)


async def test_who_is_cancelled_can_say_goodbye() -> None:
    ours, theirs = tcp_pair()
    said: list[bytes] = []
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer_goodbye, stream_of(theirs))

            @nursery.start_soon
            async def _() -> None:
                async with trio_tcp.open_connection(
                    stream_of(ours), codec=LINES
                ) as connection:
                    try:
                        await connection.send(b"hello")
                        said.append(await connection.receive())
                        nursery.cancel_scope.cancel()
                        await connection.receive()
                    finally:
                        with trio.CancelScope(shield=True):
                            await connection.send(b"goodbye")
                            said.append(await connection.receive())

    assert said == [b"hello", b"goodbye"]


@pytest.mark.parametrize("used_before", [True, False])
@pytest.mark.parametrize("kind", ["async generator", "system task"])
def test_what_trio_ends_last_can_still_wait(  # noqa: PLR0915 - many tasks
    kind: str, used_before: bool
) -> None:
    """After all tasks of the program, and perhaps after all of the system's."""
    ours, theirs = tcp_pair()
    said: list[bytes] = []
    thread = threading.Thread(target=answer_all, args=(theirs,))
    thread.start()

    async def exchange(transport: Any, text: bytes) -> None:  # noqa: ANN401 - inner
        assert transport.send_now(text) or await transport.send_some(memoryview(text))
        said.append(await transport.receive_some())

    async def talk() -> AsyncGenerator[None, None]:  # noqa: ASYNC900 - it is about these
        transport = make_transport(stream_of(ours))
        try:
            if used_before:
                await exchange(transport, b"hello")
            yield
        finally:
            with trio.CancelScope(shield=True):  # noqa: ASYNC102 - that is the point
                with trio.move_on_after(PATIENCE):
                    await exchange(transport, b"one")
                    await exchange(transport, b"two")
                await transport.aclose()

    talks: list[AsyncGenerator[None, None]] = []
    began: list[trio.Event] = []

    async def in_system() -> None:
        conversation = talk()
        try:
            await anext(conversation)
            began[0].set()
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await conversation.aclose()

    async def main() -> None:
        if kind == "system task":
            began.append(trio.Event())
            trio.lowlevel.spawn_system_task(in_system)
            await began[0].wait()
        else:
            talks.append(talk())
            await anext(talks[0])

    trio.run(main)
    thread.join()
    expected = [b"hello", b"one", b"two"]
    assert said == (expected if used_before else expected[1:])


def answer_all(peer: socket.socket) -> None:
    """Send back what comes, in a thread."""
    with peer:
        peer.settimeout(PATIENCE)
        while chunk := peer.recv(100):
            peer.sendall(chunk)


# Exceptions of users' functions


class OddError(BaseException):
    """What nobody expects."""


@pytest.mark.parametrize(
    "error",
    [
        ValueError("on request"),
        OSError(9, "on request"),
        trio.ClosedResourceError("on request"),
        trio.EndOfChannel("on request"),
        ExceptionGroup("on request", [ValueError("on request")]),
    ],
    ids=repr,
)
async def test_a_failing_function_ends_its_connection_alone(
    nursery: trio.Nursery, record: Record, error: Exception
) -> None:
    def answer(request: bytes) -> bytes:
        if request == b"fail":
            raise error
        return request

    with trio.fail_after(PATIENCE):
        handler = trio_tcp.respond(answer)
        server = await start_server(nursery, handler, LINES, observer=record)
        crowd = [connect(server.port) for _ in range(CLIENTS)]
        for turn in range(3):
            for stream in crowd:
                await stream.send_all(b"%d\n" % turn)
                assert await stream.receive_some() == b"%d\n" % turn
        await crowd[0].send_all(b"fail\n")
        [ended] = await record.wait(trio_tcp.ConnectionEnded)
        for stream in crowd[1:]:
            await stream.send_all(b"again\n")
            assert await stream.receive_some() == b"again\n"
            await stream.aclose()
        await crowd[0].aclose()
    assert ended.reason is CloseReason.HANDLER_FAILED


def fail_with(error: BaseException) -> Callable[[], object]:
    def fail() -> object:
        raise error

    return fail


@pytest.mark.parametrize(
    ("fail", "expected"),
    [
        (fail_with(SystemExit(3)), SystemExit),
        (fail_with(OddError()), OddError),
        (fail_with(KeyboardInterrupt()), KeyboardInterrupt),
        (lambda: signal.raise_signal(signal.SIGINT), KeyboardInterrupt),
    ],
    ids=["SystemExit", "odd", "KeyboardInterrupt", "Ctrl-C"],
)
def test_what_ends_the_program_leaves_it_as_itself(
    fail: Callable[[], object], expected: type[BaseException]
) -> None:
    def answer(request: bytes) -> bytes:
        if request == b"fail":
            fail()
        return request

    async def main() -> None:
        with trio.fail_after(PATIENCE):
            async with trio.open_nursery() as nursery:
                server = await start_server(nursery, trio_tcp.respond(answer), LINES)
                crowd = [connect(server.port) for _ in range(CLIENTS)]
                try:
                    for stream in [*crowd, *crowd]:
                        await stream.send_all(b"hello\n")
                        assert await stream.receive_some() == b"hello\n"
                    await crowd[0].send_all(b"fail\n")
                    await trio.sleep_forever()
                finally:
                    for stream in crowd:
                        stream.socket.close()

    with pytest.raises(BaseException) as caught:  # noqa: PT011 - in a group or not
        trio.run(main)
    assert {type(error) for error in leaves(caught.value)} == {expected}
