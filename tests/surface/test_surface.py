"""What users see changes only on purpose."""

from __future__ import annotations

import difflib

import pytest

from tests.surface.files import FILES, path_of
from tests.surface.sources import PACKAGES
from tests.test_layout import PUBLIC

ADVICE = """\
What users see has changed:

{difference}

If that is meant, run "python -m tests.surface", commit {path} with the change, and say
it in CHANGELOG.md; docs/reference/stability.md says what may change, and when.
Otherwise put it back."""


@pytest.mark.parametrize("name", FILES)
def test_the_surface_is_what_was_agreed_on(name: str) -> None:
    """Names, signatures, defaults, bases: a change of any is seen in review."""
    path = path_of(name)
    agreed = path.read_text(encoding="utf-8").splitlines()
    difference = list(
        difflib.unified_diff(agreed, list(FILES[name]()), "agreed", "now", lineterm="")
    )
    if difference:
        pytest.fail(
            ADVICE.format(
                difference="\n".join(difference), path=f"tests/surface/{path.name}"
            ),
            pytrace=False,
        )


def test_every_public_package_has_a_file() -> None:
    """And no file is left over from one that is gone."""
    assert list(PACKAGES) == PUBLIC
    found = {path.stem for path in path_of("any").parent.glob("*.txt")}
    assert found == set(FILES)
