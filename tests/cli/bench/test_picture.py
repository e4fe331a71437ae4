from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.bench.samples import CLOSED, OPEN, result
from trio_tcp.cli._bench._histogram import Histogram
from trio_tcp.cli._bench._picture import ENDS, nice, picture
from trio_tcp.cli._bench._result import Result

SVG = "{http://www.w3.org/2000/svg}"


def drawn(one: Result, title: str = "title") -> ET.Element:
    return ET.fromstring(picture(one, title))


def lines(root: ET.Element, style: str = "line") -> list[list[tuple[float, float]]]:
    """Return the points of the lines of one style; the legend's are not counted."""
    paths = (
        path.attrib["d"] for path in root.iterfind(f".//{SVG}path[@class='{style}']")
    )
    return [
        [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", path)]
        for path in paths
        if "h24" not in path
    ]


def test_the_line_of_latency_rises_to_the_greatest() -> None:
    latency, _ = lines(drawn(CLOSED))
    heights = [-y for _, y in latency]
    assert heights == sorted(heights)
    assert latency[0][0] < latency[-1][0]


def test_an_open_loop_has_both_lines_and_the_corrected_one_is_above() -> None:
    root = drawn(OPEN)
    [uncorrected] = lines(root, "line base")
    corrected, _ = lines(root)
    assert all(
        above[1] <= below[1]
        for above, below in zip(corrected, uncorrected, strict=True)
    )
    assert not lines(drawn(CLOSED), "line base")


def test_nothing_is_outside_of_the_picture() -> None:
    root = drawn(OPEN)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for points in lines(root) + lines(root, "line base"):
        assert all(0 <= x <= width and 0 <= y <= height for x, y in points)


def test_it_is_described_in_words() -> None:
    root = drawn(CLOSED, "a < b")
    assert root.findtext(f"{SVG}title") == "a < b"
    description = root.findtext(f"{SVG}desc") or ""
    assert "at most 4.00 ms" in description
    assert "2 on average" in description


def test_a_run_without_replies_has_a_picture_that_says_so() -> None:
    root = drawn(result(latency=Histogram(), over_time=()))
    assert "No reply came." in [text.text for text in root.iter(f"{SVG}text")]


@given(st.floats(min_value=1e-9, max_value=1e9))
def test_a_scale_ends_with_a_number_that_people_count_in(value: float) -> None:
    top = nice(value)
    assert value <= top <= 1.5 * value
    assert f"{top:.6e}"[:3] in {f"{end:.1f}" for end in (*ENDS[:-1], 1)}


def test_a_scale_of_nothing_has_an_end() -> None:
    assert nice(0.0) == pytest.approx(1.0)
