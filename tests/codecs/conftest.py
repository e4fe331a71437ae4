"""Decodes a stream in every cutting, for tests of what must not depend on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Never, Protocol, TypeVar

import pytest

from trio_tcp import FramingError, MalformedMessageError, codecs

if TYPE_CHECKING:
    from collections.abc import Iterator

In = TypeVar("In")


class Decode(Protocol):
    """The type of the fixture `decode`."""

    def __call__(
        self, codec: codecs.Codec[Any, Never], stream: bytes
    ) -> tuple[list[Any], FramingError | None]:
        """Decode a stream to its end."""
        ...


@pytest.fixture
def decode() -> Decode:
    """Return a function that decodes a stream to its end, in every cutting.

    It returns the messages, with the errors of malformed ones among them, and the
    error that ended the stream, if any, once it has seen that they are always the same.
    """
    return _decode


def _decode(
    codec: codecs.Codec[Any, Never], stream: bytes
) -> tuple[list[Any], FramingError | None]:
    expected = _decode_chunks(codec, [stream[i : i + 1] for i in range(len(stream))])
    for chunks in _cut(stream):
        assert repr(_decode_chunks(codec, chunks)) == repr(expected), chunks
    return expected


def _cut(stream: bytes) -> Iterator[list[bytes]]:
    """Cut a stream in one, in two, and into pieces of each size."""
    for size in range(1, len(stream) + 1):
        yield [stream[:size], stream[size:]]
        yield [stream[at : at + size] for at in range(0, len(stream), size)]


def _decode_chunks(
    codec: codecs.Codec[Any, Never], chunks: list[bytes]
) -> tuple[list[Any], FramingError | None]:
    decoder = codecs.Decoder(codec)
    items: list[Any] = []
    try:
        for chunk in chunks:
            if chunk:
                decoder.feed(chunk)
                _drain(decoder, items)
        decoder.end()
        _drain(decoder, items)
    except FramingError as error:
        return items, error
    return items, None


def _drain(decoder: codecs.Decoder[Any], items: list[Any]) -> None:
    while True:
        try:
            item = decoder.next_message()
        except MalformedMessageError as error:
            item = error
        if item is codecs.NEED_MORE:
            return
        items.append(item)
