from __future__ import annotations

import pytest

from trio_tcp.cli._parameters import parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("4096", 4096),
        ("12B", 12),
        ("64KiB", 65536),
        ("64 KiB", 65536),
        ("1MB", 1_000_000),
        ("1M", 1_000_000),
        ("2Gi", 2 << 30),
    ],
)
def test_a_size_is_read(text: str, size: int) -> None:
    """With the units of IEC 80000-13."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "KiB", "-1", "1.5MiB", "1 kb", "1_000", "\u0661"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """With an example."""
    with pytest.raises(ValueError, match="64KiB"):
        parse_size(text)
