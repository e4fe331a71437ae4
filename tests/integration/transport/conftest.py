"""The tests of this folder run with every transport, unless they choose one."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.integration.transport.choosing import TRANSPORTS, using


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Have a test that asks for ``transport`` run with each."""
    if "transport" in metafunc.fixturenames:
        metafunc.parametrize("transport", TRANSPORTS, indirect=True)


@pytest.fixture
def transport(request: pytest.FixtureRequest) -> Generator[str, None, None]:
    """Choose a transport for the runs of one test; its name."""
    name: str = request.param
    with using(name):
        yield name
