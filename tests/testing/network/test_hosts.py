from __future__ import annotations

import errno
import re
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from trio_tcp.testing.network import HostCrashedError, VirtualNetwork


async def echo(stream: trio.SocketStream) -> None:
    async for data in stream:
        await stream.send_all(data)


async def serve_echo(
    task_status: trio.TaskStatus[list[trio.SocketListener]],
) -> None:
    await trio.serve_tcp(echo, 0, host="10.0.0.1", task_status=task_status)


async def ask(host: str, port: int, question: bytes) -> bytes:
    async with await trio.open_tcp_stream(host, port) as stream:
        await stream.send_all(question)
        await stream.send_eof()
        return b"".join([data async for data in stream])


async def test_programs_find_each_other_by_the_names_of_their_hosts(
    autojump_clock: MockClock,
) -> None:
    async with VirtualNetwork() as net:
        net.host("server").start(trio.serve_tcp, echo, 80)
        await net.settle()
        assert await net.host("client").run(ask, "server", 80, b"hello") == b"hello"
        (connection,) = {(s.sender, s.receiver) for s in net.trace if s.payload} - {
            ("server", "client")
        }
        assert connection == ("client", "server")


async def test_each_host_has_ports_and_a_localhost_of_its_own(
    autojump_clock: MockClock,
) -> None:
    async def answer(stream: trio.SocketStream, word: bytes) -> None:
        await stream.send_all(word)

    async def serve(word: bytes) -> None:
        await trio.serve_tcp(lambda stream: answer(stream, word), 80)

    async with VirtualNetwork() as net:
        net.host("a").start(serve, b"this is a")
        net.host("b").start(serve, b"this is b")
        await net.settle()
        assert await net.host("a").run(ask, "localhost", 80, b"") == b"this is a"
        assert await net.host("b").run(ask, "127.0.0.1", 80, b"") == b"this is b"
        assert await net.host("a").run(ask, "b", 80, b"") == b"this is b"
        with pytest.raises(OSError, match="all attempts to connect"):
            await ask("localhost", 80, b"")


async def test_a_task_is_on_the_host_of_the_task_that_started_it(
    autojump_clock: MockClock,
) -> None:
    async def where() -> object:
        with trio.socket.socket() as sock:
            await sock.bind(("0.0.0.0", 0))
            await sock.connect(("10.0.0.1", 80))
            return sock.getsockname()[0]

    async with VirtualNetwork() as net:
        net.host("server", "10.0.0.1").start(trio.serve_tcp, echo, 80)
        await net.settle()
        found: list[object] = []

        async def note() -> None:
            found.append(await where())

        async def start_others() -> None:
            async with trio.open_nursery() as nursery:  # noqa: ASYNC112 - a task
                nursery.start_soon(note)
            found.append(await where())

        await net.host("a", "10.1.0.1").run(start_others)
        assert found == ["10.1.0.1", "10.1.0.1"]
        found.clear()
        await note()
        assert found == list(net.host("test").addresses)


async def test_a_host_may_have_several_addresses_of_both_families(
    autojump_clock: MockClock,
) -> None:
    async with VirtualNetwork() as net:
        server = net.host("server", "10.0.0.1", "10.0.0.2", "fd00::1")
        net.host("client", "10.0.0.9", "fd00::9")
        server.start(trio.serve_tcp, echo, 80)
        await net.settle()
        for address in server.addresses:
            assert await net.host("client").run(ask, address, 80, b"hi") == b"hi"
        sent_from = {s.source.ip for s in net.trace if s.sender == "client"}
        assert sent_from == {"10.0.0.9", "fd00::9"}


async def test_a_family_that_a_host_has_not_is_unreachable(
    autojump_clock: MockClock,
) -> None:
    async with VirtualNetwork() as net:
        net.host("server", "fd00::1")
        with trio.socket.socket(trio.socket.AF_INET6) as sock:
            with pytest.raises(OSError, match="unreachable") as caught:
                await sock.connect(("fd00::1", 80))
        assert caught.value.errno == errno.ENETUNREACH


