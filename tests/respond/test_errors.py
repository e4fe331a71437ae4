"""What a function raises ends its connection, or is replied to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

import trio_tcp
from tests.integration.loopback import Record
from tests.respond.answering import (
    Flavour,
    answers,
    never_said,
    plain_and_async,
    receive_all,
    serving,
)
from trio_tcp import CloseReason, codecs, testing


def two_lines(request: str) -> str:
    return f"{request}\n{request}"


def say_nothing(_: Exception, _request: str | None) -> None:
    return None


def say_two_lines(_: Exception, _request: str | None) -> str:
    return "two\nlines"


def refuse(_: Exception, request: str | None) -> str:
    return f"no {request}"


def fail_on_x(request: str) -> str:
    if request == "x":
        raise KeyError(request)
    return request


@plain_and_async
async def test_an_exception_ends_its_connection_and_no_other(flavour: Flavour) -> None:
    async with serving(trio_tcp.respond(flavour(fail_on_x))) as (served, record):
        async with served.connect() as other:
            client = await served.listener.connect()
            await client.send_all(b"x\nnever asked\n")
            with pytest.raises(trio.BrokenResourceError):
                await receive_all(client)
            (failed,) = record.all(trio_tcp.HandlerFailed)
            assert isinstance(failed.error, KeyError)
            (ended,) = await record.wait(trio_tcp.ConnectionEnded)
            assert ended.reason is CloseReason.HANDLER_FAILED
            assert ended.statistics.messages_received == 1
            await other.send("still here?")
            assert await other.receive() == "still here?"


@plain_and_async
async def test_on_error_says_what_to_reply(flavour: Flavour) -> None:
    def apologise(error: Exception, request: str | None) -> str | None:
        return f"{type(error).__name__} {request}"

    handler = trio_tcp.respond(flavour(fail_on_x), on_error=apologise)
    received, ended = await answers(handler, b"a\nx\nb\n")
    assert received == b"a\nKeyError x\nb\n"
    assert ended.reason is CloseReason.PEER_CLOSED
    assert ended.statistics.messages_received == 3
    assert ended.statistics.messages_sent == 3


@plain_and_async
async def test_on_error_may_say_nothing(flavour: Flavour) -> None:
    handler = trio_tcp.respond(flavour(fail_on_x), on_error=say_nothing)
    received, _ = await answers(handler, b"a\nx\nb\n")
    assert received == b"a\nb\n"


@plain_and_async
async def test_on_error_that_raises_ends_the_connection(flavour: Flavour) -> None:
    def fail(error: Exception, request: str | None) -> str:
        raise LookupError(request) from error

    async with serving(trio_tcp.respond(flavour(fail_on_x), on_error=fail)) as (
        served,
        record,
    ):
        client = await served.listener.connect()
        await client.send_all(b"x\n")
        (failed,) = await record.wait(trio_tcp.HandlerFailed)
        assert type(failed.error) is LookupError
        assert isinstance(failed.error.__cause__, KeyError)
        await client.aclose()


@plain_and_async
async def test_an_apology_that_cannot_be_encoded_ends_the_connection(
    flavour: Flavour,
) -> None:
    handler = trio_tcp.respond(flavour(fail_on_x), on_error=say_two_lines)
    _, ended = await answers(handler, b"x\n")
    assert ended.reason is CloseReason.HANDLER_FAILED


@plain_and_async
async def test_a_reply_that_cannot_be_encoded_is_an_error_of_its_request(
    flavour: Flavour,
) -> None:
    seen: list[tuple[type[Exception], str | None]] = []

    def apologise(error: Exception, request: str | None) -> str:
        seen.append((type(error), request))
        return "sorry"

    handler = trio_tcp.respond(flavour(two_lines), on_error=apologise)
    received, ended = await answers(handler, b"a\n")
    assert received == b"sorry\n"
    ((error, request),) = seen
    assert issubclass(error, trio_tcp.EncodeError)
    assert request == "a"
    assert ended.statistics.messages_sent == 1


def faults() -> list[trio_tcp.ConnectionFault]:
    """What may become of another connection that a function uses."""
    found: list[trio_tcp.ConnectionFault] = [
        trio_tcp.PeerClosed("the other"),
        trio_tcp.Drained("the other"),
        trio_tcp.ConnectionBroken(None),
        trio_tcp.TruncatedError(1),
        trio_tcp.MalformedMessageError("the other"),
        trio_tcp.ConnectionClosedError("the other"),
    ]
    for fault in found:
        fault.connection_id = 1_000_000
    return found


@plain_and_async
@pytest.mark.parametrize("fault", faults(), ids=lambda fault: type(fault).__name__)
async def test_what_becomes_of_another_connection_is_the_functions_failure(
    flavour: Flavour, fault: trio_tcp.ConnectionFault
) -> None:
    def use_another(_: str) -> str:
        raise fault

    async with serving(trio_tcp.respond(flavour(use_another))) as (served, record):
        client = await served.listener.connect()
        await client.send_all(b"a\n")
        (ended,) = await record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.HANDLER_FAILED
        assert ended.error is fault
        assert fault.connection_id == 1_000_000
        assert record.all(trio_tcp.MessageMalformed) == []
        await client.aclose()


@plain_and_async
@pytest.mark.parametrize("fault", faults(), ids=lambda fault: type(fault).__name__)
async def test_what_becomes_of_another_connection_can_be_replied_to(
    flavour: Flavour, fault: trio_tcp.ConnectionFault
) -> None:
    def use_another(_: str) -> str:
        raise fault

    handler = trio_tcp.respond(flavour(use_another), on_error=refuse)
    received, _ = await answers(handler, b"a\nb\n")
    assert received == b"no a\nno b\n"


@plain_and_async
async def test_the_end_of_a_channel_of_its_own_is_the_functions_failure(
    flavour: Flavour,
) -> None:
    def use_channel(_: str) -> str:
        raise trio.EndOfChannel

    _, ended = await answers(trio_tcp.respond(flavour(use_channel)), b"a\n")
    assert ended.reason is CloseReason.HANDLER_FAILED


@plain_and_async
async def test_a_request_may_be_none(flavour: Flavour) -> None:
    """That is no request that made no sense."""
    fault = trio_tcp.TruncatedError(1)
    fault.connection_id = 1_000_000

    def use_another(_: object) -> object:
        raise fault

    record = Record()
    codec: codecs.Codec[Any, Any] = codecs.Json()
    async with testing.serve_in_memory(
        trio_tcp.respond(flavour(use_another)), codec, observer=record
    ) as served:
        client = await served.listener.connect()
        await client.send_all(b"null\n")
        (ended,) = await record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.HANDLER_FAILED
        assert fault.connection_id == 1_000_000
        await client.aclose()


@pytest.mark.parametrize("on_error", [None, never_said])
async def test_a_plain_function_that_returns_a_coroutine_is_told_so(
    on_error: Callable[..., str] | None,
) -> None:
    async def wait(request: str) -> str:
        return request

    def forget_to_wait(request: str) -> Awaitable[str]:
        return wait(request)

    handler = trio_tcp.respond(forget_to_wait, on_error=on_error)
    async with serving(handler) as (served, record):
        client = await served.listener.connect()
        await client.send_all(b"a\n")
        (failed,) = await record.wait(trio_tcp.HandlerFailed)
        assert isinstance(failed.error, TypeError)
        assert "give it the async function itself" in str(failed.error)
        await client.aclose()
