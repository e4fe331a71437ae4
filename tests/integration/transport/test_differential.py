"""The transports for real sockets cannot be told apart."""

from __future__ import annotations

import sys
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.integration.transport.scripts import HERE, PEER, Step, play

pytestmark = pytest.mark.skipif(
    sys.platform != "linux",
    reason="the scripts are for Linux, which has all transports",
)

AFTER = [
    "send a message",
    "send two and a half",
    "send a part",
    "half-close",
    "close",
    "reset",
    "send a message, half-close",
    "send a message, close",
    "send a message, reset",
    "send a part, close",
    "send two and a half, reset",
    "send an urgent byte",
    "send a message, send an urgent byte, send a message",
    "send an urgent byte, send a message, half-close",
    "send a part, send an urgent byte, send a message, reset",
    "send a full read",
    "send a full read, send a full read",
    "send a full read, half-close",
    "send more than that, send a full read, close",
    "half-close, reset",
]

HERE_THEN = [
    "receive, receive, receive, receive, send, send, receive",
    "send, send, receive, flush, receive, reason",
    "send eof, receive, receive, receive, close",
    "wait for the end, receive, receive, send",
    "receive, switch codec, receive, receive, receive",
    "receive, detach, receive, receive, send, close",
    "detach, receive, send, receive, close",
    "close, receive, send, reason",
    "receive, abort, receive, reason",
]


def steps_of(who: str, text: str) -> list[Step]:
    return [(who, step) for step in text.split(", ")]


def assert_all_alike(steps: list[Step]) -> None:
    expected = play(steps, "general")
    assert play(steps, "direct") == expected
    assert play(steps, "polled") == expected


@pytest.mark.parametrize(
    ("peer", "here"), [*product(AFTER, HERE_THEN)], ids=lambda steps: steps
)
def test_what_follows_on_what_the_peer_did_is_the_same(peer: str, here: str) -> None:
    """Also where the transport has waited before, and is registered."""
    before = [("here", "receive")]
    assert_all_alike([*before, *steps_of("peer", peer), *steps_of("here", here)])


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("here"), st.sampled_from(sorted(HERE))),
            st.tuples(st.just("here"), st.sampled_from(["receive", "send"])),
            st.tuples(st.just("peer"), st.sampled_from(sorted(PEER))),
        ),
        max_size=14,
    )
)
def test_any_steps_of_both_ends_are_seen_the_same(steps: list[Step]) -> None:
    assert_all_alike(steps)
