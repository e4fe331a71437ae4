"""A server behind proxies: who is no proxy and what is no header is refused."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

import trio_tcp
from tests.integration.loopback import receive_exactly
from tests.proxy_protocol.headers import IPV4_BLOCK, SIGNATURE, version_2
from tests.proxy_protocol.proxies import PROXY, behind_proxies, line, until_the_end
from trio_tcp import Limits


@pytest.mark.parametrize("sent", [b"", line(), version_2(), b"hello\n"])
async def test_a_peer_that_is_not_trusted_is_refused(
    sent: bytes, autojump_clock: MockClock
) -> None:
    """Whatever it sends, at once, and it takes nobody's place."""
    async with behind_proxies(limits=Limits(max_connections=1)) as behind:
        stream = await behind.memory.connect()
        with pytest.raises(trio.BrokenResourceError):
            if sent:
                await stream.send_all(sent)
            await stream.receive_some()
        assert trio.current_time() == 0
        assert await behind.record.wait(trio_tcp.ConnectionRejected) == [
            trio_tcp.ConnectionRejected(
                id=1, label="", peer=None, limit="proxy_protocol"
            )
        ]
        assert behind.server.statistics().rejected == {"proxy_protocol": 1}
        assert behind.server.statistics().accepted == 0
        await behind.serves()
        # It is none of the `Limits`.
        reached = behind.record.all(trio_tcp.LimitReached)
        assert {event.limit for event in reached} <= {"max_connections"}
        assert not behind.record.all(trio_tcp.HandshakeFailed)


# What is no header --------------------------------------------------------------------


DAMAGED = {
    "something else": (b"GET / HTTP/1.1\r\n\r\n", trio_tcp.InvalidFrameError),
    "a number too large": (
        line().replace(b"443\r\n", b"65536\r\n"),
        trio_tcp.InvalidFrameError,
    ),
    "half of the fields": (
        b"PROXY TCP4 192.0.2.1\r\n",
        trio_tcp.InvalidFrameError,
    ),
    "a line too long": (
        b"PROXY UNKNOWN ".ljust(107, b"x"),
        trio_tcp.FrameTooLargeError,
    ),
    "version 3": (version_2(command=0x31), trio_tcp.InvalidFrameError),
    "too few addresses": (version_2(bytes(11)), trio_tcp.InvalidFrameError),
    "a block too long": (
        SIGNATURE + b"\x21\x11\xff\xff",
        trio_tcp.FrameTooLargeError,
    ),
    "a TLV too long": (
        version_2(IPV4_BLOCK + b"\x02\0\2x"),
        trio_tcp.InvalidFrameError,
    ),
    "a wrong checksum": (
        version_2(IPV4_BLOCK + b"\x03\0\4" + bytes(4)),
        trio_tcp.InvalidFrameError,
    ),
}


@pytest.mark.parametrize("behind_it", [b"", b"hello\n"])
@pytest.mark.parametrize(("header", "error"), DAMAGED.values(), ids=DAMAGED.keys())
async def test_a_damaged_header_is_the_end_of_its_connection_alone(
    header: bytes,
    error: type[Exception],
    behind_it: bytes,
    autojump_clock: MockClock,
) -> None:
    """At once: what is missing behind the damage is not waited for."""
    async with behind_proxies(limits=Limits(max_connections=2)) as behind:
        other = await behind.connect(line("192.0.2.2"))
        stream = await behind.connect(header + behind_it)
        assert await until_the_end(stream) == b""
        assert trio.current_time() == 0
        [failed] = await behind.record.wait(trio_tcp.HandshakeFailed)
        assert (failed.peer, failed.stage) == (PROXY, "PROXY header")
        assert type(failed.error) is error
        await other.send_all(b"hello\n")
        assert await receive_exactly(other, 6) == b"hello\n"
        await behind.serves()
        assert behind.server.statistics().accepted == 2
        assert behind.server.statistics().open == 1


@pytest.mark.parametrize("size", [0, 1, 20, len(line()) - 1])
async def test_an_end_before_the_header_is_whole_is_a_failure(size: int) -> None:
    """So proxies look whether a server is there; it is no failure of a handler."""
    async with behind_proxies(limits=Limits(max_connections=1)) as behind:
        stream = await behind.connect(*[line()[:size]] if size else [])
        await stream.send_eof()
        assert await until_the_end(stream) == b""
        [failed] = await behind.record.wait(trio_tcp.HandshakeFailed)
        assert (failed.peer, failed.stage) == (PROXY, "PROXY header")
        assert isinstance(failed.error, trio_tcp.TruncatedError)
        assert failed.error.received == size
        await behind.serves()
        assert behind.server.statistics().accepted == 1
