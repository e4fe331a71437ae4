"""What people can do in the chat, and what the others learn of it."""

from __future__ import annotations

import re
import time
from typing import Final, final

import trio
from msgspec.structs import replace

from examples.chat.hub import ChatHub, Person, private_topic, room_topic
from examples.chat.messages import (
    Event,
    Happening,
    Joined,
    Left,
    Renamed,
    Said,
    Whispered,
)
from examples.chat.presence import Presence
from examples.chat.token_bucket import TokenBucket

__all__ = ["Community", "Member", "Refused", "check_name", "clean"]

NAME: Final = re.compile(r"[\w-]{1,20}")
MAX_TEXT: Final = 1000  # characters; what is longer is cut

BURST: Final = 10
LINES_PER_SECOND: Final = 1.0


class Refused(Exception):
    """Something cannot be done; the text says why, for the one who tried."""


def clean(text: str) -> str:
    """Leave out what plays tricks on other people's screens, and endless text."""
    return "".join(filter(str.isprintable, text))[:MAX_TEXT].strip()


def check_name(name: str) -> str:
    """Return a name of a person or a room, if it is one.

    Raises:
        Refused: it is not.
    """
    if not NAME.fullmatch(name):
        raise Refused("a name has 1 to 20 letters, digits, hyphens and underscores")
    return name


@final
class Member:
    """Somebody who is with this server.

    Attributes:
        person: as all can see them.
        bucket: limits how much they say.
        scope: of the conversation with them. Who comes back before that has ended
            takes the place of it.
    """

    def __init__(self, person: Person, scope: trio.CancelScope) -> None:
        self.person = person
        self.bucket = TokenBucket(BURST, LINES_PER_SECOND, trio.current_time)
        self.scope = scope


@final
class Community:
    """The people, and what they do.

    What is looked at is changed before anything is waited for; then it is published.

    Attributes:
        hub: brings to all what happens.
        presence: who is here.
    """

    def __init__(self, hub: ChatHub) -> None:
        self.hub = hub
        self.presence = Presence(hub)
        self._members: dict[str, Member] = {}  # by identity

    async def _publish(self, topic: str, what: Happening) -> bool:
        """Tell all; return whether those with other servers can get it, too."""
        event = Event(what, round(time.time(), 3))
        return (await self.hub.publish(topic, event)).is_replicated

    # Coming and going ----------------------------------------------------------------

    def admit(self, person: Person, scope: trio.CancelScope) -> Member:
        """Let somebody in, or back in: then the conversation that they had ends.

        Raises:
            Refused: the name, or the room's, will not do.
        """
        check_name(person.room)
        member = self._members.get(person.identity)
        if member is None:
            self._check_free(person.nick, person.identity)
            member = self._members[person.identity] = Member(person, scope)
        else:
            member.scope.cancel()
            member.scope = scope
            self.move(member, person.room)
        return member

    def move(self, member: Member, room: str) -> None:
        """Have somebody be about to `enter` another room.

        Raises:
            Refused: its name will not do.
        """
        member.person = replace(member.person, room=check_name(room))

    async def enter(self, member: Member) -> None:
        """Have somebody be in the room; the others are told, if that is news."""
        person = member.person
        before = self.presence.here.get(person.identity)
        if before == person:
            return
        self.presence.put(person)
        if before is not None:
            await self._tell_left(before)
        await self._publish(room_topic(person.room), Joined(person.room, person.nick))

    async def leave(self, member: Member) -> None:
        """Let somebody go."""
        identity = member.person.identity
        del self._members[identity]
        person = self.presence.here.get(identity)
        if person is not None:
            self.presence.remove(identity)
            await self._tell_left(person)

    async def _tell_left(self, person: Person) -> None:
        # Whoever is in that room by another server has not left it.
        if person.room != self.presence.room_elsewhere(person.identity):
            left = Left(person.room, person.nick)
            await self._publish(room_topic(person.room), left)

    # Talking -------------------------------------------------------------------------

    async def say(self, member: Member, text: str) -> bool:
        """Say something to all in the room.

        Returns:
            Whether those with other servers can get it, too.
        """
        room, nick = member.person.room, member.person.nick
        return await self._publish(room_topic(room), Said(room, nick, text))

    async def whisper(self, member: Member, nick: str, text: str) -> bool:
        """Say something to one person.

        Returns:
            As `say`.

        Raises:
            Refused: nobody is called so.
        """
        other = self.presence.find(nick)
        if other is None:
            raise Refused(f"nobody here is called {nick}")
        what = Whispered(member.person.nick, other.nick, text)
        if other.identity != member.person.identity:
            await self._publish(private_topic(member.person.identity), what)
        return await self._publish(private_topic(other.identity), what)

    async def rename(self, member: Member, nick: str) -> None:
        """Give somebody another name.

        Raises:
            Refused: it will not do.
        """
        before = member.person
        self._check_free(nick, before.identity)
        member.person = replace(before, nick=nick)
        self.presence.put(member.person)
        what = Renamed(before.room, nick, before.nick)
        await self._publish(room_topic(before.room), what)

    def _check_free(self, nick: str, identity: str) -> None:
        owner = self.presence.find(check_name(nick))
        if owner is not None and owner.identity != identity:
            raise Refused(f"the name {nick} is taken")
