"""A log for programs: each line is one JSON object, whatever is in it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, final

import attrs

from trio_tcp._events import Event
from trio_tcp.monitoring._json_values import JsonValues, written

__all__ = ["JsonFormatter"]

MAX_LINE_CHARS: Final = (16 << 10) - 1
"""Docker and containerd split longer lines (16 KiB, with the line end)."""

ATTEMPTS: Final = ((1000, 8000, 200), (100, 1000, 50))
"""How many characters to take of a text, and of a traceback, and how many values; and
how many if that makes too long a line."""

OF_THE_LOGGING_MODULE: Final = frozenset(
    {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}
)
"""Attributes of a `logging.LogRecord` that are not the user's ``extra``."""


@final
class JsonFormatter(logging.Formatter):
    """Writes each record of the `logging` module as one line of JSON.

    For the log of a whole program, not only for the lines of this package. A line has

    - ``time`` (RFC 3339, UTC), ``level``, ``logger``, ``message``, ``process``;
    - of `trio_tcp.log_events`: ``event``, the name of the record's class, and the
      record's fields under their own names, but for those that are None; addresses and
      reasons are text;
    - ``error``, if there is one: ``type``, ``message``, and ``stack_trace`` where it is
      logged with its traceback (the names of the Elastic Common Schema);
    - ``extra``: what else the caller has put into ``extra``.

    Whatever JSON does not have becomes text. A line is ASCII, so it has no control
    characters, and has fewer than 16 KiB: long texts lose their middle, and if it is
    still too long, only what each line has is left, and ``cut`` is true. No record
    makes it fail.

    It takes no arguments, and has no format to be chosen.

    Example::

        handler = logging.StreamHandler()
        handler.setFormatter(JsonFormatter())
        logging.basicConfig(level=logging.INFO, handlers=[handler])
    """

    def __init__(self) -> None:
        super().__init__()

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON, without the line end."""
        for chars, traceback_chars, count in ATTEMPTS:
            values = JsonValues(chars, traceback_chars, count)
            try:
                line = _dumps(_document(record, values))
            except Exception:  # noqa: BLE001 - a line with less is better than none
                continue
            if len(line) <= MAX_LINE_CHARS:
                return line
        return _dumps(_head(record, JsonValues(*ATTEMPTS[-1])) | {"cut": True})


def _dumps(document: Mapping[str, object]) -> str:
    return json.dumps(document, ensure_ascii=True, allow_nan=False)


def _head(record: logging.LogRecord, values: JsonValues) -> dict[str, object]:
    """Return what each line has."""
    return {
        "time": _time(record.created, values),
        "level": values.of(record.levelname),
        "logger": values.of(record.name),
        "message": values.text(_message(record)),
        "process": values.of(record.process),
    }


def _time(seconds: float, values: JsonValues) -> object:
    try:
        time = datetime.fromtimestamp(seconds, UTC)
    except (TypeError, ValueError, OverflowError, OSError):  # it is none
        return values.of(seconds)
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - the arguments do not fit the text, or worse
        return f"{written(record.msg)} % {written(record.args)}"


def _document(record: logging.LogRecord, values: JsonValues) -> dict[str, object]:
    document = _head(record, values)
    extra = {k: v for k, v in vars(record).items() if k not in OF_THE_LOGGING_MODULE}
    event = extra.get("event")
    if isinstance(event, Event):
        del extra["event"]
        document["event"] = type(event).__name__
        for field in attrs.fields(type(event)):
            if (value := getattr(event, field.name)) is not None:
                document[field.name] = values.of(value)
    if record.exc_info and record.exc_info[1] is not None:
        document["error"] = values.error(record.exc_info[1], traced=True)
    if record.stack_info:
        document["stack_info"] = values.of(record.stack_info)
    if extra:
        document["extra"] = values.of(extra)
    return document
