"""A handler's failure, and its peer's misconduct, stay with their connection."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeAlias

import pytest
import trio

import trio_tcp
from trio_tcp import CloseReason, codecs, testing

Text: TypeAlias = trio_tcp.Connection[str, str]
Handle: TypeAlias = Callable[[Text], Awaitable[None]]


class Record(list[trio_tcp.Event]):
    """An observer that keeps what it is told."""

    def __call__(self, event: trio_tcp.Event, /) -> None:
        self.append(event)

    def ended(self) -> trio_tcp.ConnectionEnded:
        """The only end that there was."""
        (event,) = [e for e in self if isinstance(e, trio_tcp.ConnectionEnded)]
        return event

    def failed(self) -> list[BaseException]:
        """What handlers have raised."""
        return [e.error for e in self if isinstance(e, trio_tcp.HandlerFailed)]


async def _serve_one(
    handler: Handle, sent: bytes, *, eof: bool = True
) -> tuple[Record, bytes | None]:
    """Run a handler for one client; return its events and what the client received.

    None stands for a reset.
    """
    events = Record()
    received: bytes | None = b""
    async with testing.serve_in_memory(
        handler, codecs.Lines(max_bytes=10), observer=events
    ) as served:
        client = await served.listener.connect()
        await client.send_all(sent)
        if eof:
            await client.send_eof()
        try:
            async for chunk in client:
                received = (received or b"") + chunk
        except trio.BrokenResourceError:
            received = None
        await client.aclose()
        # The server is still there.
        again = await served.listener.connect()
        await again.aclose()
    events[:] = [
        e for e in events if getattr(e, "id", None) == _first_id(events)
    ]  # of the first client
    return events, received


def _first_id(events: Record) -> int:
    return next(e.id for e in events if isinstance(e, trio_tcp.ConnectionEvent))


async def echo(connection: Text) -> None:
    async for line in connection:
        await connection.send(line)


async def test_a_handler_that_returns_closes_gracefully() -> None:
    events, received = await _serve_one(echo, b"one\ntwo\n")
    assert received == b"one\ntwo\n"
    assert events.ended().reason is CloseReason.PEER_CLOSED
    assert [type(event) for event in events] == [
        trio_tcp.ConnectionOpened,
        trio_tcp.ConnectionEnded,
    ]


async def test_a_handler_may_close_first() -> None:
    async def greet(connection: Text) -> None:
        await connection.send("hello")

    events, received = await _serve_one(greet, b"never read\n", eof=False)
    assert received == b"hello\n"
    assert events.ended().reason is CloseReason.CLOSED


async def test_a_handler_that_lets_the_peers_end_out_closes_gracefully() -> None:
    async def loop(connection: Text) -> None:
        while True:
            await connection.send(await connection.receive())

    events, received = await _serve_one(loop, b"one\ntwo\n")
    assert received == b"one\ntwo\n"
    assert events.ended().reason is CloseReason.PEER_CLOSED
    assert events.failed() == []


async def test_a_handler_that_raises_is_reported_and_its_connection_aborted() -> None:
    async def fail(connection: Text) -> None:
        await connection.send("forgotten")
        raise KeyError(await connection.receive())

    events, received = await _serve_one(fail, b"x\n", eof=False)
    assert received is None
    assert events.ended().reason is CloseReason.HANDLER_FAILED
    (error,) = events.failed()
    assert isinstance(error, KeyError)
    assert events.ended().error is error


async def close(connection: Text) -> None:
    await connection.aclose()


async def take_out(connection: Text) -> None:
    stream, _ = await connection.detach()
    await stream.aclose()


@pytest.mark.parametrize(
    ("end", "reason"),
    [(close, CloseReason.CLOSED), (take_out, CloseReason.DETACHED)],
)
async def test_a_handler_that_raises_behind_the_end_is_reported_all_the_same(
    end: Handle, reason: CloseReason
) -> None:
    async def fail(connection: Text) -> None:
        await end(connection)
        raise KeyError("behind it")

    events, received = await _serve_one(fail, b"")
    assert received == b""
    assert [repr(error) for error in events.failed()] == ["KeyError('behind it')"]
    assert events.ended().reason is reason


async def test_a_handler_that_fails_in_a_nursery_of_its_own_is_one_failure() -> None:
    async def fail(connection: Text) -> None:
        async def child() -> None:
            await trio.lowlevel.checkpoint()
            raise KeyError("from a child")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)
            nursery.start_soon(connection.receive)

    events, received = await _serve_one(fail, b"", eof=False)
    assert received is None
    (error,) = events.failed()
    with pytest.RaisesGroup(KeyError):
        raise error


@pytest.mark.parametrize("in_a_nursery", [False, True])
@pytest.mark.parametrize(
    ("sent", "reason", "error"),
    [
        (b"unfinished", CloseReason.TRUNCATED, trio_tcp.TruncatedError),
        (b"far too long a line", CloseReason.PROTOCOL_ERROR, trio_tcp.FramingError),
        (b"\xff\n", CloseReason.PROTOCOL_ERROR, trio_tcp.MalformedMessageError),
    ],
)
async def test_a_peers_misconduct_is_not_the_handlers_failure(
    sent: bytes, reason: CloseReason, error: type[Exception], in_a_nursery: bool
) -> None:
    async def echo_in_nursery(connection: Text) -> None:
        async with trio.open_nursery() as nursery:  # noqa: ASYNC112 - what it is about
            nursery.start_soon(echo, connection)

    handler = echo_in_nursery if in_a_nursery else echo
    events, received = await _serve_one(handler, sent)
    assert received is None
    assert events.failed() == []
    assert events.ended().reason is reason
    assert isinstance(events.ended().error, error)


async def test_errors_of_a_peer_that_come_of_each_other_end_its_connection_alone() -> (
    None
):
    """Also where one is the cause of the error in whose handling it came."""

    async def tolerate_one(connection: Text) -> None:
        try:
            await connection.receive()
        except trio_tcp.MalformedMessageError as first:
            with pytest.raises(trio_tcp.MalformedMessageError) as second:
                await connection.receive()  # noqa: ASYNC120 - nobody cancels it
            raise first from second.value

    async def be_tolerant(connection: Text, patience: int = 40) -> None:
        try:
            await connection.receive()
        except trio_tcp.MalformedMessageError:
            if not patience:
                raise
            await be_tolerant(connection, patience - 1)

    for handler in tolerate_one, be_tolerant:
        events, received = await _serve_one(handler, b"\xff\n" * 41)
        assert received is None
        assert events.failed() == []
        assert events.ended().reason is CloseReason.PROTOCOL_ERROR


async def test_another_connections_fault_is_the_handlers_failure() -> None:
    async def proxy(connection: Text) -> None:
        ours, theirs = testing.memory_stream_pair()
        await theirs.aclose()
        async with trio_tcp.open_connection(ours, codec=codecs.Lines()) as upstream:
            await upstream.receive()

    events, received = await _serve_one(proxy, b"", eof=False)
    assert received is None
    assert isinstance(events.failed()[0], trio_tcp.PeerClosed)
    assert events.ended().reason is CloseReason.HANDLER_FAILED


async def test_a_connection_that_another_task_closes_still_delivers() -> None:
    async def handler(connection: Text) -> None:
        async with trio.open_nursery() as nursery:
            await connection.send("farewell")
            nursery.start_soon(connection.aclose)
            await connection.receive()

    events, received = await _serve_one(handler, b"", eof=False)
    assert received == b"farewell\n"
    assert events.failed() == []
    assert events.ended().reason is CloseReason.CLOSED


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), SystemExit(3), trio.TrioInternalError("bug")]
)
@pytest.mark.parametrize("grouped", [False, True])
async def test_what_is_not_about_a_connection_passes_through(
    error: BaseException, grouped: bool
) -> None:
    async def fail(connection: Text) -> None:
        await connection.receive()
        if grouped:
            raise BaseExceptionGroup("mixed", [KeyError("mine"), error])
        raise error

    events = Record()
    with pytest.raises(BaseExceptionGroup) as caught:  # noqa: ASYNC401 - groups vary
        async with testing.serve_in_memory(
            fail, codecs.Lines(), observer=events
        ) as served:
            client = await served.listener.connect()
            await client.send_all(b"go\n")
            await trio.sleep_forever()
    assert caught.group_contains(type(error))
    assert not caught.group_contains(KeyError)
    assert len(events.failed()) == int(grouped)


async def test_a_cancelled_handler_closes_at_once_and_stays_cancelled() -> None:
    events = Record()
    async with testing.serve_in_memory(echo, codecs.Lines(), observer=events) as served:
        client = await served.listener.connect()
        await client.send_all(b"x\n")
        assert await client.receive_some() == b"x\n"
    assert await client.receive_some() == b""
    assert events.ended().reason is CloseReason.CLOSED
    assert events.failed() == []


async def test_an_observer_that_raises_is_logged_and_ignored(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(event: trio_tcp.Event) -> None:
        raise RuntimeError("observer")

    async with testing.serve_in_memory(echo, codecs.Lines(), observer=broken) as served:
        async with served.connect() as client:
            await client.send("still served")
            assert await client.receive() == "still served"
    assert "observer" in caplog.text


async def test_the_log_has_a_line_for_a_peer_and_a_traceback_for_a_handler(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail_on_x(connection: Text) -> None:
        connection.label = "ann"
        async for line in connection:
            if line == "x":
                raise KeyError(line)

    caplog.set_level(logging.INFO, logger="trio_tcp")
    async with testing.serve_in_memory(fail_on_x, codecs.Lines(max_bytes=10)) as served:
        for data in (b"fine\n", b"x\n", b"far too long a line"):
            client = await served.listener.connect()
            await client.send_all(data)
            await client.send_eof()
            with suppress(trio.BrokenResourceError):
                assert await client.receive_some() == b""
            await client.aclose()
    mine = [r for r in caplog.records if "'ann'" in r.getMessage()]
    assert [(r.levelname, r.exc_info is not None) for r in mine] == [
        ("ERROR", True),
        ("INFO", False),
    ]
    assert "handler failed" in mine[0].getMessage()
    assert "max_bytes" in mine[1].getMessage()


async def test_framed_gives_any_server_of_streams_the_same_policies() -> None:
    events = Record()

    async def fail_on_x(connection: Text) -> None:
        async for line in connection:
            if line == "x":
                raise KeyError(line)
            await connection.send(line)

    listener = testing.MemoryListener()
    serve = trio_tcp.framed(fail_on_x, codec=codecs.Lines(), observer=events)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        for data, reply in ((b"x\n", None), (b"y\n", b"y\n")):
            client = await listener.connect()
            await client.send_all(data)
            if reply is None:
                with pytest.raises(trio.BrokenResourceError):
                    await client.receive_some()
            else:
                assert await client.receive_some() == reply
            await client.aclose()
        nursery.cancel_scope.cancel()
    assert [type(error) for error in events.failed()] == [KeyError]


async def test_framed_lets_pass_what_is_not_about_the_connection_as_itself() -> None:
    async def leave(connection: Text) -> None:
        raise SystemExit(3)

    ours, theirs = testing.memory_stream_pair()
    with pytest.raises(SystemExit):
        await trio_tcp.framed(leave, codec=codecs.Lines())(ours)
    with pytest.raises(trio.BrokenResourceError):
        await theirs.receive_some()
