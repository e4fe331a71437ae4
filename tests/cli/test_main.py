from __future__ import annotations

import subprocess
import sys

import pytest

from trio_tcp.cli import main


def test_without_a_command_it_explains_itself(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Help, and the exit code for wrong usage."""
    assert main([]) == 2
    assert "demo" in capsys.readouterr().err


def test_help_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    """--help lists the commands."""
    assert main(["--help"]) == 0
    assert "demo" in capsys.readouterr().out


@pytest.mark.parametrize("argv", [["dance"], ["--dance"], ["demo", "dance"]])
def test_wrong_usage_has_an_exit_code_of_its_own(
    capsys: pytest.CaptureFixture[str], argv: list[str]
) -> None:
    """What is wrong is said on standard error."""
    assert main(argv) == 2
    assert "dance" in capsys.readouterr().err


def test_the_package_is_the_command() -> None:
    """`python -m trio_tcp` hands on the exit code."""
    ended = subprocess.run(
        [sys.executable, "-m", "trio_tcp"], capture_output=True, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith(b"Usage: trio-tcp")