@pytest.mark.parametrize(
    "addresses", [["10.0.0.1"], ["127.0.0.1"], ["::1"], ["10.0.0.256"], ["010.0.0.1"]]
)
def test_an_address_must_be_one_and_free(addresses: list[str]) -> None:
    net = VirtualNetwork()
    net.host("first", "10.0.0.1")
    with pytest.raises(ValueError, match=re.escape(addresses[0])):
        net.host("second", *addresses)


def test_an_address_that_is_given_out_is_none_that_a_host_was_given() -> None:
    net = VirtualNetwork()
    net.host("a", "10.0.0.2")
    net.host("b", "10.0.0.4")
    given = [net.host(name).addresses[0] for name in "cde"]
    assert len({*given, "10.0.0.2", "10.0.0.4"}) == 5


def test_a_host_cannot_be_given_other_addresses() -> None:
    net = VirtualNetwork()
    net.host("a", "10.0.0.1")
    assert net.host("a") is net.host("a", "10.0.0.1")
    with pytest.raises(ValueError, match=r"10\.0\.0\.1"):
        net.host("a", "10.0.0.2")


async def test_a_program_can_tell_when_it_has_started(
    autojump_clock: MockClock,
) -> None:
    async with VirtualNetwork() as net:
        async with trio.open_nursery() as nursery:
            (listener,) = await nursery.start(
                net.host("server").run,
                serve_echo,
            )
            port = listener.socket.getsockname()[1]
            assert await ask("server", port, b"hi") == b"hi"
            nursery.cancel_scope.cancel()


async def test_an_error_of_a_program_leaves_the_network_as_itself(
    autojump_clock: MockClock,
) -> None:
    async def fail() -> None:
        await trio.sleep(1)
        raise RuntimeError("no disk")

    with pytest.raises(RuntimeError, match="no disk"):
        async with VirtualNetwork() as net:
            net.host("server").start(fail)
            await trio.sleep_forever()


async def test_an_error_of_the_block_leaves_the_network_as_itself(
    autojump_clock: MockClock,
) -> None:
    with pytest.raises(KeyError, match="mine"):
        async with VirtualNetwork() as net:
            net.host("server").start(trio.sleep_forever)
            raise KeyError("mine")


async def test_what_a_function_on_a_host_raises_is_raised_where_it_is_awaited(
    autojump_clock: MockClock,
) -> None:
    async def fail() -> None:
        raise LookupError("nothing here")

    async with VirtualNetwork() as net:
        with pytest.raises(LookupError, match="nothing here"):
            await net.host("a").run(fail)


async def test_without_an_open_network_nothing_can_be_started(
    autojump_clock: MockClock,
) -> None:
    net = VirtualNetwork()
    with pytest.raises(RuntimeError, match="not open"):
        net.host("a").start(trio.sleep_forever)


async def test_a_call_is_no_program(autojump_clock: MockClock) -> None:
    """Told where it is started, and not when the network has failed of it."""
    called: Any = serve_echo(trio.TASK_STATUS_IGNORED)
    async with VirtualNetwork() as net:
        with pytest.raises(TypeError, match="function must be a function, not <corout"):
            net.host("a").start(called)
    called.close()


async def test_trio_has_its_own_sockets_again_after_the_network(
    autojump_clock: MockClock,
) -> None:
    async with VirtualNetwork():
        with trio.socket.socket() as sock:
            assert "Virtual" in repr(sock)
    with trio.socket.socket() as sock:
        assert "Virtual" not in repr(sock)


# Crashes -----------------------------------------------------------------------------


