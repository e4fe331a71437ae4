"""The command ``trio-tcp bench`` as a program, against servers of all kinds."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

import trio_tcp
from tests.certificates import ADDRESS, HOST, certificate, server_context, write_files
from tests.integration.loopback import (
    LOOPBACK,
    echo,
    run_program,
    start_server,
    until,
)
from trio_tcp import codecs
from trio_tcp.cli._bench._result import from_json

ROOT = Path(__file__).parents[2]
SECONDS = 30
"""How long anything may take on a slow machine. Nothing waits for it to pass."""

HELLO = ("--codec", "lines", "--message", "hello", "--expect", "same")


def bench(*arguments: object) -> list[str]:
    """Return the command."""
    return [sys.executable, "-m", "trio_tcp", "bench", *map(str, arguments)]


async def run(
    *arguments: object, code: int = 0, stderr: bytes | None = b""
) -> subprocess.CompletedProcess[bytes]:
    """Run the command, and see how it ends."""
    with trio.fail_after(SECONDS):
        ended = await trio.run_process(
            bench(*arguments),
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            cwd=ROOT,
        )
    assert ended.returncode == code, ended.stdout + ended.stderr
    if stderr is not None:
        assert ended.stderr == stderr
    return ended


async def measure(*arguments: object, code: int = 0) -> dict[str, Any]:
    """Run the command, and return its JSON."""
    ended = await run(*arguments, "--json", "-", code=code)
    found: dict[str, Any] = json.loads(ended.stdout)
    latency = found["latency"]
    assert found["replies"] == latency["count"] == sum(latency["buckets"].values())
    assert found["replies"] == sum(s["replies"] for s in found["over_time"])
    assert list(latency["percentiles"].values()) == sorted(
        latency["percentiles"].values()
    )
    assert from_json(found).replies == found["replies"]
    return found


@pytest.fixture
async def port(nursery: trio.Nursery) -> int:
    """Serve lines, and return the port."""
    server = await start_server(nursery, echo, codecs.Lines())
    assert isinstance(server.port, int)
    return server.port


# Servers of all kinds


async def test_our_own_server(port: int) -> None:
    """A counted number of requests, by several connections with several each."""
    found = await measure(
        f"{LOOPBACK}:{port}", *HELLO, "-n", 2000, "-c", 7, "--in-flight", 5
    )
    assert found["replies"] == 2000
    assert found["errors"] == {}
    assert found["bytes_sent"] == found["bytes_received"] == 2000 * len("hello\n")
    assert found["target"] == f"{LOOPBACK}:{port}"


async def test_an_open_loop_for_a_time(port: int) -> None:
    """With a warm-up, and both latencies."""
    found = await measure(
        *(f"localhost:{port}", *HELLO, "--rate", 200, "-d", 1, "--warm-up", 0.2),
        *("--arrivals", "uniform", "-c", 3),
    )
    assert found["replies"] + found["unsent"] == 200
    assert found["uncorrected"]["count"] == found["replies"]
    assert found["uncorrected"]["total"] <= found["latency"]["total"]
    assert found["lateness"]["count"] <= found["replies"]


@pytest.mark.parametrize("program", ["asyncio_echo.py", "twisted_echo.py"])
@pytest.mark.parametrize("mode", [(), ("--churn",)], ids=["kept", "churn"])
async def test_servers_of_other_frameworks(program: str, mode: tuple[str, ...]) -> None:
    async with run_program(program) as server:
        number = await server.line()
        found = await measure(f"{LOOPBACK}:{number}", *HELLO, "-n", 100, "-c", 5, *mode)
    assert found["replies"] == 100


@pytest.mark.skipif(shutil.which("socat") is None, reason="socat is not installed")
async def test_socat_with_a_process_for_each_connection() -> None:
    """Raw chunks of bytes, one way and back."""
    listen = f"TCP-LISTEN:0,bind={LOOPBACK},fork"
    async with run_program(
        "socat", "-dd", listen, "EXEC:cat", stream="stderr"
    ) as server:
        number = (await server.line()).rpartition(":")[2]
        found = await measure(
            *(f"{LOOPBACK}:{number}", "--codec", "chunks", "--message", r"\x00\n"),
            *("--expect", "same", "-n", 50, "-c", 3),
        )
    assert found["replies"] == 50


@pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="redis-server is not installed"
)
async def test_redis_by_a_codec_of_ones_own(tmp_path: Path) -> None:
    """Several messages in turn, and what the reply to each of them must look like."""
    path = tmp_path / "socket"
    options = ("--port", "0", "--unixsocket", path, "--dir", tmp_path, "--save", "")
    messages, replies = tmp_path / "messages", tmp_path / "replies"
    messages.write_text("[b'SET', b'a', b'1']\n[b'GET', b'a']\n", encoding="utf-8")
    replies.write_text("'OK'\nb'1'\n", encoding="utf-8")
    async with run_program("redis-server", *map(str, options)) as server:
        while "ready to accept" not in (line := await server.line()):
            assert line, "redis-server has ended"
        found = await measure(
            *(f"unix:{path}", "--codec", "examples.key_value.resp:CLIENT"),
            *("--messages", messages, "--expect", f"@{replies}"),
            *("-n", 500, "-c", 4, "--in-flight", 10),
        )
    assert found["replies"] == 500


async def test_messages_without_replies_all_arrive(nursery: trio.Nursery) -> None:
    received: list[bytes] = []

    async def swallow(connection: trio_tcp.Connection[bytes, bytes]) -> None:
        received.extend([message async for message in connection])

    server = await start_server(nursery, swallow, codecs.LengthPrefixed())
    found = await measure(
        *(f"{LOOPBACK}:{server.port}", "--codec", "length-prefixed", "--one-way"),
        *("--size", "10KiB", "-n", 300, "-c", 3),
    )
    with trio.fail_after(SECONDS):
        await until(lambda: len(received) == 300)
    assert found["replies"] == 300
    assert {len(message) for message in received} == {10 << 10}


async def test_tls(nursery: trio.Nursery, tmp_path: Path) -> None:
    """With a certificate that is checked; without trust in it, nothing is measured."""
    serve = partial(
        trio_tcp.serve_tcp,
        echo,
        0,
        host=LOOPBACK,
        codec=codecs.Lines(),
        tls=server_context(),
        observer=lambda _: None,
    )
    server: trio_tcp.Server = await nursery.start(serve)
    _, _, ca = write_files(certificate(HOST, ADDRESS), tmp_path)
    address = f"localhost:{server.port}"
    found = await measure(address, *HELLO, "--ca", ca, "-n", 50, "-c", 2)
    assert found["replies"] == 50
    ended = await run(address, *HELLO, "--tls", "-n", 5, code=1, stderr=None)
    assert b"certificate" in ended.stderr


# Several processes


async def test_several_processes_share_the_load(
    nursery: trio.Nursery,
) -> None:
    """Each has a part of the connections; the result is that of all."""
    server = await start_server(nursery, echo, codecs.Lines())
    found = await measure(
        *(f"{LOOPBACK}:{server.port}", *HELLO, "-n", 301, "-c", 5, "--processes", 2)
    )
    assert found["replies"] == 301
    assert found["connections"] == server.statistics().accepted == 5
    assert len(found["cpu_seconds"]) == 2


# How it ends


@asynccontextmanager
async def running(*arguments: object) -> AsyncGenerator[trio.Process, None]:
    """Run the command in the block, which sees to it that it ends."""
    process = await trio.lowlevel.open_process(
        bench(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            for stream in (process.stdout, process.stderr):
                assert stream is not None
                await stream.aclose()


async def output(process: trio.Process) -> tuple[bytes, bytes]:
    """Return all that it prints."""
    assert process.stdout is not None
    assert process.stderr is not None
    with trio.fail_after(SECONDS):
        return (
            b"".join([chunk async for chunk in process.stdout]),
            b"".join([chunk async for chunk in process.stderr]),
        )


def counting(counter: Counter[str]) -> trio_tcp.Handler[str, str]:
    """Make an echo that counts its messages."""

    async def handle(connection: trio_tcp.Connection[str, str]) -> None:
        async for line in connection:
            counter["messages"] += 1
            await connection.send(line)

    return handle


@pytest.mark.parametrize("processes", [1, 2])
async def test_ctrl_c_shows_what_was_measured_so_far(
    nursery: trio.Nursery, processes: int
) -> None:
    seen: Counter[str] = Counter()
    server = await start_server(nursery, counting(seen), codecs.Lines())
    async with running(
        *(f"{LOOPBACK}:{server.port}", *HELLO, "-d", 1000, "--warm-up", 0),
        *("--json", "-", "-c", 2, "--rate", 100, "--processes", processes),
    ) as process:
        with trio.fail_after(SECONDS):
            await until(lambda: seen["messages"] > 20)
        process.send_signal(signal.SIGINT)
        printed, said = await output(process)
        assert await process.wait() == 0, said
    found = json.loads(printed)
    assert found["ending"] == "interrupted"
    assert found["replies"] + found["unanswered"] == seen["messages"]
    assert "The run was interrupted." in found["warnings"]


async def test_a_second_signal_ends_it_at_once(nursery: trio.Nursery) -> None:
    """As a process that dies of it, though the server still owes a reply."""
    seen = trio.Event()

    async def swallow(connection: trio_tcp.Connection[str, str]) -> None:
        async for _ in connection:
            seen.set()

    server = await start_server(nursery, swallow, codecs.Lines())
    async with running(
        f"{LOOPBACK}:{server.port}", *HELLO, "--warm-up", 0, "-c", 1
    ) as process:
        with trio.fail_after(SECONDS):
            await seen.wait()
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        printed, _ = await output(process)
        assert await process.wait() in (-signal.SIGINT, -signal.SIGTERM)
    assert printed == b""


async def test_a_server_that_resets_its_connections_is_counted(
    nursery: trio.Nursery,
) -> None:
    """Its errors have their kinds, and the exit code says that there were some."""
    visits: Counter[str] = Counter()

    async def reset_the_first(connection: trio_tcp.Connection[str, str]) -> None:
        visits["all"] += 1
        if visits["all"] == 1:
            await connection.receive()
            connection.abort()
        await echo(connection)

    server = await start_server(
        nursery, reset_the_first, codecs.Lines(), observer=lambda _: None
    )
    found = await measure(
        f"{LOOPBACK}:{server.port}", *HELLO, "-n", 20, "-c", 1, code=1
    )
    assert found["errors"] == {"reset": 1}
    assert (found["replies"], found["unanswered"]) == (19, 1)


async def test_a_report_is_shown_also_if_it_cannot_be_written(
    port: int, tmp_path: Path
) -> None:
    """It may have taken long."""
    nowhere = tmp_path / "nowhere" / "figures.json"
    ended = await run(
        *(f"{LOOPBACK}:{port}", *HELLO, "-n", 100, "-c", 2, "--json", nowhere),
        code=1,
        stderr=None,
    )
    assert b"99.9 %" in ended.stdout
    assert b"figures.json" in ended.stderr


async def test_the_report_and_the_picture(port: int, tmp_path: Path) -> None:
    """What people get: without colours where it is no terminal."""
    picture, figures = tmp_path / "picture.svg", tmp_path / "figures.json"
    ended = await run(
        *(f"{LOOPBACK}:{port}", *HELLO, "-n", 100, "-c", 2, "--rate", 1000),
        *("--svg", picture, "--json", figures),
    )
    text = ended.stdout.decode()
    assert "\x1b" not in text
    assert "open loop, 1,000 requests/s" in text
    assert "99.9 %" in text
    assert picture.read_text("utf-8").startswith("<svg")
    assert json.loads(figures.read_text("utf-8"))["replies"] == 100
