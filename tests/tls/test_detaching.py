"""A connection over TLS goes on as a stream, as another one, or with another codec."""

from __future__ import annotations

import ssl

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.certificates import each_version, server_context
from tests.integration.loopback import echo
from tests.tls.peer import Text, serving
from trio_tcp import CloseReason, codecs


@each_version
async def test_detach_gives_a_stream_that_goes_on_over_tls(
    version: ssl.TLSVersion,
) -> None:
    """It has what the connection has not delivered; its end is TLS's end."""
    undelivered: list[bytes] = []

    async def take_over(connection: Text) -> None:
        assert await connection.receive() == "upgrade"
        await connection.send("go ahead")
        stream, rest = await connection.detach()
        undelivered.append(rest)
        async with stream:
            assert isinstance(stream, trio.abc.HalfCloseableStream)
            await stream.send_all(b"raw bytes")
            assert await stream.receive_some(3) == b"mor"
            assert await stream.receive_some() == b"e"
            await stream.send_eof()
            assert await stream.receive_some() == b"last"
            assert await stream.receive_some() == b""

    context = server_context(version=version)
    async with serving(take_over, codecs.Lines(), tls=context) as served:
        peer = await served.connect_peer()
        await peer.send(b"upgrade\nundelivered\nbytes")
        assert await peer.receive_exactly(18) == b"go ahead\nraw bytes"
        await peer.send(b"more")
        assert await peer.receive_all() == b""
        await peer.send(b"last")
        await peer.end()
        (ended,) = await served.record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.DETACHED
        assert not served.record.all(trio_tcp.HandlerFailed)
    assert undelivered == [b"undelivered\nbytes"]


async def test_a_detached_stream_refuses_what_is_not_bytes() -> None:
    """Also a number, of which `bytes` would make as many zeros."""

    async def take_over(connection: Text) -> None:
        stream, _ = await connection.detach()
        with pytest.raises(TypeError):
            await stream.send_all(3)  # type: ignore[arg-type] # the mistake
        await stream.send_all(b"3")
        await stream.aclose()

    async with serving(take_over, codecs.Lines()) as served:
        peer = await served.connect_peer()
        assert await peer.receive_all() == b"3"


async def test_a_detached_stream_is_closed_with_close_notify() -> None:
    async def take_over(connection: Text) -> None:
        stream, _ = await connection.detach()
        await stream.aclose()

    async with serving(take_over, codecs.Lines()) as served:
        peer = await served.connect_peer()
        assert await peer.receive_all() == b""


async def test_a_detached_stream_can_be_a_connection_again() -> None:
    async def take_over(connection: Text) -> None:
        assert await connection.receive() == "binary"
        stream, rest = await connection.detach()
        assert rest == b""
        async with trio_tcp.open_connection(
            stream, codec=codecs.LengthPrefixed()
        ) as again:
            assert again.tls == connection.tls
            await echo(again)

    async with serving(take_over, codecs.Lines()) as served:
        peer = await served.connect_peer()
        await peer.send(b"binary\n")
        await wait_all_tasks_blocked()
        await peer.send(b"\0\0\0\5hello")
        assert await peer.receive_exactly(9) == b"\0\0\0\5hello"
        large = b"\0\1\x86\xa0" + bytes(100_000)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.send, large)
            assert await peer.receive_exactly(len(large)) == large
        await peer.end()
        assert await peer.receive_all() == b""


async def test_another_codec_begins_behind_the_last_message() -> None:
    """Also where both come in one record."""

    async def switch(connection: Text) -> None:
        assert await connection.receive() == "binary"
        await echo(connection.switch_codec(codecs.LengthPrefixed()))

    async with serving(switch, codecs.Lines()) as served:
        peer = await served.connect_peer()
        await peer.send(b"binary\n\0\0\0\3one\0\0\0\3t")
        await peer.send(b"wo")
        assert await peer.receive_exactly(14) == b"\0\0\0\3one\0\0\0\3two"
