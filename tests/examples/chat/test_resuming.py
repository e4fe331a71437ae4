"""Somebody comes back: nothing twice, nothing unnoticed, and nobody in their place."""

from __future__ import annotations

import trio

import trio_tcp
from examples.chat.hub import HISTORY
from examples.chat.messages import (
    Entered,
    Event,
    Goodbye,
    Joined,
    Left,
    Missed,
    Notice,
    Reply,
    Said,
    Welcome,
    Whispered,
)
from tests.examples.chat.conftest import Served, Talker, token_of


async def last_position(talker: Talker, text: str) -> str:
    """Say something, and return where that is."""
    replies = await talker.says(text)
    [*_, position] = [reply.position for reply in replies if isinstance(reply, Event)]
    return position


async def replies_until(talker: Talker, text: str) -> list[Reply]:
    """Return all that comes, up to where somebody says this."""
    replies: list[Reply] = []
    while True:
        replies.append(await talker.receive())
        match replies[-1]:
            case Event(Said(text=said) | Whispered(text=said)) if said == text:
                return replies
            case _:
                pass


async def test_what_was_said_meanwhile_comes_once_and_in_order(served: Served) -> None:
    async with served.join("ben") as ben:
        async with served.join("ann") as ann:
            position = await last_position(ann, "before")
        while await ben.hears() != Left("lobby", "ann"):
            pass
        for number in range(5):
            await ben.says(f"meanwhile {number}")
        async with served.hello("ann", after_room=position) as ann:
            assert isinstance(await ann.receive(), Welcome)
            assert isinstance(await ann.receive(), Entered)
            heard = [await ann.hears() for _ in range(7)]
    assert heard == [
        Left("lobby", "ann"),
        *[Said("lobby", "ben", f"meanwhile {number}") for number in range(5)],
        Joined("lobby", "ann"),
    ]


async def test_private_messages_wait_for_who_comes_back(served: Served) -> None:
    async with served.join("ben") as ben, served.join("ann") as ann:
        await ben.says("/msg ann one")
        event = await ann.until(Event)
        assert event.what == Whispered("ben", "ann", "one")
        await ben.says("/msg ann two")
        position = event.position
        async with served.hello("ann", after_private=position) as again:
            assert isinstance(await again.receive(), Welcome)
            assert (await again.until(Event)).what == Whispered("ben", "ann", "two")


async def test_a_name_that_is_free_again_brings_no_letters_of_others(
    served: Served,
) -> None:
    """Private messages belong to who has the token, not to who has the name."""
    async with served.join("ben") as ben:
        async with served.join("ann"):
            await ben.says("/msg ann secret")
        while await ben.hears() != Left("lobby", "ann"):
            pass
        token = token_of("another ann")
        async with served.hello("ann", token=token) as thief:
            await thief.until(Entered)
            replies = await thief.says("/who")
    assert Notice("in lobby: ann, ben") in replies
    assert not [r for r in replies if isinstance(r, Event) and is_private(r)]


def is_private(event: Event) -> bool:
    """Return whether it concerns two only."""
    return isinstance(event.what, Whispered)


async def test_what_is_kept_no_more_is_missed_and_counted(served: Served) -> None:
    async with served.join("ann") as ann:
        position = await last_position(ann, "before")
    for number in range(300):
        what = Said("lobby", "ben", str(number))
        served.community.hub.publish_nowait("room.lobby", Event(what, 0))
    async with served.hello("ann", after_room=position) as ann:
        missed = await ann.until(Missed)
        assert missed.count is not None
        assert missed.count >= 100
        replies = await replies_until(ann, "299")
    events = [reply.what for reply in replies if isinstance(reply, Event)]
    texts = [what.text for what in events if isinstance(what, Said)]
    assert texts == [str(number) for number in range(300 - len(texts), 300)]


async def test_after_a_restart_it_is_said_that_nobody_knows_what_is_missing(
    served: Served, nursery: trio.Nursery
) -> None:
    async with served.join("ann") as ann:
        position = await last_position(ann, "before")
    restarted = Served(trio_tcp.Hub(history=HISTORY), nursery)
    async with restarted.hello("ann", after_room=position) as ann:
        assert await ann.until(Missed) == Missed(None)
        assert await ann.hears() == Joined("lobby", "ann")


async def test_who_comes_back_before_the_break_is_noticed_takes_the_place(
    served: Served,
) -> None:
    """The others notice nothing."""
    async with served.join("ben") as ben, served.join("ann") as ann:
        assert await ben.hears() == Joined("lobby", "ann")
        position = await last_position(ann, "one")
        async with served.hello("ann", after_room=position) as again:
            await again.until(Entered)
            assert "from elsewhere" in (await ann.until(Goodbye)).text
            assert await last_position(again, "two")
            assert await ben.hears() == Said("lobby", "ann", "one")
            assert await ben.hears() == Said("lobby", "ann", "two")


async def test_who_comes_back_into_another_room_has_left_the_first(
    served: Served,
) -> None:
    async with served.join("ben") as ben, served.join("ann"):
        assert await ben.hears() == Joined("lobby", "ann")
        async with served.join("ann", "den"):
            assert await ben.hears() == Left("lobby", "ann")


async def test_who_comes_back_has_the_name_that_they_took_last(served: Served) -> None:
    async with served.join("ann") as ann:
        await ann.says("/nick anna")
        async with served.hello("ann") as again:
            assert await again.until(Welcome) == Welcome("anna")
