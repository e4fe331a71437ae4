"""What goes around a payload in Redis."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_tcp._backplane import Numbered, Plain
from trio_tcp._hub import Position
from trio_tcp._redis._envelope import opened, sealed


@given(st.binary())
def test_a_payload_may_be_any_bytes(payload: bytes) -> None:
    assert opened("topic", sealed("node.1", payload)) == Plain(
        "topic", "node.1", payload
    )


def test_what_has_a_history_says_its_place() -> None:
    expected = Numbered("topic", Position("e1", 7), 9, "node.1", b"pay\nload")
    assert opened("topic", b"h e1 7 9 node.1\npay\nload") == expected


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"x y\n", b"h e 1 2\n", b"h e x 2 k\nb", b"p \xff\n"]
)
def test_what_somebody_else_has_published_is_left_alone(data: bytes) -> None:
    assert opened("topic", data) is None
