from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.certificates import certificate, write_files
from tests.cli.serve.configuring import MINIMAL, SERVICES
from trio_tcp.cli._serve import command

ROOT = Path(__file__).parents[3]
GOOD = (f"{SERVICES}:echo", "--codec", "lines", "--listen", "127.0.0.1:0")


def check(*arguments: str) -> Result:
    """Run the command so that it only checks."""
    return CliRunner().invoke(command, ["--check", *arguments], standalone_mode=True)


def test_check_says_what_would_be_served_where() -> None:
    """And serves nothing."""
    result = check(*GOOD, "--listen", "unix:/nowhere/x.sock,mode=660")
    assert result.exit_code == 0
    assert result.stdout == (
        f"All is well: {SERVICES}:echo would listen on "
        "127.0.0.1:0, unix:/nowhere/x.sock,mode=660.\n"
    )
    assert result.stderr == ""


def test_a_mistake_has_an_exit_code_of_its_own() -> None:
    """A line for each, and one that says what it means."""
    result = check(*GOOD, "--limit", "max_connections=0", "--grace", "-1")
    assert result.exit_code == 2
    *mistakes, last = result.stderr.splitlines()
    assert len(mistakes) == 2
    assert last == "trio-tcp serve: 2 mistakes; nothing has listened."
    assert result.stdout == ""


def test_without_anything_it_says_what_it_needs() -> None:
    """With how to say it."""
    result = check()
    assert result.exit_code == 2
    for text in (
        'handler = "service:echo"',
        "--codec lines",
        "--listen localhost:8888",
    ):
        assert text in result.stderr
    assert "3 mistakes" in result.stderr


def test_a_file_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    """As one in it is."""
    result = check("--config", str(tmp_path / "nothing.toml"))
    assert result.exit_code == 2
    assert "nothing.toml: No such file or directory" in result.stderr


def test_what_works_but_is_dangerous_is_a_warning(tmp_path: Path) -> None:
    """The exit code says that all is well."""
    cert, key, _ = write_files(certificate("localhost"), tmp_path)
    key.chmod(0o604)
    file = tmp_path / "service.toml"
    file.write_text(f"{MINIMAL}[tls]\ncert = '{cert}'\nkey = '{key}'\n")
    result = check("--config", str(file))
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: everybody on this machine can read")


@pytest.mark.parametrize("option", ["--listen", "--limit", "--tls-cert", "--config"])
def test_the_help_has_every_option(option: str) -> None:
    """With what stands for its value."""
    result = CliRunner().invoke(command, ["--help"])
    assert result.exit_code == 0
    assert f"  {option} " in result.stdout
