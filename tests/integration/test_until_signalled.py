"""A server that ends by a signal, in the caller's own `trio.run`."""

from __future__ import annotations

import signal

import pytest
import trio

from tests.integration.loopback import connect, receive_all, run_program
from tests.integration.supervised import SECONDS

every_signal = pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"]
)


@every_signal
async def test_a_signal_drains_and_the_program_goes_on(number: signal.Signals) -> None:
    """Afterwards signals mean again what they meant before."""
    async with run_program("signalled_server.py") as program:
        async with connect(int(await program.line())) as client:
            await client.send_all(b"hello\n")
            assert await program.line() == "working"
            program.process.send_signal(number)
            assert await receive_all(client) == b"done\n"
        assert await program.lines_until("returned") == [
            "handled as before",
            "returned",
        ]
        assert await program.process.wait() == 0


async def test_a_server_that_is_drained_otherwise_ends_it_too() -> None:
    async with run_program("signalled_server.py", "drain") as program:
        await program.line()
        await program.lines_until("returned")
        with trio.fail_after(SECONDS):
            assert await program.process.wait() == 0
