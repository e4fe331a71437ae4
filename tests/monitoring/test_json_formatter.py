"""A log for programs: one line of JSON for each record, whatever is in it."""

from __future__ import annotations

import errno
import io
import json
import logging
import logging.config
import logging.handlers
import math
import os
import queue
import re
from collections.abc import Iterator, Mapping
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import trio_tcp
from trio_tcp import CloseReason, monitoring

PEER = trio_tcp.TcpAddress("192.0.2.1", 4711)
STATISTICS = trio_tcp.ConnectionStatistics(
    messages_received=1,
    messages_sent=2,
    bytes_received=3,
    bytes_sent=4,
    bytes_queued=5,
    bytes_skipped=6,
)


def record(
    message: object = "hello",
    *args: object,
    error: BaseException | None = None,
    **extra: object,
) -> logging.LogRecord:
    exc_info = None if error is None else (type(error), error, error.__traceback__)
    made = logging.LogRecord(
        "sample", logging.INFO, __file__, 1, message, args, exc_info
    )
    vars(made).update(extra)
    return made


def written(made: logging.LogRecord) -> dict[str, Any]:
    """Format a record, see that it is a line that any reader can take, and read it."""
    line = monitoring.JsonFormatter().format(made)
    assert line.isascii()
    assert line.isprintable()
    assert len(line) < 16 << 10
    parsed: dict[str, Any] = json.loads(line, parse_constant=pytest.fail)
    # No half of a character: strict readers refuse it.
    json.dumps(parsed, ensure_ascii=False).encode("utf-8")
    return parsed


def of_event(event: trio_tcp.Event) -> dict[str, Any]:
    """Let the default observer log an event, and read its line."""
    output = io.StringIO()
    handler = logging.StreamHandler(output)
    handler.setFormatter(monitoring.JsonFormatter())
    logger = logging.getLogger("trio_tcp")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        trio_tcp.log_events(event)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    (line,) = output.getvalue().splitlines()
    parsed: dict[str, Any] = json.loads(line)
    return parsed


def test_each_line_has_a_time_a_level_a_logger_a_message_and_a_process() -> None:
    made = record("hello %s", "world")
    made.created = 1_700_000_000.25
    assert written(made) == {
        "time": "2023-11-14T22:13:20.250000Z",
        "level": "INFO",
        "logger": "sample",
        "message": "hello world",
        "process": os.getpid(),
    }


def test_an_event_has_its_name_and_its_fields() -> None:
    line = of_event(
        trio_tcp.ConnectionEnded(
            id=7,
            label="ann",
            peer=PEER,
            reason=CloseReason.BROKEN,
            error=trio_tcp.ConnectionBroken(errno.ECONNRESET),
            statistics=STATISTICS,
            seconds=1.5,
        )
    )
    del line["time"]
    assert line == {
        "level": "INFO",
        "logger": "trio_tcp",
        "message": (
            "connection 7 'ann' (192.0.2.1:4711) ended, reset: "
            "the connection is broken: Connection reset by peer"
        ),
        "process": os.getpid(),
        "event": "ConnectionEnded",
        "id": 7,
        "label": "ann",
        "peer": "192.0.2.1:4711",
        "reason": "reset",
        "error": {
            "type": "trio_tcp.ConnectionBroken",
            "message": "the connection is broken: Connection reset by peer",
        },
        "statistics": attrs.asdict(STATISTICS),
        "seconds": 1.5,
    }


def test_fields_without_a_value_are_left_out() -> None:
    line = of_event(trio_tcp.ConnectionOpened(id=7, label="", peer=None))
    assert "peer" not in line
    assert line["id"] == 7


def test_no_field_of_an_event_hides_what_each_line_has() -> None:
    of_each_line = {"time", "level", "logger", "message", "process", "event", "extra"}
    events = [
        value
        for value in vars(trio_tcp).values()
        if isinstance(value, type) and issubclass(value, trio_tcp.Event)
    ]
    assert len(events) > 20
    for event in events:
        assert not of_each_line & {field.name for field in attrs.fields(event)}


