"""Two pictures of states: what a session can be, and a connection of a pool.

What a box is called and has in it is read from the classes; which arrows there are, for
a session, is held against runs. Only the places are chosen by hand.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Final
from xml.sax.saxutils import escape

import attrs
import trio

import trio_tcp
from trio_tcp import codecs, testing
from trio_tcp.cli._svg import svg

__all__ = ["pooled", "session_states"]

WIDTH: Final = 170
HEIGHT: Final = 52
LINE: Final = 17

STYLE: Final = """
text { font-size: 13px } .state { font-weight: 600; font-size: 14px }
.middle { text-anchor: middle } .end { text-anchor: end }
.box { fill: none; stroke: #0969da; stroke-width: 1.5 } .last { stroke: #cf222e }
.way { fill: none; stroke: #59636e; stroke-width: 1.5; stroke-linejoin: round }
.bad { stroke: #cf222e } .head { fill: #59636e } .head.bad { fill: #cf222e;
  stroke: none }
@media (prefers-color-scheme: dark) {
  .box { stroke: #4493f8 } .last { stroke: #ff7b72 } .way { stroke: #9198a1 }
  .bad { stroke: #ff7b72 } .head { fill: #9198a1 } .head.bad { fill: #ff7b72 }
}
"""

Point = tuple[float, float]


@attrs.frozen
class Box:
    """A state, around its middle.

    Attributes:
        has: what it knows, below its name.
        is_last: nothing comes after it.
    """

    name: str
    middle: Point
    has: str = ""
    is_last: bool = False


@attrs.frozen
class Arrow:
    """From a state to another.

    Attributes:
        states: both.
        points: corners of the line, from the first to the second.
        words: lines of text, the first at `place`.
        anchor: ``start``, ``middle`` or ``end``: what of the text is there.
    """

    states: tuple[str, str]
    points: Sequence[Point]
    words: Sequence[str]
    place: Point
    anchor: str = "start"


def _draw(
    title: str,
    description: str,
    size: tuple[int, int],
    boxes: Sequence[Box],
    arrows: Sequence[Arrow],
) -> str:
    last = {box.name for box in boxes if box.is_last}

    def lines() -> Iterator[str]:
        for arrow in arrows:
            yield from _arrow(arrow, is_bad=arrow.states[1] in last)
        for box in boxes:
            x, y = box.middle
            kind = "box last" if box.is_last else "box"
            yield (
                f'<rect class="{kind}" x="{x - WIDTH / 2}" y="{y - HEIGHT / 2}" '
                f'width="{WIDTH}" height="{HEIGHT}" rx="8"/>'
            )
            base = y - 3 if box.has else y + 5
            yield f'<text class="state middle" x="{x}" y="{base}">{box.name}</text>'
            if box.has:
                yield f'<text class="soft middle" x="{x}" y="{y + 15}">{box.has}</text>'

    return svg(title, description, size, lines(), style=STYLE)


def _arrow(arrow: Arrow, *, is_bad: bool) -> Iterator[str]:
    bad = " bad" if is_bad else ""
    path = "L".join(f"{x} {y}" for x, y in arrow.points)
    yield f'<path class="way{bad}" d="M{path}"/>'
    (from_x, from_y), (x, y) = list(pairwise(arrow.points))[-1]
    angle = math.degrees(math.atan2(y - from_y, x - from_x))
    place = f"translate({x} {y}) rotate({angle:.0f})"
    yield f'<path class="head{bad}" transform="{place}" d="M0 0L-11 -5V5Z"/>'
    at_x, at_y = arrow.place
    for number, words in enumerate(arrow.words):
        yield (
            f'<text class="soft {arrow.anchor}" x="{at_x}" y="{at_y + number * LINE}">'
            f"{escape(words)}</text>"
        )


# A session ----------------------------------------------------------------------------

SESSION: Final = (
    Arrow(("", "Connecting"), [(30, 66), (85, 66)], [], (0, 0)),
    Arrow(
        ("Connecting", "Ready"),
        [(255, 66), (505, 66)],
        ["it answers, and is prepared"],
        (380, 56),
        "middle",
    ),
    Arrow(
        ("Connecting", "Waiting"),
        [(215, 92), (215, 190), (295, 190)],
        ["the attempt", "fails"],
        (224, 128),
    ),
    Arrow(
        ("Waiting", "Connecting"),
        [(295, 210), (125, 210), (125, 92)],
        ["the delay", "is over"],
        (134, 128),
    ),
    Arrow(
        ("Ready", "Waiting"),
        [(560, 92), (560, 200), (465, 200)],
        ["the connection", "ends"],
        (552, 128),
        "end",
    ),
    Arrow(
        ("Waiting", "Stopped"),
        [(380, 226), (380, 292)],
        ["gives up, or the block ends"],
        (390, 262),
    ),
    Arrow(
        ("Connecting", "Stopped"),
        [(105, 92), (105, 318), (295, 318)],
        ["a permanent error,", "or the block ends"],
        (114, 284),
    ),
    Arrow(
        ("Ready", "Stopped"),
        [(620, 92), (620, 318), (465, 318)],
        ["a permanent error,", "or the block ends"],
        (612, 284),
        "end",
    ),
)


def session_states() -> str:
    """Draw the states of `Session`, and the ways between them that sessions take."""
    drawn = {arrow.states for arrow in SESSION}
    seen = testing.run_simulation(_sessions, seed=0).value
    assert seen == drawn, f"drawn: {drawn - seen}, seen: {seen - drawn}"
    places = {
        trio_tcp.Connecting: (170, 66),
        trio_tcp.Ready: (590, 66),
        trio_tcp.Waiting: (380, 200),
        trio_tcp.Stopped: (380, 318),
    }
    boxes = [
        Box(
            kind.__name__,
            place,
            ", ".join(field.name for field in attrs.fields(kind)),
            is_last=kind is trio_tcp.Stopped,
        )
        for kind, place in places.items()
    ]
    return _draw(
        "The states of a session",
        "A session begins as Connecting. When the server answers and the connection is "
        "prepared, it is Ready. When the attempt fails, it is Waiting for some "
        "seconds, and then Connecting again. When a connection ends, Ready becomes "
        "Waiting. Each of the three becomes Stopped at the end of the session's block, "
        "and by a permanent error or by giving up.",
        (700, 364),
        boxes,
        SESSION,
    )


async def _sessions(net: testing.VirtualNetwork) -> set[tuple[str, str]]:
    """Have sessions that end in each state, and return the changes of their states."""
    seen: set[tuple[str, str]] = set()

    async def watch(session: trio_tcp.Session[str, str]) -> None:
        before = ""
        async for state in session.states():
            seen.add((before, type(state).__name__))
            before = type(state).__name__

    async def session(host: str, seconds: float) -> None:
        connect = partial(trio_tcp.connect_tcp, host, 80, codec=codecs.Lines())
        backoff = trio_tcp.Backoff(initial=1, jitter="none")
        async with trio.open_nursery() as nursery:
            with trio.move_on_after(seconds):
                async with trio_tcp.open_session(connect, backoff=backoff) as opened:
                    nursery.start_soon(watch, opened)  # noqa: ASYNC111 - sees its end
                    async for connection in opened:
                        with opened.until_broken():
                            await connection.receive()

    async def hang_up(connection: trio_tcp.Connection[str, str]) -> None:
        await trio.sleep(1)

    serve = partial(trio_tcp.serve_tcp, hang_up, 80, codec=codecs.Lines())
    net.set_links(latency=0.1)
    net.host("server").start(serve)
    net.host("nobody")
    await net.settle()
    for host in ("server", "nobody"):
        for tenths in range(1, 30):
            await session(host, tenths / 10)
    return seen


# A connection of a pool ---------------------------------------------------------------

POOLED: Final = (
    Box("connecting", (110, 96), "connect, prepare"),
    Box("in use", (390, 96)),
    Box("idle", (690, 96)),
    Box("closed", (540, 296), is_last=True),
)

POOL: Final = (
    Arrow(
        ("connecting", "in use"),
        [(195, 96), (305, 96)],
        ["somebody waits"],
        (250, 86),
        "middle",
    ),
    Arrow(
        ("connecting", "idle"),
        [(110, 70), (110, 30), (690, 30), (690, 70)],
        ["nobody waits any more"],
        (390, 22),
        "middle",
    ),
    Arrow(
        ("in use", "idle"),
        [(475, 86), (605, 86)],
        ["given back whole"],
        (540, 78),
        "middle",
    ),
    Arrow(
        ("idle", "in use"),
        [(605, 108), (475, 108)],
        ["somebody waits; check"],
        (540, 126),
        "middle",
    ),
    Arrow(
        ("in use", "in use"),
        [(340, 122), (340, 160), (270, 160), (270, 112), (305, 112)],
        ["given back whole,", "to the next in line"],
        (262, 142),
        "end",
    ),
    Arrow(
        ("in use", "closed"),
        [(400, 122), (400, 296), (455, 296)],
        ["raised, cancelled,", "something unread,", "ended, or too old"],
        (392, 204),
        "end",
    ),
    Arrow(
        ("idle", "closed"),
        [(680, 122), (680, 296), (625, 296)],
        ["max_idle, max_lifetime,", "the peer speaks or ends,", "check fails"],
        (688, 204),
    ),
)


def pooled() -> str:
    """Draw the life of a connection of `Pool`."""
    return _draw(
        "The life of a pooled connection",
        "Connecting, with connect and prepare, becomes in use when somebody waits, and "
        "idle when nobody does any more. In use becomes idle, or in use by the next in "
        "line, when it is given back whole. Idle becomes in use after check. Both end "
        "as closed: in use, when the block raised, was cancelled, or left something "
        "unread, or the connection had ended or was too old; idle, after max_idle or "
        "max_lifetime, when the peer says anything or ends, or when check fails.",
        (860, 340),
        POOLED,
        POOL,
    )
