"""Fixtures of the tests over real sockets, and the transports that they run with."""

from __future__ import annotations

from typing import Final

import pytest

from tests.integration.loopback import Record

ON_EVERY_TRANSPORT: Final = {
    "test_asyncio_peers",
    "test_closing",
    "test_connecting",
    "test_drain",
    "test_isolation",
    "test_limits",
    "test_listening",
    "test_plain_sockets",
    "test_slow_reader",
    "test_soak",
    "test_twisted_peers",
    "test_unix_sockets",
}
"""The files whose tests run once with each transport for real sockets."""

AS_IS: Final = {
    "test_of_a_big_crowd_each_sees_what_the_report_says",
    "test_of_servers_that_start_at_once_exactly_one_can",
}
"""Tests in them that run once, as they take long."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Have the tests of these files run with every transport."""
    is_in = metafunc.definition.path.stem in ON_EVERY_TRANSPORT
    if is_in and metafunc.function.__name__ not in AS_IS:
        choices = ["auto", "polled", "general"]
        metafunc.parametrize("chosen_transport", choices, indirect=True)


@pytest.fixture(autouse=True)
def chosen_transport(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Choose a transport for the runs of a test, where it is to be chosen."""
    if choice := getattr(request, "param", None):
        monkeypatch.setenv("TRIO_TCP_TRANSPORT", choice)


@pytest.fixture
def record() -> Record:
    """Give an observer that keeps what happened."""
    return Record()