async def test_a_crash_ends_programs_and_sends_nothing(
    autojump_clock: MockClock,
) -> None:
    async with VirtualNetwork() as net:
        server = net.host("server")
        server.start(trio.serve_tcp, echo, 80)
        await net.settle()
        stream = await trio.open_tcp_stream("server", 80)
        await net.settle()
        sent = len(net.trace)
        server.crash()
        await net.settle()
        assert len(net.trace) == sent
        with trio.move_on_after(3600) as patience:
            await stream.receive_some()
        assert patience.cancelled_caught
        await stream.aclose()


async def test_a_program_that_crashes_does_not_see_its_connections_end(
    autojump_clock: MockClock,
) -> None:
    seen: list[object] = []

    async def watch() -> None:
        async with await trio.open_tcp_stream("server", 80) as stream:
            seen.append(await stream.receive_some())

    async with VirtualNetwork() as net:
        net.host("server").start(trio.serve_tcp, echo, 80)
        net.host("client").start(watch)
        await net.settle()
        net.host("client").crash()
        await net.settle()
        assert seen == []


async def test_who_sends_to_a_crashed_host_finds_out_after_its_retransmissions(
    autojump_clock: MockClock,
) -> None:
    async with VirtualNetwork() as net:
        net.host("server").start(trio.serve_tcp, echo, 80)
        await net.settle()
        async with await trio.open_tcp_stream("server", 80) as stream:
            await net.settle()
            net.host("server").crash()
            await stream.send_all(b"are you there?")
            began = trio.current_time()
            with pytest.raises(trio.BrokenResourceError) as caught:
                await stream.receive_some()
            cause = caught.value.__cause__
            assert isinstance(cause, OSError)
            assert cause.errno == errno.ETIMEDOUT
            # Linux: 0.2 s, doubled up to 120 s, 15 times (net.ipv4.tcp_retries2).
            assert trio.current_time() - began == pytest.approx(924.6, abs=0.1)


async def test_a_host_that_is_up_again_resets_what_it_does_not_know(
    autojump_clock: MockClock,
) -> None:
    async with VirtualNetwork() as net:
        server = net.host("server")
        server.start(trio.serve_tcp, echo, 80)
        await net.settle()
        async with await trio.open_tcp_stream("server", 80) as stream:
            await net.settle()
            server.crash()
            server.restart()
            await stream.send_all(b"are you there?")
            with pytest.raises(trio.BrokenResourceError) as caught:
                await stream.receive_some()
            cause = caught.value.__cause__
            assert isinstance(cause, OSError)
            assert cause.errno == errno.ECONNRESET


async def test_a_restart_starts_the_programs_again(autojump_clock: MockClock) -> None:
    async with VirtualNetwork() as net:
        server = net.host("server")
        server.start(trio.serve_tcp, echo, 80)
        await net.settle()
        server.crash()
        await net.settle()
        server.restart()
        await net.settle()
        assert await ask("server", 80, b"hello again") == b"hello again"


async def test_a_program_that_is_cleaning_up_as_its_host_crashes_does_no_harm(
    autojump_clock: MockClock,
) -> None:
    """Its errors die with it: nobody is left to hear of them."""
    cleaned_up: list[str] = []

    async def stubborn() -> None:
        stream = await trio.open_tcp_stream("server", 80)
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                with pytest.raises(trio.BrokenResourceError):
                    await stream.send_all(b"last words")
                with pytest.raises(OSError, match="all attempts to connect"):
                    await trio.open_tcp_stream("server", 80)
                cleaned_up.append("yes")
                raise RuntimeError("and it fails")

    async with VirtualNetwork() as net:
        net.host("server").start(trio.serve_tcp, echo, 80)
        net.host("client").start(stubborn)
        await net.settle()
        net.host("client").crash()
        await net.settle()
        assert cleaned_up == ["yes"]
        assert not any(s.payload for s in net.trace)


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_programs_can_clean_up_over_the_network_as_it_ends(
    autojump_clock: MockClock, is_cancelled: bool
) -> None:
    """It carries what they send, shielded, and the ends of their connections."""
    received: list[bytes] = []

    async def last_words() -> None:
        stream = await trio.open_tcp_stream("server", 80)
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await stream.send_all(b"last words")
                await stream.send_eof()
                received.append(await stream.receive_some())

    async def collect(stream: trio.SocketStream) -> None:
        with trio.CancelScope(shield=True):
            received.append(b"".join([chunk async for chunk in stream]))

    with trio.CancelScope() as scope:
        async with VirtualNetwork() as net:
            net.host("server").start(trio.serve_tcp, collect, 80)
            await net.settle()
            net.host("client").start(last_words)
            await net.settle()
            if is_cancelled:
                scope.cancel()
    assert received == [b"last words", b""]


