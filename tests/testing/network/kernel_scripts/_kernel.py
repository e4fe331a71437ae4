"""Plays a script on the loopback of this machine."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Generator
from typing import TYPE_CHECKING, Final

import trio
from trio.testing import wait_all_tasks_blocked

if TYPE_CHECKING:
    from tests.testing.network.kernel_scripts._script import Log, Script

_ANSWERS_TO_ANSWERS: Final = 4
"""A segment makes the other end send one, which makes this end send one, …"""


def play_on_the_kernel(script: Script) -> Log:
    """Play a script with the kernel's sockets, and give what was seen."""
    with _on_one_processor(), _Loopback() as loopback:
        return trio.run(script.perform, loopback.settle)


@contextlib.contextmanager
def _on_one_processor() -> Generator[None]:
    """Keep the thread on one processor: what it sends has one queue then."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class _Loopback:
    """Tells when all that was sent has arrived.

    Each processor has one queue of packets that came by the loopback, first in, first
    out (`netif_rx`). So once a datagram is back, so is all that was sent before it;
    and once a few are, so are the answers to that.
    """

    def __enter__(self) -> _Loopback:
        self._last = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._last.settimeout(10)
        self._last.bind(("127.0.0.1", 0))
        self._last.connect(self._last.getsockname())
        return self

    def __exit__(self, *_: object) -> None:
        self._last.close()

    async def settle(self) -> None:
        """Wait until every task waits and no packet is on its way."""
        for _ in range(2):  # what arrived may have woken a task, which sends more
            await wait_all_tasks_blocked()
            for _ in range(_ANSWERS_TO_ANSWERS):
                self._last.send(b"last")
                self._last.recv(4)
        await wait_all_tasks_blocked()
