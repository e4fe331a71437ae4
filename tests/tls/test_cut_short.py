"""An end without close_notify may be too early: half a message never looks whole."""

from __future__ import annotations

import pytest
import trio

import trio_tcp
from tests.certificates import HOST, client_context, server_context
from tests.integration.loopback import echo
from tests.tls.peer import Peer, Text, serving
from trio_tcp import CloseReason, codecs, testing


@pytest.mark.parametrize(
    ("last", "count"), [(b"", 0), (b"two", 3)], ids=["between messages", "inside one"]
)
async def test_an_end_without_close_notify_may_be_too_early(
    last: bytes, count: int
) -> None:
    """Whether a message was begun or not: the attacker chooses where to cut."""
    errors: list[trio_tcp.ConnectionFault] = []

    async def listen(connection: Text) -> None:
        assert await connection.receive() == "one"
        for _ in range(2):
            with pytest.raises(trio_tcp.CloseNotifyMissingError) as caught:
                await connection.receive()
            errors.append(caught.value)

    async with serving(listen, codecs.Lines()) as served:
        peer = await served.connect_peer()
        await peer.send(b"one\n" + last)
        await peer.stream.send_eof()
        (ended,) = await served.record.wait(trio_tcp.ConnectionEnded)
    assert ended.reason is CloseReason.TRUNCATED
    assert isinstance(ended.error, trio_tcp.CloseNotifyMissingError)
    for error in [*errors, ended.error]:
        assert isinstance(error, trio_tcp.CloseNotifyMissingError)
        assert error.received == count
        assert error.connection_id == ended.id
        assert "close_notify" in str(error)


async def test_an_end_without_close_notify_ends_one_direction_alone() -> None:
    """As every other end inside a message: what is accepted still arrives."""

    async def apologise(connection: Text) -> None:
        with pytest.raises(trio_tcp.CloseNotifyMissingError):
            await connection.receive()
        await connection.send("half of that was missing")
        await connection.flush()
        await connection.send("goodbye")

    async with serving(apologise, codecs.Lines()) as served:
        peer = await served.connect_peer()
        await peer.send(b"half a li")
        await peer.stream.send_eof()
        assert await peer.receive_all() == b"half of that was missing\ngoodbye\n"
        (ended,) = await served.record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.TRUNCATED


async def test_a_server_may_leave_out_close_notify_no_more_than_a_client() -> None:
    ours, theirs = testing.memory_stream_pair()
    peer = Peer(theirs, server_context())

    async def serve() -> None:
        await peer.shake_hands()
        await peer.send(b"one\n")
        await theirs.send_eof()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with trio_tcp.open_connection(
            ours, codec=codecs.Lines(), tls=client_context(), server_hostname=HOST
        ) as client:
            assert await client.receive() == "one"
            with pytest.raises(trio_tcp.CloseNotifyMissingError):
                await client.receive()
            assert client.close_reason is CloseReason.TRUNCATED


async def test_a_ragged_end_can_be_allowed() -> None:
    context = trio_tcp.Tls(server_context(), allow_ragged_eof=True)
    async with serving(echo, codecs.Lines(), tls=context) as served:
        peer = await served.connect_peer()
        await peer.send(b"one\n")
        await peer.stream.send_eof()
        assert await peer.receive_all() == b"one\n"
        (ended,) = await served.record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.PEER_CLOSED


async def test_a_ragged_end_inside_a_message_is_never_allowed() -> None:
    async def listen(connection: Text) -> None:
        assert await connection.receive() == "one"
        with pytest.raises(trio_tcp.TruncatedError) as caught:
            await connection.receive()
        assert caught.value.received == 3

    context = trio_tcp.Tls(server_context(), allow_ragged_eof=True)
    async with serving(listen, codecs.Lines(), tls=context) as served:
        peer = await served.connect_peer()
        await peer.send(b"one\ntwo")
        await peer.stream.send_eof()
        (ended,) = await served.record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.TRUNCATED
