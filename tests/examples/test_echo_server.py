from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import trio

import trio_tcp
from trio_tcp import codecs

if TYPE_CHECKING:
    from tests.examples.conftest import Programs


async def test_it_sends_every_line_back(programs: Programs) -> None:
    """What a client sends comes back, in order."""
    port = await (await programs.start("echo_server.py", 0)).port()
    lines = [str(number) for number in range(1000)]
    async with trio_tcp.connect_tcp(
        "127.0.0.1", port, codec=codecs.Lines()
    ) as connection:
        with trio.fail_after(15):
            await connection.send_many(lines)
            await connection.send_eof()
            assert [line async for line in connection] == lines


async def test_it_ends_with_ctrl_c_though_a_client_is_there(programs: Programs) -> None:
    """Ctrl-C ends it in order."""
    server = await programs.start("echo_server.py", 0)
    port = await server.port()
    async with trio_tcp.connect_tcp(
        "127.0.0.1", port, codec=codecs.Lines()
    ) as connection:
        with trio.fail_after(15):
            await connection.send("hello")
            assert await connection.receive() == "hello"
            server.process.send_signal(signal.SIGINT)
            assert [line async for line in connection] == []
    # The client has closed, so that the server does not give it time to.
    log = (await server.ends()).splitlines()
    assert log[0] == "draining 1 connections, for up to 30 s"
    assert log[-1] == "stopped, after 1 connections"
