"""Names of topics, and patterns of them.

A topic is words with dots between: ``prices.eur.usd``. In a pattern, ``*`` stands for
one word and ``>`` at the end for one or more, as in NATS's subjects. Other characters
are the user's own business, but for white space, which would be lost in a log.
"""

from __future__ import annotations

import re
from typing import Final

from trio_tcp._kinds import check_kind

__all__ = ["check_pattern", "check_topic", "covers", "is_pattern", "matcher"]

MAX_CHARACTERS: Final = 255
"""Of a topic: it is kept for as long as somebody listens, and may come from a peer."""

WORD: Final = r"[^\s.*>]+"
TOPIC: Final = re.compile(rf"{WORD}(?:\.{WORD})*")
PATTERN: Final = re.compile(rf"(?:(?:{WORD}|\*)\.)*(?:{WORD}|\*|>)")


def check_topic(topic: str) -> None:
    """Refuse what is no topic.

    Raises:
        ValueError: it is empty or too long, has an empty word, white space, or a
            pattern's ``*`` or ``>``.
        TypeError: it is no text.
    """
    check_kind("topic", topic, str)
    if len(topic) > MAX_CHARACTERS or not TOPIC.fullmatch(topic):
        raise ValueError(_complaint("topic", topic))


def check_pattern(pattern: str) -> None:
    """Refuse what is neither a topic nor a pattern of topics.

    Raises:
        ValueError: as `check_topic`; or ``>`` is not the last word.
        TypeError: it is no text.
    """
    check_kind("topic", pattern, str)
    if len(pattern) > MAX_CHARACTERS or not PATTERN.fullmatch(pattern):
        raise ValueError(_complaint("pattern of topics", pattern))


def _complaint(kind: str, text: str) -> str:
    shown = text if len(text) <= MAX_CHARACTERS else text[:20] + "…"
    return (
        f"{shown!r} is no {kind}: words with dots between, {MAX_CHARACTERS} characters "
        "at most, as in room.lobby; patterns have * for one word, > for all the rest"
    )


def is_pattern(text: str) -> bool:
    """Say whether it may stand for more than one topic."""
    return "*" in text or ">" in text


def matcher(pattern: str) -> re.Pattern[str]:
    """Make what matches, as a whole, the topics of a pattern."""
    words = {"*": WORD, ">": rf"{WORD}(?:\.{WORD})*"}
    parts = [words.get(word, re.escape(word)) for word in pattern.split(".")]
    return re.compile(r"\.".join(parts))


def covers(general: str, special: str) -> bool:
    """Say whether a pattern matches every topic that another one matches."""
    left, right = general.split("."), special.split(".")
    for index, word in enumerate(left):
        if word == ">":
            return len(right) > index
        if index >= len(right) or right[index] == ">":
            return False
        if word not in ("*", right[index]):
            return False
    return len(left) == len(right)
