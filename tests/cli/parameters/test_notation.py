from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_tcp import codecs
from trio_tcp.cli._parameters import NOTATIONS, notation_for


@attrs.frozen
class Move:
    """A message with a type."""

    piece: str
    to: str


ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(st.binary())
def test_bytes_are_read_back_as_they_were_written(message: bytes) -> None:
    """With escapes, and as hexadecimal."""
    for name in ("bytes", "hex"):
        notation = notation_for(codecs.Chunks(), name)
        line = notation.write(message)
        assert line.isascii()
        assert line.isprintable()
        assert notation.read(line) == message


@given(st.text(st.characters(exclude_categories=())))
def test_text_with_escapes_is_read_back_as_it_was_written(message: str) -> None:
    """Whatever is in it, and even lone surrogates."""
    notation = notation_for(codecs.Lines(), "escaped")
    line = notation.write(message)
    assert line.isprintable()
    assert notation.read(line) == message


@pytest.mark.parametrize("line", [r"\q", "\\", r"\x1", r"\u12", r"\U00110000"])
def test_an_unknown_escape_in_text_is_refused(line: str) -> None:
    """It might have been meant as a backslash."""
    with pytest.raises(ValueError, match="means nothing"):
        notation_for(codecs.Lines(), "escaped").read(line)


def test_message_pack_that_is_no_json_is_shown_all_the_same() -> None:
    """A peer may send any of it."""
    message = {(1, 2): "a list as a key"}
    assert notation_for(codecs.MessagePack()).write(message) == repr(message)


@given(ANY)
def test_json_is_read_back_as_it_was_written(message: object) -> None:
    """In one line that controls no terminal."""
    notation = notation_for(codecs.Json())
    line = notation.write(message)
    assert line.isprintable()
    assert notation.read(line) == message


@given(st.text() | st.binary())
def test_no_message_controls_a_terminal(message: str | bytes) -> None:
    """Whatever a peer sends: escape sequences, line ends, text from right to left."""
    own = codecs.Mapped(codecs.Chunks(), decode=bytes, encode=bytes)
    notations = [notation_for(own)]
    if isinstance(message, str):
        notations += [notation_for(codecs.Lines())]
    else:
        names = ("bytes", "hex", "text")
        notations += [notation_for(codecs.Chunks(), name) for name in names]
    for notation in notations:
        assert notation.write(message).isprintable()


def test_text_is_typed_as_it_is() -> None:
    """A backslash is a backslash."""
    assert notation_for(codecs.Lines()).read(r"C:\new") == r"C:\new"
    assert notation_for(codecs.Chunks(), "text").read("ä") == "ä".encode()


def test_bytes_are_typed_as_text_with_escapes() -> None:
    """As in Python; what is not ASCII is UTF-8."""
    read = notation_for(codecs.Chunks()).read
    assert read(r"ä\r\n\x00\\") == b"\xc3\xa4\r\n\x00\\"


def test_json_is_read_into_the_types_of_its_codec() -> None:
    """So that it can be sent."""
    notation = notation_for(codecs.Json(Move))
    assert notation.read('{"piece": "e2", "to": "e4"}') == Move("e2", "e4")
    with pytest.raises(ValueError, match="no such message"):
        notation.read('{"piece": "e2"}')


def test_other_messages_are_literals_of_python() -> None:
    """Those of a codec of one's own."""
    codec = codecs.Mapped(codecs.Chunks(), decode=bytes, encode=bytes)
    notation = notation_for(codec)
    assert notation.read("(1, b'two')") == (1, b"two")
    assert notation.write((1, b"two")) == "(1, b'two')"


@pytest.mark.parametrize(
    ("codec", "name", "line"),
    [
        (codecs.Chunks(), "bytes", r"\q"),
        (codecs.Chunks(), "bytes", "\\"),
        (codecs.Chunks(), "bytes", r"\x1"),
        (codecs.Chunks(), "bytes", r"\xg0"),
        (codecs.Chunks(), "hex", "abc"),
        (codecs.Json(), "json", "{"),
        (codecs.Json(), "python", "open('x')"),
        (codecs.Json(), "python", "("),
    ],
)
def test_a_line_that_is_no_message_is_refused(
    codec: codecs.Codec[object, object], name: str, line: str
) -> None:
    """With a reason."""
    with pytest.raises(ValueError, match=r"\w"):
        notation_for(codec, name).read(line)


@pytest.mark.parametrize("name", NOTATIONS)
def test_a_notation_that_does_not_fit_is_refused(name: str) -> None:
    """Text is not written as hexadecimal."""
    if name in ("text", "escaped"):
        assert notation_for(codecs.Lines(), name).name == name
    else:
        with pytest.raises(ValueError, match="messages of Lines are not written as"):
            notation_for(codecs.Lines(), name)
