"""The clients of Redis, as they are, talk to the store of ``examples/key_value``.

Each speaks the version of the protocol that it speaks by default, and redis-py the
other one, too.
"""

# pyright: reportUnknownMemberType=false
# redis-py says nothing about the types of what its methods pass on as **kwargs.

from __future__ import annotations

import asyncio
from collections.abc import Callable

import coredis
import pytest
import redis
import redis.asyncio
import trio
from coredis.exceptions import ResponseError

from tests.integration.loopback import LOOPBACK
from tests.integration.redis_store import start_store

VALUE = bytes(range(256)) * 1000

both_versions = pytest.mark.parametrize("protocol", [2, 3])


def use(port: int, protocol: int) -> None:
    """Do what programs do with the blocking client."""
    with redis.Redis(
        LOOPBACK, port, protocol=protocol, client_name="ann", socket_timeout=30
    ) as client:
        assert client.ping()
        assert client.client_getname() in ("ann", b"ann")
        assert client.set("a", VALUE, ex=100, nx=True)
        assert client.set("a", b"", nx=True) is None
        assert client.get("a") == VALUE
        assert client.ttl("a") in (99, 100)
        assert client.mset({"b": 1, "c": 2})
        assert client.mget("b", "x", "c") == [b"1", None, b"2"]
        assert client.incr("b") == 2
        assert client.exists("a", "b", "x") == 2
        assert client.expire("b", 50)
        assert client.delete("a", "x") == 1
        assert client.dbsize() == 2
        assert client.config_get("save") in ({"save": ""}, {b"save": b""})
        assert client.info()["db0"]["keys"] == 2
        with pytest.raises(redis.ResponseError, match="not an integer"):
            client.execute_command("EXPIRE", "b", "soon")
        assert client.echo("still there") == b"still there"
        assert client.flushall()


def use_pipeline(port: int, protocol: int) -> None:
    """Have many requests answered at once."""
    with redis.Redis(LOOPBACK, port, protocol=protocol, socket_timeout=30) as client:
        with client.pipeline(transaction=False) as pipeline:
            for number in range(1000):
                pipeline.set(f"key:{number}", number)
                pipeline.get(f"key:{number}")
            replies = pipeline.execute()
    assert replies[::2] == [True] * 1000
    assert replies[1::2] == [b"%d" % number for number in range(1000)]


@both_versions
@pytest.mark.parametrize("using", [use, use_pipeline])
async def test_redis_py_takes_it_for_a_redis(
    nursery: trio.Nursery, using: Callable[[int, int], None], protocol: int
) -> None:
    """The blocking client."""
    port = await start_store(nursery)
    await trio.to_thread.run_sync(using, port, protocol)


@both_versions
async def test_redis_py_on_asyncio_takes_it_for_a_redis(
    nursery: trio.Nursery, protocol: int
) -> None:
    """Twenty tasks at once on a pool of connections."""

    async def use_asyncio(port: int) -> None:
        async with redis.asyncio.Redis(
            host=LOOPBACK, port=port, protocol=protocol, max_connections=20
        ) as client:

            async def count() -> None:
                for _ in range(50):
                    await client.incr("a")

            await asyncio.gather(*(count() for _ in range(20)))
            assert await client.get("a") == b"1000"
            assert await client.set("b", VALUE)
            assert await client.mget("b", "x") == [VALUE, None]

    port = await start_store(nursery)
    await trio.to_thread.run_sync(asyncio.run, use_asyncio(port))


async def test_coredis_takes_it_for_a_redis(nursery: trio.Nursery) -> None:
    """On Trio, in the same process; twenty tasks at once."""
    port = await start_store(nursery)
    async with coredis.Redis(host=LOOPBACK, port=port) as client:

        async def count() -> None:
            for _ in range(50):
                await client.incr("a")

        async with trio.open_nursery() as tasks:
            for _ in range(20):
                tasks.start_soon(count)
        assert await client.get("a") == b"1000"
        assert await client.set("b", VALUE, ex=100)
        assert await client.mget(["b", "x"]) == (VALUE, None)
        assert await client.delete(["a", "b"]) == 2
        with pytest.raises(ResponseError, match="unknown command"):
            await client.lpush("a", ["b"])
        assert await client.ping() == b"PONG"
