"""The command ``trio-tcp proxy``, as a program between others."""

from __future__ import annotations

import os
import pty
import re
import signal
import socket
import sys
import termios
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from tests.integration.loopback import (
    LOOPBACK,
    Program,
    connect,
    echo,
    receive_exactly,
    receive_reset,
    run_program,
    start_server,
)
from trio_tcp import codecs
from trio_tcp.cli import main
from trio_tcp.testing import faults
from trio_tcp.testing.proxy import UNSUITABLE

PROXY = (sys.executable, "-m", "trio_tcp", "proxy", f"{LOOPBACK}:0")
LISTENING = re.compile(r"listening on 127\.0\.0\.1:(\d+), before (.*); seed (.*)")


@asynccontextmanager
async def run_proxy(*options: str) -> AsyncGenerator[tuple[Program, int], None]:
    """Run it before an echo; gives its output, and the port where it listens."""
    async with trio.open_nursery() as nursery:
        target = await start_server(nursery, echo, codecs.Chunks())
        command = (*PROXY, f"{LOOPBACK}:{target.port}", *options)
        async with run_program(*command) as program:
            found = LISTENING.search(await program.line())
            assert found is not None
            assert found[2] == f"{LOOPBACK}:{target.port}"
            yield program, int(found[1])
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_in_order_and_the_trace_is_written(
    number: signal.Signals, tmp_path: Path
) -> None:
    path = tmp_path / "trace.html"
    options = ("--trace", str(path), "--fault", "slice:1@to-client")
    async with run_proxy(*options) as (program, port):
        assert "fault 1 begins: slice@to-client" in await program.line()
        async with connect(port) as client:
            await client.send_all(b"hello")
            assert await client.receive_some() == b"h"
            assert await receive_exactly(client, 4) == b"ello"
            program.process.send_signal(number)
            assert await receive_reset(client) == b""
        assert await program.process.wait() == 0
    page = path.read_text(encoding="utf-8")
    assert "server" in page
    assert "Slice(1)" in page


async def test_it_does_what_is_typed_and_says_what_it_does() -> None:
    commands = (
        "add latency 0.2 jitter=0.1 @to-client\n"
        "add hold\n"
        "list\n"
        "end 1\n"
        "connections\n"
        "end 7\n"
        "add crash\n"
        "dance\n"
        "end all\n"
        "list\n"
        "quit\n"
    )
    with socket.socket() as unused:
        unused.bind((LOOPBACK, 0))
        target = "{}:{}".format(*unused.getsockname())
        done = await trio.run_process(
            [*PROXY, target, "--seed", "7"],
            stdin=commands.encode(),
            capture_stdout=True,
        )
    lines = [line.split(maxsplit=1)[1] for line in done.stdout.decode().splitlines()]
    assert lines[0].endswith(f"before {target}; seed 7")
    assert lines[1:] == [
        "fault 1 begins: latency:seconds=0.2,jitter=0.1@to-client",
        "fault 2 begins: hold",
        "1  latency:seconds=0.2,jitter=0.1@to-client",
        "2  hold",
        "fault 1 ends: latency:seconds=0.2,jitter=0.1@to-client",
        "nobody is connected",
        "no fault 7 is in force",
        UNSUITABLE[faults.Crash],
        "'dance' is no command; see: help",
        "fault 2 ends: hold",
        "no fault is in force",
    ]


async def test_a_plan_and_then_chaos(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text("[[fault]]\nseconds = 0.05\nfault = 'hold@to-server'\n")
    options = ("--plan", str(path), "--chaos", "5", "--seed", "1")
    async with run_proxy(*options) as (program, _):
        assert "fault 1 begins: hold@to-server" in await program.line()
        assert "fault 1 ends: hold@to-server" in await program.line()
        assert "fault 2 begins: " in await program.line()
        program.process.send_signal(signal.SIGINT)
        assert await program.process.wait() == 0


async def test_connections_are_told_of() -> None:
    async with run_proxy() as (program, port):
        async with connect(port) as client:
            host, number = client.socket.getsockname()
            await client.send_all(b"hello")
            assert await receive_exactly(client, 5) == b"hello"
        begins, ends = await program.line(), await program.line()
        assert f"connection 1 begins: from {host}:{number}" in begins
        assert "connection 1 ends; 5 bytes to the server, 5 to the client" in ends


def test_a_port_that_is_taken_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["proxy", f"{LOOPBACK}:{port}", "localhost:1"]) == 1
    assert "in use" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--fault", "latenzy:1"], "did you mean latency"),
        (["--fault", "crash"], "BlackHole"),
        (["--fault", "hold@1"], "no connection has a number yet"),
        (["--plan", "/nowhere"], "No such file"),
        (["--chaos", "0"], "chaos"),
        (["--trace", "x.txt"], "neither .pcap nor .html"),
        (["--trace-size", "much"], "no number of bytes"),
        (["--control", "unix:/x"], "HOST:PORT"),
        (["fd:99999"], "unexpected"),
    ],
)
def test_wrong_usage_is_said_before_anything_listens(
    capsys: pytest.CaptureFixture[str], options: list[str], why: str
) -> None:
    assert main(["proxy", f"{LOOPBACK}:0", "localhost:1", *options]) == 2
    assert why in capsys.readouterr().err


async def test_on_a_terminal_it_shows_a_table_and_takes_keys() -> None:
    """And the terminal is afterwards as it was."""
    controller, terminal = pty.openpty()
    before = termios.tcgetattr(terminal)
    termios.tcsetwinsize(terminal, (40, 100))
    process = await trio.lowlevel.open_process(
        [*PROXY, "localhost:1"],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env={**os.environ, "TERM": "xterm"},
    )
    shown = bytearray()

    async def until_shown(text: bytes) -> None:
        while text not in shown:
            await trio.lowlevel.wait_readable(controller)
            shown.extend(os.read(controller, 65_536))

    await until_shown(b"0 open of 0")
    os.write(controller, b"add hood\x7f\x7fld@to-client\r")
    await until_shown(b"fault 1 begins: hold@to-client")
    os.write(controller, b"quit\r")
    with trio.move_on_after(30):
        while process.poll() is None:
            with trio.move_on_after(0.1):
                await until_shown(b"never")
    assert await process.wait() == 0
    assert termios.tcgetattr(terminal) == before
    os.close(controller)
    os.close(terminal)
