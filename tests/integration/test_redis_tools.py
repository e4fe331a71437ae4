"""The tools of Redis at the other end of the store of ``examples/key_value``."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import trio

import trio_tcp
from tests.integration.loopback import (
    LOOPBACK,
    Record,
    connect,
    receive_all,
    receive_exactly,
    reset,
)
from tests.integration.redis_store import start_store

pytestmark = [
    pytest.mark.skipif(
        shutil.which(program) is None, reason=f"the program {program} is not installed"
    )
    for program in ("redis-cli", "redis-benchmark")
]

COMMANDS = 100_000


async def run(*command: str, stdin: Path | None = None) -> str:
    """Run a program, with a file as its input, and return what it prints."""
    with (stdin or Path("/dev/null")).open("rb") as file:
        done = await trio.run_process(
            command, stdin=file, capture_stdout=True, stderr=subprocess.STDOUT
        )
    return done.stdout.decode()


async def redis_cli(port: int, *arguments: str, stdin: Path | None = None) -> str:
    """Run redis-cli, and return what it prints."""
    return await run(
        "redis-cli", "-h", LOOPBACK, "-p", str(port), *arguments, stdin=stdin
    )


@pytest.mark.parametrize("version", ["-2", "-3"])
async def test_redis_cli_does_what_it_is_told(
    nursery: trio.Nursery, version: str
) -> None:
    """In either version of the protocol; several commands from its input, too."""
    port = await start_store(nursery)

    async def cli(*arguments: str) -> str:
        return await redis_cli(port, "--no-raw", version, *arguments)

    assert await cli("SET", "a", "1", "EX", "100") == "OK\n"
    assert await cli("TTL", "a") in ("(integer) 100\n", "(integer) 99\n")
    assert await cli("INCR", "a") == "(integer) 2\n"
    assert await cli("GET", "b") == "(nil)\n"
    assert await cli("MGET", "a", "b") == '1) "2"\n2) (nil)\n'
    assert await cli("-n", "0", "PING") == "PONG\n"
    assert "unknown command" in await cli("NONSENSE")
    assert "redis_version" in await cli("INFO")
    assert '"save"' in await cli("CONFIG", "GET", "s*")


async def test_redis_cli_pipes_a_hundred_thousand_commands(
    nursery: trio.Nursery, tmp_path: Path
) -> None:
    """Each is answered, and each is done."""
    port = await start_store(nursery)
    commands = tmp_path / "commands"
    commands.write_bytes(
        b"".join(
            b"*3\r\n$3\r\nSET\r\n$9\r\nkey:%05d\r\n$5\r\n%05d\r\n" % (number, number)
            for number in range(COMMANDS)
        )
    )
    said = await redis_cli(port, "--pipe", stdin=commands)
    assert said.endswith(f"errors: 0, replies: {COMMANDS}\n")
    assert await redis_cli(port, "DBSIZE") == f"{COMMANDS}\n"
    assert await redis_cli(port, "GET", "key:77777") == "77777\n"


async def test_redis_cli_pipes_what_is_typed_by_hand(
    nursery: trio.Nursery, tmp_path: Path
) -> None:
    """Lines among requests of programs; what is wrong with one is in its reply."""
    port = await start_store(nursery)
    commands = tmp_path / "commands"
    commands.write_bytes(b'SET a "b c"\r\nNONSENSE\r\n' * 1000)
    with pytest.raises(subprocess.CalledProcessError) as caught:
        await redis_cli(port, "--pipe", stdin=commands)
    assert caught.value.stdout.endswith(b"errors: 1000, replies: 2000\n")
    assert await redis_cli(port, "GET", "a") == "b c\n"


@pytest.mark.parametrize("pipelined", [1, 16])
async def test_redis_benchmark_runs_to_its_end(
    nursery: trio.Nursery, record: Record, pipelined: int
) -> None:
    """With fifty clients, and keys at random; nothing goes wrong."""
    port = await start_store(nursery, record)
    options = f"-t set,get -n 4000 -r 1000 -P {pipelined} --csv"
    said = await run("redis-benchmark", "-p", str(port), *options.split())
    assert re.findall(r'^"(SET|GET)"', said, re.MULTILINE) == ["SET", "GET"]
    assert "rror" not in said
    assert 0 < int(await redis_cli(port, "DBSIZE")) <= 1000
    ended = await record.wait(trio_tcp.ConnectionEnded, 100)
    assert sum(each.statistics.messages_received for each in ended) >= 8000


async def test_damage_ends_one_connection_and_hurts_no_other(
    nursery: trio.Nursery, record: Record
) -> None:
    """Garbage, half a request and a reset, while others count up."""
    port = await start_store(nursery, record)
    counting = connect(port)
    async with connect(port) as garbage, connect(port) as silent:
        await garbage.send_all(b"*1\r\n" + bytes(100_000))
        said = await receive_all(garbage)
        assert re.fullmatch(rb"-ERR Protocol error: [^\r\n]*\r\n", said)
        await silent.send_all(b"*2\r\n$3\r\nGET\r\n$100\r\nabc")
        broken = connect(port)
        await broken.send_all(b"INCR a\r\n" * 1000)
        reset(broken)
        async with counting:
            await counting.send_all(b"INCR b\r\n" * 1000 + b"QUIT\r\n")
            numbers = b"".join(b":%d\r\n" % number for number in range(1, 1001))
            assert await receive_exactly(counting, len(numbers)) == numbers
            assert await receive_all(counting) == b"+OK\r\n"
    reasons = [end.reason for end in await record.wait(trio_tcp.ConnectionEnded, 4)]
    assert trio_tcp.CloseReason.PROTOCOL_ERROR in reasons
    assert not record.all(trio_tcp.HandlerFailed)
