"""Who is here, also with other servers of the same hub.

Each server tells the others who is with it whenever that changes, and every few seconds
in any case. What a server has told holds for a while: one that dies without a word, or
cannot be reached, takes its people with it. So this is what was true a moment ago: two
people who come to two servers with the same name in the same moment can both have it.
"""

from __future__ import annotations

import unicodedata
from itertools import chain
from secrets import token_hex
from typing import Final, final

import trio

import trio_tcp
from examples.chat.hub import PRESENCE, ChatHub, Person, Roster

__all__ = ["ANNOUNCE_SECONDS", "EXPIRY_SECONDS", "Presence"]

ANNOUNCE_SECONDS: Final = 10
EXPIRY_SECONDS: Final = 3 * ANNOUNCE_SECONDS


@final
class Presence:
    """The people of this server, and of the others.

    Attributes:
        here: those of this server, by identity.
    """

    def __init__(self, hub: ChatHub) -> None:
        self.here: dict[str, Person] = {}
        self._hub = hub
        self._server = token_hex(4)
        self._elsewhere: dict[str, tuple[float, list[Person]]] = {}

    async def run(self) -> None:
        """Listen to the other servers, and tell them who is here, until cancelled."""
        with self._hub.subscribe(PRESENCE) as rosters:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._announce_forever)
                async for item in rosters:
                    if isinstance(item, trio_tcp.Publication):
                        self._learn(item.message)
                nursery.cancel_scope.cancel()

    async def _announce_forever(self) -> None:
        while True:
            self._announce()
            await trio.sleep(ANNOUNCE_SECONDS)

    def _announce(self) -> None:
        roster = Roster(self._server, list(self.here.values()))
        self._hub.publish_nowait(PRESENCE, roster)

    def _learn(self, roster: object) -> None:
        if not isinstance(roster, Roster) or roster.server == self._server:
            return
        is_new = roster.server not in self._elsewhere
        until = trio.current_time() + EXPIRY_SECONDS
        self._elsewhere[roster.server] = (until, roster.people)
        if is_new:  # it does not know yet who is here
            self._announce()

    def put(self, person: Person) -> None:
        """Note that somebody is here; in another room, or with another name, now."""
        self.here[person.identity] = person
        self._announce()

    def remove(self, identity: str) -> None:
        """Note that somebody is not here any more."""
        del self.here[identity]
        self._announce()

    def _others(self) -> dict[str, Person]:
        now = trio.current_time()
        for server, (until, _) in list(self._elsewhere.items()):
            if until <= now:
                del self._elsewhere[server]
        others = chain.from_iterable(people for _, people in self._elsewhere.values())
        return {person.identity: person for person in others}

    def room_elsewhere(self, identity: str) -> str | None:
        """Return the room in which somebody is by another server, if so."""
        person = self._others().get(identity)
        return None if person is None else person.room

    def everybody(self) -> list[Person]:
        """Return all people, by name; each once, whatever servers say."""
        people = self._others() | self.here
        return sorted(people.values(), key=lambda person: fold(person.nick))

    def in_room(self, room: str) -> list[str]:
        """Return the names of those in a room."""
        return [person.nick for person in self.everybody() if person.room == room]

    def find(self, nick: str) -> Person | None:
        """Return who has this name, or one that looks the same."""
        found = (p for p in self.everybody() if fold(p.nick) == fold(nick))
        return next(found, None)


def fold(nick: str) -> str:
    """Return the same for names that cannot be told apart by their letters' forms."""
    return unicodedata.normalize("NFKC", nick).casefold()
