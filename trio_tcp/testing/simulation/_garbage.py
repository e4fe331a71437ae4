"""When garbage is collected: at moments that the seed decides, not the heap.

Python collects cycles when so many objects have been made, those of everybody in the
process counted: a finalizer that closes a socket, or an async generator that is
dropped, would then act at another moment in every run. So the collector is switched off
for the run, and what lay in memory before is put out of its reach. The driver of the
simulation calls `collect` every so many steps, so that long runs stay small.
"""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["collect", "repeatable_garbage"]


@contextmanager
def repeatable_garbage() -> Generator[None, None, None]:
    """Collect only where `collect` is called, and only what the block has made."""
    was_enabled = gc.isenabled()
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.collect()  # only what the block has made and left, which takes little time
        gc.unfreeze()
        if was_enabled:
            gc.enable()


def collect() -> None:
    """Collect the garbage of late. What has survived this twice is left for good."""
    gc.collect(1)