def test_a_failed_handler_has_its_traceback() -> None:
    def fail() -> None:
        raise ValueError("two\nlines")

    with pytest.raises(ValueError, match="two") as caught:
        fail()
    line = of_event(
        trio_tcp.HandlerFailed(id=7, label="", peer=PEER, error=caught.value)
    )
    assert line["error"]["type"] == "ValueError"
    assert line["error"]["message"] == "two\nlines"
    assert "in fail" in line["error"]["stack_trace"]
    assert line["error"]["stack_trace"].startswith("Traceback (most recent call last)")


def test_other_loggers_exceptions_and_extras_are_there_too() -> None:
    line = written(
        record(
            "failed",
            error=OSError(errno.EPIPE, "Broken pipe"),
            user={"name": "ann", "roles": ["admin"]},
            event="not ours",
        )
    )
    assert line["error"]["type"] == "BrokenPipeError"
    assert line["extra"] == {
        "user": {"name": "ann", "roles": ["admin"]},
        "event": "not ours",
    }


class Color(Enum):
    """A member is its value."""

    RED = "red"


class Number(IntEnum):
    """Likewise."""

    ONE = 1


class Silent:
    """An object that does not say what it is."""

    def __str__(self) -> str:
        raise ValueError("no")

    def __repr__(self) -> str:
        return "Silent()"


class Endless(Mapping[str, object]):
    """A mapping that does not end."""

    def __getitem__(self, key: str) -> object:
        return key

    def __iter__(self) -> Iterator[str]:
        while True:
            yield "again"

    def __len__(self) -> int:
        return 1 << 60


class Text(str):
    """A text with other ideas of what it is."""

    __slots__ = ()

    def __str__(self) -> str:
        return "another"


@attrs.frozen
class Point:
    x: int
    y: object


VALUES: dict[str, tuple[object, object]] = {
    "nothing": (None, None),
    "a truth": (True, True),
    "a number": (7, 7),
    "the largest number": ((1 << 63) - 1, (1 << 63) - 1),
    "a larger number": (1 << 63, str(1 << 63)),
    "a number that Python does not write": (10**5000, "<int that cannot be written>"),
    "a fraction": (1.5, 1.5),
    "infinity": (math.inf, "inf"),
    "no number": (math.nan, "nan"),
    "a text": ("text", "text"),
    "a text with more than letters": ("é\n\x1b\u2028", "é\n\x1b\u2028"),
    "half of a character": ("\udcff", r"\udcff"),
    "another kind of text": (Text("text"), "text"),
    "bytes": (b"\xff\n", r"b'\xff\n'"),
    "a member": (Color.RED, "red"),
    "a member that is a number": (Number.ONE, 1),
    "an address": (PEER, "192.0.2.1:4711"),
    "a path's address": (trio_tcp.UnixAddress("/x"), "unix:/x"),
    "containers": ([1, (2,), {"a": {3}}], [1, [2], {"a": [3]}]),
    "keys that are no texts": ({1: 2, None: 3}, {"1": 2, "None": 3}),
    "a record": (Point(1, Point(2, b"")), {"x": 1, "y": {"x": 2, "y": "b''"}}),
    "an error": (ValueError("x"), {"type": "ValueError", "message": "x"}),
    "an object": (Path("/x"), "/x"),
    "an object that fails": (Silent(), "<Silent that cannot be written>"),
    "one among others": ([Silent(), 1], ["<Silent that cannot be written>", 1]),
}


@pytest.mark.parametrize(("value", "expected"), VALUES.values(), ids=VALUES.keys())
def test_a_value_is_itself_or_becomes_text(value: object, expected: object) -> None:
    assert written(record(value=value))["extra"]["value"] == expected


def test_what_contains_itself_is_cut() -> None:
    cycle: list[object] = []
    cycle.append(cycle)
    assert "[...]" in json.dumps(written(record(value=cycle)))


def test_what_does_not_end_is_cut() -> None:
    assert written(record(value=Endless()))["message"] == "hello"


def test_long_texts_lose_their_middle() -> None:
    line = written(record("begin" + "x" * 1_000_000 + "end"))
    assert line["message"].startswith("beginx")
    assert line["message"].endswith("xend")


