from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.serve.configuring import MINIMAL, configured, mistakes

ROOT = Path(__file__).parents[3]


def listening(*addresses: str) -> str:
    """Return a configuration that listens there."""
    return MINIMAL.replace('["localhost:0"]', json.dumps(addresses))


@pytest.mark.parametrize(
    "addresses",
    [
        ("localhost:8888", "localhost:8889"),
        ("localhost:0", "localhost:0"),
        ("127.0.0.1:8888", "127.0.0.2:8888"),
        ("0.0.0.0:8888", "[::]:8888"),
        ("[::1]:8888", "127.0.0.1:8888"),
        ("unix:/run/a", "unix:/run/b"),
        ("fd:3", "fd:4", "systemd"),
    ],
)
def test_addresses_that_are_not_the_same_go_together(
    tmp_path: Path, addresses: tuple[str, ...]
) -> None:
    """Port 0 is never the same twice."""
    assert len(configured(tmp_path, listening(*addresses)).listen) == len(addresses)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("localhost:8888", "localhost:8888"),
        (":8888", "127.0.0.1:8888"),
        ("[::1]:8888", ":8888"),
        ("0.0.0.0:8888", "127.0.0.1:8888"),
        ("[::1]:8888", "[::]:8888"),
        ("0.0.0.0:8888", ":8888"),
        ("unix:/run/a", "unix:/run/../run/a,mode=600"),
        ("fd:3", "fd:3"),
        ("systemd", "systemd"),
    ],
)
def test_one_address_cannot_be_listened_on_twice(
    tmp_path: Path, one: str, other: str
) -> None:
    """Nor one that another includes."""
    [found] = mistakes(tmp_path, listening("fd:7", one, other))
    assert found.startswith("service.toml:3: listen[2]: ")
    assert f"{other} cannot be listened on beside {one}" in found


@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's")
def test_a_port_that_needs_root_is_refused_before_it_is_tried() -> None:
    """Also to root, where the capability was taken away."""
    command = [
        *(sys.executable, "-m", "trio_tcp", "serve", "tests.cli.serve.services:echo"),
        *("--codec", "lines", "--listen", ":80", "--check"),
    ]
    if os.geteuid() == 0:
        drop = shutil.which("setpriv")
        assert drop is not None
        command = [drop, "--bounding-set=-net_bind_service", *command]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, check=False, text=True
    )
    assert ended.returncode == 2
    assert "--listen :80: port 80 is below" in ended.stderr
    assert "CAP_NET_BIND_SERVICE" in ended.stderr
