"""Slowness, in every phase: each takes a place, and costs its owner nothing."""

from __future__ import annotations

import functools
import ssl
from typing import Final

from tests.integration.attacks._attack import Attack, Service, Visit, from_proxy
from trio_tcp import Timeouts

__all__ = ["ATTACKS", "client_hello"]

SECONDS: Final = 0.1
"""Between two bytes."""

GROWTH: Final = 30.0
"""Two hundred connections cost about 30 KiB each, and with TLS 100 KiB."""


@functools.cache
def client_hello() -> bytes:
    """Return what a TLS client says first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(received, sent, server_hostname="localhost")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        return sent.read()
    raise AssertionError("a handshake without a server")


async def _drip(visit: Visit, data: bytes) -> None:
    await visit.pour((bytes([byte]) for byte in data), pause=SECONDS)


async def say_nothing(visit: Visit) -> None:
    """Be there."""
    await visit.until_ended()


async def creep_through_the_handshake(visit: Visit) -> None:
    """Send a ClientHello, byte by byte."""
    await _drip(visit, client_hello())


async def creep_through_a_message(visit: Visit) -> None:
    """Announce a message, and send it byte by byte."""
    await _drip(visit, b"\0\0\4\0" + bytes(1024))


async def creep_through_the_header(visit: Visit) -> None:
    """Send a PROXY header, byte by byte."""
    await _drip(visit, from_proxy("127.0.0.2"))


async def fall_silent(visit: Visit) -> None:
    """Ask once, and never again."""
    await visit.stream.send_all(b"\0\0\0\5hello")
    await visit.until_ended()


ATTACKS: Final = [
    Attack(
        name="slowloris before TLS: not a byte",
        misbehave=say_nothing,
        ends=("TLS (handshake)",),
        growth=GROWTH,
        services=(Service(tls=True),),
        timeouts=Timeouts(handshake=2),
    ),
    Attack(
        name="slowloris in the TLS handshake: a ClientHello byte by byte",
        misbehave=creep_through_the_handshake,
        ends=("TLS (handshake)",),
        growth=GROWTH,
        services=(Service(tls=True),),
        timeouts=Timeouts(handshake=2),
    ),
    Attack(
        name="slowloris in the PROXY header: byte by byte",
        misbehave=creep_through_the_header,
        ends=("PROXY header (proxy_protocol)",),
        growth=GROWTH,
        services=(Service(proxy=True),),
        proxy_timeout=2,
    ),
    Attack(
        name="slowloris before a message: not a byte",
        misbehave=say_nothing,
        ends=("timed out (first_message)",),
        growth=GROWTH,
        timeouts=Timeouts(first_message=2),
    ),
    Attack(
        name="slowloris in a message: byte by byte",
        misbehave=creep_through_a_message,
        ends=("timed out (message)",),
        growth=GROWTH,
        timeouts=Timeouts(message=2),
    ),
    Attack(
        name="slowloris after a message: not another byte",
        misbehave=fall_silent,
        ends=("timed out (idle)",),
        growth=GROWTH,
        timeouts=Timeouts(idle=2),
    ),
]
