"""Fixtures of the tests with peers over TLS."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.certificates import ADDRESS, HOST, certificate, write_files


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Write the usual certificate, its key and the authority's."""
    return write_files(certificate(HOST, ADDRESS), tmp_path)
