"""What the command line says, before anything connects."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from trio_tcp.cli import main

ADDRESS = "localhost:1"
LINES = ("--codec", "lines")
HELLO = ("--message", "hello")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "codec"),
        ((*LINES,), "What is to be sent?"),
        ((*LINES, *HELLO, "--size", "3"), "What is to be sent?"),
        ((*LINES, *HELLO, "--churn", "--one-way"), "--one-way has none"),
        ((*LINES, *HELLO, "--one-way", "--expect", "same"), "--one-way has none"),
        ((*LINES, *HELLO, "--churn", "--in-flight", "2"), "--in-flight"),
        ((*LINES, *HELLO, "--processes", "3", "-c", "2"), "--processes"),
        ((*LINES, *HELLO, "--rate", "nan"), "finite"),
        ((*LINES, *HELLO, "--duration", "inf"), "finite"),
        ((*LINES, *HELLO, "--rate", "0"), "rate"),
        ((*LINES, *HELLO, "--warm-up", "-1"), "warm-up"),
        ((*LINES, *HELLO, "--as", "json"), "--as"),
        ((*LINES, *HELLO, "--expect", "(", "-n", "1"), "--expect"),
        ((*LINES, "--messages", "/there/is/none"), "does not exist"),
        (("--codec", "fixed-length:size=3", *HELLO), "message 1"),
        (("--codec", "dance", *HELLO), "dance"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_happens(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    """In words that name the option, and with the exit code for wrong usage."""
    assert main(["bench", ADDRESS, *arguments]) == 2
    assert words in " ".join(capsys.readouterr().err.split())


def test_tls_over_a_unix_socket_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "unix:/there/is/none", *LINES, *HELLO, "--insecure"]) == 2
    assert "TLS is for HOST:PORT" in capsys.readouterr().err


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_server_that_is_not_there_is_said_in_one_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, processes: str
) -> None:
    """By whatever process finds out; nothing else is printed."""
    address = f"unix:{tmp_path}/none"
    arguments = ["-n", "10", "--processes", processes]
    assert main(["bench", address, *LINES, *HELLO, *arguments]) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith("Error: could not connect to ")
    assert printed.err.count("\n") == 1
    assert printed.out == ""


def in_a_process_with_limits(soft: int, hard: int, *arguments: str) -> str:
    """Run the command where so many descriptors are allowed; return what it says."""
    program = (
        "import resource, sys; from trio_tcp.cli import main; "
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard})); "
        "code = main(sys.argv[1:]); "
        "print(code, resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, "bench", ADDRESS, *LINES, *HELLO, *arguments],
        capture_output=True,
        check=True,
        text=True,
    )
    return ended.stdout + ended.stderr


def test_the_limit_of_descriptors_is_raised_when_that_is_needed() -> None:
    """As far as it may be, and no further than it has to; nobody is at the address."""
    assert in_a_process_with_limits(80, 500, "-c", "300").startswith("1 364\n")
    assert in_a_process_with_limits(80, 500, "-c", "3").startswith("1 80\n")


def test_too_many_connections_are_refused_before_anything_happens() -> None:
    said = in_a_process_with_limits(80, 300, "-c", "300")
    assert said.startswith("2 ")
    assert "300 connections need 364 descriptors" in " ".join(said.split())
