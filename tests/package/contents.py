"""What is in a wheel and in an sdist, and how PyPI will show the README."""

from __future__ import annotations

import email
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Final

__all__ = ["check_contents", "check_readme", "check_same"]

ROOT: Final = Path(__file__).parents[2]


def check_same(one: Path, other: Path) -> None:
    """Compare two wheels, file by file."""
    assert files_of(one) == files_of(other), f"{one} and {other} differ"


def files_of(wheel: Path) -> dict[str, bytes]:
    """Return what is in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def check_contents(sdist: Path, wheel: Path) -> None:
    """The wheel has the package and its plugin, the sdist all that is under Git."""
    tracked = tracked_files()
    package = {
        name
        for name in tracked
        if name.startswith("trio_tcp/") or name == "pytest_trio_tcp.py"
    }
    about = f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"
    metadata = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}
    expected = package | {f"{about}/{name}" for name in metadata}
    differing = set(files_of(wheel)) ^ expected
    assert not differing, f"{wheel}: {differing}"
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    differing = names ^ (tracked | {"PKG-INFO"})
    assert not differing, f"{sdist}: {differing}"


def tracked_files() -> set[str]:
    """Return the files of the tree, as Git has them."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()}


def check_readme(wheel: Path) -> None:
    """PyPI can render it, and no link or picture in it leads nowhere."""
    (name,) = (name for name in files_of(wheel) if name.endswith("/METADATA"))
    described = email.message_from_bytes(files_of(wheel)[name])
    assert described["Description-Content-Type"] == "text/markdown"
    text = described.get_payload()
    assert isinstance(text, str)
    readme = wheel.with_name("README.md")
    readme.write_text(text, encoding="utf-8")
    render = [sys.executable, "-m", "readme_renderer", str(readme)]
    page = subprocess.run(render, capture_output=True, text=True, check=True).stdout
    targets = re.findall(r'(?:href|src)="([^"]*)"', page)
    dead = [link for link in targets if not link.startswith(("https://", "#"))]
    assert targets
    assert not dead, f"the README on PyPI would link to {dead}"
