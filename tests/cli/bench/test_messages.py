from __future__ import annotations

from pathlib import Path

import click
import pytest

from trio_tcp import codecs
from trio_tcp.cli._bench._messages import (
    encode_all,
    expectation,
    message_of_size,
    read_messages,
)
from trio_tcp.cli._parameters import notation_for

TEXT = notation_for(codecs.Lines())
BYTES = notation_for(codecs.LengthPrefixed())


def test_messages_are_read_in_their_notation() -> None:
    assert read_messages(BYTES, [r"\x00a", "b"], None, None) == [b"\x00a", b"b"]


def test_messages_are_read_from_the_lines_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "messages"
    file.write_text("GET a\nGET b\n", encoding="utf-8")
    assert read_messages(TEXT, [], file, None) == ["GET a", "GET b"]


@pytest.mark.parametrize(
    ("codec", "notation"),
    [
        (codecs.Lines(), None),
        (codecs.LengthPrefixed(), None),
        (codecs.LengthPrefixed(), "hex"),
        (codecs.Delimited(b"\0"), "text"),
        (codecs.Netstrings(), None),
    ],
)
def test_a_message_of_a_size_has_it_in_every_notation(
    codec: codecs.Codec[object, object], notation: str | None
) -> None:
    """And the framing can carry it; it is the same each time."""
    written = notation_for(codec, notation)
    message = message_of_size(written, "1KiB")
    assert message == message_of_size(written, "1KiB")
    assert isinstance(message, str | bytes)
    assert len(message) == 1024
    [frame] = encode_all(codec, [message])
    assert len(frame) >= 1024


def test_a_message_of_a_size_is_a_string_in_json() -> None:
    message = message_of_size(notation_for(codecs.Json()), "10")
    assert isinstance(message, str)
    assert len(message) == 10


@pytest.mark.parametrize(
    ("texts", "size"),
    [([], None), (["a"], "1"), ([], "big"), ([r"\q"], None)],
)
def test_what_is_to_be_sent_has_to_be_said_once_and_clearly(
    texts: list[str], size: str | None
) -> None:
    with pytest.raises(click.UsageError):
        read_messages(BYTES, texts, None, size)


def test_a_file_without_messages_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "empty"
    file.touch()
    with pytest.raises(click.UsageError, match="empty"):
        read_messages(TEXT, [], file, None)


def test_a_message_that_cannot_be_carried_is_refused_before_the_run() -> None:
    with pytest.raises(click.UsageError, match="message 2"):
        encode_all(codecs.Lines(max_bytes=3), ["abc", "abcd"])


def test_without_an_expectation_any_reply_is_right() -> None:
    assert expectation(None, TEXT, ["a"])(0, "whatever")


def test_the_same_is_what_was_sent() -> None:
    is_expected = expectation("same", TEXT, ["a", "b"])
    assert is_expected(1, "b")
    assert not is_expected(1, "a")


def test_a_pattern_is_looked_for_in_what_is_written() -> None:
    is_expected = expectation(r"/^OK \\x00/", BYTES, [b"a"])
    assert is_expected(0, b"OK \x00 and more")
    assert not is_expected(0, b"not OK \x00")


def test_replies_are_read_from_a_file_in_turn(tmp_path: Path) -> None:
    file = tmp_path / "replies"
    file.write_text("1\n2\n", encoding="utf-8")
    is_expected = expectation(f"@{file}", TEXT, ["a", "b"])
    assert is_expected(0, "1")
    assert is_expected(1, "2")
    assert not is_expected(0, "2")
    with pytest.raises(click.UsageError, match="2 replies, and there are 3"):
        expectation(f"@{file}", TEXT, ["a", "b", "c"])


@pytest.mark.parametrize("text", ["other", "/(/", "//", "@/there/is/none"])
def test_an_expectation_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(click.UsageError):
        expectation(text, TEXT, ["a"])
