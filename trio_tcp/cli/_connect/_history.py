"""What was typed before, in a file that nobody else may read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from prompt_toolkit.history import FileHistory, History, InMemoryHistory

__all__ = ["open_history"]

MAX_BYTES: Final = 1 << 20
"""Of the file: the older half of a longer one is forgotten."""


def open_history() -> History:
    """Return the history of this user; without a file if there can be none.

    It is where the XDG Base Directory Specification has what is to persist between
    runs and is no document: in ``$XDG_STATE_HOME``, or ``~/.local/state``. Passwords
    are typed, too, so its mode is 0600.
    """
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    path = Path(state, "trio-tcp", "connect_history").expanduser()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _prepare(path)
    except (OSError, RuntimeError):  # read-only, or there is no home
        return InMemoryHistory()
    return FileHistory(path)


def _prepare(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with open(descriptor, "r+b") as file:
        os.fchmod(descriptor, 0o600)
        lines = file.read()
        if len(lines) > MAX_BYTES:
            # An entry begins with an empty line.
            recent = lines[lines.find(b"\n\n", len(lines) - MAX_BYTES // 2) + 1 :]
            file.seek(0)
            file.write(recent)
            file.truncate()
