"""What is wrong is said when a backplane is made, and nothing is loaded for it."""

from __future__ import annotations

import sys

import pytest

import trio_tcp
from trio_tcp import codecs


def test_the_package_does_not_load_coredis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it connects: a backplane can be made without it being imported."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "coredis"]:
        monkeypatch.delitem(sys.modules, name)
    trio_tcp.RedisBackplane("redis://localhost", codec=codecs.Lines())
    assert "coredis" not in sys.modules


@pytest.mark.parametrize("url", ["localhost", "http://localhost", "redis://"])
def test_a_url_that_is_none_of_a_redis_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="begins with redis://"):
        trio_tcp.RedisBackplane(url, codec=codecs.Lines())


@pytest.mark.parametrize("expire", [0, -1, 0.5, float("nan")])
def test_what_expires_at_once_is_refused(expire: float) -> None:
    with pytest.raises(ValueError, match="expire"):
        trio_tcp.RedisBackplane(
            "redis://localhost", codec=codecs.Lines(), expire=expire
        )
