from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from trio_tcp import codecs
from trio_tcp.cli._parameters import parse_codec

OURS = codecs.LengthPrefixed(2)


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        ("lines", codecs.Lines()),
        (
            r"lines:newline=\r\n,max_bytes=1KiB",
            codecs.Lines(newline="\r\n", max_bytes=1024),
        ),
        ("lines:allow_unterminated=true", codecs.Lines(allow_unterminated=True)),
        (r"delimited:delimiter=\x00", codecs.Delimited(b"\0")),
        ("fixed-length:size=16", codecs.FixedLength(16)),
        ("length-prefixed", codecs.LengthPrefixed()),
        (
            "length-prefixed:prefix_size=2,byteorder=little",
            codecs.LengthPrefixed(2, byteorder="little"),
        ),
        (
            r"length-field:offset=3,size=2,adjustment=-5,magic=\xaa\x55",
            codecs.LengthField(offset=3, size=2, adjustment=-5, magic=b"\xaa\x55"),
        ),
        ("varint-prefixed", codecs.VarintPrefixed()),
        ("netstrings:max_bytes=1MB", codecs.Netstrings(max_bytes=1_000_000)),
        ("chunks", codecs.Chunks()),
        ("json", codecs.Json()),
        (
            "json:framing=length-prefixed:prefix_size=2,max_bytes=9",
            codecs.Json(framing=codecs.LengthPrefixed(2, max_bytes=9)),
        ),
        ("message-pack", codecs.MessagePack()),
    ],
)  # fmt: skip
def test_a_codec_is_found_by_its_name_and_takes_its_options(
    text: str, codec: codecs.Codec[Any, Any]
) -> None:
    """Each of them, and each kind of option."""
    assert parse_codec(text) == codec


@pytest.mark.parametrize("name", ["OURS", "Codec"])
def test_a_codec_of_ones_own_is_named_by_its_module(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """A codec, or what makes one, from the current directory."""
    source = (
        "from trio_tcp import codecs\n"
        "OURS = codecs.LengthPrefixed(2)\n"
        "Codec = lambda: OURS\n"
    )
    (tmp_path / "codec_of_ones_own.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert parse_codec(f"codec_of_ones_own:{name}") == OURS


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("line", "did you mean lines"),
        ("xyz", "there are lines, delimited"),
        ("lines:size=3", "no option 'size'; it has encoding"),
        ("lines:encoding", "no option"),
        ("lines:max_bytes=much", "64KiB"),
        ("lines:max_bytes=0", "max_bytes"),
        ("lines:encoding=klingon", "klingon"),
        ("lines:allow_unterminated=perhaps", "true or false"),
        (r"delimited:delimiter=\q", r"means nothing"),
        ("delimited", "delimiter"),
        ("fixed-length", "size"),
        ("json:type=int", "no option 'type'"),
        ("no_such_module:codec", "there is no module"),
        ("json:framing=klingon", "there is no codec"),
        ("sys:nothing", "sys has no 'nothing'"),
        ("sys:maxsize", "which is no codec"),
        ("builtins:dict", "which is no codec"),
    ],
)
def test_what_is_no_codec_is_refused_with_a_hint(text: str, hint: str) -> None:
    """And says what would be right."""
    with pytest.raises(ValueError, match=hint):
        parse_codec(text)
