"""Half-open connections: FIN and nothing else, and the other half left open."""

from __future__ import annotations

from typing import Final

from tests.integration.attacks._attack import Attack, Service, Visit, from_proxy
from tests.integration.attacks.slowloris import client_hello

__all__ = ["ATTACKS"]


async def say_only_goodbye(visit: Visit) -> None:
    """Send FIN, with nothing or some of a message before it, and stay."""
    openings = [b"\0\0\0\5he", client_hello()[:100], from_proxy("127.0.0.2")[:20]]
    if visit.dice.random() < 0.5:
        await visit.stream.send_all(openings[visit.service])
    await visit.stream.send_eof()
    await visit.until_ended()


ATTACKS: Final = [
    Attack(
        name="FIN and no more: before a message and in it, in TLS, in a PROXY header",
        misbehave=say_only_goodbye,
        ends=(
            "peer closed",
            "truncated (TruncatedError)",
            "TLS (TlsHandshakeError)",
            "PROXY header (TruncatedError)",
            "PROXY header (BrokenResourceError)",
        ),
        growth=30,
        services=(Service(), Service(tls=True), Service(proxy=True)),
        crowd=50,
    ),
]
