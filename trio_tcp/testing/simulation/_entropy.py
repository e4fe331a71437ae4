"""Python's randomness, from the seed.

The `random` module, `os.urandom` and what is built on them (`secrets`, `uuid.uuid4`,
`random.SystemRandom`) repeat with the seed, as does a `random.Random()` without one.
What C libraries draw by themselves does not: the bytes of TLS, above all.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Generator
from contextlib import contextmanager

from trio_tcp.testing.simulation._replaced import replaced

__all__ = ["seeded_entropy"]


@contextmanager
def seeded_entropy(source: random.Random) -> Generator[None, None, None]:
    """Let this thread's randomness come from a source, until the end of the block."""
    thread = threading.get_ident()
    urandom, seed = os.urandom, random.Random.seed

    def seeded_urandom(size: int, /) -> bytes:
        if threading.get_ident() != thread:
            return urandom(size)
        return source.randbytes(size)

    def seeded_seed(
        self: random.Random, a: int | str | None = None, version: int = 2
    ) -> None:
        if a is None and threading.get_ident() == thread:
            a = source.getrandbits(64)
        seed(self, a, version)

    state = random.getstate()
    random.seed(source.getrandbits(64))
    try:
        with (
            replaced(os, urandom=seeded_urandom),
            replaced(random, _urandom=seeded_urandom),
            replaced(random.Random, seed=seeded_seed),
        ):
            yield
    finally:
        random.setstate(state)
