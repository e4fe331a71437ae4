from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from benchmarks._chart import chart, number
from benchmarks._figures import figures_of
from benchmarks._workloads import WORKLOADS
from tests.benchmarks.samples import memory, rounds

SVG = "{http://www.w3.org/2000/svg}"
ROUNDING = 0.2
"""How exact two lengths are that are written with one digit."""
SAMPLES = [
    *rounds("pp64", "trio_tcp", 24_000, 25_000, 30_000),
    *rounds("pp64", "trio_plain", 10_000, 12_500, 12_500),
    *rounds("pp64", "a<b", 5_000),
    memory("trio_tcp", 4.5),
    memory("trio_plain", 9),
]


def picture() -> ET.Element:
    table = {w: figures_of(w, SAMPLES) for w in WORKLOADS.values()}
    return ET.fromstring(chart(table))


def bars(style: str) -> list[float]:
    """Return the lengths of the bars of one colour; the legend has no bar."""
    found = picture().iterfind(f".//{SVG}rect[@class='{style}']")
    return [float(rect.attrib["width"]) for rect in found if rect.get("x") is None]


def test_bars_are_as_long_as_their_figures() -> None:
    [ours, our_memory], [theirs, their_memory] = bars("ours"), bars("base")
    assert ours == pytest.approx(2 * theirs, abs=ROUNDING)
    assert their_memory == pytest.approx(2 * our_memory, abs=ROUNDING)


def test_every_figure_has_a_bar_and_others_have_a_colour_of_their_own() -> None:
    assert (len(bars("ours")), len(bars("base")), len(bars("other"))) == (2, 2, 1)


def test_names_figures_and_ratios_are_written() -> None:
    texts = [text.text for text in picture().iter(f"{SVG}text")]
    assert {"pp64", "idle", "trio_tcp", "a<b", "25,000 · 2.00", "12,500"} <= set(texts)
    assert "pipe" not in texts


def test_nothing_is_outside_of_the_picture() -> None:
    root = picture()
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    panels = [g for g in root.iterfind(f"{SVG}g") if g.find(f"{SVG}g") is not None]
    for panel in panels:
        x, y = map(float, panel.attrib["transform"][10:-1].split())
        for row in panel.iterfind(f"{SVG}g"):
            begin, below = map(float, row.attrib["transform"][10:-1].split())
            [bar] = row.iterfind(f"{SVG}rect")
            assert x + begin + float(bar.attrib["width"]) < width
            assert y + below + 15 < height
    assert len(panels) == 2


def test_it_can_be_read_in_light_and_dark_and_runs_nothing() -> None:
    text = chart({})
    assert "prefers-color-scheme: dark" in text
    assert "<script" not in text


def test_figures_have_as_many_digits_as_mean_something() -> None:
    assert [number(v) for v in (1234567.8, 123.4, 45.67, 5.678, 0.4567)] == [
        "1,234,568",
        "123",
        "45.7",
        "5.68",
        "0.457",
    ]
