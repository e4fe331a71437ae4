"""The page as text; how it looks and behaves is tested in a browser."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.testing.traces.conversations import (
    ALICE,
    Talk,
    clean_trace,
    troubled_trace,
)
from trio_tcp.testing.traces import Trace


class Elements(HTMLParser):
    """What a browser makes of a page: its elements, and what its scripts hold."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.data: list[str] = []
        self._in_data = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"src", "href"}]
        self._in_data = ("id", "trace") in attrs
        if self._in_data:
            self.data.append("")

    def handle_data(self, data: str) -> None:
        if self._in_data:
            self.data[-1] += data

    def handle_endtag(self, tag: str) -> None:
        self._in_data = False


def page(trace: Trace, folder: Path, **options: str) -> str:
    trace.to_html(folder / "trace.html", **options)
    return (folder / "trace.html").read_text("utf-8")


def shown(text: str) -> dict[str, Any]:
    [data] = Elements(text).data
    return dict(json.loads(data))


def test_the_page_holds_hosts_faults_and_segments(tmp_path: Path) -> None:
    trace = troubled_trace()
    data = shown(page(trace, tmp_path))
    assert [host["name"] for host in data["hosts"]] == ["alice", "bob", "carol"]
    assert data["hosts"][1]["addresses"] == ["192.0.2.2", "2001:db8::2"]
    assert [fault["hosts"] for fault in data["faults"]] == [[0, 1], [2]]
    assert [row["time"] for row in data["segments"]] == [s.time for s in trace]
    assert [base64.b64decode(row["payload"]) for row in data["segments"]] == [
        segment.payload for segment in trace
    ]
    assert data["segments"][3]["seq"] == 1
    assert data["segments"][-1]["to"] == -1


def test_it_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    text = page(clean_trace(), tmp_path)
    assert Elements(text).links == ["data:,"]
    assert "default-src 'none'" in text
    assert not re.search(r"url\(|@import|https?://", text)


@pytest.mark.parametrize(
    "payload",
    [
        b"</script><script>alert(1)</script>",
        b"<!--<script>",
        b'<img src=x onerror="alert(1)">',
        b"{{ trace }} {{ title }}",
    ],
)
def test_a_payload_cannot_become_markup(payload: bytes, tmp_path: Path) -> None:
    trace = Trace()
    talk = Talk(trace, names=(payload.decode(), "bob"))
    talk.open()
    talk.say(ALICE, payload)
    hostile = page(trace, tmp_path, title=payload.decode())
    harmless = page(clean_trace(), tmp_path)
    assert Elements(hostile).tags == Elements(harmless).tags
    data = shown(hostile)
    assert data["hosts"][0]["name"] == payload.decode()
    assert payload.decode()[:15] in data["segments"][3]["label"]


def test_a_large_payload_is_shown_from_its_beginning(tmp_path: Path) -> None:
    trace = Trace()
    talk = Talk(trace)
    talk.open()
    talk.say(ALICE, bytes(5000))
    row = shown(page(trace, tmp_path))["segments"][3]
    assert row["length"] == 5000
    assert len(base64.b64decode(row["payload"])) == 2048
