"""Fixtures of the tests over real sockets."""

from __future__ import annotations

import pytest

from tests.integration.loopback import Record


@pytest.fixture
def record() -> Record:
    """Give an observer that keeps what happened."""
    return Record()
