"""``trio-tcp serve`` where a process has few descriptors, and a crowd wants them."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack

import pytest
import trio

from tests.integration.loopback import LOOPBACK, receive_exactly
from tests.integration.serving import COMMAND, OBEY, ON_LOOPBACK, SECONDS, run_service

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has no such limit"
)

STATUS = ("--status", f"{LOOPBACK}:0")

CROWD = 100


def limited_to(count: int, kind: str) -> list[str]:
    """Return the command, with so many descriptors: the soft limit, or both."""
    return ["sh", "-c", f'ulimit -{kind} {count}; exec "$@"', "sh", *COMMAND]


async def probe(port: int) -> bytes:
    """Ask whether it lives."""
    async with await trio.open_tcp_stream(LOOPBACK, port) as stream:
        await stream.send_all(b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n")
        return bytes(await stream.receive_some())


async def test_a_crowd_leaves_the_probe_a_descriptor() -> None:
    """Who takes all descriptors would have the service restarted."""
    async with run_service(
        *OBEY, *ON_LOOPBACK, *STATUS, command=limited_to(64, "Sn")
    ) as service:
        status = int((await service.logs(r"status on http://\S+:(\d+)"))[1])
        port = await service.port()
        async with AsyncExitStack() as crowd:
            with trio.fail_after(SECONDS):
                for _ in range(CROWD):
                    stream = await trio.open_tcp_stream(LOOPBACK, port)
                    await crowd.enter_async_context(stream)
                    await stream.send_all(b"hello\n")
                    assert await receive_exactly(stream, 6) == b"hello\n"
                assert (await probe(status)).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("limit", "warned"), [("max_connections=50", False), ("max_connections=51", True)]
)
async def test_it_warns_where_there_cannot_be_enough(limit: str, warned: bool) -> None:
    """With what to do about it."""
    async with run_service(
        *OBEY, *ON_LOOPBACK, "--limit", limit, command=limited_to(250, "n")
    ) as service:
        first = await service.logs("there are 250 descriptors|listening on")
        assert first[0].startswith("there are") is warned
