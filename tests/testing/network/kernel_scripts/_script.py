"""A script, and a list of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias, final

import attrs
import trio

from tests.testing.network.kernel_scripts._world import World

if TYPE_CHECKING:
    from tests.testing.network.kernel_scripts._world import Settle

Play: TypeAlias = Callable[[World], Awaitable[None]]
Log: TypeAlias = tuple[str, ...]


@final
@attrs.frozen
class Script:
    """A few calls on sockets.

    Attributes:
        name: What it shows, as a sentence.
        play: Does the calls, in any world.
        allowed: Where a race decides, the logs that it may end in; empty if none does.
    """

    name: str
    play: Play
    allowed: tuple[Log, ...] = ()

    async def perform(self, settle: Settle) -> Log:
        """Play it in the world of this run.

        Args:
            settle: Waits until nothing happens any more without a further call.

        Returns:
            What was seen.
        """
        async with trio.open_nursery() as nursery:
            world = World(nursery, settle)
            try:
                with trio.fail_after(30):
                    await self.play(world)
            finally:
                world.close()
                nursery.cancel_scope.cancel()
        return tuple(world.log)


@final
class Scripts:
    """Scripts about one thing."""

    def __init__(self) -> None:
        self._scripts: list[Script] = []

    def add(self, play: Play) -> Play:
        """Add a function; its name is the sentence."""
        self.add_as(play.__name__.replace("_", " "), play)
        return play

    def add_as(self, name: str, play: Play, *allowed: Log) -> None:
        """Add a function under a name, with the logs that a race may end in."""
        self._scripts.append(Script(name, play, allowed))

    def __iter__(self) -> Iterator[Script]:
        return iter(self._scripts)
