"""What the pages of `serve_status` show, and whom they ask for it."""

from __future__ import annotations

from typing import Protocol, final

import attrs

__all__ = ["Exposition", "Readiness", "StatusSource"]


@final
@attrs.frozen
class Readiness:
    """Whether clients may be sent here, and why, or why not.

    Attributes:
        is_ready: whether they may.
        reason: in a few words, for people.
    """

    is_ready: bool
    reason: str


@final
@attrs.frozen
class Exposition:
    """All figures at one moment, as Prometheus reads them.

    Attributes:
        text: in the format that the content type says.
        content_type: of HTTP.
    """

    text: bytes
    content_type: str


class StatusSource(Protocol):
    """Whom `serve_status` asks: `Metrics`, or whoever speaks for several processes."""

    def readiness(self) -> Readiness:
        """Say whether clients may be sent here."""
        ...

    async def expose(self, accept: str) -> Exposition:
        """Return all figures, in a format that suits an ``Accept`` header of HTTP.

        Cancellation:
            Changes nothing.
        """
        ...
