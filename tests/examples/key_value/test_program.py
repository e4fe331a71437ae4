from __future__ import annotations

import signal
import socket
from typing import TYPE_CHECKING

import trio

import trio_tcp
from examples.key_value.resp import CLIENT
from tests.examples.key_value.conftest import ask

if TYPE_CHECKING:
    from tests.examples.conftest import Programs


async def test_what_one_sets_another_gets(programs: Programs) -> None:
    """There is one store for all, and Ctrl-C ends it though somebody is there."""
    server = await programs.start("key_value", 0)
    port = await server.port()
    with trio.fail_after(15):
        async with trio_tcp.connect_tcp("127.0.0.1", port, codec=CLIENT) as ann:
            async with trio_tcp.connect_tcp("127.0.0.1", port, codec=CLIENT) as ben:
                assert await ask(ann, "SET a 1") == "OK"
                assert await ask(ben, "GET a") == b"1"
            server.process.send_signal(signal.SIGINT)
            assert [reply async for reply in ann] == []
        await server.ends()


async def test_damage_is_in_the_log_in_one_line(programs: Programs) -> None:
    """And its client gets to know what it was."""
    server = await programs.start("key_value", 0)
    with socket.create_connection(("127.0.0.1", await server.port())) as sock:
        sock.sendall(b"*1\r\n+\r\n")
        assert b"Protocol error" in sock.recv(1000)
    await server.prints(r"connection \d+ .* ended, protocol error: expected '\$'.*\n")
