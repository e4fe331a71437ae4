"""Fixtures of the tests over real sockets, and the transports that they run with."""

from __future__ import annotations

from typing import Final

import pytest
from trio.testing import MockClock

from tests.integration.loopback import Record

WITH_FEW_SOCKETS: Final = {
    "test_asyncio_peers",
    "test_closing",
    "test_connecting",
    "test_limits",
    "test_listening",
    "test_plain_sockets",
    "test_requester",
    "test_slow_reader",
    "test_twisted_peers",
    "test_unix_sockets",
}
"""Files whose tests run once with each transport for real sockets."""

WITH_MANY_SOCKETS: Final = {"test_drain", "test_isolation", "test_soak"}
"""The same, but here the automatic choice is to wait for all of them together."""

AS_IS: Final = {
    "test_a_client_that_does_not_read_costs_a_bounded_amount_of_memory",
    "test_of_a_big_crowd_each_sees_what_the_report_says",
    "test_of_servers_that_start_at_once_exactly_one_can",
}
"""Tests in them that run once, as they take long."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Have the tests of these files run with every transport."""
    name = metafunc.definition.path.stem
    if metafunc.function.__name__ in AS_IS:
        return
    if name in WITH_FEW_SOCKETS:
        choices = ["auto", "polled", "general"]
    elif name in WITH_MANY_SOCKETS:
        choices = ["auto", "general"]
    else:
        return
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


@pytest.fixture
def clock() -> MockClock:
    """Give a run a clock that goes as the real one does, and can be set forward.

    So nothing has to be waited for but what is caused, and a time that must not pass
    yet can be so long that a busy machine does not use it up.
    """
    clock = MockClock()
    clock.rate = 1
    return clock
