from __future__ import annotations

import pytest
import trio

from tests.cli.connect.screen import CTRL_C, CTRL_D, ENTER, TAB, open_screen
from trio_tcp.cli._connect._terminal import Terminal

BRACKETED = "\x1b[200~{}\x1b[201~"


async def test_a_line_is_what_was_typed_before_enter() -> None:
    """One after the other, and none is lost."""
    async with open_screen() as (terminal, screen):
        screen.types(f"one{ENTER}two{ENTER}")
        assert await terminal.read_line() == "one"
        assert await terminal.read_line() == "two"


async def test_ctrl_c_clears_the_line_and_ctrl_d_is_the_end() -> None:
    """Ctrl-D only on an empty line. Neither ends the program."""
    async with open_screen() as (terminal, screen):
        screen.types(f"wrong{CTRL_C}right{ENTER}{CTRL_D}more{ENTER}")
        assert await terminal.read_line() == "right"
        assert await terminal.read_line() is None
        assert await terminal.read_line() == "more"


async def test_a_line_that_is_being_typed_survives_what_is_shown() -> None:
    """It is drawn again below, and can be finished."""
    async with open_screen() as (terminal, screen):
        screen.types("how are y")
        await screen.shows("how are y")
        await terminal.show([[("", "< hello")]])
        await screen.shows("< hello\n+> how are y")
        screen.types(f"ou?{ENTER}")
        assert await terminal.read_line() == "how are you?"


async def test_what_is_shown_is_there_when_showing_returns() -> None:
    """All of it, in order."""
    async with open_screen() as (terminal, screen):
        for number in range(50):
            await terminal.show([[("ansigreen", f"line {number}")], [("", "--")]])
            assert f"line {number}\n--\n" in screen.text


async def test_several_tasks_may_show_at_once() -> None:
    """Their lines are not mixed."""
    async with open_screen() as (terminal, screen):
        async with trio.open_nursery() as nursery:
            for number in range(20):
                pair = [[("", f"begin {number}")], [("", f"end {number}")]]
                nursery.start_soon(terminal.show, pair)
        for number in range(20):
            assert f"begin {number}\nend {number}\n" in screen.text


async def test_a_command_can_be_completed() -> None:
    """From its slash on."""
    async with open_screen() as (terminal, screen):
        screen.types(f"/sta{TAB}{ENTER}")
        assert (await terminal.read_line() or "").startswith("/sta")
        screen.types("/star")
        await screen.shows("/starttls")


async def test_what_is_pasted_is_one_line_until_enter() -> None:
    """With its line ends: whoever reads it decides what they mean."""
    async with open_screen() as (terminal, screen):
        screen.types(BRACKETED.format("one\ntwo") + ENTER)
        assert await terminal.read_line() == "one\ntwo"


async def test_a_terminal_that_is_closed_is_the_end() -> None:
    """Showing does not wait for it any more, and it can still be left."""
    async with open_screen() as (terminal, screen):
        screen.hangs_up()
        with pytest.raises(trio.EndOfChannel):
            await terminal.read_line()
        await terminal.show([[("", "hello?")]])


async def test_it_can_be_left_before_it_has_begun() -> None:
    """A signal may come at any time."""
    with trio.CancelScope() as scope:
        scope.cancel()
        async with open_screen():
            raise AssertionError("it was entered")
    assert scope.cancelled_caught


async def test_an_exception_leaves_no_thread_behind() -> None:
    """It leaves as itself, in the middle of a line, too."""
    used: list[Terminal] = []
    with pytest.raises(KeyError, match="mine"):
        async with open_screen() as (terminal, screen):
            used.append(terminal)
            screen.types("half a line")
            await screen.shows("half a line")
            raise KeyError("mine")
    assert used[0]._loop.is_closed()


async def test_cancellation_ends_the_prompt() -> None:
    """Whatever it waits for."""
    used: list[Terminal] = []
    with trio.CancelScope() as scope:
        async with open_screen() as (terminal, _):
            used.append(terminal)
            scope.cancel()
            await terminal.read_line()
    assert scope.cancelled_caught
    assert used[0]._loop.is_closed()


async def test_nothing_that_is_shown_controls_the_terminal() -> None:
    """The notation has escaped it already; this is the second line of defence."""
    async with open_screen() as (terminal, screen):
        await terminal.show([[("", "\x1b]0;title\x07\x1b[2J")]])
        assert "\x1b]0;" not in screen.drawn
        assert "\x1b[2J" not in screen.drawn
