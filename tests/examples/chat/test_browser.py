"""The page in a real browser, in one conversation with a terminal."""

from __future__ import annotations

import shutil
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.examples.chat.browser import CHROMIUM, Browser, Page, open_browser
from tests.examples.chat.stage import Server, join_in_terminal, open_server

pytestmark = [
    pytest.mark.skipif(
        CHROMIUM is None, reason="the program chromium is not installed"
    ),
    pytest.mark.skipif(
        shutil.which("tmux") is None, reason="the program tmux is not installed"
    ),
]

LINES = """
[...document.querySelectorAll("#log li")]
  .map((item) => [item.className, item.lastChild.textContent])
"""


@pytest.fixture
async def server() -> AsyncGenerator[Server, None]:
    """Run the server."""
    async with open_server() as server:
        yield server


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncGenerator[Browser, None]:
    """Run the browser."""
    async with open_browser(tmp_path) as browser:
        yield browser


async def join(browser: Browser, server: Server, nick: str) -> Page:
    """Open the page, and join as a person would: with the keyboard."""
    page = await browser.open(f"http://127.0.0.1:{server.web_port}/")
    await page.enters(nick)
    await page.shows(f"{nick} has joined")
    return page


async def said(page: Page) -> list[str]:
    """Return what people have said, as the page shows it."""
    lines: list[list[str]] = await page.evaluate(LINES)
    return [text for kind, text in lines if kind in ("", "mine", "private")]


async def test_two_pages_and_a_terminal_stay_in_conversation_over_a_restart(
    server: Server, browser: Browser
) -> None:
    ann = await join(browser, server, "ann")
    ben = await join(browser, server, "ben")
    async with join_in_terminal("tess", server.port) as tess:
        await ann.shows("tess has joined")
        await ann.shows("3 here")
        await ann.enters("hello from a page")
        await ben.enters("hello from another")
        await tess.enters("hello from a terminal")
        for page in (ann, ben):
            for text in ("a page", "another", "a terminal"):
                await page.shows(f"hello from {text}")
        await tess.shows("ann: hello from a page")
        await tess.shows("ben: hello from another")

        await server.kill()
        for page in (ann, ben):
            await page.shows("not connected; trying again")
        await tess.shows("connecting again in")
        await ann.enters("typed while it was away")
        await server.start()
        for page in (ann, ben):
            await page.shows("some messages are missing here")
            await page.shows("typed while it was away")
            await page.shows("3 here")
        await tess.shows("some messages are missing here")
        await ben.enters("we are back")
        await tess.enters("so am I")
        await ann.shows("we are back")
        await ben.shows("so am I")
        await ann.shows("so am I")
        texts = await said(ann)
        assert len(texts) == len(set(texts)) == 6
        assert sorted(await said(ben)) == sorted(texts)
        screen = await tess.shows("so am I")
    for text in texts:
        assert screen.count(f": {text}\n") == 1


async def test_after_a_break_nothing_comes_twice_and_nothing_is_missing(
    server: Server, browser: Browser
) -> None:
    ann = await join(browser, server, "ann")
    ben = await join(browser, server, "ben")
    await ann.shows("ben has joined")
    await ben.enters("one")
    await ann.shows("one")
    # It would try again by itself, but not before this test says so.
    await ann.evaluate("Math.random = () => 1; attempts = 9; socket.close()")
    await ann.shows("trying again in 15 s")
    await ben.enters("two")
    await ben.enters("three")
    await ben.shows("three")
    await ann.evaluate("dispatchEvent(new Event('online'))")
    await ann.shows("three")
    await ben.enters("four")
    await ann.shows("four")
    assert await said(ann) == ["one", "two", "three", "four"]
    assert "missing" not in await ann.text()


async def test_a_page_that_is_loaded_again_is_the_same_person(
    server: Server, browser: Browser
) -> None:
    ann = await join(browser, server, "ann")
    await ann.enters("/join den")
    await ann.shows("# den")
    await ann.enters("here I am")
    await ann.shows("here I am")
    await ann.evaluate("globalThis.isOld = true")
    await ann.command("Page.reload")
    connected = "document.documentElement?.dataset.state === 'connected'"
    await ann.waits(f"!globalThis.isOld && {connected}")
    await ann.shows("# den")
    await ann.shows("here I am")
    await ann.shows("1 here")
    assert await said(ann) == ["here I am"]


