from __future__ import annotations

import pytest

from trio_tcp.cli import main


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "Missing argument"),
        (["::1:80"], "stands in brackets"),
        ([":80", "--codec", "line"], "did you mean lines?"),
        ([":80", "--as", "hex"], "messages of Lines are not written as hex"),
        ([":80", "--script", "/nowhere"], "No such file"),
        ([":80", "--record", "/nowhere/file"], "No such file"),
        ([":80", "--wait", "-1"], "range"),
        ([":80", "--within", "0"], "range"),
        ([":80", "--insecure", "--ca", __file__], "--ca means nothing"),
    ],
)
def test_wrong_usage_is_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str
) -> None:
    """Nothing has connected, and the reason is said."""
    assert main(["connect", *arguments]) == 2
    assert reason in " ".join(capsys.readouterr().err.split())


def test_help_tells_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    """And how to write an address."""
    assert main(["connect", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "Exit codes: 0" in shown
    assert "unix:PATH" in shown
