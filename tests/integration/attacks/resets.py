"""Resets, in every phase: the connection is gone in the middle of something."""

from __future__ import annotations

from typing import Any, Final

import trio

import trio_tcp
from tests.integration.attacks._attack import Attack, Service, Visit, from_proxy, reset
from tests.integration.attacks.slowloris import client_hello

__all__ = ["ATTACKS"]

GROWTH: Final = 30.0
"""Two hundred connections at once cost about 30 KiB each, and with TLS 100 KiB."""

POUR: Final = b"\0\0\0\4pour"


async def echo_or_pour(connection: trio_tcp.Connection[Any, Any]) -> None:
    """Send back every message, or answer without end."""
    async for message in connection:
        await connection.send(message)
        while message == b"pour":
            await connection.send(bytes(10_000))


async def reset_at_once(visit: Visit) -> None:
    """Connect, and be gone."""
    reset(visit.stream)


async def reset_in_the_preamble(visit: Visit) -> None:
    """Be gone in the middle of what comes before a connection."""
    if visit.service == 0:
        await visit.stream.send_all(client_hello()[: visit.dice.randrange(1, 200)])
    elif visit.service == 1:
        await visit.stream.send_all(client_hello())
        await visit.stream.receive_some(1)
    else:
        header = from_proxy("127.0.0.2")
        await visit.stream.send_all(header[: visit.dice.randrange(1, len(header))])
    # Let the server see some of it, or not.
    await trio.sleep(visit.dice.choice([0, 0.01]))
    reset(visit.stream)


async def reset_in_a_message(visit: Visit) -> None:
    """Be gone in the middle of a message."""
    await visit.stream.send_all(b"\0\0\0\5hello" + b"\0\0\0\5he")
    await visit.stream.receive_some()
    reset(visit.stream)


async def reset_in_an_answer(visit: Visit) -> None:
    """Be gone while the server sends."""
    await visit.stream.send_all(POUR)
    await visit.stream.receive_some(visit.dice.choice([1, 100_000]))
    reset(visit.stream)


ATTACKS: Final = [
    Attack(
        name="resets right after connecting",
        misbehave=reset_at_once,
        ends=("reset (ConnectionBroken)",),
        growth=GROWTH,
        crowd=50,
    ),
    Attack(
        name="resets in TLS handshakes and PROXY headers",
        misbehave=reset_in_the_preamble,
        ends=(
            "TLS (TlsHandshakeError)",
            "PROXY header (BrokenResourceError)",
            # It was gone before the server looked at its address.
            "refused (proxy_protocol)",
        ),
        growth=GROWTH,
        services=(Service(tls=True), Service(tls=True), Service(proxy=True)),
        crowd=50,
    ),
    Attack(
        name="resets in a message",
        misbehave=reset_in_a_message,
        ends=("reset (ConnectionBroken)",),
        growth=GROWTH,
        crowd=50,
    ),
    Attack(
        name="resets in an answer",
        misbehave=reset_in_an_answer,
        ends=("reset (ConnectionBroken)",),
        growth=GROWTH,
        services=(Service(handler=echo_or_pour),),
        crowd=50,
    ),
]
