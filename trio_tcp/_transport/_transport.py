"""What a connection needs of the pipe below it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeAlias

import trio

from trio_tcp._address import Address
from trio_tcp._transport._tls_info import TlsInfo

__all__ = ["READ_BYTES", "Doze", "Offer", "Transport"]

READ_BYTES: Final = 64 << 10
"""How much is read at once, at most: the read-ahead of every transport. The size that
Trio and asyncio settled on; more gains nothing on loopback."""

Offer: TypeAlias = Callable[[bytes], bool]
"""Takes bytes for a task that waits for them in `Transport.receive_some`.

It returns True if the task may wait on, as nothing is left for it to do. It must not
raise, and may be called in a system task."""


class Doze(Protocol):
    """Waits for what arrives with no task. Neither method raises."""

    def take(self, chunk: bytes) -> bool:
        """Take bytes, or ``b""`` at the end; False if that has ended the doze."""
        ...

    def wake(self) -> None:
        """End the doze: something else has happened, of which `receive_some` tells."""
        ...


class Transport(Protocol):
    """A byte pipe with two independent directions.

    One task at a time receives and one at a time sends; the connection sees to that.
    Every method may be called after `aclose` or `abort`; those that then have nothing
    to work on raise `trio.ClosedResourceError`. They are schedule points only where
    they wait.
    """

    @property
    def local(self) -> Address | None:
        """The address of this end, where there is one."""
        ...

    @property
    def peer(self) -> Address | None:
        """The address of the other end, where there is one."""
        ...

    @property
    def tls(self) -> TlsInfo | None:
        """What TLS has agreed on; None where there is none."""
        ...

    async def receive_some(self) -> bytes:
        """Wait for bytes: up to `READ_BYTES` of them, or ``b""`` at the end.

        Raises:
            trio.BrokenResourceError: the connection is broken; an `OSError` that says
                why is the ``__cause__``, if there was one.
            trio.ClosedResourceError: closed, or woken by `interrupt_receive`.

        Cancellation:
            Loses nothing.
        """
        ...

    def interrupt_receive(self) -> None:
        """Wake the task that waits in `receive_some`, which then raises."""
        ...

    def offer_to(self, offer: Offer | None) -> None:
        """Let bytes be taken for a waiting task, where that saves waking it.

        A transport may ignore this. Where ``offer`` has left something to do,
        `receive_some` raises, as if interrupted.
        """
        ...

    def doze(self, doze: Doze | None) -> bool:
        """Hand over what arrives to this, with no task that waits; None: no more.

        Returns:
            False, and nothing is done, where that would not be worth it.
        """
        ...

    def is_quiet(self) -> bool:
        """Say whether it is certain that `receive_some` would have to wait now."""
        ...

    def send_now(self, data: bytes | memoryview) -> int:
        """Give the stream what it takes without waiting.

        Returns:
            How many bytes it took: none, where the stream cannot but wait.

        Raises:
            trio.BrokenResourceError: as for `receive_some`.
            trio.ClosedResourceError: closed.
        """
        ...

    def send_parts_now(self, parts: Sequence[bytes | memoryview]) -> int:
        """As `send_now`, for bytes that lie in several places."""
        ...

    async def send_some(self, data: memoryview) -> int:
        """Wait until the stream has taken a part of ``data``, from its beginning.

        Returns:
            How many bytes it took: at least one.

        Raises:
            trio.BrokenResourceError: as for `receive_some`.
            trio.ClosedResourceError: closed.

        Cancellation:
            Leaves an unknown part sent: only for a connection that is given up.
        """
        ...

    @property
    def can_half_close(self) -> bool:
        """Whether `send_eof` works."""
        ...

    @property
    def closes_at_once(self) -> bool:
        """Whether `aclose` and `abort` never wait, and so need no protection."""
        ...

    async def send_eof(self) -> None:
        """Close the sending direction alone: over TCP, send FIN.

        Raises:
            trio.BrokenResourceError: as for `receive_some`.
        """
        ...

    async def aclose(self) -> None:
        """Close both directions at once, with no farewell but what closing implies."""
        ...

    def close_now(self) -> bool:
        """Close as `aclose`, if that never waits; else return False, and do nothing."""
        ...

    async def abort(self) -> None:
        """Close at once, and let the peer see that it was no proper end.

        Over TCP: RST instead of FIN, and unsent bytes are forgotten.
        """
        ...

    def release(self) -> trio.abc.Stream:
        """Give up the stream below, open as it is, to somebody else."""
        ...
