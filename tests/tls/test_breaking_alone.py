"""What is no TLS, or a faulty stream below it, breaks its own connection alone."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial
from typing import final

import pytest
import trio

import trio_tcp
from tests.certificates import HOST, client_context, each_version, server_context
from tests.integration.loopback import Record, echo
from tests.tls.handshakes import hello
from tests.tls.peer import Peer, Text, serving
from trio_tcp import CloseReason, codecs, testing


def flipped(record: bytes) -> bytes:
    """Damage the last byte of a record."""
    return record[:-1] + bytes([record[-1] ^ 1])


DAMAGE: dict[str, Callable[[Peer], bytes]] = {
    "plain text": lambda _: b"this is no TLS at all",
    "a damaged record": lambda peer: flipped(peer.encrypted(b"two\n")),
    "a record twice": lambda peer: peer.encrypted(b"two\n") * 2,
    "a record that is missing": lambda peer: (
        peer.encrypted(b"two\n") and peer.encrypted(b"three\n")
    ),
    "another handshake": lambda _: hello(),
}


@each_version
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
async def test_what_is_no_tls_breaks_its_connection_alone(
    version: ssl.TLSVersion, damage: Callable[[Peer], bytes]
) -> None:
    """What was whole before is delivered before; and the reason is told as it is."""
    received: list[str] = []

    async def collect(connection: Text) -> None:
        async for line in connection:
            received.append(line)
            if line == "hello":
                await connection.send(line)

    context = server_context(version=version)
    async with serving(collect, codecs.Lines(), tls=context) as served:
        async with served.connect() as other:
            peer = await served.connect_peer()
            await peer.stream.send_all(peer.encrypted(b"one\n") + damage(peer))
            (ended,) = await served.record.wait(trio_tcp.ConnectionEnded)
            assert received[0] == "one"
            assert received[1:] in ([], ["two"])
            assert ended.reason is CloseReason.BROKEN
            assert isinstance(ended.error, trio_tcp.ConnectionBroken)
            assert ended.error.errno is None
            assert "no valid TLS" in str(ended.error)
            await other.send("hello")
            assert await other.receive() == "hello"
            await served.record.wait(trio_tcp.ConnectionEnded)
        assert not served.record.all(trio_tcp.HandlerFailed)


@final
class Faulty(trio.abc.HalfCloseableStream):
    """A stream of somebody's own that raises what a stream should not."""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        raise ZeroDivisionError("sending")

    async def wait_send_all_might_not_block(self) -> None:
        raise ZeroDivisionError("waiting")

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        raise ZeroDivisionError("receiving")

    async def send_eof(self) -> None:
        raise ZeroDivisionError("ending")

    async def aclose(self) -> None:
        pass


@final
class FirstFaulty(trio.abc.Listener[trio.abc.HalfCloseableStream]):
    """Accepts one faulty stream, then as a memory listener does."""

    def __init__(self) -> None:
        self.memory = testing.MemoryListener()
        self._first = True

    async def accept(self) -> trio.abc.HalfCloseableStream:
        if self._first:
            self._first = False
            return Faulty()
        return await self.memory.accept()

    async def aclose(self) -> None:
        await self.memory.aclose()


async def test_a_stream_that_is_faulty_in_its_handshake_ends_alone(
    nursery: trio.Nursery,
) -> None:
    """As it does later on."""
    listener, record = FirstFaulty(), Record()
    await nursery.start(
        partial(
            trio_tcp.serve_listeners,
            echo,
            [listener],
            codec=codecs.Lines(),
            tls=server_context(),
            observer=record,
        )
    )
    (failed,) = await record.wait(trio_tcp.HandshakeFailed)
    assert isinstance(failed.error, ZeroDivisionError)
    peer = Peer(await listener.memory.connect(), client_context(), server_hostname=HOST)
    await peer.shake_hands()
    await peer.send(b"hello\n")
    assert await peer.receive() == b"hello\n"
