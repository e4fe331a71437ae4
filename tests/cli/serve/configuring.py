"""What the tests of configuration share: files and command lines, and what becomes."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from trio_tcp.cli._serve._configuration import Configuration
from trio_tcp.cli._serve._options import given_options, service_options
from trio_tcp.cli._serve._problems import ConfigurationError
from trio_tcp.cli._serve._settings import Given, read_settings
from trio_tcp.cli._serve._structure import configure

SERVICES = "tests.cli.serve.services"

MINIMAL = f"""\
handler = "{SERVICES}:echo"
codec = "lines"
listen = ["localhost:0"]
"""


def parse(*arguments: str) -> list[Given]:
    """Return what a command line sets."""
    given: list[Given] = []

    @click.command
    @service_options
    def command(**options: object) -> None:
        given.extend(given_options(options))

    command.main(list(arguments), standalone_mode=False)
    return given


def configured(folder: Path, text: str, *arguments: str) -> Configuration:
    """Return what a file and a command line make."""
    file = folder / "service.toml"
    file.write_text(text, encoding="utf-8")
    return configure(read_settings(str(file), parse(*arguments)))


def mistakes(folder: Path, text: str, *arguments: str) -> list[str]:
    """Return what is wrong with them, without the folder."""
    with pytest.raises(ConfigurationError) as caught:
        configured(folder, text, *arguments)
    return [str(one).removeprefix(f"{folder}/") for one in caught.value.problems]
