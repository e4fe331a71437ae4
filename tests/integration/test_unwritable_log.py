"""A log that cannot be written: the server goes on."""

from __future__ import annotations

import os
import signal

import pytest
import trio

import trio_tcp
from tests.integration.loopback import LOOPBACK, run_program
from trio_tcp import codecs

SECONDS = 40
"""How long anything may take on a slow machine. Nothing waits for it to pass."""

needs_dev_full = pytest.mark.skipif(
    not os.path.exists("/dev/full"),
    reason="this system has no /dev/full",
)


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    "wrong", [pytest.param("full", marks=needs_dev_full), "broken", "closed"]
)
async def test_a_server_goes_on_when_its_log_cannot_be_written(
    wrong: str, form: str
) -> None:
    """Of a full disk, a pipe that nobody reads any more, a stream that is closed."""
    with trio.fail_after(SECONDS):
        async with run_program("unwritable_log.py", wrong, form) as server:
            port = int(await server.line())
            for _ in range(3):
                async with trio_tcp.connect_tcp(
                    LOOPBACK, port, codec=codecs.Lines()
                ) as client:
                    await client.send("fail")
                    with pytest.raises(trio_tcp.ConnectionBroken):
                        await client.receive()
            async with trio_tcp.connect_tcp(
                LOOPBACK, port, codec=codecs.Lines()
            ) as client:
                await client.send("still there?")
                assert await client.receive() == "still there?"
            server.process.send_signal(signal.SIGTERM)
            assert await server.line() == "3"  # lines have been lost
            await server.process.wait()
        assert server.process.returncode == 0