async def test_who_leaves_can_join_again_and_a_refusal_is_read_out(
    server: Server, browser: Browser
) -> None:
    ann = await join(browser, server, "ann")
    ben = await join(browser, server, "ben")
    await ben.enters("/quit")
    await ben.shows("you have left")
    await ann.shows("ben has left")
    await ben.evaluate("at('nick').value = ''")
    await ben.enters("ann")
    await ben.shows("the name ann is taken")
    assert await ben.evaluate("document.activeElement.id") == "nick"
    await ben.evaluate("at('nick').value = ''")
    await ben.enters("benny")
    await ann.shows("benny has joined")


async def test_what_others_say_stays_text(server: Server, browser: Browser) -> None:
    ann = await join(browser, server, "ann")
    evil = "<img src=x onerror=\"document.title='owned'\"><script>1</script>"
    async with join_in_terminal("tess", server.port) as tess:
        await tess.enters(evil)
        await ann.shows(evil)
    assert await said(ann) == [evil]
    counts = "[document.images.length, document.scripts.length]"
    assert await ann.evaluate(counts) == [0, 1]
    assert "owned" not in await ann.evaluate("document.title")


async def test_it_can_be_used_without_eyes_and_without_a_mouse(
    server: Server, browser: Browser
) -> None:
    """What a screen reader is told; the joining by keyboard is in every test here."""
    ann = await join(browser, server, "ann")
    tree = await ann.command("Accessibility.getFullAXTree")
    nodes = [node for node in tree["nodes"] if not node["ignored"]]
    seen = {(value(node, "role"), value(node, "name")) for node in nodes}
    assert ("heading", "# lobby") in seen
    assert ("log", "Conversation") in seen
    assert ("textbox", "Message, or a command with a slash") in seen
    assert ("button", "Send") in seen
    assert ("status", "") in seen or ("status", "connected") in seen
    assert await ann.evaluate("document.activeElement.id") == "text"
    assert await ann.evaluate("document.documentElement.lang") == "en"


def value(node: dict[str, Any], attribute: str) -> str:
    """Return an attribute of a node of the accessibility tree."""
    return str(node.get(attribute, {}).get("value", ""))


async def test_the_newest_is_in_sight_unless_somebody_reads_what_is_older(
    server: Server, browser: Browser
) -> None:
    ann = await join(browser, server, "ann")
    await ann.looks(width=320, height=568, scheme="light")
    for _ in range(8):
        await ann.enters("/help")
    await ann.enters("the last line")
    await ann.shows("the last line")
    last = "log.lastChild.getBoundingClientRect().bottom"
    in_sight = f"{last} <= log.getBoundingClientRect().bottom"
    assert await ann.evaluate(f"{in_sight} && at('newest').hidden")
    await ann.evaluate("log.scrollTop = 0")
    ben = await join(browser, server, "ben")
    await ben.enters("news")
    await ann.waits("!at('newest').hidden && log.textContent.includes('news')")
    assert await ann.evaluate("log.scrollTop") == 0
    await ann.evaluate("at('newest').click()")
    assert await ann.evaluate(f"{in_sight} && at('newest').hidden")


CONTRAST = """
(() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if (!colour.startsWith("rgba(0, 0, 0, 0")) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const worst = {};
  for (const element of document.querySelectorAll(
      "h1, #state, summary, time, b, #log span, button, input")) {
    if (!element.checkVisibility()) continue;
    const pair = [light(getComputedStyle(element).color), light(behind(element))];
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    const key = `${element.tagName} ${element.parentElement.className}`;
    worst[key] = Math.min(worst[key] ?? 21, ratio);
  }
  return worst;
})()
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everything_fits_and_can_be_read(
    server: Server, browser: Browser, scheme: Literal["light", "dark"]
) -> None:
    """WCAG 2.2, 1.4.3: a contrast of 4.5 at least; 1.4.10: no scrolling sideways."""
    ann = await join(browser, server, "ann")
    ben = await join(browser, server, "ben")
    await ben.enters("/msg ann psst")
    await ann.enters("x" * 500)
    await ann.enters("/fly")
    await ann.shows("there is no command")
    await ann.shows("psst")
    for width, height in ((320, 568), (1280, 800)):
        await ann.looks(width=width, height=height, scheme=scheme)
        sizes = "[document.documentElement.scrollWidth, innerWidth]"
        content, window = await ann.evaluate(sizes)
        assert content <= window == width
        bottom = "at('text').getBoundingClientRect().bottom <= innerHeight"
        assert await ann.evaluate(bottom)
        contrast = await ann.evaluate(CONTRAST)
        assert min(contrast.values()) >= 4.5, contrast
        assert len(contrast) >= 8
