"""`respond` takes whatever can be called, and tells by itself how to call it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, assert_type

import pytest

import trio_tcp
from tests.respond.answering import Text, answers, as_async, upper


def upper_of(request: str, connection: Text) -> str:
    return f"{connection.id}: {request.upper()}"


class Upper:
    """An object that can be called."""

    def __call__(self, request: str) -> str:
        return request.upper()

    def method(self, request: str) -> str:
        return request.upper()

    def method_of(self, request: str, connection: Text) -> str:
        return upper_of(request, connection)

    @classmethod
    async def waits(cls, request: str) -> str:
        return request.upper()


class AsyncUpper:
    """One that has to be awaited."""

    async def __call__(self, request: str) -> str:
        return request.upper()


def with_default(request: str, times: int = 1) -> str:
    return request.upper() * times


def with_keyword(request: str, *, times: int = 1) -> str:
    return request.upper() * times


def with_rest(*requests: str) -> str:
    return " ".join(requests).upper()


def after_a_word(word: str, request: str) -> str:
    return (word + request).upper()


async def async_after_a_word(word: str, request: str) -> str:
    return (word + request).upper()


FUNCTIONS: dict[str, tuple[Callable[..., Any], bytes]] = {
    "plain": (upper, b"HI\n"),
    "async": (as_async(upper), b"HI\n"),
    "plain, with connection": (upper_of, b"1: HI\n"),
    "async, with connection": (as_async(upper_of), b"1: HI\n"),
    "method of a type in C": (str.upper, b"HI\n"),
    "method of an object in C, with a default": ({"hi": "HI"}.get, b"HI\n"),
    "type without a signature": (str, b"hi\n"),
    "object": (Upper(), b"HI\n"),
    "method": (Upper().method, b"HI\n"),
    "method, with connection": (Upper().method_of, b"1: HI\n"),
    "class method": (Upper.waits, b"HI\n"),
    "async object": (AsyncUpper(), b"HI\n"),
    "partial of an async object": (functools.partial(AsyncUpper()), b"HI\n"),
    "default": (with_default, b"HI\n"),
    "keyword": (with_keyword, b"HI\n"),
    "any number of arguments": (with_rest, b"HI\n"),
    "partial": (functools.partial(after_a_word, "o"), b"OHI\n"),
    "async partial": (functools.partial(async_after_a_word, "o"), b"OHI\n"),
}


@pytest.mark.parametrize("kind", FUNCTIONS)
async def test_it_takes_whatever_can_be_called(kind: str) -> None:
    function, reply = FUNCTIONS[kind]
    received, _ = await answers(trio_tcp.respond(function), b"hi\n")
    assert received == reply


def test_what_cannot_be_called_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="callable"):
        trio_tcp.respond(5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue] - the point


def test_types_follow_the_function() -> None:
    async def size(request: bytes) -> int:
        return len(request)

    def size_of(request: bytes, connection: trio_tcp.Connection[bytes, int]) -> int:
        return len(request) + connection.id

    assert_type(trio_tcp.respond(upper), trio_tcp.Handler[str, str])
    assert_type(trio_tcp.respond(upper_of), trio_tcp.Handler[str, str])
    assert_type(trio_tcp.respond(size), trio_tcp.Handler[bytes, int])
    assert_type(trio_tcp.respond(size_of), trio_tcp.Handler[bytes, int])
