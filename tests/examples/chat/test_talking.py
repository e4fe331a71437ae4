"""What people can do, and what the others get of it."""

from __future__ import annotations

import pytest
import trio

from examples.chat.messages import (
    Entered,
    Event,
    Goodbye,
    Happening,
    Hello,
    Joined,
    Left,
    Line,
    Missed,
    Notice,
    Problem,
    Renamed,
    Reply,
    Said,
    Welcome,
    Whispered,
)
from tests.examples.chat.conftest import Served, token_of


def notice(replies: list[Reply]) -> str:
    """Return the only one that is a notice."""
    [text] = [reply.text for reply in replies if isinstance(reply, Notice)]
    return text


def problem(replies: list[Reply]) -> str:
    """Return the only one that is a problem."""
    [text] = [reply.text for reply in replies if isinstance(reply, Problem)]
    return text


def happenings(replies: list[Reply]) -> list[Happening]:
    """Return what has happened, of those."""
    return [reply.what for reply in replies if isinstance(reply, Event)]


async def test_what_is_said_comes_to_all_in_the_room_also_to_who_said_it(
    served: Served,
) -> None:
    async with served.join("ann") as ann, served.join("ben") as ben:
        said = Said("lobby", "ann", "hello")
        assert happenings(await ann.says("hello")) == [Joined("lobby", "ben"), said]
        assert await ben.hears() == said


async def test_rooms_hear_nothing_of_each_other(served: Served) -> None:
    async with served.join("ann") as ann, served.join("ben", "den") as ben:
        await ann.says("not for the den")
        heard = happenings(await ben.says("for the den"))
        assert heard == [Said("den", "ben", "for the den")]


async def test_who_comes_gets_the_last_fifty_events(served: Served) -> None:
    said = Said("lobby", "ann", "hello")
    async with served.join("ann"):
        for _ in range(100):
            served.community.hub.publish_nowait("room.lobby", Event(said, 0))
        async with served.hello("ben") as ben:
            entered = await ben.until(Entered)
            heard = [await ben.hears() for _ in range(51)]
    assert entered.nicks == ["ann", "ben"]
    assert heard == [*[said] * 50, Joined("lobby", "ben")]


async def test_who_leaves_is_said_to_have_left(served: Served) -> None:
    async with served.join("ann") as ann:
        async with served.join("ben"):
            assert await ann.hears() == Joined("lobby", "ben")
        assert await ann.hears() == Left("lobby", "ben")
        assert notice(await ann.says("/who")) == "in lobby: ann"


async def test_quit_ends_the_conversation(served: Served) -> None:
    async with served.join("ann") as ann:
        await ann.connection.send(Line("/quit"))
        assert await ann.until(Goodbye) == Goodbye("you have left")
        with pytest.raises(trio.EndOfChannel):
            await ann.connection.receive()


async def test_somebody_goes_to_another_room(served: Served) -> None:
    async with (
        served.join("ann") as ann,
        served.join("ben") as ben,
        served.join("cat", "den") as cat,
    ):
        await ann.says("/join den")
        assert (await ann.until(Entered)).nicks == ["ann", "cat"]
        assert await ben.hears() == Left("lobby", "ann")
        assert await cat.hears() == Joined("den", "ann")
        await ann.says("hello, den")
        assert await cat.hears() == Said("den", "ann", "hello, den")
        assert notice(await ben.says("/rooms")) == "den: ann, cat\nlobby: ben"


async def test_a_private_message_comes_to_two_wherever_they_are(
    served: Served,
) -> None:
    async with (
        served.join("ann") as ann,
        served.join("ben", "den") as ben,
        served.join("cat") as cat,
    ):
        whispered = Whispered("ann", "ben", "only for you")
        assert whispered in happenings(await ann.says("/msg ben  only for you"))
        assert await ben.hears() == whispered
        assert happenings(await cat.says("/who")) == []


async def test_another_name(served: Served) -> None:
    async with served.join("ann") as ann, served.join("ben") as ben:
        assert Welcome("anna") in await ann.says("/nick anna")
        assert await ben.hears() == Renamed("lobby", "anna", "ann")
        await ann.says("it is me")
        assert await ben.hears() == Said("lobby", "anna", "it is me")
        assert notice(await ben.says("/who")) == "in lobby: anna, ben"


