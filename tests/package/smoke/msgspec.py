"""Payloads with types."""

from __future__ import annotations

import attrs
import trio

from trio_tcp import codecs, testing


@attrs.frozen
class Reading:
    sensor: str
    value: float


async def main() -> None:
    for codec in (codecs.Json(Reading), codecs.MessagePack(Reading)):
        async with testing.connection_pair(codec) as (one, other):
            await one.send(Reading("outside", -3.5))
            assert await other.receive() == Reading("outside", -3.5)


trio.run(main)
