"""Errors as the kernel reports them."""

from __future__ import annotations

import os

__all__ = ["os_error"]


def os_error(number: int, about: str = "") -> OSError:
    """Make the error of a number of `errno`, worded as the system words it."""
    reason = os.strerror(number)
    return OSError(number, f"{reason}: {about}" if about else reason)