async def test_what_is_awaited_on_a_host_that_crashes_says_so(
    autojump_clock: MockClock,
) -> None:
    async with VirtualNetwork() as net:
        host = net.host("a")
        async with trio.open_nursery() as nursery:

            async def crash_soon() -> None:
                await trio.testing.wait_all_tasks_blocked()
                host.crash()

            nursery.start_soon(crash_soon)
            with pytest.raises(HostCrashedError, match="host a has crashed"):
                await host.run(trio.sleep_forever)
            with pytest.raises(HostCrashedError):
                await host.run(trio.sleep, 0)
        host.restart()
        await host.run(trio.sleep, 0)


async def test_a_program_that_does_not_expect_the_crash_of_another_host_fails(
    autojump_clock: MockClock,
) -> None:
    """It has not died with its own host, as those do of which nobody hears."""

    async def depend(net: VirtualNetwork) -> None:
        await net.host("b").run(trio.sleep_forever)

    with pytest.raises(HostCrashedError, match="host b has crashed"):
        async with VirtualNetwork() as net:
            net.host("a").start(depend, net)
            await net.settle()
            net.host("b").crash()
            await trio.sleep(1)


async def test_cancelling_what_runs_on_a_host_is_not_a_crash(
    autojump_clock: MockClock,
) -> None:
    async with VirtualNetwork() as net:
        with trio.move_on_after(1) as scope:
            await net.host("a").run(trio.sleep_forever)
        assert scope.cancelled_caught


async def test_netstat_says_who_is_connected_to_whom(autojump_clock: MockClock) -> None:
    async with VirtualNetwork() as net:
        net.host("server", "10.0.0.1").start(trio.serve_tcp, echo, 80)
        await net.settle()
        async with await trio.open_tcp_stream("server", 80):
            await net.settle()
            report = net.netstat()
            assert "server: LISTEN 0.0.0.0:80" in report
            assert "server: ESTABLISHED 10.0.0.1:80 -> 10.0.0.2" in report
            assert "test: ESTABLISHED 10.0.0.2" in report
            (connection,) = net.connections()
            assert connection.hosts == ("test", "server")
            assert net.connections("server") != []
            assert net.connections("test", "test") == []
        await net.settle()
        assert net.connections() == []
        assert "test: TIME_WAIT" in net.netstat()
        await trio.sleep(61)
        assert "TIME_WAIT" not in net.netstat()


async def test_a_note_is_on_the_host_of_its_program_among_the_segments(
    autojump_clock: MockClock,
) -> None:
    async with VirtualNetwork() as net:
        net.host("server").start(trio.serve_tcp, echo, 80)
        await net.settle()

        async def noted() -> None:
            stream = await trio.open_tcp_stream("server", 80)
            net.note("hello")
            await stream.send_all(b"hello")
            await stream.aclose()

        digest = net.trace.digest()
        net.note("before")
        assert net.trace.digest() == digest
        await net.host("client").run(noted)
        first = next(i for i, s in enumerate(net.trace) if s.payload)
        before, note = net.trace.notes
        assert (before.host, before.segments_before) == ("test", 0)
        assert (note.host, note.text, note.segments_before) == (
            "client",
            "hello",
            first,
        )
        assert note.time == net.trace.segments[first].time
