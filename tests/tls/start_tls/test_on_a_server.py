"""TLS that starts on a server: a failure is its client's own, and a drain ends it."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.certificates import server_context
from tests.integration.loopback import Record
from tests.tls.peer import Text
from tests.tls.start_tls.starting import as_client
from trio_tcp import CloseReason, codecs, testing


async def upgrade(connection: Text) -> None:
    """Go over to TLS when the client wants to, and echo."""
    async for line in connection:
        if line == "STARTTLS":
            await connection.send("go ahead")
            await connection.start_tls(server_context())
        else:
            await connection.send(line)


@pytest.mark.parametrize(
    ("hello", "reason"),
    [
        (b"EVIL\n", CloseReason.PROTOCOL_ERROR),
        (b"\x16\x03\x01\x00\x20" + b"?" * 32, CloseReason.PROTOCOL_ERROR),
        (b"", CloseReason.TIMED_OUT),
    ],
    ids=["plain text", "garbage", "nothing"],
)
async def test_a_client_that_fails_in_it_ends_its_connection_alone(
    hello: bytes, reason: CloseReason, autojump_clock: MockClock
) -> None:
    record = Record()
    async with testing.serve_in_memory(
        upgrade, codecs.Lines(), observer=record
    ) as served:
        async with served.connect() as other:
            client = await served.listener.connect()
            await client.send_all(b"STARTTLS\n" + hello)
            (ended,) = await record.wait(trio_tcp.ConnectionEnded)
            assert ended.reason is reason
            assert isinstance(ended.error, trio_tcp.ConnectionFault)
            assert not record.all(trio_tcp.HandlerFailed)
            await other.send("hello")
            assert await other.receive() == "hello"
            await other.send("STARTTLS")
            assert await other.receive() == "go ahead"
            await as_client(other)
            await other.send("hello")
            assert await other.receive() == "hello"


async def test_a_drain_ends_a_handshake_after_its_grace(
    autojump_clock: MockClock,
) -> None:
    record = Record()
    async with testing.serve_in_memory(
        upgrade, codecs.Lines(), observer=record
    ) as served:
        client = await served.listener.connect()
        await client.send_all(b"STARTTLS\n")
        await wait_all_tasks_blocked()
        report = await served.server.drain(grace=7)
        assert (report.finished, report.cancelled, report.aborted) == (0, 1, 0)
        assert report.seconds == trio.current_time() == 7
        (ended,) = await record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.DRAINED
