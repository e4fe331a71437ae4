"""Holds a codec to the promises that all codecs make, with streams from hypothesis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from trio_tcp.testing._codec_promises import CodecPromises

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hypothesis.strategies import SearchStrategy

    from trio_tcp.codecs import Codec

__all__ = ["check_codec"]

In = TypeVar("In")
Out = TypeVar("Out")

DEFAULT_UNREAD_BYTES: Final = 256 << 10

MAX_ENDLESS: Final = 10
"""How many streams without end are tried: each is long."""


def check_codec(
    codec: Codec[In, Out],
    messages: SearchStrategy[Out] | Sequence[Out],
    *,
    join: Callable[[list[Any]], In] | None = None,
    max_unread_bytes: int | None = None,
) -> None:
    r"""Check that a codec keeps the promises which the rest of this package relies on.

    With messages of yours it makes streams, cuts them at random, and damages them:

    * each message arrives as it was sent, alone and among others;
    * every cutting of a stream, whole or damaged, gives the same messages, then the
      same error with the same numbers, at the same place (promise 1);
    * many messages at once, if it has ``decode_batch``, are those that ``decode`` alone
      gives, and each ends at the same place (promise 1);
    * what ``extent`` says, if it has that, is where ``decode`` alone finds the message,
      and ``encode_parts`` gives the same bytes as ``encode`` (promise 1);
    * messages that were whole before the damage come before the error (promise 1);
    * garbage without end does not fill the memory (promise 2);
    * after a `MalformedMessageError` the next message arrives; no exception but this
      and `FramingError` comes out of ``decode``, none but `EncodeError` out of
      ``encode`` (promise 4);
    * decoders that share the codec do not disturb one another.

    How many streams are tried is a setting of hypothesis, whose profiles apply.

    Args:
        codec: the codec.
        messages: what it can carry: a strategy of hypothesis, or examples. Messages
            that the codec refuses are left out, unless these are all. What arrives
            must be equal to what was sent.
        join: for a codec without message boundaries: what makes one message of
            several, ``b"".join``. Then only joined messages are compared.
        max_unread_bytes: how much the codec may hold before it refuses the stream.
            Default: 64 KiB more than twice its ``max_bytes`` (or that of its
            ``framing``), or 256 KiB if it has no such option.

    Raises:
        AssertionError: a promise is broken; the text says which, with an example.
        ModuleNotFoundError: hypothesis is not installed.

    Example::

        check_codec(Tlv(), st.tuples(st.integers(0, 255), st.binary(max_size=100)))
    """
    try:
        from trio_tcp.testing import _codec_streams as streams  # noqa: PLC0415 - optional
    except ImportError as error:
        raise ModuleNotFoundError(
            "check_codec needs hypothesis: pip install hypothesis", name="hypothesis"
        ) from error

    if max_unread_bytes is None:
        max_unread_bytes = _bound(codec)
    promises = CodecPromises(codec, join, max_unread_bytes)
    frame = streams.frames_of(promises, messages)
    stream = streams.damaged(frame)
    for_all = streams.for_all
    for_all(promises.check, streams.some(frame), stream, streams.sizes)
    for_all(promises.check_memory, stream, streams.fill, max_examples=MAX_ENDLESS)


def _bound(codec: object) -> int:
    """Guess how much a codec may need to hold: generously, but not without end."""
    while (framing := getattr(codec, "framing", None)) is not None:
        codec = framing
    max_bytes = getattr(codec, "max_bytes", None)
    if isinstance(max_bytes, int):
        return 2 * max_bytes + (64 << 10)
    return DEFAULT_UNREAD_BYTES
