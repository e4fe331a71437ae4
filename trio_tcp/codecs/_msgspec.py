"""What to say when msgspec, which typed payloads need, is not installed."""

from __future__ import annotations

__all__ = ["missing_msgspec"]


def missing_msgspec(codec: str) -> ImportError:
    """Return an error that says what to do."""
    return ImportError(
        f"{codec} needs msgspec: install trio-tcp[msgspec]", name="msgspec"
    )
