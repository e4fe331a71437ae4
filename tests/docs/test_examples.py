"""The examples in docstrings run, in memory; those with sockets are in integration/."""

from __future__ import annotations

import ast
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import prometheus_client
import pytest
import trio
import trio.testing

import trio_tcp
from tests.certificates import client_context, server_context
from tests.docs.examples import (
    ALL_BLOCKS,
    EXAMPLES,
    OTHER_BLOCKS,
    RUN,
    Example,
    echo,
    runs,
)
from tests.integration import test_examples as with_sockets
from trio_tcp import codecs, monitoring, testing
from trio_tcp.testing import VirtualNetwork, simulated

LINES: Final = codecs.Lines()
Strings = trio_tcp.Connection[str, str]


def test_every_example_is_run_by_some_test() -> None:
    """And what is run by none is no Python."""
    assert with_sockets.__name__
    assert set(EXAMPLES) == RUN
    assert set(ALL_BLOCKS) - RUN == OTHER_BLOCKS


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
def test_every_example_is_python(example: Example) -> None:
    """And not empty."""
    assert ast.parse(example.code).body


# By themselves


@runs(
    "Backoff",
    "Chunks",
    "Concurrency",
    "Decoder",
    "Delimited",
    "FixedLength",
    "Json",
    "JsonFormatter",
    "KeepAlive",
    "LengthField",
    "LengthPrefixed",
    "Limits",
    "Lines",
    "Mapped",
    "MemoryBroker",
    "MessagePack",
    "Netstrings",
    "ProxyProtocol",
    "RetryBudget",
    "Timeouts",
    "VarintPrefixed",
    "check_backplane",
    "connection_pair",
    "memory_stream_pair",
    "open_timer",
    "serve_in_memory",
)
async def test_it_runs_by_itself(
    example: Example, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what it asserts holds."""
    from trio_tcp.cli._bench._timer import open_timer  # noqa: PLC0415 - of one alone

    monkeypatch.setattr(logging.root, "handlers", [logging.NullHandler()])
    await example.run(open_timer=open_timer)


@runs("trio_tcp.codecs._codec")
def test_the_codec_is_one(example: Example) -> None:
    """It keeps the promises, as the example of `check_codec` finds."""
    names = example.define()
    EXAMPLES["check_codec"].define(Tlv=names["Tlv"])


RUN.add("check_codec")


class Person:
    """Written and read as protobuf's classes do."""

    def __init__(self, name: str) -> None:
        self.name = name

    @classmethod
    def FromString(cls, data: bytes) -> Person:  # noqa: N802 - protobuf's name
        """Read one."""
        return cls(data.decode())

    def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's name
        """Write it."""
        return self.name.encode()


@runs("trio_tcp.codecs._mapped")
def test_messages_are_mapped(example: Example) -> None:
    """An object to bytes and back, and a checksum that finds damage."""
    names = example.define(Person=Person)
    decoder = codecs.Decoder(names["people"])
    decoder.feed(names["people"].encode(Person("Ada")))
    assert decoder.next_message().name == "Ada"
    decoder = codecs.Decoder(names["checked"])
    frame = names["checked"].encode(b"payload")
    decoder.feed(frame + frame.replace(b"pay", b"pax"))
    assert decoder.next_message() == b"payload"
    with pytest.raises(trio_tcp.MalformedMessageError, match="wrong checksum"):
        decoder.next_message()


@runs("run_simulation")
def test_a_simulation_runs(example: Example) -> None:
    """To its end."""
    example.define()


@runs("simulated")
def test_a_simulated_test_passes(example: Example) -> None:
    """Under all its seeds."""
    example.define()["test_a_slow_network_loses_nothing"]()


# Over connections in memory


@runs("open_connection")
async def test_a_stream_carries_messages(example: Example) -> None:
    """The other end reads its bytes."""
    here, there = testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(example.run, stream=here))
        assert await there.receive_some() == b"hello\n"
        await there.aclose()


@asynccontextmanager
async def answered(example: Example, **names: Any) -> AsyncGenerator[Strings]:  # noqa: ANN401 - names
    """Run one over a connection, whose other end a block has."""
    async with testing.connection_pair(LINES) as (here, there):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(example.run, connection=here, **names))
            yield there


