"""A server behind proxies: its log names the client, or the proxy at fault."""

from __future__ import annotations

import logging

import attrs
import pytest
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.certificates import server_context
from tests.proxy_protocol.proxies import Text, behind_proxies, echo, line, until_the_end


async def fail(connection: Text) -> None:
    raise LookupError(await connection.receive())


@attrs.frozen
class Story:
    """What a client does, and what is said of it."""

    sent: bytes
    level: int
    text: str
    handler: trio_tcp.Handler[str, str] = echo
    tls: bool = False


STORIES = {
    "a protocol error": Story(
        bytes(101), logging.INFO, "(192.0.2.1:40000) ended, protocol error"
    ),
    "a handler's failure": Story(
        b"hello\n", logging.ERROR, "(192.0.2.1:40000): handler failed", handler=fail
    ),
    "a malformed message": Story(
        b"\xff\n", logging.INFO, "(192.0.2.1:40000): malformed message"
    ),
    "no TLS": Story(
        b"hello\n",
        logging.INFO,
        "(192.0.2.1:40000): TLS failed: ",
        tls=True,
    ),
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
async def test_the_log_names_the_client_and_not_the_proxy(
    story: Story, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "trio_tcp")
    tls = server_context() if story.tls else None
    async with behind_proxies(story.handler, tls=tls) as behind:
        caplog.clear()
        stream = await behind.connect(line() + story.sent)
        await until_the_end(stream)
        await wait_all_tasks_blocked()
        records = list(caplog.records)
    assert records
    assert any(
        story.text in record.getMessage() and record.levelno == story.level
        for record in records
    )
    assert all("192.0.2.1:40000" in record.getMessage() for record in records)
    assert not any("unix:" in record.getMessage() for record in records)


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\n\r\n"])
async def test_a_proxys_own_fault_is_one_line_that_names_it(
    sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "trio_tcp")
    async with behind_proxies() as behind:
        caplog.clear()
        stream = await behind.connect(*[sent] if sent else [])
        if not sent:
            await stream.send_eof()
        await until_the_end(stream)
        await behind.record.wait(trio_tcp.HandshakeFailed)
        [record] = caplog.records
    assert record.levelno == logging.INFO
    assert "(unix:): PROXY header failed: " in record.getMessage()