def test_a_long_traceback_keeps_its_beginning_and_its_end() -> None:
    def fall(depth: int) -> None:
        if not depth:
            raise ValueError("the bottom")
        stumble(depth - 1)

    def stumble(depth: int) -> None:  # by turns: Python folds what repeats
        fall(depth)

    with pytest.raises(ValueError, match="the bottom") as caught:
        fall(300)
    trace = written(record(error=caught.value))["error"]["stack_trace"]
    assert trace.startswith("Traceback")
    assert trace.endswith("ValueError: the bottom")


@pytest.mark.parametrize("letter", ["x", "\n", "\U0001f600"])
def test_a_line_is_never_longer_than_what_docker_keeps_together(letter: str) -> None:
    """Whatever its texts become when they are escaped."""
    text = letter * 10_000
    extra = {f"field {number}": [text] * 10 for number in range(100)}
    line = written(record(text, error=ValueError(text), more=extra))
    assert line["message"].startswith(letter)
    assert line["level"] == "INFO"


def test_if_its_fields_are_too_much_it_says_so() -> None:
    made = record("hello")
    for number in range(100):
        vars(made)[f"{number} {'x' * 200}"] = "\U0001f600" * 10_000
    line = written(made)
    assert line["cut"] is True
    assert line["message"] == "hello"
    assert "extra" not in line


@pytest.mark.parametrize("message", ["%d and %d", "%", "%(name)s", Silent()])
def test_a_message_that_cannot_be_formatted_is_shown_as_it_is(message: object) -> None:
    line = written(record(message, "one"))
    shown = message if isinstance(message, str) else "<Silent that cannot be written>"
    assert line["message"].startswith(shown)
    assert "one" in line["message"]


values: st.SearchStrategy[object] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(alphabet=st.characters())
    | st.binary()
    | st.builds(Silent)
    | st.builds(Text, st.text())
    | st.builds(ValueError, st.text()),
    lambda children: (
        st.lists(children)
        | st.dictionaries(st.text() | st.integers(), children)
        | st.tuples(children, children)
    ),
    max_leaves=50,
)


@given(
    message=st.text(alphabet=st.characters()) | values,
    args=st.lists(values, max_size=3),
    extra=st.dictionaries(st.text(min_size=1), values, max_size=5),
    error=st.none() | st.builds(ValueError, values),
)
def test_no_record_makes_it_fail_or_write_two_lines(
    message: object,
    args: list[object],
    extra: dict[str, object],
    error: BaseException | None,
) -> None:
    made = record(message, *args, error=error)
    for name in extra.keys() - vars(made).keys():
        vars(made)[name] = extra[name]
    line = written(made)
    assert {"time", "level", "logger", "message", "process"} <= line.keys()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["time"])


@pytest.mark.parametrize("created", [math.nan, math.inf, 1e20, "today"])
def test_a_time_that_is_none_is_shown_as_it_is(created: object) -> None:
    """A record may come from elsewhere."""
    made = record("hello")
    vars(made)["created"] = created
    line = written(made)
    assert line["message"] == "hello"
    assert str(line["time"]) == str(created)


def test_it_can_be_named_in_a_configuration() -> None:
    configurator = logging.config.DictConfigurator(
        {"json": {"()": "trio_tcp.monitoring.JsonFormatter"}}
    )
    made = configurator.configure_formatter(configurator.config["json"])
    assert isinstance(made, monitoring.JsonFormatter)


def test_lines_can_be_formatted_here_and_written_in_another_thread() -> None:
    """As docs/how-to/logging.md does it."""
    output = io.StringIO()
    waiting: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    handler = logging.handlers.QueueHandler(waiting)
    handler.setFormatter(monitoring.JsonFormatter())
    listener = logging.handlers.QueueListener(waiting, logging.StreamHandler(output))
    listener.start()
    handler.handle(record("hello", error=ValueError("two\nlines"), number=7))
    listener.stop()
    line = json.loads(output.getvalue())
    assert line["error"]["message"] == "two\nlines"
    assert line["extra"] == {"number": 7}
    assert output.getvalue().count("\n") == 1
