"""A header is read from its stream, and no further than to its end."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.proxy_protocol.headers import IPV4, NOBODY, one_by_one, version_2
from trio_tcp import FramingError, InvalidFrameError, TruncatedError
from trio_tcp._proxy_header import ProxyHeader
from trio_tcp._proxy_protocol import ProxyProtocol, read_proxy_header
from trio_tcp._transport import make_transport
from trio_tcp.testing import memory_stream_pair


async def test_a_header_is_read_with_the_bytes_that_came_along() -> None:
    proxy, stream = memory_stream_pair()
    await proxy.send_all(version_2() + b"first bytes")
    assert await read_proxy_header(make_transport(stream)) == (IPV4, b"first bytes")


async def test_reading_goes_on_until_the_header_is_whole_and_no_further() -> None:
    proxy, stream = memory_stream_pair()
    transport = make_transport(stream)
    result: list[tuple[ProxyHeader, bytes]] = []

    async def read() -> None:
        result.append(await read_proxy_header(transport))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        for byte in one_by_one(b"PROXY UNKNOWN\r\n"):
            await wait_all_tasks_blocked()
            assert not result
            await proxy.send_all(byte)
    assert result == [(NOBODY, b"")]
    await proxy.send_all(b"hello")
    assert await transport.receive_some() == b"hello"


async def test_a_client_without_a_header_is_refused_at_its_first_byte() -> None:
    client, stream = memory_stream_pair()
    await client.send_all(b"G")
    with pytest.raises(InvalidFrameError, match="begins with b'G'"):
        await read_proxy_header(make_transport(stream))


@pytest.mark.parametrize("sent", [b"", b"P", b"PROXY TCP4 1.2.3.4", version_2()[:-1]])
async def test_an_end_before_a_whole_header_is_truncation(sent: bytes) -> None:
    proxy, stream = memory_stream_pair()
    await proxy.send_all(sent)
    await proxy.aclose()
    with pytest.raises(TruncatedError) as caught:
        await read_proxy_header(make_transport(stream))
    assert caught.value.received == len(sent)


async def test_a_header_just_before_the_end_is_read() -> None:
    proxy, stream = memory_stream_pair()
    await proxy.send_all(version_2())
    await proxy.aclose()
    assert await read_proxy_header(make_transport(stream)) == (IPV4, b"")


async def test_a_broken_connection_is_told_as_such() -> None:
    proxy, stream = memory_stream_pair()
    proxy.reset()
    with pytest.raises(trio.BrokenResourceError) as caught:
        await read_proxy_header(make_transport(stream))
    assert not isinstance(caught.value, FramingError)


async def test_the_caller_decides_how_long_a_header_may_take(
    autojump_clock: trio.abc.Clock,
) -> None:
    proxy, stream = memory_stream_pair()
    await proxy.send_all(b"PROXY ")
    began = autojump_clock.current_time()
    with pytest.raises(trio.TooSlowError):
        with trio.fail_after(ProxyProtocol(trusted=["::1"]).timeout):
            await read_proxy_header(make_transport(stream))
    assert autojump_clock.current_time() - began == pytest.approx(5)
