"""A thousand clients whose server restarts: when do they come back?

    python examples/thousand_clients.py [--clients N] [--seconds S] [picture.svg]

Everything runs on the virtual network, in this one process: a server, and clients that
each hold a session with it. After 20 seconds the server ends, and for 10 seconds there
is none. Every connection attempt is a SYN in the network's trace; they are counted per
tenth of a second, once for clients that wait without jitter and once with. What is
printed is the highest count of each; the picture shows all of them.
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal

import trio

import trio_tcp
from trio_tcp import codecs, testing
from trio_tcp.testing.traces import Flag

LINES = codecs.Lines()
PORT = 80
BEGIN, GAP = 20.0, 10.0  # seconds: when the server ends, and for how long
PER_SECOND = 10  # counts

Jitter = Literal["none", "full"]
TITLES: dict[Jitter, str] = {"none": "without jitter", "full": "with full jitter"}

WIDTH, PANEL, MARGIN = 800, 150, 56  # pixels
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.paper { fill: #ffffff } .soft { fill: #59636e } .title { font-weight: 600 }
.end { text-anchor: end } .middle { text-anchor: middle }
.bars { stroke: #0969da; stroke-width: 1.4 } .axis { stroke: #59636e }
.down { fill: #cf222e; fill-opacity: 0.12 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .paper { fill: #161b22 } .soft { fill: #9198a1 }
  .bars { stroke: #4493f8 } .axis { stroke: #9198a1 }
  .down { fill: #ff7b72; fill-opacity: 0.2 }
}
"""


async def stay(connection: trio_tcp.Connection[str, str]) -> None:
    """Keep the connection until the client closes it."""
    async for _ in connection:
        pass


async def keep_in_touch(backoff: trio_tcp.Backoff) -> None:
    """Be one of the clients."""
    connect = partial(
        trio_tcp.connect_tcp, "server", PORT, codec=LINES, observer=lambda _: None
    )
    async with trio_tcp.open_session(connect, backoff=backoff) as session:
        async for connection in session:
            with session.until_broken():
                await connection.receive()


async def restart(
    jitter: Jitter, clients: int, seconds: float, net: testing.VirtualNetwork
) -> Counter[int]:
    """Count connection attempts in each tenth of a second after the server's end."""
    net.set_links(latency=0.02, jitter=0.02)
    backoff = trio_tcp.Backoff(jitter=jitter)
    serve = partial(
        trio_tcp.serve_tcp, stay, PORT, codec=LINES, observer=lambda _: None
    )
    async with trio.open_nursery() as nursery:
        for _ in range(clients):
            nursery.start_soon(net.host("clients").run, keep_in_touch, backoff)
        with trio.move_on_after(BEGIN):
            await net.host("server").run(serve)
        await trio.sleep(GAP)
        with trio.move_on_after(seconds - GAP):
            await net.host("server").run(serve)
        nursery.cancel_scope.cancel()
    syns = (
        segment.time - BEGIN
        for segment in net.trace.select(sender="clients")
        if segment.flags & Flag.SYN
    )
    return Counter(int(time * PER_SECOND) for time in syns if time >= 0)


def panel(counts: Counter[int], highest: int, seconds: float) -> Iterator[str]:
    """Draw the counts of one kind of clients."""
    step = (WIDTH - 2 * MARGIN) / (seconds * PER_SECOND)
    bars = (
        f"M{MARGIN + slot * step:.1f} {PANEL}v-{PANEL * count / highest:.1f}"
        for slot, count in sorted(counts.items())
    )
    down = GAP * PER_SECOND * step
    yield f'<rect class="down" x="{MARGIN}" width="{down:.1f}" height="{PANEL}"/>'
    yield f'<path class="bars" d="{"".join(bars)}"/>'
    yield f'<path class="axis" d="M{MARGIN} {PANEL}H{WIDTH - MARGIN}"/>'
    yield f'<text class="soft end" x="{MARGIN - 6}" y="10">{highest}</text>'
    yield f'<text class="soft end" x="{MARGIN - 6}" y="{PANEL}">0</text>'
    for second in range(0, int(seconds) + 1, 5):
        x = MARGIN + second * PER_SECOND * step
        yield f'<text class="soft middle" x="{x:.1f}" y="{PANEL + 16}">{second}</text>'


def draw(counted: dict[Jitter, Counter[int]], clients: int, seconds: float) -> str:
    """Draw all, one below the other, on one scale."""
    height = len(counted) * (PANEL + 60) + 50
    highest = max(max(counts.values()) for counts in counted.values())
    told = "; ".join(
        f"{TITLES[jitter]} at most {max(counts.values())}"
        for jitter, counts in counted.items()
    )
    lines = [
        '<svg xmlns="http://www.w3.org/2000/svg" role="img"',
        'aria-labelledby="title description"',
        f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">',
        f'<title id="title">{clients} clients whose server restarts</title>',
        '<desc id="description">Connection attempts in each tenth of a second: ',
        f"{told}. The server is gone for the first {GAP:.0f} seconds.</desc>",
        f"<style>{STYLE}</style>",
        '<rect class="paper" width="100%" height="100%" rx="8"/>',
    ]
    for number, (jitter, counts) in enumerate(counted.items()):
        lines.append(f'<g transform="translate(0 {number * (PANEL + 60) + 40})">')
        lines.append(
            f'<text class="title" x="{MARGIN}" y="-10">{TITLES[jitter]}</text>'
        )
        lines += [*panel(counts, highest, seconds), "</g>"]
    lines += [
        f'<text class="soft middle" x="{WIDTH / 2}" y="{height - 18}">',
        "seconds since the server ended; attempts per tenth of a second;",
        "red: there is no server</text>",
    ]
    return "\n".join([*lines, "</svg>"]) + "\n"


def main() -> None:
    """Run it, say what came out, and draw it."""
    parser = argparse.ArgumentParser(description="When do clients come back?")
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("picture", nargs="?", type=Path)
    options = parser.parse_args()
    counted: dict[Jitter, Counter[int]] = {}
    for jitter, title in TITLES.items():
        program = partial(restart, jitter, options.clients, options.seconds)
        counts = testing.run_simulation(program, seed=0).value
        counted[jitter] = counts
        print(f"{title}: {max(counts.values())} in the worst 0.1 s")
    if options.picture is not None:
        picture = draw(counted, options.clients, options.seconds)
        options.picture.write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
