"""Plain text in the wrong place is refused, and never taken for what came over TLS."""

from __future__ import annotations

import ssl

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_tcp
from tests.certificates import HOST, client_context, each_version
from tests.tls.peer import Peer
from tests.tls.start_tls.starting import (
    Side,
    as_server,
    each_side,
    is_broken,
    one_end,
    other_side,
)
from trio_tcp import CloseReason


@pytest.mark.parametrize("injected", [b"EVIL\n", b"E", b"\n", b"\0", b"EVIL " * 20_000])
@each_side
async def test_plain_text_before_tls_is_refused(side: Side, injected: bytes) -> None:
    """An attacker in between puts it there, to be taken for the encrypted peer's.

    As in CVE-2011-0411 and its many kin.
    """
    async with one_end(capacity=1 << 20) as (connection, stream):
        peer = other_side(side, stream)
        # A server would speak only when it has heard the client's hello.
        tls = peer.hello() or b"\x16\x03\x03\x00\x02??"
        await stream.send_all(b"go ahead\n" + injected + tls)
        assert await connection.receive() == "go ahead"
        with pytest.raises(trio_tcp.TlsHandshakeError, match="does not speak TLS"):
            await side(connection)
        assert connection.close_reason is CloseReason.PROTOCOL_ERROR
        await is_broken(connection, trio_tcp.TlsHandshakeError, "does not speak TLS")


@each_side
async def test_plain_text_that_comes_later_is_refused_as_well(side: Side) -> None:
    async with one_end() as (connection, stream):
        async with trio.open_nursery() as nursery:

            async def shake_hands() -> None:
                with pytest.raises(trio_tcp.TlsHandshakeError, match="not speak TLS"):
                    await side(connection)

            nursery.start_soon(shake_hands)
            await wait_all_tasks_blocked()
            await stream.send_all(b"EVIL\n")
        await is_broken(connection, trio_tcp.TlsHandshakeError, "does not speak TLS")


@each_version
async def test_plain_text_behind_tls_is_refused(version: ssl.TLSVersion) -> None:
    async with one_end() as (connection, stream):
        peer = Peer(stream, client_context(version=version), server_hostname=HOST)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(as_server, connection)
            await peer.shake_hands()
        await stream.send_all(peer.encrypted(b"one\n") + b"EVIL\n")
        assert await connection.receive() == "one"
        with pytest.raises(trio_tcp.ConnectionBroken, match="no valid TLS"):
            await connection.receive()