async def test_help_lists_every_command(served: Served) -> None:
    async with served.join("ann") as ann:
        text = notice(await ann.says("/help"))
    words = {line.split()[0] for line in text.splitlines()}
    assert {"/join", "/msg", "/who", "/rooms", "/nick", "/quit", "/help"} <= words


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("/fly", "there is no command /fly"),
        ("/", "there is no command /"),
        ("/join", "/join ROOM: something is missing"),
        ("/join two words", "a name has 1 to 20 letters"),
        ("/join a.b", "a name has 1 to 20 letters"),
        ("/nick >", "a name has 1 to 20 letters"),
        ("/nick ben", "the name ben is taken"),
        ("/nick BEN", "the name BEN is taken"),
        ("/nick \uff42en", "the name \uff42en is taken"),  # a wide b
        ("/msg", "/msg NAME TEXT: something is missing"),
        ("/msg ben", "/msg NAME TEXT: there is no text"),
        ("/msg zoe hello", "nobody here is called zoe"),
    ],
)
async def test_what_cannot_be_done_is_explained(
    served: Served, line: str, why: str
) -> None:
    async with served.join("ann") as ann, served.join("ben"):
        assert problem(await ann.says(line)).startswith(why)
        assert notice(await ann.says("/who")) == "in lobby: ann, ben"


@pytest.mark.parametrize(
    ("hello", "why"),
    [
        (Line("hello"), "say hello first"),
        (Hello("ann", "short"), "say hello first"),
        (Hello("two words", token_of("ann")), "a name has 1 to 20 letters"),
        (Hello("ann", token_of("ann"), "a.b"), "a name has 1 to 20 letters"),
        (Hello("ben", token_of("ann")), "the name ben is taken"),
        (Hello("ann", token_of("ann"), after_room="x"), "'x' is no position"),
    ],
)
async def test_a_bad_hello_is_the_end_with_a_reason(
    served: Served, hello: Hello | Line, why: str
) -> None:
    async with served.join("ben") as ben, served.client() as client:
        await client.connection.send(hello)
        assert (await client.until(Goodbye)).text.startswith(why)
        assert notice(await ben.says("/who")) == "in lobby: ben"


async def test_what_is_no_message_is_told_and_passed_over(served: Served) -> None:
    async with served.connect() as stream:
        hello = b'{"type":"hello","nick":"ann","token":"0123456789abcdef"}'
        await stream.send_all(hello + b"\n")
        await stream.send_all(b'nonsense\n{"type":"line","text":"/quit"}\n')
        received = b"".join([chunk async for chunk in stream]).splitlines()
    assert b'"problem"' in received[-3]
    assert received[-1] == b'{"type":"goodbye","text":"you have left"}'


async def test_what_would_trick_a_screen_is_left_out_and_endless_text_is_cut(
    served: Served,
) -> None:
    async with served.join("ann") as ann:
        replies = await ann.says("a\x1b[2Jb\u202ec" + "x" * 2000)
    assert happenings(replies)[-1] == Said("lobby", "ann", "a[2Jbc" + "x" * 994)


async def test_ten_lines_at_once_and_then_one_a_second(
    served: Served, autojump_clock: trio.testing.MockClock
) -> None:
    async with served.join("ann") as ann:
        for _ in range(10):
            assert not [r for r in await ann.says("x") if isinstance(r, Problem)]
        assert problem(await ann.says("too much")) == (
            "too fast: wait 1.0 s; this was not said"
        )
        await trio.sleep(1)
        assert not [r for r in await ann.says("x") if isinstance(r, Problem)]
        assert problem(await ann.says("too much")).startswith("too fast")


async def test_who_comes_again_is_not_faster_for_that(
    served: Served, autojump_clock: trio.testing.MockClock
) -> None:
    async with served.join("ann") as ann:
        for _ in range(10):
            await ann.says("x")
        async with served.hello("ann") as again:
            await again.until(Entered)
            assert problem(await again.says("too much")).startswith("too fast")


async def test_who_does_not_read_holds_up_nobody_and_learns_what_is_missing(
    served: Served,
) -> None:
    """More is published than a connection queues and a hub keeps waiting for it."""
    async with served.join("ann") as ann:
        for number in range(2000):
            what = Said("lobby", "ben", f"{number} {'x' * 900}")
            served.community.hub.publish_nowait("room.lobby", Event(what, 0))
        said = missed = 0
        text = ""
        while not text.startswith("1999 "):
            match await ann.receive():
                case Event(Said(text=text)):
                    said += 1
                case Missed(count):
                    assert count is not None
                    missed += count
                case _:
                    pass
    assert missed > 500
    assert said + missed == 2000
