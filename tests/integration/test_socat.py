"""socat at the other end, over TCP and over Unix sockets."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import pytest
import trio

import trio_tcp
from tests.integration.loopback import LOOPBACK, echo, run_program, start_server
from trio_tcp import codecs

pytestmark = pytest.mark.skipif(
    shutil.which("socat") is None, reason="the program socat is not installed"
)

LINES = ["one", "", "grüße", "x" * 10_000]
TEXT = "".join(f"{line}\n" for line in LINES).encode()

# Seconds that socat waits for the rest after one side has ended; 0.5 by default.
PATIENCE = "-t30"


async def through_socat(address: str) -> bytes:
    """Have socat connect, send the text and half-close; return what it gets."""
    done = await trio.run_process(
        ["socat", PATIENCE, "-", address],
        stdin=TEXT,
        capture_stdout=True,
    )
    return done.stdout


async def test_socat_talks_to_our_tcp_server(nursery: trio.Nursery) -> None:
    """A pipe into socat, as people try a server by hand."""
    server = await start_server(nursery, echo, codecs.Lines())
    assert await through_socat(f"TCP:{LOOPBACK}:{server.port}") == TEXT


async def test_socat_talks_to_our_unix_server(
    nursery: trio.Nursery, tmp_path: Path
) -> None:
    """Over a Unix socket, which socat can half-close too."""
    path = tmp_path / "socket"
    await nursery.start(partial(trio_tcp.serve_unix, echo, path, codec=codecs.Lines()))
    assert await through_socat(f"UNIX-CONNECT:{path}") == TEXT


async def test_our_tcp_client_talks_to_socat() -> None:
    """The other end hands each byte on to a program, and its answers back."""
    command = ("socat", "-dd", PATIENCE, f"TCP-LISTEN:0,bind={LOOPBACK}", "EXEC:cat")
    async with run_program(*command, stream="stderr") as listener:
        port = int((await listener.line()).rpartition(":")[2])
        async with trio_tcp.connect_tcp(
            LOOPBACK, port, codec=codecs.Lines()
        ) as connection:
            await exchange(connection)
        assert await listener.process.wait() == 0


async def test_our_unix_client_talks_to_socat(tmp_path: Path) -> None:
    """The same over a Unix socket."""
    path = tmp_path / "socket"
    command = ("socat", "-dd", PATIENCE, f"UNIX-LISTEN:{path}", "EXEC:cat")
    async with run_program(*command, stream="stderr") as listener:
        assert "listening" in await listener.line()
        async with trio_tcp.connect_unix(path, codec=codecs.Lines()) as connection:
            await exchange(connection)
        assert await listener.process.wait() == 0


async def exchange(connection: trio_tcp.Connection[str, str]) -> None:
    """Line by line first; then all at once, with a half-close behind them."""
    for line in LINES:
        await connection.send(line)
        assert await connection.receive() == line
    await connection.send_many(LINES)
    await connection.send_eof()
    assert [line async for line in connection] == LINES
