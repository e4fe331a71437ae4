"""Traces as pages in a real browser: Chromium, without a window.

What is done on a page is a script that the test appends to it. It runs after the page's
own and writes what it saw into the document, which the browser prints at the end.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.testing.traces.conversations import (
    ALICE,
    Talk,
    clean_trace,
    long_trace,
    troubled_trace,
)
from trio_tcp.testing.traces import Trace

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="the program chromium is not installed"
)

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
]

SCRIPT = """
<script>
const seen = {{}};
const text = (id) => document.getElementById(id).textContent;
const press = (key) => document.getElementById("diagram").dispatchEvent(
  new KeyboardEvent("keydown", {{ key, bubbles: true, cancelable: true }}));
const point = (x, y) => document.getElementById("canvas").dispatchEvent(
  new PointerEvent("pointermove", {{
    clientX: document.getElementById("canvas").getBoundingClientRect().left + x,
    clientY: document.getElementById("canvas").getBoundingClientRect().top + y,
  }}));
const change = (id, value) => {{
  document.getElementById(id).value = value;
  for (const type of ["input", "change"]) {{
    document.getElementById(id).dispatchEvent(new Event(type));
  }}
}};
{done}
document.documentElement.dataset.seen = JSON.stringify(seen);
</script>
"""


@attrs.frozen
class Opened:
    """A page as the browser left it."""

    dom: str
    log: str
    seen: dict[str, Any]

    def root(self, name: str) -> str | None:
        """Return a data attribute of the document."""
        found = re.search(rf'<html[^>]* data-{name}="([^"]*)"', self.dom)
        return None if found is None else html.unescape(found[1])


def browse(
    trace: Trace, folder: Path, *, link: str = "", do: str = "", width: int = 1300
) -> Opened:
    path = folder / "trace.html"
    trace.to_html(path, title="A run")
    with path.open("a", encoding="utf-8") as page:
        page.write(SCRIPT.format(done=do))
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={folder / 'profile'}"]
    command += ["--dump-dom", f"--window-size={width},850", f"{path.as_uri()}#{link}"]
    done = subprocess.run(
        command, capture_output=True, check=True, text=True, timeout=50
    )
    opened = Opened(done.stdout, done.stderr, {})
    assert opened.root("error") is None
    assert "CONSOLE" not in opened.log
    assert opened.root("ready") is not None
    return attrs.evolve(opened, seen=json.loads(opened.root("seen") or "{}"))


def test_the_page_shows_all_hosts(tmp_path: Path) -> None:
    opened = browse(
        troubled_trace(),
        tmp_path,
        do="""
        seen.names = [...document.querySelectorAll("#names div")].map((box) => {
          const place = box.getBoundingClientRect();
          return [box.firstChild.textContent, place.width > 0 && place.left >= 0
            && place.right <= innerWidth && place.bottom <= innerHeight];
        });
        seen.count = text("count");
        seen.faults = text("faults");
        """,
    )
    assert opened.seen["names"] == [["alice", True], ["bob", True], ["carol", True]]
    assert opened.seen["count"] == "17 segments, 4 connections, 60.16 s"
    assert "Partition() on alice - bob, for 60.01 s" in opened.seen["faults"]


def test_something_is_drawn(tmp_path: Path) -> None:
    """The canvas has the colours of data, of lost segments and of faults."""
    count = """
        const data = pen.getImageData(0, 0, canvas.width, canvas.height).data;
        const near = (name) => {
          const [r, g, b] = colours[name].match(/../g).map((two) => parseInt(two, 16));
          let pixels = 0;
          for (let i = 0; i < data.length; i += 4) {
            pixels += Math.abs(data[i] - r) + Math.abs(data[i + 1] - g)
              + Math.abs(data[i + 2] - b) < 30 && data[i + 3] > 200;
          }
          return pixels;
        };
        for (const name of ["data", "control", "bad"]) {
          colours[name] = colours[name].slice(1);
          seen[name] = near(name);
        }
        """
    troubled = browse(troubled_trace(), tmp_path, do=count).seen
    clean = browse(clean_trace(), tmp_path, do=count).seen
    assert troubled["data"] > 100
    assert troubled["control"] > 100
    assert troubled["bad"] > 100
    assert clean["bad"] == 0


def test_the_segment_that_keys_reach_is_described(tmp_path: Path) -> None:
    opened = browse(
        troubled_trace(),
        tmp_path,
        do="""
        document.getElementById("diagram").focus();
        press("Home");
        seen.first = text("what");
        for (let i = 0; i < 3; i++) press("ArrowDown");
        seen.fourth = [text("what"), text("facts"), text("text"), text("hex")];
        press("End");
        seen.last = [text("what"), text("facts")];
        press("Escape");
        seen.help = document.getElementById("help").hidden;
        """,
    )
    assert opened.seen["first"] == "#0 SYN"
    what, facts, text, hexadecimal = opened.seen["fourth"]
    assert what == "#3 PSH ACK, 18 B"
    assert "alice  192.0.2.1:49152" in facts
    assert "Sequence1" in facts
    assert "Acknowledges1" in facts
    assert "Window65,535 B" in facts
    assert text == "GET / HTTP/1.1\r\n\r\n"
    assert hexadecimal.startswith("0000  47 45 54 20 2f 20 48 54  GET / HT")
    assert opened.seen["last"][0] == "#16 SYN"
    assert "Fateno such host" in opened.seen["last"][1]
    assert opened.seen["help"] is False


def test_the_segment_under_the_pointer_is_described(tmp_path: Path) -> None:
    opened = browse(
        troubled_trace(),
        tmp_path,
        do="""
        const middle = (i) => {
          const [[x, y], [endX, endY]] = corners(i, trace.segments[i]);
          point((x + endX) / 2, (y + endY) / 2);
          return [text("what"), text("facts")];
        };
        seen.data = middle(3);
        seen.lost = middle(5);
        point(2, 2);
        seen.nothing = document.getElementById("details").hidden;
        """,
    )
    assert opened.seen["data"][0] == "#3 PSH ACK, 18 B"
    assert opened.seen["lost"][0] == "#5 PSH ACK, 17 B"
    assert "FaultPartition() on alice - bob" in opened.seen["lost"][1]
    assert "Arrivednever" in opened.seen["lost"][1]
    assert opened.seen["nothing"] is True


def test_segments_are_filtered(tmp_path: Path) -> None:
    opened = browse(
        troubled_trace(),
        tmp_path,
        do="""
        const left = () => state.shown.map((s) => s.index);
        const names = () => [...document.querySelectorAll("#names div")]
          .map((box) => box.firstChild.textContent);
        change("find", "http");
        seen.found = left();
        change("find", "");
        change("host", "2");
        seen.host = [left(), names()];
        change("host", "");
        change("connection", "2");
        seen.connection = [left(), names(), text("count")];
        change("connection", "");
        seen.all = left().length;
        """,
    )
    assert opened.seen["found"] == [3, 5]
    assert opened.seen["host"] == [list(range(9, 16)), ["bob", "carol"]]
    loop = [[13, 14, 15], ["carol"], "3 of 17 segments"]
    assert opened.seen["connection"] == loop
    assert opened.seen["all"] == 17


def test_a_link_leads_to_a_segment(tmp_path: Path) -> None:
    opened = browse(long_trace(5000), tmp_path, link="segment=4321")
    [index] = re.findall(r'id="details" data-segment="(\d+)"', opened.dom)
    assert index == "4321"


def test_five_thousand_segments_are_drawn_where_one_looks(tmp_path: Path) -> None:
    opened = browse(
        long_trace(5000),
        tmp_path,
        do="""
        seen.count = text("count");
        seen.visible = [...visible()].length;
        fit();
        draw();
        seen.fitting = [...visible()].length;
        zoomBy(1000);
        draw();
        seen.close = [...visible()].length;
        setMode("rows");
        press("End");
        draw();
        seen.last = [text("what"), [...visible()].at(-1)[0]];
        """,
    )
    assert opened.seen["count"].startswith("5,000 segments, 12 connections")
    assert 0 < opened.seen["visible"] < 500
    assert opened.seen["fitting"] == 5000
    assert opened.seen["close"] < 100
    assert opened.seen["last"][0].startswith("#4999 ")
    assert opened.seen["last"][1] == 4999


@pytest.mark.parametrize("width", [500, 1300])
def test_the_page_is_as_wide_as_its_window(width: int, tmp_path: Path) -> None:
    opened = browse(
        long_trace(200),
        tmp_path,
        width=width,
        link="segment=50",
        do="""
        const place = document.querySelector("aside").getBoundingClientRect();
        seen.over = document.documentElement.scrollWidth - innerWidth;
        seen.below = place.top > canvas.getBoundingClientRect().bottom - 1;
        seen.inside = place.right <= innerWidth && place.bottom <= innerHeight;
        """,
    )
    assert opened.seen["over"] <= 0
    assert opened.seen["inside"] is True
    assert opened.seen["below"] is (width == 500)


@pytest.mark.parametrize(
    "payload",
    ["</script><script>seen.owned = 1</script>", "<img src=x onerror=owned()>"],
)
def test_payloads_and_names_stay_text(payload: str, tmp_path: Path) -> None:
    trace = Trace()
    talk = Talk(trace, names=(payload, "bob"))
    talk.open()
    talk.say(ALICE, payload.encode())
    opened = browse(
        trace,
        tmp_path,
        link="segment=3",
        do="""
        seen.text = text("text");
        seen.name = document.querySelector("#names div").firstChild.textContent;
        seen.images = document.images.length;
        seen.scripts = document.scripts.length;
        """,
    )
    assert opened.seen == {
        "text": payload,
        "name": payload,
        "images": 0,
        "scripts": 3,
    }


def test_a_trace_of_nothing_is_a_page_too(tmp_path: Path) -> None:
    assert "0 segments, 0 connections" in browse(Trace(), tmp_path).dom
