"""What to say when msgspec, which typed payloads need, is not installed."""

from __future__ import annotations

__all__ = ["missing_msgspec"]


def missing_msgspec(codec: str) -> ModuleNotFoundError:
    """Return an error that says what to do."""
    return ModuleNotFoundError(
        f"{codec} needs msgspec: pip install 'trio-tcp[msgspec]'", name="msgspec"
    )
