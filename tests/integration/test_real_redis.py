"""A real Redis at the other end of the client of ``examples/key_value``."""

from __future__ import annotations

import random
import shutil
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

import trio_tcp
from examples.key_value.client import ReplyError, Requester, ask, load
from examples.key_value.resp import CLIENT
from examples.key_value.resp_replies import NIL, Reply
from examples.key_value.resp_requests import Request
from tests.integration.loopback import LOOPBACK, receive_all, run_program
from tests.integration.redis_store import start_store

pytestmark = pytest.mark.skipif(
    shutil.which("redis-server") is None,
    reason="the program redis-server is not installed",
)


def free_port() -> int:
    """Return a port that nobody uses at this moment."""
    with socket.socket() as sock:
        sock.bind((LOOPBACK, 0))
        port: int = sock.getsockname()[1]
        return port


@asynccontextmanager
async def redis_server(folder: Path, port: int) -> AsyncGenerator[None, None]:
    """Run a Redis that keeps nothing on the disk; kill it at the end of the block."""
    options = ["--bind", LOOPBACK, "--port", str(port), "--dir", str(folder)]
    async with run_program("redis-server", *options, "--save", "") as program:
        said = [await program.line()]
        while "Ready to accept connections" not in said[-1]:
            assert said[-1], f"redis-server ended with {said}"
            said.append(await program.line())
        yield


@pytest.fixture
async def port(tmp_path: Path) -> AsyncGenerator[int, None]:
    """Run a Redis."""
    port = free_port()
    async with redis_server(tmp_path, port):
        yield port


@asynccontextmanager
async def open_client(port: int) -> AsyncGenerator[Requester, None]:
    """Open a requester for it."""
    connect = partial(trio_tcp.connect_tcp, LOOPBACK, port, codec=CLIENT)
    async with trio_tcp.open_requester(connect) as requester:
        yield requester


async def test_replies_of_all_kinds_are_understood(port: int) -> None:
    """Lists in lists, too, and those of commands that our own server does not have."""
    async with open_client(port) as client:

        async def does(line: str) -> Reply:
            return await ask(client, *line.encode().split())

        assert await does("SET a 1 EX 100") == "OK"
        assert await does("INCR a") == 2
        assert await does("GET x") == NIL
        assert await does("RPUSH list one two") == 2
        assert await does("LRANGE list 0 -1") == [b"one", b"two"]
        assert await does("BLPOP x 0.001") == NIL
        assert await does("EVAL return{1,{2,{false,'x'}}} 0") == [1, [2, [NIL, b"x"]]]
        with pytest.raises(ReplyError, match=r"^WRONGTYPE "):
            await does("GET list")
        assert isinstance(await does("COMMAND INFO get"), list)
        value = bytes(range(256)) * 4000
        assert await ask(client, b"SET", b"b", value) == "OK"
        assert await ask(client, b"GET", b"b") == value


async def test_many_tasks_share_one_connection(port: int) -> None:
    """Each gets its own replies."""
    async with open_client(port) as client:

        async def use(number: int) -> None:
            key = b"key %d" % number
            for count in range(1, 21):
                assert await ask(client, b"INCR", key) == count
                assert await ask(client, b"ECHO", key) == key

        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(use, number)
        clients = await ask(client, b"INFO", b"clients")
        assert isinstance(clients, bytes)
        assert b"\r\nconnected_clients:1\r\n" in clients


async def test_a_file_is_loaded_over_a_pool(port: int) -> None:
    """Batches at the same time, over no more connections than allowed."""
    connect = partial(trio_tcp.connect_tcp, LOOPBACK, port, codec=CLIENT)
    async with trio_tcp.open_pool(connect, size=4) as pool:
        async with trio.open_nursery() as nursery:
            for batch in range(20):
                lines = [b"%d:%d %d\n" % (batch, line, line) for line in range(1000)]
                nursery.start_soon(load, pool, lines)
        assert pool.statistics().made <= 4
    async with open_client(port) as client:
        assert await ask(client, b"DBSIZE") == 20_000
        assert await ask(client, b"GET", b"7:77") == b"77"


async def test_reading_goes_on_when_redis_has_restarted(tmp_path: Path) -> None:
    """What was asked while it was away is answered; nothing has to be done for it."""
    port = free_port()
    async with open_client(port) as client:
        async with redis_server(tmp_path, port):
            assert await ask(client, b"SET", b"a", b"1") == "OK"
        async with trio.open_nursery() as nursery:
            replies: list[Reply] = []

            async def read() -> None:
                replies.append(await ask(client, b"GET", b"a"))

            for _ in range(10):
                nursery.start_soon(read)
            async with redis_server(tmp_path, port):
                while len(replies) < 10:  # noqa: ASYNC110 - other tasks are at work
                    await trio.lowlevel.checkpoint()
        assert replies == [NIL] * 10  # it keeps nothing on the disk


# The store of the example beside a real one


def some_request(source: random.Random) -> Request:
    """Draw a request that makes sense, mostly."""
    key, other, value = source.choices(
        [b"a", b"b", b"c", b"1", b"-7", b"", b"x y"], k=3
    )
    options = source.choices([b"EX", b"PX", b"NX", b"XX", b"100000", b"0"], k=3)
    return source.choice(
        [
            [b"GET", key],
            [b"SET", key, value],
            [b"SET", key, value, *options[: source.randrange(4)]],
            [b"del", key, other],
            [b"EXISTS", key, other, key],
            [b"INCR", key],
            [b"INCRBY", key, value],
            [b"EXPIRE", key, source.choice([b"100", b"0", b"-1", b"x"])],
            [b"TTL", key],
            [b"MGET", key, other],
            [b"MSET", key, value, other, key],
            [b"DBSIZE"],
            [b"PING", value],
            [b"GET"],
            [b"SELECT", source.choice([b"0", b"99", b"x"])],
        ]
    )


async def test_the_store_replies_as_redis_does(
    nursery: trio.Nursery, port: int
) -> None:
    """To thousands of requests at random, on few keys, right and wrong."""
    source = random.Random(0)
    requests = [some_request(source) for _ in range(5000)]
    replies: list[list[Reply]] = []
    for each in (port, await start_store(nursery)):
        async with trio_tcp.connect_tcp(LOOPBACK, each, codec=CLIENT) as connection:
            nursery.start_soon(connection.send_many, requests)
            replies.append([await connection.receive() for _ in requests])
    for request, theirs, ours in zip(requests, *replies, strict=True):
        assert (request, ours) == (request, theirs)


@pytest.mark.parametrize(
    "damage",
    [
        b"*1\r\n+GET\r\n",
        b"*1\r\nGET\r\n",
        b"*x\r\n",
        b"*1\r\n$-1\r\n",
        b"*1\r\n$x\r\n",
        b'SET a "b\r\n',
        b"SET a 'b'c\r\n",
        b"x" * 100_000,
    ],
)
async def test_damage_has_the_words_of_redis(
    nursery: trio.Nursery, port: int, damage: bytes
) -> None:
    """What was whole before is answered, then the connection ends."""
    said: list[bytes] = []
    for each in (port, await start_store(nursery)):
        async with await trio.open_tcp_stream(LOOPBACK, each) as stream:
            await stream.send_all(b"\r\n*0\r\nPING\n" + damage)
            said.append(await receive_all(stream))
    theirs, ours = said
    assert ours == theirs
    assert ours.startswith(b"+PONG\r\n-ERR Protocol error: ")
