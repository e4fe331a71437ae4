"""The picture of docs/how-to/retries.md: a server that breaks every connection."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

import trio

import trio_tcp
from trio_tcp import codecs, testing
from trio_tcp.cli._svg import svg

__all__ = ["retries"]

WANTED: Final = 100
"""Requests per second."""
BEGIN: Final = 10
END: Final = 32
SECONDS: Final = 40
"""When the server begins to break every connection, stops, and the end."""
TRIES: Final = 3
POOL: Final = 20
"""Connections, each with one request at a time."""

LEFT: Final = 56
WIDTH: Final = 500
TOP: Final = 46
HEIGHT: Final = 225
HIGHEST: Final = 450

STYLE: Final = """
text { font-size: 13px } .soft { font-size: 12px } .end { text-anchor: end }
.middle { text-anchor: middle } .axis { stroke: #59636e; fill: none }
.down { fill: #cf222e; fill-opacity: 0.08 } .line { fill: none; stroke-width: 2 }
.three { stroke: #cf222e } .budget { stroke: #1a7f37 }
text.three { fill: #cf222e; stroke: none } text.budget { fill: #1a7f37; stroke: none }
@media (prefers-color-scheme: dark) {
  .axis { stroke: #9198a1 } .down { fill: #ff7b72; fill-opacity: 0.14 }
  .three { stroke: #ff7b72 } .budget { stroke: #3fb950 }
  text.three { fill: #ff7b72 } text.budget { fill: #3fb950 }
}
"""

Line = trio_tcp.Connection[str, str]


def retries() -> str:
    """Run both, and draw how many requests came in each second."""
    counts = [
        testing.run_simulation(_load, ask, seed=0).value
        for ask in (_try_three_times, _try_within_the_budget)
    ]
    three, budget = rates = [_mean(each, BEGIN, BEGIN + 20) for each in counts]
    return svg(
        "Retries with a budget and without",
        f"Clients want {WANTED} requests per second. While the server breaks every "
        f"connection, three tries for each make {three:.0f} per second, and the "
        f"default budget makes {budget:.0f} on average: in one burst for each of its "
        "windows of ten seconds, and otherwise none.",
        (LEFT + WIDTH + 140, TOP + HEIGHT + 56),
        _lines(counts, rates),
        style=STYLE,
    )


def _mean(counts: Counter[int], begin: int, end: int) -> float:
    return sum(counts[second] for second in range(begin, end)) / (end - begin)


class _Server:
    """Counts what comes in each second, and breaks connections for a while."""

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()

    async def handle(self, connection: Line) -> None:
        async for request in connection:
            now = trio.current_time()
            self.counts[int(now)] += 1
            if BEGIN <= now < END:
                connection.abort()
                return
            await connection.send(request)

    async def serve(self) -> None:
        codec = codecs.Lines()
        await trio_tcp.serve_tcp(self.handle, 80, codec=codec, observer=_ignore)


Ask = Callable[[trio_tcp.RequesterPool[str, str]], Awaitable[object]]


async def _try_three_times(pool: trio_tcp.RequesterPool[str, str]) -> None:
    for _ in range(TRIES):
        with suppress(trio_tcp.ConnectionLost):
            await pool.request("request")
            return


async def _try_within_the_budget(pool: trio_tcp.RequesterPool[str, str]) -> None:
    with suppress(trio_tcp.ConnectionLost):
        await pool.request_repeatable("request")


async def _load(net: testing.VirtualNetwork, ask: Ask) -> Counter[int]:
    """Want so many requests per second; return how many reached the server in each."""
    server = _Server()
    net.host("server").start(server.serve)
    await net.settle()
    connect = partial(
        trio_tcp.connect_tcp, "server", 80, codec=codecs.Lines(), observer=_ignore
    )
    pool = trio_tcp.open_requester_pool(
        connect,
        size=POOL,
        max_in_flight=1,
        backoff=trio_tcp.Backoff(initial=0.01, maximum=0.01),
    )
    async with pool as opened, trio.open_nursery() as nursery:
        for number in range(WANTED * SECONDS):
            await trio.sleep_until(number / WANTED)
            nursery.start_soon(ask, opened)
    return server.counts


def _ignore(_: trio_tcp.Event) -> None:
    pass


def _lines(counts: Sequence[Counter[int]], rates: Sequence[float]) -> Iterator[str]:
    scale, bottom = WIDTH / SECONDS, TOP + HEIGHT

    def y(count: float) -> float:
        return bottom - HEIGHT * count / HIGHEST

    yield (
        f'<text class="soft" x="{LEFT}" y="26">requests per second that reach the '
        "server</text>"
    )
    x, width = LEFT + BEGIN * scale, (END - BEGIN) * scale
    yield f'<rect class="down" x="{x}" y="{TOP}" width="{width}" height="{HEIGHT}"/>'
    yield (
        f'<text class="soft middle" x="{x + width / 2}" y="{bottom + 38}">'
        "it breaks every connection</text>"
    )
    yield f'<path class="axis" d="M{LEFT} {TOP}V{bottom}H{LEFT + WIDTH}"/>'
    for count in range(0, HIGHEST, 100):
        yield (
            f'<text class="soft end" x="{LEFT - 8}" y="{y(count) + 4:.1f}">{count}'
            "</text>"
        )
    for second in range(0, SECONDS + 1, 10):
        yield (
            f'<text class="soft middle" x="{LEFT + second * scale:.1f}" '
            f'y="{bottom + 18}">{second} s</text>'
        )
    names = ("three", "budget"), ("three tries for each", "with the budget, on average")
    for style, name, found, rate in zip(*names, counts, rates, strict=True):
        steps = "".join(
            f"V{y(found[second]):.1f}h{scale:.2f}" for second in range(SECONDS)
        )
        yield (
            f'<path class="line {style}" d="M{LEFT} {y(found[0]):.1f}{steps}"/>'
            f'<text class="{style}" x="{LEFT + END * scale + 12:.1f}" '
            f'y="{y(rate) + 4:.1f}">{name}: {rate:.0f}</text>'
        )
