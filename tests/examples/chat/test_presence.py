"""Two servers of one hub: one conversation, and everybody knows who is in it."""

from __future__ import annotations

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from examples.chat.hub import PRESENCE, ChatHub, Person, Roster
from examples.chat.messages import Event, Goodbye, Joined, Left, Notice, Said, Whispered
from examples.chat.presence import EXPIRY_SECONDS
from tests.examples.chat.conftest import Served, Talker, token_of


async def who(talker: Talker) -> str:
    """Return who is there, as the command says it."""
    await wait_all_tasks_blocked()  # servers have told each other
    [text] = [r.text for r in await talker.says("/who") if isinstance(r, Notice)]
    return text


async def test_people_of_two_servers_talk(served: Served, other: Served) -> None:
    async with served.join("ann") as ann, other.join("ben") as ben:
        assert await ann.hears() == Joined("lobby", "ben")
        await ann.says("hello")
        assert await ben.hears() == Said("lobby", "ann", "hello")
        assert await who(ann) == await who(ben) == "in lobby: ann, ben"
        await ben.says("/msg ann only for you")
        assert await ann.hears() == Whispered("ben", "ann", "only for you")


async def test_a_name_is_taken_on_all_servers(served: Served, other: Served) -> None:
    async with served.join("ann"):
        await wait_all_tasks_blocked()
        async with other.hello("ann", token=token_of("another ann")) as second:
            assert (await second.until(Goodbye)).text == "the name ann is taken"


async def test_who_goes_over_to_another_server_has_not_left(
    served: Served, other: Served
) -> None:
    """The first server notices late that they are gone, and says nothing."""
    async with served.join("ben") as ben, other.join("ann"):
        async with served.join("ann"):
            await wait_all_tasks_blocked()
        await wait_all_tasks_blocked()
        replies = await ben.says("/who")
    assert Notice("in lobby: ann, ben") in replies
    happenings = [reply.what for reply in replies if isinstance(reply, Event)]
    assert happenings == [Joined("lobby", "ann")] * 2


async def test_a_server_that_comes_later_learns_who_is_there(
    served: Served, hub: ChatHub, nursery: trio.Nursery
) -> None:
    async with served.join("ann"):
        later = Served(hub, nursery)
        async with later.join("ben") as ben:
            assert await who(ben) == "in lobby: ann, ben"


async def test_a_server_that_says_nothing_any_more_takes_its_people_with_it(
    served: Served, hub: ChatHub, autojump_clock: MockClock
) -> None:
    hub.publish_nowait(PRESENCE, Roster("gone", [Person("x" * 32, "zoe", "lobby")]))
    async with served.join("ann") as ann:
        hub.publish_nowait(PRESENCE, Roster("gone", [Person("x" * 32, "zoe", "lobby")]))
        assert await who(ann) == "in lobby: ann, zoe"
        await trio.sleep(EXPIRY_SECONDS - 1)
        assert await who(ann) == "in lobby: ann, zoe"
        await trio.sleep(2)
        assert await who(ann) == "in lobby: ann"


async def test_a_server_that_ends_takes_its_people_with_it_at_once(
    hub: ChatHub, served: Served
) -> None:
    async with served.join("ann") as ann:
        async with trio.open_nursery() as nursery:
            second = Served(hub, nursery)
            async with second.hello("ben"):
                assert await ann.hears() == Joined("lobby", "ben")
                assert await who(ann) == "in lobby: ann, ben"
                nursery.cancel_scope.cancel()
        assert await ann.hears() == Left("lobby", "ben")
        assert await who(ann) == "in lobby: ann"


async def test_rosters_are_no_events(served: Served) -> None:
    """Whoever names a room as the servers' topic is called gets nothing of it."""
    async with served.join("ann", PRESENCE) as ann:
        async with served.join("ben"):
            replies = await ann.says("/who")
    assert not [reply for reply in replies if isinstance(reply, Event)]
