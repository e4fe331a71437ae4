"""Fixtures of the tests of a pool."""

from __future__ import annotations

import pytest

from tests.pool.backend import Backend


@pytest.fixture
def backend() -> Backend:
    """Give a server to connect to, whose every move is the test's."""
    return Backend()