@runs("Connection")
async def test_a_handler_greets(example: Example) -> None:
    """Everybody who says a name."""
    greet = example.define()["greet"]
    async with testing.serve_in_memory(greet, LINES) as served:
        async with served.connect() as client:
            assert await client.receive() == "who is there?"
            await client.send("Ada")
            assert await client.receive() == "hello, Ada"


@runs("Connection.busy")
async def test_a_dialogue_is_marked(example: Example) -> None:
    """And goes on as any other."""
    async with testing.connection_pair(LINES) as (here, there):
        await there.send("secret")
        names = await example.run(connection=here)
        assert await there.receive() == "password?"
    assert names["password"] == "secret"


@runs("Connection.cancel_on_disconnect")
async def test_nobody_waits(
    example: Example, capsys: pytest.CaptureFixture[str]
) -> None:
    """When the peer is gone."""
    async with answered(example, write_report=trio.sleep_forever) as there:
        there.abort()
    assert capsys.readouterr().out == "nobody waits for it any more\n"


@runs("Connection.switch_codec")
async def test_the_codec_changes(example: Example) -> None:
    """After the first line."""
    async with testing.connection_pair(LINES) as (here, there):
        await there.send("5")
        there.switch_codec(codecs.FixedLength(5)).send_nowait(b"12345")
        names = await example.run(connection=here)
    assert names["picture"] == b"12345"


@runs("Connection.start_tls")
async def test_a_connection_starts_tls(example: Example) -> None:
    """After both have agreed."""
    async with answered(example, context=server_context()) as there:
        await there.send("STARTTLS")
        assert await there.receive() == "go ahead"
        await there.start_tls(client_context(), server_hostname="localhost")
        assert there.tls is not None


@runs("Server.drain")
@simulated(seeds=1)
async def test_a_server_drains(
    net: VirtualNetwork, example: Example, capsys: pytest.CaptureFixture[str]
) -> None:
    """And says how it went."""
    async with testing.serve_in_memory(echo, LINES) as served:
        async with served.connect() as client:
            await client.send("hello")
            assert await client.receive() == "hello"
            await example.run(server=served.server)
    assert capsys.readouterr().out == "1 finished, 0 cancelled\n"


@runs("Observer")
async def test_an_observer_counts(example: Example) -> None:
    """What it looks for."""

    async def fail(connection: Strings) -> None:
        await connection.receive()
        raise RuntimeError

    failures = list[BaseException]()
    observe = example.define(failures=failures)["observe"]
    async with testing.serve_in_memory(fail, LINES, observer=observe) as served:
        async with served.connect() as client:
            await client.send("hello")
            await client.wait_disconnected()
            await trio.testing.wait_all_tasks_blocked()
    assert [type(error) for error in failures] == [RuntimeError]


@runs("broadcast_nowait")
async def test_slow_members_are_left_behind(example: Example) -> None:
    """The others get it."""
    async with testing.connection_pair(LINES) as (slow, _):
        async with testing.connection_pair(LINES) as (here, there):
            with pytest.raises(trio.WouldBlock):
                while True:
                    slow.send_nowait("x" * 10_000)
            example.define(members=[slow, here])
            assert await there.receive() == "tick"
            assert slow.close_reason is not None
            assert here.close_reason is None


@runs("Position")
async def test_a_subscriber_goes_on_where_it_was(example: Example) -> None:
    """With what came after."""
    hub = trio_tcp.Hub[str](history={"prices": 10})
    item = await hub.publish("prices", "7")
    await hub.publish("prices", "8")
    prices = example.define(hub=hub, item=item)["prices"]
    assert (await prices.receive()).message == "8"


@runs("broadcast")
async def test_all_members_get_what_one_says(example: Example) -> None:
    """The one who said it, too."""
    members = dict[Strings, None]()
    relay = example.define(members=members)["relay"]
    async with testing.serve_in_memory(relay, LINES) as served:
        async with served.connect() as one, served.connect() as two:
            await trio.testing.wait_all_tasks_blocked()
            await one.send("hello")
            assert await one.receive() == await two.receive() == "hello"
    assert not members


@runs("Hub")
async def test_who_comes_later_gets_the_history(example: Example) -> None:
    """And what is said from then on."""
    chat = example.define()["chat"]
    async with testing.serve_in_memory(chat, LINES) as served:
        async with served.connect() as one:
            await one.send("first")
            assert await one.receive() == "first"
            async with served.connect() as two:
                assert await two.receive() == "first"
                await one.send("second")
                assert await two.receive() == "second"


