"""What people can do in the chat, and what the others learn of it."""

from __future__ import annotations

import re
import time
from typing import Final, final

import msgspec
import trio

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

__all__ = ["Community", "Member", "Refused", "clean"]

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
    """The people, and what they do. Nothing here waits between a look and a change.

    Attributes:
        hub: brings to all what happens.
        presence: who is here.
    """

    def __init__(self, hub: ChatHub) -> None:
        self.hub = hub
        self.presence = Presence(hub)
        self._members: dict[str, Member] = {}  # by identity

    def _publish(self, topic: str, what: Happening) -> None:
        # No subscriber of this hub makes publishers wait, so this never would block.
        self.hub.publish_nowait(topic, Event(what, round(time.time(), 3)))

    # Coming and going ----------------------------------------------------------------

    def admit(self, person: Person, scope: trio.CancelScope) -> Member:
        """Let somebody in, or back in: then the conversation that they had ends.

        Raises:
            Refused: the name, or the room's, will not do.
        """
        check_name(person.room)
        before = self._members.get(person.identity)
        if before is None:
            self._check_free(person.nick, person.identity)
            member = Member(person, scope)
        else:
            member = before
            member.scope.cancel()
            member.scope = scope
            if person.room != member.person.room:
                self._tell_left(member.person)
            member.person = msgspec.structs.replace(member.person, room=person.room)
        self._members[person.identity] = member
        return member

    def is_present(self, member: Member) -> bool:
        """Say whether the others have been told that somebody is where they are."""
        return self.presence.here.get(member.person.identity) == member.person

    def enter(self, member: Member, room: str) -> None:
        """Have somebody be in a room; the others there are told, if it is news."""
        member.person = msgspec.structs.replace(member.person, room=check_name(room))
        if not self.is_present(member):
            self.presence.put(member.person)
            self._publish(room_topic(room), Joined(room, member.person.nick))

    def leave(self, member: Member) -> None:
        """Let somebody go."""
        del self._members[member.person.identity]
        if member.person.identity in self.presence.here:
            self.presence.remove(member.person.identity)
            self._tell_left(member.person)

    def move(self, member: Member, room: str) -> None:
        """Have somebody go to another room."""
        check_name(room)
        self._tell_left(member.person)
        self.enter(member, room)

    def _tell_left(self, person: Person) -> None:
        # Whoever is in that room by another server has not left it.
        everybody = self.presence.everybody()
        if not any(
            (other.identity, other.room) == (person.identity, person.room)
            for other in everybody
            if other.identity not in self.presence.here
        ):
            self._publish(room_topic(person.room), Left(person.room, person.nick))

    # Talking -------------------------------------------------------------------------

    def say(self, member: Member, text: str) -> None:
        """Say something to all in the room."""
        room, nick = member.person.room, member.person.nick
        self._publish(room_topic(room), Said(room, nick, text))

    def whisper(self, member: Member, nick: str, text: str) -> None:
        """Say something to one person.

        Raises:
            Refused: nobody is called so.
        """
        other = self.presence.find(nick)
        if other is None:
            raise Refused(f"nobody here is called {nick}")
        what = Whispered(member.person.nick, other.nick, text)
        for identity in {member.person.identity, other.identity}:
            self._publish(private_topic(identity), what)

    def rename(self, member: Member, nick: str) -> None:
        """Give somebody another name.

        Raises:
            Refused: it will not do.
        """
        before = member.person
        self._check_free(nick, before.identity)
        member.person = msgspec.structs.replace(before, nick=nick)
        self.presence.put(member.person)
        what = Renamed(before.room, nick, before.nick)
        self._publish(room_topic(before.room), what)

    def _check_free(self, nick: str, identity: str) -> None:
        owner = self.presence.find(check_name(nick))
        if owner is not None and owner.identity != identity:
            raise Refused(f"the name {nick} is taken")
