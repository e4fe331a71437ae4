"""The client in a real terminal."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest
import trio
import trustme

from tests.examples.chat.stage import Server, join_in_terminal, open_server
from tests.tmux import ROOT, Tmux

pytestmark = pytest.mark.skipif(
    shutil.which("tmux") is None, reason="the program tmux is not installed"
)


@pytest.fixture
async def server() -> AsyncGenerator[Server, None]:
    """Run the server."""
    async with open_server() as server:
        yield server


async def both(stack: AsyncExitStack, server: Server) -> tuple[Tmux, Tmux]:
    """Have two people in the lobby."""
    ann = await stack.enter_async_context(join_in_terminal("ann", server.port))
    await ann.shows("ann has joined lobby")
    ben = await stack.enter_async_context(join_in_terminal("ben", server.port))
    await ann.shows("ben has joined lobby")
    return ann, ben


async def test_a_line_that_is_being_typed_stays_below_what_others_say(
    server: Server,
) -> None:
    async with AsyncExitStack() as stack:
        ann, ben = await both(stack, server)
        await ann.types("how are y")
        await ann.shows(r"^lobby> how are y$")
        for number in range(5):
            await ben.enters(f"line {number}")
        screen = await ann.shows(r"ben: line 4\nlobby> how are y$")
        assert screen.count("how are y") == 1
        await ann.types("ou?")
        await ann.presses("Left", "Left", "BSpace")
        await ann.types("O")
        await ann.presses("Enter")
        await ben.shows("ann: how are yOu\\?$")


async def test_ctrl_d_leaves_and_the_terminal_is_as_before(server: Server) -> None:
    async with AsyncExitStack() as stack:
        ann, ben = await both(stack, server)
        await ann.enters("last words")
        await ann.presses("C-d")
        screen = await ann.shows("exit code 0")
        assert "you have left" in screen
        await ann.shows(r"(?<!-)icanon")
        await ann.shows(r"(?<!-)echo ")
        await ben.shows("ann: last words\n.*ann has left lobby")


async def test_a_name_that_is_taken_is_the_end(server: Server) -> None:
    async with join_in_terminal("ann", server.port) as ann:
        await ann.shows("ann has joined")
        async with join_in_terminal("ann", server.port) as second:
            await second.shows("the name ann is taken")
            await second.shows("exit code 0")


async def test_commands_are_answered(server: Server) -> None:
    async with AsyncExitStack() as stack:
        ann, ben = await both(stack, server)
        await ann.enters("/join den")
        await ann.shows("^den>")
        await ben.enters("/msg ann psst")
        await ann.shows("ben to ann, in private: psst")
        await ann.enters("/rooms")
        await ann.shows("den: ann\n +lobby: ben")


async def test_a_server_that_comes_later_is_found(server: Server) -> None:
    await server.stop()
    async with join_in_terminal("ann", server.port) as ann:
        await ann.shows("connecting again in")
        await ann.types("said before it was there")
        await ann.presses("Enter")
        await server.start()
        await ann.shows("ann: said before it was there")


async def relay(port: int, stream: trio.SocketStream) -> None:
    """Carry bytes between a client and the server, until one of them closes."""
    async with stream, await trio.open_tcp_stream("127.0.0.1", port) as server:
        async with trio.open_nursery() as nursery:

            async def carry(source: trio.SocketStream, to: trio.SocketStream) -> None:
                with suppress(trio.BrokenResourceError):  # a reset is an end, too
                    async for chunk in source:
                        await to.send_all(chunk)
                nursery.cancel_scope.cancel()

            nursery.start_soon(carry, stream, server)
            nursery.start_soon(carry, server, stream)


async def test_after_a_break_nothing_comes_twice_and_nothing_is_missing(
    server: Server, nursery: trio.Nursery
) -> None:
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    lines: list[trio.CancelScope] = []
    is_cut = False

    async def carry(stream: trio.SocketStream) -> None:
        with trio.CancelScope() as line:
            lines.append(line)
            if is_cut:  # it has connected again, too early
                line.cancel()
            await relay(server.port, stream)

    nursery.start_soon(trio.serve_listeners, carry, [listener])
    async with AsyncExitStack() as stack:
        ann = await stack.enter_async_context(join_in_terminal("ann", port))
        await ann.shows("ann has joined")
        ben = await stack.enter_async_context(join_in_terminal("ben", server.port))
        await ben.enters("before")
        await ann.shows("ben: before")
        is_cut = True
        for line in lines:
            line.cancel()
        await ann.shows("connecting again in")
        for number in range(5):
            await ben.enters(f"meanwhile {number}")
        await ben.shows("ben: meanwhile 4")
        is_cut = False
        await ben.enters("after")
        screen = await ann.shows("ben: after")
    said = re.findall(r"ben: (.*)", screen)
    assert said == ["before", *[f"meanwhile {n}" for n in range(5)], "after"]
    assert "missing" not in screen


async def test_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    paths = {name: tmp_path / name for name in ("authority", "certificate", "key")}
    authority.cert_pem.write_to_path(paths["authority"])
    certificate.private_key_pem.write_to_path(paths["key"])
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(paths["certificate"], append=True)
    files = ("--cert", str(paths["certificate"]), "--key", str(paths["key"]))
    async with open_server(*files) as server:
        secure = ("--host", "localhost", "--tls")
        trusting = ("--cafile", str(paths["authority"]))
        async with join_in_terminal("ann", server.port, *secure, *trusting) as ann:
            await ann.shows("ann has joined lobby")
        async with join_in_terminal("ann", server.port, *secure) as ann:
            await ann.shows(r"could not connect to localhost(.*\n)+exit code 1")


def test_it_needs_a_terminal() -> None:
    program = [sys.executable, "-m", "examples.chat.client", "ann"]
    done = subprocess.run(
        program, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == b"chat: this needs a terminal\n"
