from __future__ import annotations

from typing import Any

import attrs
import pytest
import trio
import trio.testing

from tests.cli.connect.talking import AnyConnection, talking
from trio_tcp import codecs
from trio_tcp._nursery import open_quiet_nursery
from trio_tcp.cli._connect._play import DiffersError, play
from trio_tcp.cli._connect._script import parse_script


@attrs.frozen
class Reply:
    """A message that is no literal of Python."""

    text: str


NUMBERS = codecs.Mapped(codecs.Lines(), decode=int, encode=str)


async def answer(peer: AnyConnection, *answers: object) -> None:
    """Give each message that comes its answer; then close when the other side has."""
    for message in answers:
        await peer.receive()
        await peer.send(message)
    async for _ in peer:
        pass
    await peer.aclose()


async def run(
    script: str,
    *answers: object,
    codec: codecs.Codec[Any, Any] | None = None,
    notation: str | None = None,
) -> None:
    """Play a script with a peer that answers so."""
    async with (
        talking(codec, notation=notation) as (conversation, peer),
        open_quiet_nursery() as nursery,
    ):
        nursery.start_soon(answer, peer, *answers)
        steps = parse_script(script.splitlines())
        try:
            await play(conversation, steps, within=5)
        finally:
            nursery.cancel_scope.cancel()


async def test_a_script_that_is_kept_to_comes_to_its_end() -> None:
    """Exactly, by a regular expression, and the peer's end."""
    await run("> a\n< one\n> b\n< /t.o/\n>EOF\n<EOF", "one", "two")


async def differs(script: str, *answers: object, **options: Any) -> str:  # noqa: ANN401
    """Return how it differs."""
    with pytest.raises(DiffersError) as caught:
        await run(script, *answers, **options)
    return str(caught.value)


async def test_another_message_is_shown_as_a_diff() -> None:
    """With the line of the script, and marks below what is different."""
    assert (await differs("> a\n\n< hello", "hallo")).splitlines() == [
        "line 3: something else has come",
        "- hello",
        "?  ^",
        "+ hallo",
        "?  ^",
    ]


async def test_a_pattern_has_to_match_the_whole_message() -> None:
    """A part of it is not enough."""
    assert (await differs("> a\n< /two/", "one two")).splitlines() == [
        "line 2: something else has come",
        "- /two/",
        "+ one two",
    ]


async def test_a_message_that_does_not_come_is_not_waited_for_for_ever(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The time is the user's, for each message anew."""
    began = trio.current_time()
    assert await differs("> a\n< one\n< two", "one") == (
        "line 3: this was expected: two, and nothing came within 5 s"
    )
    assert trio.current_time() - began == pytest.approx(5)


async def test_a_peer_that_does_not_close_is_not_waited_for_for_ever(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The same time."""
    assert "the peer was expected to close, and nothing" in await differs("<EOF")


async def test_a_peer_that_closes_too_soon_is_told_apart_from_a_slow_one() -> None:
    """It says what was expected, and that the connection has ended."""
    what = await differs(">EOF\n< more")
    assert what.startswith("line 2: this was expected: more, but ")
    assert "within" not in what


async def test_a_message_instead_of_the_end_is_shown() -> None:
    """As it was written."""
    what = await differs("> a\n<EOF", "more")
    assert what == "line 2: the peer was expected to close, but this came: more"


async def test_what_cannot_be_sent_is_named() -> None:
    """By its line, with the codec's reason."""
    assert (await differs("> \\n", notation="escaped")).startswith("line 1: not sent: ")


async def test_a_malformed_message_is_no_match() -> None:
    """Not even for what matches everything."""
    what = await differs("> 1\n< /.*/", "x", codec=NUMBERS, notation="python")
    assert "+ a message cannot be decoded" in what


@pytest.mark.parametrize("text", ['{"b": [1, 2], "a": null}', '{"a":null,"b":[1,2]}'])
async def test_spaces_in_json_are_no_difference(text: str) -> None:
    """Values are compared, not how they are written."""
    await run(f"> 1\n< {text}", {"a": None, "b": [1, 2]}, codec=codecs.Json())


async def test_what_cannot_be_read_back_is_compared_as_it_is_written() -> None:
    """Objects of a codec's own."""
    codec = codecs.Mapped(codecs.Lines(), decode=Reply, encode=str)
    await run("> 1\n< Reply(text='x')", "x", codec=codec)
    what = await differs("> 1\n< Reply(text='y')", "x", codec=codec)
    assert "+ Reply(text='x')" in what
