"""What a new subscriber asks of the past, read over a link."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from trio_tcp._backplane._link import Link
from trio_tcp._backplane._sequence import Item
from trio_tcp._hub import Lagged, Position, is_pattern, matcher

__all__ = ["recalled"]


async def recalled(
    link: Link, patterns: Sequence[str], last: int, after: Mapping[str, Position]
) -> list[Item]:
    """Read what is kept of the topics of some patterns.

    Args:
        link: to read over.
        patterns: topics and patterns.
        last: how many publications of each topic that has no position.
        after: positions, by topic: what came after them.

    Raises:
        LinkLost, LinkRefused: as the link says.
    """
    items: list[Item] = []
    for topic in await _topics(link, patterns, last, after):
        position = after.get(topic)
        if position is None:
            items += await link.read_last(topic, last)
        else:
            items += await _after(link, topic, position)
    return items


async def _topics(
    link: Link, patterns: Sequence[str], last: int, after: Iterable[str]
) -> list[str]:
    names = dict.fromkeys(after)
    if last:
        names |= dict.fromkeys(name for name in patterns if not is_pattern(name))
        if any(map(is_pattern, patterns)):
            names |= dict.fromkeys(await link.topics())
    matches = [matcher(pattern).fullmatch for pattern in patterns]
    return [name for name in names if any(match(name) for match in matches)]


async def _after(link: Link, topic: str, position: Position) -> list[Item]:
    found = await link.read(topic, position.sequence)
    if not found or found[0].position.epoch != position.epoch:
        # Counted by another memory: all that there is.
        return [Lagged(None), *await link.read(topic, 0)]
    first = found[0].position.sequence
    if first == position.sequence:
        return [*found[1:]]
    missed = first - position.sequence - 1
    return [Lagged(missed), *found] if missed else [*found]