@runs("Hub.subscribe")
async def test_a_task_gets_what_is_published(
    example: Example, capsys: pytest.CaptureFixture[str]
) -> None:
    """Under its topics, until the hub is closed."""
    hub = trio_tcp.Hub[str]()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(example.run, hub=hub))
        await trio.testing.wait_all_tasks_blocked()
        hub.publish_nowait("prices.gold", "7")
        hub.publish_nowait("weather", "rain")
        hub.close()
    assert capsys.readouterr().out == "prices.gold 7\n"


@runs("Requester")
async def test_requests_share_a_connection(example: Example) -> None:
    """Each is answered."""
    requests = list[str]()

    def answer(request: str) -> str:
        requests.append(request)
        return request

    handler = trio_tcp.respond(answer)
    async with testing.serve_in_memory(handler, LINES) as served:
        async with served.connect() as connection:
            await example.run(connection=connection, keys=["a", "b"])
    assert sorted(requests) == ["GET a", "GET b"]


@runs("Server.limits")
async def test_limits_change_while_the_server_runs(example: Example) -> None:
    """The others stay as they were."""
    async with testing.serve_in_memory(echo, LINES) as served:
        await example.run(server=served.server)
        assert served.server.limits == trio_tcp.Limits(max_connections=100)


@runs("Metrics.timed")
async def test_calls_are_timed(example: Example) -> None:
    """Under the function's name."""

    def price(request: str) -> str:
        return request

    registry = prometheus_client.CollectorRegistry()
    metrics = monitoring.Metrics(registry)
    handler = example.define(metrics=metrics, price=price)["handler"]
    async with testing.serve_in_memory(handler, LINES) as served:
        async with served.connect() as client:
            await client.send("gold")
            assert await client.receive() == "gold"
    assert 'function="price"' in monitoring.exposition(registry)


# On the virtual network


@asynccontextmanager
async def running(example: Example, **names: Any) -> AsyncGenerator[None]:  # noqa: ANN401
    """Run one that does not end, in the background of a block."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(example.run, **names))
        yield
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def serving(
    net: VirtualNetwork,
    handler: trio_tcp.Handler[str, str],
    port: int,
    host: str = "test",
) -> AsyncGenerator[None]:
    """Serve lines on a host, in the background of a block."""
    serve = partial(trio_tcp.serve_tcp, handler, port, codec=LINES)
    async with trio.open_nursery() as nursery:
        await nursery.start(net.host(host).run, serve)
        yield
        nursery.cancel_scope.cancel()


async def says_hello(port: int) -> None:
    """Talk to a server that sends back every line."""
    async with trio_tcp.connect_tcp("localhost", port, codec=LINES) as client:
        await client.send("hello")
        assert await client.receive() == "hello"


@runs("connect_tcp")
@simulated(seeds=1)
async def test_a_client_talks_to_a_server(
    net: VirtualNetwork, example: Example, capsys: pytest.CaptureFixture[str]
) -> None:
    """And prints what comes back."""
    async with serving(net, echo, 8888):
        await example.run()
    assert capsys.readouterr().out == "hello\n"


@runs("framed")
@simulated(seeds=1)
async def test_a_server_echoes(net: VirtualNetwork, example: Example) -> None:
    """On its port."""
    async with running(example):
        await net.settle()
        await says_hello(8888)


@runs("serve_tcp")
@simulated(seeds=1)
async def test_a_server_says_where_it_listens(
    net: VirtualNetwork, example: Example, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the port that it was given."""
    async with running(example):
        await net.settle()
        said, _, port = capsys.readouterr().out.rpartition(" ")
        assert said == "listening on port"
        await says_hello(int(port))


@runs("Tls")
@simulated(seeds=1)
async def test_a_server_speaks_tls(net: VirtualNetwork, example: Example) -> None:
    """To a client that trusts it."""
    async with running(example, codec=LINES, context=server_context()):
        await net.settle()
        connect = partial(trio_tcp.connect_tcp, "localhost", 8888, codec=LINES)
        async with connect(tls=client_context()) as client:
            await client.send("hello")
            assert await client.receive() == "hello"


