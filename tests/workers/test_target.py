"""What a worker is to serve, by its name."""

from __future__ import annotations

import pytest

from trio_tcp._workers._target import check_target


@pytest.mark.parametrize("target", ["service:serve", "a.b_1:c.d", "_a:é"])
def test_a_module_and_an_object_are_a_name(target: str) -> None:
    check_target(target)


@pytest.mark.parametrize(
    "target", ["", "service", "service:", ":serve", "a:b:c", "a b:c", "a.:b", "1:a"]
)
def test_anything_else_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match="'module:object', not"):
        check_target(target)


def test_the_program_itself_cannot_be_imported_by_others() -> None:
    with pytest.raises(ValueError, match="a worker cannot import '__main__:serve'"):
        check_target("__main__:serve")
