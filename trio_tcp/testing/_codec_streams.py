"""Streams of bytes for `check_codec`, whole and damaged, as strategies of hypothesis.

The only module of this package that imports hypothesis, and imported only when needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import hypothesis
from hypothesis import errors
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trio_tcp.testing._codec_promises import CodecPromises, Frame

__all__ = ["damaged", "fill", "for_all", "frames_of", "sizes", "some"]

SLOW_OR_WASTEFUL: Final = (
    hypothesis.HealthCheck.data_too_large,
    hypothesis.HealthCheck.filter_too_much,
    hypothesis.HealthCheck.large_base_example,
    hypothesis.HealthCheck.too_slow,
)
"""What hypothesis may not complain of: it depends on the user's messages."""

In = TypeVar("In")
Out = TypeVar("Out")

DAMAGES: Final[list[Callable[[bytes, bytes, bytes], bytes]]] = [
    lambda before, some, after: before + some + after[len(some) :],
    lambda before, some, after: before + some + after,
    lambda before, some, after: before + 50 * some + after,
    lambda before, some, after: before + after[len(some) :],
    lambda before, some, after: before,
]
"""What can happen to a stream at some place: bytes are overwritten, inserted, inserted
many times, removed, or the rest is cut off."""

# Numbers are drawn as bytes: that is many times faster than one by one.
sizes: Final = st.binary(min_size=1, max_size=6).map(
    lambda drawn: [byte % 9 + 1 if byte % 8 else byte + 1 for byte in drawn]
)
"""The sizes of the chunks that a stream is cut into, over and over."""

fill: Final = st.binary(min_size=1, max_size=6)
"""A few bytes that are repeated without end."""


def frames_of(
    promises: CodecPromises[In, Out], messages: SearchStrategy[Out] | Sequence[Out]
) -> SearchStrategy[Frame[Out]]:
    """Encode the messages; those that the codec refuses are left out."""
    if not isinstance(messages, SearchStrategy):
        messages = st.sampled_from(messages)
    frames = messages.map(promises.frame).filter(lambda frame: frame is not None)
    return cast("SearchStrategy[Frame[Out]]", frames)


def some(frames: SearchStrategy[Frame[Out]]) -> SearchStrategy[list[Frame[Out]]]:
    """Draw a few."""
    return st.lists(frames, min_size=1, max_size=4)


def damaged(frames: SearchStrategy[Frame[Any]]) -> SearchStrategy[bytes]:
    """Damage a stream of some frames in up to three places, or draw any bytes."""
    whole = some(frames).map(lambda drawn: b"".join(frame.data for frame in drawn))
    damages = st.lists(st.binary(min_size=3, max_size=8), max_size=3)
    return st.builds(_damage, st.one_of(whole, st.binary(max_size=40)), damages)


def _damage(stream: bytes, damages: list[bytes]) -> bytes:
    for kind, place, *some in damages:
        at = place % (len(stream) + 1)
        damage = DAMAGES[kind % len(DAMAGES)]
        stream = damage(stream[:at], bytes(some), stream[at:])
    return stream


def for_all(
    check: Callable[..., None],
    *arguments: SearchStrategy[Any],
    max_examples: int | None = None,
) -> None:
    """Call the check with many arguments, as many as the profile of hypothesis says.

    Raises:
        AssertionError: from the check, for the simplest arguments that were found; or
            there are no arguments; or the same ones pass and fail.
    """
    profile = hypothesis.settings()

    @hypothesis.settings(
        max_examples=max_examples or profile.max_examples,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=SLOW_OR_WASTEFUL,
        phases=set(profile.phases) - {hypothesis.Phase.explain},
    )
    @hypothesis.given(st.tuples(*arguments))
    def example(drawn: tuple[Any, ...]) -> None:
        check(*drawn)

    try:
        example()
    except errors.Unsatisfiable as error:
        raise AssertionError(
            "the codec refuses nearly all of these messages"
        ) from error
    except errors.Flaky as error:
        raise AssertionError(
            "decoders share state: the same bytes were decoded twice, and gave two "
            "different results"
        ) from error
