"""Chromium without a window, driven as its own developer tools drive it.

https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, Literal

import trio
from trio_websocket import WebSocketConnection, open_websocket_url

__all__ = ["CHROMIUM", "Browser", "Page", "open_browser"]

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser")
SECONDS: Final = 30
"""How long anything may take on a slow machine. Nothing waits for it to pass."""

MAX_BYTES: Final = 32 << 20  # a picture

FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-background-timer-throttling",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)

WAIT: Final = """
new Promise((resolve) => {
  const observer = new MutationObserver(() => check());
  const check = () => {
    if (!(%s)) return;
    observer.disconnect();
    resolve(true);
  };
  setTimeout(() => resolve(false), %d);
  observer.observe(document, {
    subtree: true, childList: true, characterData: true, attributes: true,
  });
  check();
})
"""


class PageLeft(Exception):
    """What was asked cannot be answered: there is another page now."""


class Page:
    """One page of the browser."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session

    async def command(self, method: str, **parameters: object) -> dict[str, Any]:
        """Have the page do something."""
        return await self._browser.command(method, self._session, **parameters)

    async def evaluate(self, expression: str) -> Any:  # noqa: ANN401 - any JSON
        """Return the value of an expression; wait for it if it is a promise."""
        result = await self.command(
            "Runtime.evaluate",
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def waits(self, condition: str) -> None:
        """Wait until something holds on the page."""
        holds: bool | None = None
        while holds is None:
            with suppress(PageLeft):
                holds = await self.evaluate(WAIT % (condition, SECONDS * 1000))
        assert holds, f"no {condition} on\n{await self.text()}"

    async def shows(self, text: str) -> None:
        """Wait until a text is seen."""
        await self.waits(f"document.body?.innerText.includes({json.dumps(text)})")

    async def text(self) -> str:
        """Return all text that is seen."""
        return str(await self.evaluate("document.body.innerText"))

    async def enters(self, text: str) -> None:
        """Type a text where the focus is, and press Enter."""
        await self.command("Input.insertText", text=text)
        enter = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13}
        await self.command("Input.dispatchKeyEvent", type="keyDown", text="\r", **enter)
        await self.command("Input.dispatchKeyEvent", type="keyUp", **enter)

    async def looks(
        self, *, width: int, height: int, scheme: Literal["light", "dark"]
    ) -> None:
        """Have another size, and other colours."""
        await self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        feature = {"name": "prefers-color-scheme", "value": scheme}
        await self.command("Emulation.setEmulatedMedia", features=[feature])

    async def picture(self) -> bytes:
        """Return what is seen as PNG."""
        shot = await self.command("Page.captureScreenshot", format="png")
        return base64.b64decode(shot["data"])


class Browser:
    """The browser. Made by `open_browser`."""

    def __init__(self, socket: WebSocketConnection) -> None:
        self._socket = socket
        self._count = 0

    async def command(
        self, method: str, session: str | None = None, **parameters: object
    ) -> dict[str, Any]:
        """Have something done, and wait for the answer."""
        self._count += 1
        command = {"id": self._count, "method": method, "params": parameters}
        if session is not None:
            command["sessionId"] = session
        with trio.fail_after(2 * SECONDS):
            await self._socket.send_message(json.dumps(command))
            while True:
                answer = json.loads(await self._socket.get_message())
                if answer.get("id") == self._count:
                    break
        if "error" in answer and "navigat" in answer["error"]["message"]:
            raise PageLeft
        assert "result" in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    async def open(self, url: str) -> Page:
        """Open a page in a tab of its own."""
        target = await self.command("Target.createTarget", url="about:blank")
        attached = await self.command(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )
        page = Page(self, attached["sessionId"])
        await page.command("Page.enable")
        await page.command("Page.navigate", url=url)
        await page.waits("document.documentElement?.dataset.state")
        return page


@asynccontextmanager
async def open_browser(folder: Path) -> AsyncGenerator[Browser, None]:
    """Start the browser; end it with the block.

    Args:
        folder: for its profile.
    """
    process = await trio.lowlevel.open_process(
        [str(CHROMIUM), *FLAGS, f"--user-data-dir={folder / 'profile'}"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    assert process.stderr is not None
    try:
        async with trio.open_nursery() as nursery:
            with trio.fail_after(SECONDS):
                url = await _find_url(process.stderr)
            nursery.start_soon(_drink, process.stderr)
            async with open_websocket_url(url, max_message_size=MAX_BYTES) as socket:
                yield Browser(socket)
            nursery.cancel_scope.cancel()
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
        await process.stderr.aclose()


async def _find_url(log: trio.abc.ReceiveStream) -> str:
    text = ""
    while not (found := re.search(r"listening on (ws://\S+)\s", text)):
        chunk = await log.receive_some()
        assert chunk, f"chromium has ended: {text}"
        text += bytes(chunk).decode()
    return found[1]


async def _drink(log: trio.abc.ReceiveStream) -> None:
    """Let the browser say what it likes."""
    async for _ in log:
        pass
