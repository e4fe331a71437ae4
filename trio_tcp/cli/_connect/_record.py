"""A conversation written to a file, as a script that can be played."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TextIO

from trio_tcp.cli._connect._conversation import End, Entry, Note
from trio_tcp.cli._connect._script import write_step
from trio_tcp.cli._parameters import Notation

__all__ = ["open_record"]


def open_record(path: Path, notation: Notation) -> AbstractContextManager[Note]:
    """Open a file, which nobody else may read; its context has what writes to it.

    Args:
        path: of the file. One that is there is replaced.
        notation: how messages are written.

    Raises:
        OSError: there can be no such file.
    """
    descriptor = os.open(
        path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600
    )
    return _written(open(descriptor, "w", encoding="utf-8", buffering=1), notation)


@contextmanager
def _written(file: TextIO, notation: Notation) -> Generator[Note, None, None]:
    def note(what: Entry | End) -> None:
        print(write_step(what, notation), file=file)

    with file:
        print(f"# messages are written as with --as {notation.name}", file=file)
        yield note
