"""The table of the documentation shows the figures that there are."""

from __future__ import annotations

from pathlib import Path

from trio_tcp.monitoring._metrics import FIGURES

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "monitoring.md"


def test_the_table_has_each_figure_as_it_is_in_the_code() -> None:
    """Its name, type, labels and meaning, and in the order of the page of metrics."""
    expected: list[str] = []
    for figure in FIGURES:
        name = f"{figure.name}_total" if figure.kind == "counter" else figure.name
        labels = ", ".join(f"`{label}`" for label in figure.labels)
        expected.append(f"| `{name}` | {figure.kind} | {labels} | {figure.meaning} |")
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    found = [line for line in lines if line.startswith("| `trio_tcp_")]
    assert found == expected, "it should be:\n" + "\n".join(expected)
