"""A proxy that is changed while it runs: over HTTP, by a client that is not ours."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx  # noqa: ASYNC127 - the one that programs have
import pytest
import trio

import trio_tcp
from tests.integration.loopback import (
    LOOPBACK,
    connect,
    echo,
    receive_all,
    receive_exactly,
    receive_reset,
    reset,
    start_server,
    until,
)
from trio_tcp import codecs, testing
from trio_tcp.cli._proxy._control import serve_control
from trio_tcp.cli._proxy._desk import Desk


@asynccontextmanager
async def controlled() -> AsyncGenerator[tuple[Desk, httpx.AsyncClient, int], None]:
    """Run a proxy before an echo, with a client and the port of its control address."""
    async with trio.open_nursery() as nursery:
        target = await start_server(nursery, echo, codecs.Chunks())
        async with testing.open_fault_proxy(LOOPBACK, target.port) as proxy:
            desk = Desk(proxy)
            server: trio_tcp.Server = await nursery.start(
                serve_control, desk, 0, LOOPBACK
            )
            base = f"http://{LOOPBACK}:{server.port}"
            async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
                yield desk, client, server.port
        nursery.cancel_scope.cancel()


async def test_faults_are_added_listed_and_ended() -> None:
    async with controlled() as (desk, http, _):
        text = {"fault": "latency:0.2,jitter=0.1@to-client"}
        added = await http.post("/faults", json=text)
        first = {
            "id": 1,
            "fault": "latency:seconds=0.2,jitter=0.1",
            "place": "to-client",
        }
        assert (added.status_code, added.json()) == (201, first)
        assert added.headers["location"] == "/faults/1"
        await http.post("/faults", json={"fault": "hold"})
        listed = (await http.get("/faults")).json()["faults"]
        assert listed == [first, {"id": 2, "fault": "hold", "place": ""}]
        assert (await http.delete("/faults/1")).status_code == 204
        assert list(desk.faults) == [2]
        assert (await http.delete("/faults/1")).status_code == 404
        assert (await http.delete("/faults")).status_code == 204
        assert (await http.get("/faults")).json() == {"faults": []}
        assert desk.proxy.network.injections == []


async def test_connections_are_listed_and_reset() -> None:
    async with controlled() as (desk, http, _), connect(desk.proxy.port) as client:
        await client.send_all(b"hello")
        assert await receive_exactly(client, 5) == b"hello"
        [told] = (await http.get("/connections")).json()["connections"]
        host, port = client.socket.getsockname()
        assert told["client"] == f"{host}:{port}"
        assert told["upstream"] == str(desk.proxy.connections[1].upstream)
        counted = [told[name] for name in ("from_client", "to_server", "from_server")]
        assert counted == [5, 5, 5]
        held = await http.post("/faults", json={"fault": "hold@1"})
        assert held.json()["place"] == "1"
        await http.delete("/faults")
        assert (await http.post("/connections/1/reset")).status_code == 204
        assert await receive_reset(client) == b""
        await until(lambda: not desk.proxy.connections)
        assert (await http.post("/connections/1/reset")).status_code == 404


async def test_a_reset_is_over_at_once() -> None:
    async with controlled() as (desk, http, _), connect(desk.proxy.port) as client:
        await client.send_all(b"x")
        assert await receive_exactly(client, 1) == b"x"
        done = await http.post("/faults", json={"fault": "reset"})
        assert (done.status_code, done.json()["id"]) == (200, None)
        assert await receive_reset(client) == b""
        assert not desk.faults


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'{"fault": "latenzy:1"}', "did you mean latency"),
        (b'{"fault": "crash"}', "kill the process"),
        (b'{"fault": "hold@7"}', "no connection 7"),
        (b'{"fault": 1}', "it takes"),
        (b'{"fault": "hold", "for": 1}', "it takes"),
        (b"[]", "it takes"),
        (b"{", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[" * 60_000, "no JSON"),
        (b'{"fault": "hold@' + b"9" * 5000 + b'"}', "no place"),
    ],
)
async def test_what_is_wrong_with_a_fault_is_said(content: bytes, why: str) -> None:
    async with controlled() as (desk, http, _):
        answered = await http.post("/faults", content=content)
        assert answered.status_code == 400
        assert why in answered.json()["error"]
        assert not desk.faults


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/", 404),
        ("GET", "/faults/1", 405),
        ("DELETE", "/faults/x", 404),
        ("DELETE", "/faults/" + "9" * 5000, 404),
        ("PUT", "/faults", 405),
        ("GET", "/connections/1/reset", 405),
    ],
)
async def test_what_is_not_there_is_said(method: str, path: str, code: int) -> None:
    async with controlled() as (_, http, __):
        answered = await http.request(method, path)
        assert answered.status_code == code
        assert answered.json()["error"]


async def test_a_page_in_a_browser_can_do_nothing() -> None:
    async with controlled() as (desk, http, _):
        answered = await http.post(
            "/faults",
            content=b'{"fault": "hold"}',
            headers={"Origin": "http://evil.example"},
        )
        assert answered.status_code == 403
        assert not desk.faults


async def test_hostile_clients_disturb_nobody() -> None:
    """Garbage, half a request, a reset in the middle; then it works as before."""
    async with controlled() as (_, http, port):
        for sent in (
            b"\0" * 20_000,
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01\r\n\r\n",
        ):
            async with connect(port) as client:
                await client.send_all(sent)
                await client.send_eof()
                assert (await receive_all(client)).startswith(b"HTTP/1.1 4")
        slow = connect(port)
        await slow.send_all(b"POST /faults HTTP/1.1\r\nHost: a\r\nContent-Le")
        broken = connect(port)
        await broken.send_all(b"POST /faults HTTP/1.1\r\nHost: a\r\n")
        reset(broken)
        async with slow:
            assert (await http.get("/faults")).status_code == 200
