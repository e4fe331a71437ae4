"""What `respond` takes with `concurrency`: which functions, and which numbers."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any, assert_type

import attrs
import pytest
import trio
from trio.testing import MockClock

import trio_tcp
from tests.respond.working import Text, Work, busy, replies_to, wanted
from trio_tcp import Concurrency, respond


async def test_the_function_may_want_the_connection(autojump_clock: MockClock) -> None:
    async def who(request: str, connection: Text) -> str:
        await trio.lowlevel.checkpoint()
        return f"{request} from {connection.label}"

    handler = respond(who, concurrency=Concurrency(limit=2))

    async def labelled(connection: Text) -> None:
        connection.label = "Ann"
        await handler(connection)

    assert await replies_to(labelled, ["hello"]) == [("hello from Ann", 0)]


def test_types_go_from_the_functions_to_the_handler() -> None:
    async def measure(request: bytes) -> str:
        await trio.lowlevel.checkpoint()
        return str(len(request))

    def too_much(request: bytes) -> str:
        return request.decode()

    def seconds(request: bytes) -> float:
        return len(request)

    handler = respond(
        measure, concurrency=Concurrency(limit=2), shed=too_much, deadline=seconds
    )
    assert_type(handler, Callable[[trio_tcp.Connection[bytes, str]], Awaitable[object]])


def plain(request: str) -> str:
    return request


@pytest.mark.parametrize(
    ("function", "options", "what"),
    [
        (plain, {"concurrency": Concurrency(limit=2)}, "async function"),
        (Work(), {"shed": busy}, "shed needs concurrency"),
        (
            Work(),
            {"concurrency": Concurrency(limit=2), "deadline": wanted},
            "deadline needs shed",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_at_once(
    function: Callable[[str], Any], options: dict[str, Any], what: str
) -> None:
    with pytest.raises(TypeError, match=what):
        respond(function, **options)


@pytest.mark.parametrize(
    "bad",
    [
        {"limit": 0},
        {"limit": 1.5},
        {"limit": True},
        {"limit": math.inf},
        {"limit": "2"},
        {"limit": 2, "queue": -1},
        {"limit": 2, "queue": math.inf},
        {"limit": 2, "replies": "sorted"},
    ],
)
def test_a_concurrency_that_makes_no_sense_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"limit|queue|replies"):
        Concurrency(**bad)  # type: ignore[arg-type] # that is the test


def test_a_concurrency_may_be_evolved() -> None:
    assert attrs.evolve(Concurrency(limit=2), queue=3) == Concurrency(limit=2, queue=3)
