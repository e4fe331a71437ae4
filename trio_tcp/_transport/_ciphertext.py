"""Ciphertext on its way out: in order, never torn, and accounted for in plaintext.

What was encrypted has to be sent, or the stream is torn; but it may not have left when
a call returns. ``in_flight`` says how much of the caller's next data, which begins with
everything not yet taken, is encrypted already. No byte of it is shorter in ciphertext,
so with ``n`` bytes of ciphertext still here at most the last ``n`` bytes of plaintext
are: all before them has left, and counts as taken.
"""

from __future__ import annotations

from typing import Final, final

import trio

from trio_tcp._transport._transport import Transport

__all__ = ["Ciphertext"]

_NOTHING: Final = memoryview(b"")


@final
class Ciphertext:
    """What is encrypted, and has not left.

    Args:
        inner: the transport that takes it.

    Attributes:
        pending: the ciphertext. Whatever follows goes behind it.
        in_flight: how many bytes of plaintext in it were not yet reported as taken.
        sending: a task waits for the transport to take a part, or was cancelled in
            that: then nobody knows which part it took, and nothing more can be sent.
    """

    __slots__ = ("_inner", "in_flight", "pending", "sending")

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.pending: memoryview = _NOTHING
        self.in_flight: int = 0
        self.sending: bool = False

    def add(self, ciphertext: bytes | memoryview, plaintext: int = 0) -> None:
        """Add what comes next, and how many of the caller's bytes are in it."""
        if self.pending:
            ciphertext = b"".join((self.pending, ciphertext))
        self.pending = memoryview(ciphertext)
        self.in_flight += plaintext

    def give(self) -> None:
        """Give the transport what it takes without waiting."""
        if self.pending:
            self._forget(self._inner.send_now(self.pending))

    async def send_some(self) -> None:
        """Wait until the transport has taken a part.

        Raises:
            trio.BrokenResourceError: also if an earlier call was cancelled.
            trio.ClosedResourceError: as `Transport.send_some`.

        Cancellation:
            Leaves an unknown part sent.
        """
        if self.sending:
            raise cancelled_earlier()
        self.sending = True
        try:
            taken = await self._inner.send_some(self.pending)
        except Exception:
            self.sending = False
            raise
        self.sending = False
        self._forget(taken)

    def _forget(self, taken: int) -> None:
        rest = self.pending[taken:]
        self.pending = rest or _NOTHING  # an empty part would keep the whole

    def left(self) -> int:
        """Return how much more of the plaintext in flight has left."""
        before = self.in_flight
        self.in_flight = min(before, len(self.pending))
        return before - self.in_flight


def cancelled_earlier() -> trio.BrokenResourceError:
    """Return what to raise when nobody knows what was sent."""
    return trio.BrokenResourceError("an earlier write was cancelled half-way")
