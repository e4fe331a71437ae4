from __future__ import annotations

from pathlib import Path

import pytest

from trio_tcp.cli._proxy._plan_file import read_plan


def test_a_plan_has_its_faults_with_their_times(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(
        """
        [[fault]]
        at = 1.5
        seconds = 10
        fault = "latency:seconds=0.2@to-client"

        [[fault]]
        at = 5
        fault = "reset"
        """
    )
    steps = [(step.at, step.seconds, str(step.text)) for step in read_plan(path)]
    assert steps == [
        (1.5, 10, "latency:seconds=0.2@to-client"),
        (5, 0, "reset"),
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "consists of"),
        ("fault = 1", "consists of"),
        ("fault = [1]", "it is no table"),
        ("[[fault]]\nfault = 'hold'\n[other]", "nothing else"),
        ("[[fault]]", "number 1: fault is a text"),
        ("[[fault]]\nfault = 'hold'\n[[fault]]\nfault = 'hald'", "number 2: .* hold"),
        ("[[fault]]\nfault = 'hold'\nwhen = 1", "no key 'when'"),
        ("[[fault]]\nfault = 'hold'\nat = 'soon'", "at is a number"),
        ("[[fault]]\nfault = 'hold'\nat = -1", "at must be"),
        ("[[fault]]\nfault = 'hold@1'", "no numbers yet"),
        ("[[fault", "array declaration"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=why):
        read_plan(path)
