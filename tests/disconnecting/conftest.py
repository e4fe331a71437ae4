"""Fixtures of the tests of a disconnection."""

from __future__ import annotations

import pytest

from tests.disconnecting.pairs import (
    Open,
    over_memory,
    over_sockets,
    over_tls,
    over_tls_over_sockets,
)


@pytest.fixture(params=[over_memory, over_sockets, over_tls, over_tls_over_sockets])
def open_text(request: pytest.FixtureRequest) -> Open:
    """Each kind of stream in turn."""
    kind: Open = request.param
    return kind
