"""What topics and patterns are called in Redis."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_tcp._redis._names import Names

NAMES = Names("app")


@given(st.text())
def test_a_channel_says_its_topic(topic: str) -> None:
    """Whatever it is, surrogates too."""
    assert NAMES.topic(NAMES.channel(topic)) == topic


@pytest.mark.parametrize(
    ("pattern", "command", "name"),
    [
        ("room.a", b"SUBSCRIBE", b"app:topic:room.a"),
        ("room.[a]?", b"SUBSCRIBE", b"app:topic:room.[a]?"),
        ("room.*", b"PSUBSCRIBE", b"app:topic:room.*"),
        ("*.a.>", b"PSUBSCRIBE", b"app:topic:*.a.*"),
        ("a[b]?^\\.*", b"PSUBSCRIBE", rb"app:topic:a\[b\]\?\^\\.*"),
    ],
)
def test_only_patterns_are_patterns(pattern: str, command: bytes, name: bytes) -> None:
    """What means something in one of Redis is escaped."""
    assert NAMES.subscribe(pattern) == (command, name)
    ends = {b"SUBSCRIBE": b"UNSUBSCRIBE", b"PSUBSCRIBE": b"PUNSUBSCRIBE"}
    assert NAMES.unsubscribe(pattern) == (ends[command], name)