@runs("heartbeat")
@simulated(seeds=1)
async def test_a_silent_peer_is_asked(net: VirtualNetwork, example: Example) -> None:
    """The loop goes on while it answers, and ends with it."""
    asked = list[str]()

    async def answer(connection: Strings) -> None:
        asked.append(await connection.receive())
        await connection.send("PONG")

    async with serving(net, answer, 8888):
        connect = partial(trio_tcp.connect_tcp, "localhost", 8888, codec=LINES)
        async with connect() as connection:
            await example.run(connection=connection)
    assert asked == ["PING"]


@runs("open_pool")
@simulated(seeds=1)
async def test_a_pool_lends_a_connection(
    net: VirtualNetwork, example: Example, capsys: pytest.CaptureFixture[str]
) -> None:
    """To the server on the host db."""
    answers = {"GET answer": "42"}
    async with serving(net, trio_tcp.respond(answers.__getitem__), 6379, "db"):
        await example.run()
    assert capsys.readouterr().out == "42\n"


@runs("open_requester", "open_requester_pool")
@simulated(seeds=1)
async def test_a_request_gets_its_reply(
    net: VirtualNetwork, example: Example, capsys: pytest.CaptureFixture[str]
) -> None:
    """And prints it."""
    async with serving(net, trio_tcp.respond({"PING": "PONG"}.__getitem__), 6379):
        await example.run()
    assert capsys.readouterr().out == "PONG\n"


@runs("open_session")
@simulated(seeds=1)
async def test_a_session_goes_on(
    net: VirtualNetwork, example: Example, capsys: pytest.CaptureFixture[str]
) -> None:
    """Over as many connections as it takes."""

    async def say_once(connection: Strings) -> None:
        await connection.send("news")

    async with serving(net, say_once, 8888):
        with trio.move_on_after(100):
            await example.run()
    assert capsys.readouterr().out.startswith("news\nnews\n")


@runs("Metrics")
@simulated(seeds=1)
async def test_a_server_is_watched(net: VirtualNetwork, example: Example) -> None:
    """It is ready, as it accepts."""
    async with trio.open_nursery() as nursery:
        metrics = (await example.run(nursery=nursery))["metrics"]
        prometheus_client.REGISTRY.unregister(metrics)  # for those that come after
        await says_hello(8888)
        assert metrics.readiness().is_ready
        nursery.cancel_scope.cancel()


@runs("serve_status")
@simulated(seeds=1)
async def test_the_status_is_served(net: VirtualNetwork, example: Example) -> None:
    """On its port."""
    metrics = monitoring.Metrics(prometheus_client.CollectorRegistry())
    async with trio.open_nursery() as nursery:
        await example.run(nursery=nursery, metrics=metrics)
        stream = await trio.open_tcp_stream("localhost", 9100)
        await stream.send_all(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 200 ")
        nursery.cancel_scope.cancel()


@runs("trio_tcp.testing.faults")
@simulated(seeds=1)
async def test_a_fault_is_put_on_a_path(net: VirtualNetwork, example: Example) -> None:
    """For the length of the block."""
    net.host("a")
    net.host("b")
    await example.run(net=net)
    assert [span.where for span in net.trace.faults] == ["a <-> b"]
    assert not net.injections


@runs("Chaos")
@simulated(seeds=1)
async def test_chaos_reigns_beside_a_block(
    net: VirtualNetwork, example: Example
) -> None:
    """And is over behind it."""
    faults_in_force = list[int]()

    async def use_the_service() -> None:
        await trio.sleep(15)
        faults_in_force.append(len(net.trace.faults))

    net.host("a")
    await example.run(net=net, use_the_service=use_the_service)
    assert faults_in_force[0] > 0
    assert not net.injections


@runs("Plan")
@simulated(seeds=1)
async def test_a_plan_is_followed(net: VirtualNetwork, example: Example) -> None:
    """Beside a block."""
    net.host("a")
    net.host("b")
    await example.run(net=net, use_the_service=trio.lowlevel.checkpoint)
    assert [span.begin for span in net.trace.faults] == [1, 8]


@runs("VirtualNetwork")
async def test_a_network_alone_has_trios_clock(example: Example) -> None:
    """And a plain server of Trio's."""

    async def handler(stream: trio.SocketStream) -> None:
        await stream.aclose()

    names = await example.run(handler=handler)
    assert isinstance(names["stream"], trio.SocketStream)
