from __future__ import annotations

import json
from typing import Any, TypeVar, get_args

import pytest

from benchmarks._workloads import Kind
from benchmarks.load._wire import frame, index_of
from trio_tcp import codecs

In = TypeVar("In")

OF_OTHERS = ["key_value", "requester"]
KINDS = [kind for kind in get_args(Kind) if kind not in OF_OTHERS]


def decoded(codec: codecs.Codec[In, Any], stream: bytes) -> list[In]:
    decoder = codecs.Decoder[In](codec)
    decoder.feed(stream)
    messages: list[In] = []
    while (message := decoder.next_message()) is not codecs.NEED_MORE:
        messages.append(message)
    return messages


@pytest.mark.parametrize("kind", KINDS)
def test_no_two_messages_are_the_same(kind: Kind) -> None:
    frames = [frame(kind, c, i, 64) for c in range(20) for i in range(20)]
    assert len(set(frames)) == len(frames)


@pytest.mark.parametrize("kind", KINDS)
def test_the_messages_of_one_client_are_of_one_length(kind: Kind) -> None:
    assert len({len(frame(kind, 7, index, 64)) for index in range(2000)}) == 1


def test_a_frame_has_its_length_before_it() -> None:
    [message] = decoded(codecs.LengthPrefixed(), frame("echo", 3, 21, 64))
    assert message == b"0000000300000021" + b"x" * 48


def test_a_line_is_text() -> None:
    [line] = decoded(codecs.Lines(), frame("lines", 3, 21, 16))
    assert line == "0000000300000021"


def test_json_is_as_servers_write_it() -> None:
    line = frame("json", 3, 21, 16)
    assert line == b'{"client":3,"text":"0000000300000021"}\n'
    assert codecs.Json(dict[str, Any]).encode(json.loads(line)) == line


def test_a_message_says_which_one_it_is() -> None:
    assert index_of(frame("broadcast", 0, 1234, 64)) == 1234


@pytest.mark.parametrize("kind", OF_OTHERS)
def test_there_are_no_messages_for_what_others_put_under_load(kind: Kind) -> None:
    with pytest.raises(ValueError, match=kind):
        frame(kind, 0, 0, 64)
