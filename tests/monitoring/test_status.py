"""The pages of status, over HTTP on a virtual network."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import partial

import pytest
import trio
from hypothesis import example, given, settings
from hypothesis import strategies as st

import trio_tcp
from tests.monitoring.scraping import (
    Fresh,
    ask,
    ignore,
    samples,
    split,
    strictly_parsed,
)
from trio_tcp import codecs, monitoring, testing
from trio_tcp.monitoring import Exposition, Readiness
from trio_tcp.testing import VirtualNetwork, run_simulation, simulated

PORT = 9100
HOST_HEADER = b"Host: server\r\n\r\n"


class Fixed:
    """A source that always says the same, and counts how often figures are asked for.

    Attributes:
        asked: when they were.
        failure: what is raised instead.
    """

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.failure: Exception | None = None

    def readiness(self) -> Readiness:
        return Readiness(is_ready=True, reason="always")

    async def expose(self, accept: str) -> Exposition:
        await trio.lowlevel.checkpoint()
        self.asked.append(trio.current_time())
        if self.failure is not None:
            raise self.failure
        return Exposition(b"figures\n", f"text/plain; accept={accept}")


async def start(
    net: VirtualNetwork,
    source: monitoring.StatusSource,
    observer: trio_tcp.Observer = ignore,
) -> None:
    """Serve status on the host ``server``, for good."""
    started = trio.Event()

    def observe(event: trio_tcp.Event) -> None:
        if isinstance(event, trio_tcp.ServerStarted):
            started.set()
        observer(event)

    serve = partial(monitoring.serve_status, PORT, source=source, host=None)
    net.host("server").start(partial(serve, observer=observe))
    await started.wait()


def get(path: str, *, method: str = "GET", headers: bytes = b"") -> bytes:
    return f"{method} {path} HTTP/1.1\r\n".encode() + headers + HOST_HEADER


@simulated(seeds=3)
async def test_each_page_answers(net: VirtualNetwork) -> None:
    await start(net, Fixed())
    status, headers, body = split(await ask(net, get("/metrics")))
    assert (status, body) == (200, b"figures\n")
    assert headers["content-length"] == "8"
    status, headers, body = split(await ask(net, get("/live")))
    assert (status, headers["content-type"]) == (200, "application/json")
    assert json.loads(body)["live"] is True
    status, headers, body = split(await ask(net, get("/ready?verbose=1")))
    assert (status, headers["cache-control"]) == (200, "no-store")
    assert json.loads(body) == {"ready": True, "reason": "always"}


@simulated(seeds=3)
async def test_head_is_get_without_the_body(net: VirtualNetwork) -> None:
    await start(net, Fixed())
    for path in ("/metrics", "/live", "/ready", "/nothing"):
        got = split(await ask(net, get(path)))
        head = split(await ask(net, get(path, method="HEAD")))
        assert got[2]
        assert head[:2] == ({**got[1]} and got[0], got[1])
        assert head[2] == b""


@simulated(seeds=3)
async def test_one_connection_serves_for_many_requests(net: VirtualNetwork) -> None:
    """One after the other, or sent ahead; each with its own answer, in order."""
    await start(net, Fixed())
    requests = get("/live") + get("/metrics", method="HEAD") + get("/x") + get("/ready")
    answers = (await ask(net, requests)).split(b"HTTP/1.1 ")
    assert [answer[:3] for answer in answers] == [b"", b"200", b"200", b"404", b"200"]
    assert b"Connection: close" not in b"".join(answers)


@simulated(seeds=1)
async def test_there_are_no_other_pages_and_methods(net: VirtualNetwork) -> None:
    await start(net, Fixed())
    for path in ("/", "/metrics/", "/../live", "//live", "*", "/LIVE"):
        status, _, body = split(await ask(net, get(path)))
        assert (status, json.loads(body)) == (404, {"error": "Not Found"})
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get", "CONNECT"):
        status, headers, _ = split(await ask(net, get("/live", method=method)))
        assert (status, headers["allow"]) == (405, "GET, HEAD")


@simulated(seeds=1)
async def test_a_target_may_be_a_whole_url(net: VirtualNetwork) -> None:
    """As a client of a proxy sends it (RFC 9112, 3.2.2)."""
    await start(net, Fixed())
    for target in ("http://server:9100/live", "http://[::1]/live?x", "http://[/live"):
        assert split(await ask(net, get(target)))[0] == 200
    assert split(await ask(net, get("http://server")))[0] == 404


@simulated(seeds=3)
async def test_a_request_with_a_body_is_the_last_one(net: VirtualNetwork) -> None:
    """The body is not read, so what follows it cannot be told from it."""
    await start(net, Fixed())
    for body in (
        b"Content-Length: 9999999999\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Length: 5\r\nExpect: 100-continue\r\n",
    ):
        request = get("/live", headers=body) + b"5\r\nGET /live"
        status, headers, _ = split(await ask(net, request))
        assert (status, headers["connection"]) == (200, "close")


@simulated(seeds=1)
async def test_http_1_0_is_answered_and_closed(net: VirtualNetwork) -> None:
    await start(net, Fixed())
    status, headers, _ = split(await ask(net, b"GET /live HTTP/1.0\r\n\r\n"))
    assert (status, headers["connection"]) == (200, "close")


GARBAGE = {
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "no host": (b"GET /live HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET /live HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "another version": (b"GET /live HTTP/one\r\nHost: a\r\n\r\n", 400),
    "two lengths": (
        get("/live", headers=b"Content-Length: 1\r\nContent-Length: 2\r\n"),
        400,
    ),
    "a negative length": (get("/live", headers=b"Content-Length: -1\r\n"), 400),
    "a bad chunk": (
        get("/live", headers=b"Transfer-Encoding: chunked\r\n") + b"xyz\r\n",
        400,
    ),
    "an unknown coding": (get("/live", headers=b"Transfer-Encoding: rot13\r\n"), 501),
    "a folded line": (b"GET /live HTTP/1.1\r\n folded\r\nHost: a\r\n\r\n", 400),
    "a header with a NUL": (get("/live", headers=b"A: \0\r\n"), 400),
    "a truncated head": (b"GET /live HTTP/1.1\r\nHost: a\r\n", 400),
    "a long head": (get("/live", headers=b"A: " + b"x" * 100_000), 431),
    "a long line": (b"GET /" + b"x" * 100_000, 431),
    "an endless name": (b"x" * 100_000, 431),
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_is_refused_with_what_is_wrong(kind: str) -> None:
    request, expected = GARBAGE[kind]

    async def main(net: VirtualNetwork) -> None:
        await start(net, Fixed())
        status, headers, body = split(await ask(net, request))
        assert (status, headers["connection"]) == (expected, "close")
        assert len(body) == int(headers["content-length"])
        assert split(await ask(net, get("/live")))[0] == 200  # and others are served

    run_simulation(main, seed=1)


def test_whoever_comes_and_goes_without_a_word_is_no_error() -> None:
    events: list[trio_tcp.Event] = []

    async def main(net: VirtualNetwork) -> None:
        await start(net, Fixed(), events.append)
        assert await ask(net, b"") == b""
        assert await ask(net, get("/live") + b"\r\n") != b""
        await trio.sleep(10)

    run_simulation(main, seed=1)
    reasons = [e.reason for e in events if isinstance(e, trio_tcp.ConnectionEnded)]
    assert len(reasons) == 2
    assert not any(isinstance(event, trio_tcp.HandlerFailed) for event in events)


@simulated(seeds=2)
async def test_who_is_slow_to_ask_is_told_and_closed(net: VirtualNetwork) -> None:
    """A byte now and then keeps no request alive; silence no connection."""
    await start(net, Fixed())

    async def dribble() -> bytes:
        stream = await trio.open_tcp_stream("server", PORT)
        answer = b""
        async with stream, trio.open_nursery() as nursery:

            async def read() -> None:
                nonlocal answer
                answer = b"".join([chunk async for chunk in stream])
                nursery.cancel_scope.cancel()

            nursery.start_soon(read)
            for byte in get("/live"):
                await stream.send_all(bytes([byte]))
                await trio.sleep(1)
        return answer

    began = trio.current_time()
    answer = await net.host("slow").run(dribble)
    assert split(answer)[0] == 408
    assert trio.current_time() - began < 10

    async def say_nothing() -> bytes:
        stream = await trio.open_tcp_stream("server", PORT)
        async with stream:
            return await stream.receive_some()

    began = trio.current_time()
    assert await net.host("silent").run(say_nothing) == b""
    assert trio.current_time() - began < 10


@simulated(seeds=2)
async def test_nobody_alone_takes_the_places_of_all_probes(net: VirtualNetwork) -> None:
    """A probe that is refused has a service killed that is well."""
    await start(net, Fixed())
    held: list[trio.SocketStream] = []

    async def hold() -> None:
        for _ in range(100):
            stream = await trio.open_tcp_stream("server", PORT)
            with suppress(trio.BrokenResourceError):
                await stream.send_all(get("/live"))
                await stream.receive_some()
            held.append(stream)

    async def probe() -> bytes:
        async with await trio.open_tcp_stream("server", PORT) as stream:
            await stream.send_all(get("/live"))
            return await stream.receive_some()

    await net.host("greedy").run(hold)
    assert len(held) == 100
    assert split(await net.host("kubelet").run(probe))[0] == 200


@simulated(seeds=2)
async def test_a_scraper_may_be_silent_for_minutes(net: VirtualNetwork) -> None:
    """Prometheus keeps its connection between scrapes."""
    await start(net, Fixed())

    async def scrape() -> list[bytes]:
        stream = await trio.open_tcp_stream("server", PORT)
        answers: list[bytes] = []
        async with stream:
            for _ in range(3):
                await stream.send_all(get("/live"))
                answers.append((await stream.receive_some())[:15])
                await trio.sleep(240)
        return answers

    assert await net.host("prometheus").run(scrape) == [b"HTTP/1.1 200 OK"] * 3


@simulated(seeds=2)
async def test_a_crowd_is_kept_out_and_the_server_goes_on(net: VirtualNetwork) -> None:
    """More connections than a few are reset; when some have gone, others get in."""
    source = Fixed()
    await start(net, source)

    async def hold() -> None:
        streams = [await trio.open_tcp_stream("server", PORT) for _ in range(16)]
        await trio.sleep(10)  # none of them asks for anything
        for stream in streams:
            await trio.aclose_forcefully(stream)

    async with trio.open_nursery() as nursery:
        for name in ("one", "two"):
            nursery.start_soon(net.host(name).run, hold)
        await trio.sleep(1)
        with pytest.raises((OSError, trio.BrokenResourceError)):
            await ask(net, get("/live"))
    assert split(await ask(net, get("/live")))[0] == 200


@simulated(seeds=1)
async def test_figures_are_collected_ten_times_a_second_at_most(
    net: VirtualNetwork,
) -> None:
    """However many ask, and however often: all are answered, each in its turn."""
    source = Fixed()
    await start(net, source)

    async def scrape_often() -> None:
        answers = await ask(net, get("/metrics") * 5)
        assert answers.count(b"HTTP/1.1 200") == 5

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(scrape_often)
    assert len(source.asked) == 50
    gaps = [b - a for a, b in zip(source.asked, source.asked[1:], strict=False)]
    assert min(gaps) >= 0.1 - 1e-9
    assert max(gaps) < 0.2


def test_a_source_that_fails_is_an_error_of_the_server() -> None:
    """The client gets to know that, and the operator what it was."""
    source = Fixed()
    source.failure = KeyError("figure")
    events: list[trio_tcp.Event] = []

    async def main(net: VirtualNetwork) -> None:
        await start(net, source, events.append)
        answers = await ask(net, get("/metrics") + get("/live"))
        assert answers.count(b"HTTP/1.1 500 Internal Server Error\r\n") == 1
        assert answers.count(b"HTTP/1.1 200") == 1
        assert b"figure" not in answers

    run_simulation(main, seed=1)
    [failed] = [e for e in events if isinstance(e, trio_tcp.HandlerFailed)]
    assert failed.error is source.failure


@simulated(seeds=2)
async def test_readiness_fails_first_and_then_the_server_goes(
    net: VirtualNetwork,
) -> None:
    """As balancers need it: they notice, while their clients are still served."""
    fresh = Fresh()
    release = trio.Event()

    async def hold(connection: trio_tcp.Connection[str, str]) -> None:
        async for line in connection:
            await release.wait()
            await connection.send(line)

    async def ready() -> tuple[int, str]:
        status, _, body = split(await ask(net, get("/ready")))
        content = json.loads(body)
        assert content["ready"] == (status == 200)
        return status, content["reason"].rpartition(": ")[2]

    async def call() -> str:
        codec = codecs.Lines()
        async with trio_tcp.connect_tcp("server", 80, codec=codec) as connection:
            await connection.send("hello")
            return await connection.receive()

    await start(net, fresh.metrics)
    assert await ready() == (503, "no server has started")
    async with trio.open_nursery() as nursery:
        serve = partial(trio_tcp.serve_tcp, hold, 80, codec=codecs.Lines())
        server: trio_tcp.Server = await nursery.start(
            net.host("server").run, fresh.metrics.watched(serve)
        )
        assert await ready() == (200, "accepting")
        server.suspend()
        assert await ready() == (503, "suspended")
        server.resume()
        assert await ready() == (200, "accepting")
        server.announce_drain()
        assert await ready() == (503, "leaving")
        nursery.start_soon(net.host("late").run, call)  # is still served
        await trio.sleep(1)
        nursery.start_soon(server.drain)
        await trio.sleep(1)
        assert await ready() == (503, "draining")
        release.set()
    assert await ready() == (503, "stopped")


@simulated(seeds=1)
async def test_all_servers_must_accept(net: VirtualNetwork) -> None:
    fresh = Fresh()
    await start(net, fresh.metrics)
    async with trio.open_nursery() as nursery:
        servers: list[trio_tcp.Server] = []
        for port in (80, 81):
            serve = partial(trio_tcp.serve_tcp, hang, port, codec=codecs.Lines())
            servers.append(
                await nursery.start(
                    net.host("server").run, fresh.metrics.watched(serve)
                )
            )
        assert split(await ask(net, get("/ready")))[0] == 200
        servers[0].suspend()
        status, _, body = split(await ask(net, get("/ready")))
        assert status == 503
        assert json.loads(body)["reason"].count("accepting") == 1
        nursery.cancel_scope.cancel()


async def hang(_: trio_tcp.Connection[str, str]) -> None:
    await trio.sleep_forever()


@simulated(seeds=1)
async def test_the_format_is_what_the_scraper_wants_most(net: VirtualNetwork) -> None:
    fresh = Fresh()
    await start(net, fresh.metrics)
    _, headers, body = split(await ask(net, get("/metrics")))
    assert headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "trio_tcp_connections_accepted_total" in samples(body.decode())
    # As Prometheus asks.
    accept = (
        b"Accept: application/openmetrics-text;version=1.0.0;"
        b"escaping=allow-utf-8;q=0.5,\r\nAccept: text/plain;version=0.0.4;q=0.3\r\n"
    )
    _, headers, body = split(await ask(net, get("/metrics", headers=accept)))
    assert headers["content-type"].startswith("application/openmetrics-text; version=")
    assert body.endswith(b"# EOF\n")
    assert strictly_parsed(body.decode())


ACCEPT = st.one_of(
    st.binary(max_size=30),
    st.from_regex(
        rb"(application/openmetrics-text|text/plain); ?version=[^\r\n\0]{0,9}(,.*)?",
        fullmatch=True,
    ),
)


@settings(max_examples=25)
@example("application/openmetrics-text; version=2.\xe9".encode("latin-1"))
@example(b'text/plain; version=2."; escaping=none')
@example(b"application/openmetrics-text; version=one")
@given(ACCEPT.filter(lambda value: not any(byte < 32 or byte == 127 for byte in value)))
def test_no_accept_header_makes_it_fail(accept: bytes) -> None:
    """Its version is quoted in the answer, and is whatever a client likes."""
    fresh = Fresh()

    async def main(net: VirtualNetwork) -> None:
        await start(net, fresh.metrics)
        headers = b"Accept: " + accept + b"\r\n"
        status, _, body = split(await ask(net, get("/metrics", headers=headers)))
        assert status == 200
        assert b"trio_tcp_connections_accepted_total" in body

    run_simulation(main, seed=1)


@settings(max_examples=100)
@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_make_it_fail(noise: bytes, begins_well: bool) -> None:
    """Whatever is sent, there is an answer or none, and the handler is content."""
    events: list[trio_tcp.Event] = []
    request = b"GET /live HTTP/1.1\r\n" + noise if begins_well else noise

    async def main(net: VirtualNetwork) -> None:
        await start(net, Fixed(), events.append)
        await ask(net, request)

    run_simulation(main, seed=1)
    assert not any(isinstance(event, trio_tcp.HandlerFailed) for event in events)


@simulated(seeds=1)
async def test_a_thousand_scrapes_change_nothing(net: VirtualNetwork) -> None:
    """On one connection: the figures are as many as before, and say the same."""
    fresh = Fresh()
    await start(net, fresh.metrics)
    before = fresh.now()

    async def scrape() -> None:
        stream = await trio.open_tcp_stream("server", PORT)
        request = get("/metrics", method="HEAD")
        async with stream:
            for _ in range(1000):
                await stream.send_all(request)
                assert await stream.receive_some()

    await net.host("prometheus").run(scrape)
    assert fresh.now() == before


async def test_it_is_not_to_be_reached_from_elsewhere_by_default() -> None:
    """Over a real socket, for the addresses are what is asked about."""
    async with trio.open_nursery() as nursery:
        serve = partial(monitoring.serve_status, source=Fixed())
        server: trio_tcp.Server = await nursery.start(serve, 0)
        [address] = server.addresses
        assert str(address) == f"127.0.0.1:{server.port}"
        nursery.cancel_scope.cancel()


async def test_a_server_with_no_address_has_a_state_too() -> None:
    fresh = Fresh()
    async with testing.serve_in_memory(hang, codecs.Lines()) as served:
        fresh.metrics.watch(served.server)
        assert fresh.metrics.readiness() == Readiness(
            is_ready=True, reason="a server with no address: accepting"
        )
