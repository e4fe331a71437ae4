"""What systemd is told: a datagram socket of ours is in its place."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from tests.integration.loopback import run_program
from tests.integration.supervised import SECONDS, SERVICE, client_of, supervised
from trio_tcp._systemd import notify_systemd

pytestmark = pytest.mark.skipif(
    not hasattr(socket, "AF_UNIX"), reason="needs Unix sockets"
)


class Systemd:
    """Listens where services tell how they are."""

    def __init__(self, sock: trio.socket.SocketType) -> None:
        self._socket = sock

    async def state(self) -> str:
        """Wait for the next datagram."""
        with trio.fail_after(SECONDS):
            return (await self._socket.recv(4096)).decode()


@asynccontextmanager
async def listening(address: str) -> AsyncGenerator[Systemd, None]:
    """Listen within the block."""
    with trio.socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        await sock.bind(address)
        yield Systemd(sock)


@pytest.fixture
async def systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Systemd, None]:
    """Be systemd for the programs of a test."""
    address = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    async with listening(address) as made:
        yield made


# The call ---------------------------------------------------------------------------


async def test_a_state_is_a_datagram_and_children_cannot_send_any(
    systemd: Systemd,
) -> None:
    """The variable is gone, and is not needed any more."""
    notify_systemd("READY=1")
    assert "NOTIFY_SOCKET" not in os.environ
    notify_systemd("STATUS=höhö\nSTOPPING=1")
    assert await systemd.state() == "READY=1"
    assert await systemd.state() == "STATUS=höhö\nSTOPPING=1"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has abstract names")
async def test_an_abstract_name_begins_with_an_at_sign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"trio_tcp{tmp_path}"
    monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
    async with listening("\0" + name) as abstract:
        notify_systemd("READY=1")
        assert await abstract.state() == "READY=1"


@pytest.mark.parametrize("address", ["/no/such/socket", "", "x" * 1000, "@", "a\nb"])
def test_a_service_runs_also_where_nobody_listens(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    notify_systemd("READY=1")


# The services -----------------------------------------------------------------------


async def test_a_server_says_when_it_listens_and_when_it_ends(systemd: Systemd) -> None:
    async with run_program("draining_server.py", "30") as program:
        assert await systemd.state() == "READY=1"
        await program.line()
        program.process.send_signal(signal.SIGTERM)
        assert await systemd.state() == "STOPPING=1"
        assert await program.lines_until("returned")


async def test_a_supervisor_says_how_it_is_for_all_workers(
    systemd: Systemd, tmp_path: Path
) -> None:
    async with supervised(tmp_path) as service:
        assert await systemd.state() == "STATUS=starting 2 workers"
        assert await systemd.state() == "READY=1\nSTATUS=2 workers"
        async with client_of(service) as client:
            assert "NOTIFY_SOCKET" not in (await client.ask("environment")).split()
        service.send_signal(signal.SIGHUP)
        state = await systemd.state()
        assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", state)
        assert await systemd.state() == "READY=1\nSTATUS=2 workers, generation 2"
        service.write("import no_such_module_anywhere\n")
        service.send_signal(signal.SIGHUP)
        assert (await systemd.state()).startswith("RELOADING=1")
        state = await systemd.state()
        assert state.startswith("READY=1\nSTATUS=reload failed, the old workers stay")
        service.write(SERVICE)
        service.send_signal(signal.SIGTERM)
        assert await systemd.state() == "STOPPING=1\nSTATUS=draining"
        assert await service.end() == 0
