"""A server that has run out of file descriptors."""

from __future__ import annotations

from contextlib import ExitStack

import trio

from tests.integration.loopback import connect, receive_exactly, run_program

ROOM = 6
"""How many clients the server has descriptors for."""


async def test_a_server_without_descriptors_goes_on_when_it_has_some_again() -> None:
    """It says once that it cannot accept, however often it tries, and once that it can.

    The clients that are connected are served all the time, and those that the kernel
    keeps waiting are served in the end.
    """
    async with run_program("few_descriptors.py", str(ROOM)) as program:
        port = int(await program.line())
        with ExitStack() as all_clients, ExitStack() as leaving_clients:
            served = [open_client(leaving_clients, port) for _ in range(ROOM - 1)]
            for client in served:
                await say_hello(client)
                await hear_hello(client)
            # One or two of these find a place, the others wait.
            waiting = [open_client(all_clients, port) for _ in range(ROOM - 1)]
            for client in waiting:
                await say_hello(client)
            printed = await program.lines_until("refused")
            for _ in range(3):
                printed += await program.lines_until("refused")
                for client in served:
                    await say_hello(client)
                    await hear_hello(client)
            assert [line for line in printed if line != "refused"] == ["AcceptPaused"]
            leaving_clients.close()
            for client in waiting:
                await hear_hello(client)
        printed += await program.lines_until("AcceptResumed")
    said = [line for line in printed if line != "refused"]
    assert said == ["AcceptPaused", "AcceptResumed"]


def open_client(stack: ExitStack, port: int) -> trio.SocketStream:
    """Connect a client that is closed with the others of its stack."""
    client = connect(port)
    stack.callback(client.socket.close)
    return client


async def say_hello(client: trio.SocketStream) -> None:
    await client.send_all(b"hello\n")


async def hear_hello(client: trio.SocketStream) -> None:
    assert await receive_exactly(client, 6) == b"hello\n"
