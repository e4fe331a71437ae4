"""Make, judge and try what is released: ``python -m tests.package``."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path
from typing import Any, Final

from tests.package.contents import check_contents, check_readme, check_same

ROOT: Final = Path(__file__).parents[2]
SMOKE: Final = Path(__file__).with_name("smoke")
PROJECT: Final[dict[str, Any]] = tomllib.loads(
    (ROOT / "pyproject.toml").read_text(encoding="utf-8")
)["project"]


def main() -> None:
    """Do all of it, and leave the two files in ``dist/``.

    The wheel is tried where no source of the package is near: in a new environment for
    the package alone and for each of its extras, from an empty folder.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        say("making the sdist and the wheel")
        run_module("validate_pyproject", ROOT / "pyproject.toml")
        sdist, wheel = build(folder)
        say("judging them")
        run_module("twine", "check", "--strict", sdist, wheel)
        run_module("check_wheel_contents", wheel)
        check_contents(sdist, wheel)
        check_readme(wheel)
        for extra in ("", *PROJECT["optional-dependencies"]):
            try_extra(extra, wheel, folder)
        try_lowest(wheel, folder)
        dist = ROOT / "dist"
        dist.mkdir(exist_ok=True)
        for made in (sdist, wheel):
            shutil.move(made, dist / made.name)


def build(folder: Path) -> tuple[Path, Path]:
    """Make the sdist and a wheel from it, which must be as one made from the tree."""
    run_module("build", "--outdir", folder / "dist", ROOT)
    run_module("build", "--wheel", "--outdir", folder / "direct", ROOT)
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    (wheel,) = (folder / "dist").glob("*.whl")
    (direct,) = (folder / "direct").glob("*.whl")
    check_same(wheel, direct)
    return sdist, wheel


def try_extra(extra: str, wheel: Path, folder: Path) -> None:
    """Install the wheel with one extra, or none, and run the program of that name."""
    say(f"trying the wheel {f'with {extra}' if extra else 'alone'}")
    python = new_environment(folder / f"env-{extra}")
    install(python, f"{wheel}[{extra}]" if extra else wheel)
    run_alone(python, SMOKE / f"{extra or 'alone'}.py", folder)


def try_lowest(wheel: Path, folder: Path) -> None:
    """Install the lowest versions that are allowed, and run every extra's program."""
    say("trying the lowest versions of all that it needs")
    extras: dict[str, list[str]] = PROJECT["optional-dependencies"]
    needed = [*PROJECT["dependencies"], *itertools.chain(*extras.values())]
    lowest = folder / "lowest.txt"
    lowest.write_text("\n".join(needed).replace(">=", "=="), encoding="utf-8")
    python = new_environment(folder / "env-lowest")
    install(python, f"{wheel}[{','.join(extras)}]", "--constraint", lowest)
    for extra in extras:
        run_alone(python, SMOKE / f"{extra}.py", folder)


def new_environment(place: Path) -> Path:
    """Make an empty one, and return its Python."""
    venv.create(place, with_pip=False)
    return place / "bin" / "python"


def install(python: Path, *arguments: object) -> None:
    """Install into the environment of a Python."""
    run_module("pip", "-qq", "--python", python, "install", *arguments)


def run_alone(python: Path, program: Path, folder: Path) -> None:
    """Run a program where nothing of the source is near."""
    empty = folder / "empty"
    empty.mkdir(exist_ok=True)
    subprocess.run([python, "-I", program], cwd=empty, check=True)


def run_module(name: str, *arguments: object) -> None:
    """Run a tool, quietly unless it fails."""
    command = [sys.executable, "-m", name, *map(str, arguments)]
    ended = subprocess.run(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if ended.returncode:
        sys.exit(f"{ended.stdout}\n{name} failed")


def say(step: str) -> None:
    """Tell what comes next."""
    sys.stdout.write(f"== {step}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
