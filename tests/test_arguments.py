"""Arguments that are none: refused by name, before anything is opened or begun."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, TypeAlias

import pytest
import trio

import trio_tcp
from trio_tcp import codecs, testing

Opened: TypeAlias = AbstractAsyncContextManager[object]

LINES = codecs.Lines()
REDIS = "redis://localhost"

# For those who have no types checked.
toolkit: Any = trio_tcp
untyped: Any = codecs


async def handler(connection: trio_tcp.Connection[str, str]) -> None:
    raise AssertionError("no client was ever to come")


def says(text: str) -> str:
    return f"^{re.escape(text)}$"


OF_A_CONNECTION = [
    (
        "codec",
        3,
        "codec must be a codec, such as codecs.Lines(), but 3 has no method encode",
    ),
    ("codec", codecs.Lines, "codec must be a codec, not the class of one: Lines(...)"),
    ("timeouts", 30.0, "timeouts must be of type Timeouts, not 30.0"),
    ("observer", "log", "observer must be a function, not 'log'"),
]

OF_A_SERVER = [
    *OF_A_CONNECTION,
    ("handler", None, "handler must be a function, not None"),
    ("tls", "cert.pem", "tls must be of type SSLContext or Tls, not 'cert.pem'"),
    (
        "proxy_protocol",
        "proxy",
        "proxy_protocol must be of type ProxyProtocol, not 'proxy'",
    ),
    ("limits", 100, "limits must be of type Limits, not 100"),
    ("handler_nursery", 3, "handler_nursery must be of type Nursery, not 3"),
]

OF_A_CLIENT = [
    *OF_A_CONNECTION,
    ("host", None, "host must be of type str, not None"),
    ("port", "80", "port must be an int, not '80'"),
    ("tls", "cert.pem", "tls must be of type SSLContext or Tls, not 'cert.pem'"),
    ("local_address", 3, "local_address must be of type str, not 3"),
    ("keepalive", 3, "keepalive must be of type KeepAlive, not 3"),
]


@pytest.mark.parametrize(("name", "value", "message"), OF_A_SERVER)
async def test_a_server_refuses_what_is_not_of_its_type_and_closes_its_listeners(
    name: str, value: object, message: str
) -> None:
    listener = testing.MemoryListener()
    arguments: dict[str, Any] = {"handler": handler, "codec": LINES, name: value}
    with pytest.raises(TypeError, match=says(message)):
        await trio_tcp.serve_listeners(listeners=[listener], **arguments)
    with pytest.raises(trio.ClosedResourceError):
        await listener.accept()


@pytest.mark.parametrize(("name", "value", "message"), OF_A_CLIENT)
async def test_a_client_refuses_what_is_not_of_its_type(
    name: str, value: object, message: str
) -> None:
    arguments: dict[str, Any] = {"host": "::1", "port": 1, "codec": LINES, name: value}
    with pytest.raises(TypeError, match=says(message)):
        async with trio_tcp.connect_tcp(**arguments):
            raise AssertionError("it was to fail")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        # Of a number that is too large, the system takes the lower 16 bits.
        ("port", 65536 + 80, "port must be 1 to 65535, not 65616"),
        ("port", -1, "port must be 1 to 65535, not -1"),
        ("port", 0, "port must be 1 to 65535, not 0"),
        ("host", "", "host must be a name or an address, not ''"),
        (
            "host",
            "a" * 64,
            (
                f"host {'a' * 64!r} is no name: "
                "encoding with 'idna' codec failed (UnicodeError: label too long)"
            ),
        ),
    ],
)
async def test_a_client_refuses_a_host_or_port_that_nobody_can_have(
    name: str, value: object, message: str
) -> None:
    arguments: dict[str, Any] = {"host": "::1", "port": 1, "codec": LINES, name: value}
    with pytest.raises(ValueError, match=says(message)):
        async with trio_tcp.connect_tcp(**arguments):
            raise AssertionError("it was to fail")


@pytest.mark.parametrize(("name", "value", "message"), OF_A_CONNECTION)
async def test_a_stream_is_closed_if_what_it_is_opened_with_is_not_of_its_type(
    name: str, value: object, message: str
) -> None:
    ours, _ = testing.memory_stream_pair()
    arguments: dict[str, Any] = {"codec": LINES, name: value}
    with pytest.raises(TypeError, match=says(message)):
        async with trio_tcp.open_connection(ours, **arguments):
            raise AssertionError("it was to fail")
    with pytest.raises(trio.ClosedResourceError):
        await ours.receive_some()


@pytest.mark.parametrize(("name", "value", "message"), OF_A_CONNECTION)
async def test_a_unix_socket_and_a_plain_handler_refuse_them_too(
    name: str, value: object, message: str
) -> None:
    arguments: dict[str, Any] = {"codec": LINES, name: value}
    with pytest.raises(TypeError, match=says(message)):
        async with trio_tcp.connect_unix("/nowhere", **arguments):
            raise AssertionError("it was to fail")
    with pytest.raises(TypeError, match=says(message)):
        trio_tcp.framed(handler, **arguments)


async def test_a_handler_that_was_called_already_is_refused_by_what_it_is() -> None:
    called = handler(None)  # type: ignore[arg-type] # the mistake
    try:
        with pytest.raises(TypeError, match=r"^handler must be a function, not <coro"):
            trio_tcp.framed(called, codec=LINES)  # type: ignore[arg-type] # the mistake
    finally:
        called.close()


async def test_a_running_server_and_connection_refuse_other_policies() -> None:
    async with testing.serve_in_memory(lambda c: c.receive(), LINES) as served:
        with pytest.raises(
            TypeError, match=says("limits must be of type Limits, not 3")
        ):
            served.server.limits = 3  # type: ignore[assignment] # the mistake
        assert served.server.limits == trio_tcp.Limits()
        async with served.connect() as client:
            with pytest.raises(TypeError, match=r"^timeouts must be of type Timeouts"):
                client.timeouts = 3  # type: ignore[assignment] # the mistake
            assert client.timeouts == trio_tcp.Timeouts()


OF_WHAT_CONNECTS_AGAIN = [
    ("backoff", 3, "backoff must be of type Backoff, not 3"),
    ("prepare", "login", "prepare must be a function, not 'login'"),
    ("is_permanent", ValueError(), "is_permanent must be a function, not ValueError()"),
    ("random", 42, "random must be of type Random, not 42"),
]

OF_A_REQUESTER = [
    *OF_WHAT_CONNECTS_AGAIN,
    ("correlate", "id", "correlate must be a function, not 'id'"),
    ("retry_budget", 0.2, "retry_budget must be of type RetryBudget, not 0.2"),
]


@pytest.mark.parametrize(
    ("opens", "name", "value", "message"),
    [
        *((trio_tcp.open_session, *row) for row in OF_WHAT_CONNECTS_AGAIN),
        *((trio_tcp.open_pool, *row) for row in OF_WHAT_CONNECTS_AGAIN),
        (trio_tcp.open_pool, "check", 3, "check must be a function, not 3"),
        *((trio_tcp.open_requester, *row) for row in OF_A_REQUESTER),
        *((trio_tcp.open_requester_pool, *row) for row in OF_A_REQUESTER),
    ],
)
async def test_what_connects_again_refuses_what_is_not_of_its_type(
    opens: Callable[..., Opened], name: str, value: object, message: str
) -> None:
    connect = partial(trio_tcp.connect_tcp, "::1", 1, codec=LINES)
    arguments: dict[str, object] = {name: value}
    if opens in (trio_tcp.open_pool, trio_tcp.open_requester_pool):
        arguments["size"] = 2
    with pytest.raises(TypeError, match=says(message)):
        async with opens(connect, **arguments):
            raise AssertionError("it was to fail")


async def answer(request: str) -> str:
    return request


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: untyped.Mapped(codecs.Lines, decode=int, encode=str),
            "framing must be a codec, not the class of one: Lines(...)",
        ),
        (
            lambda: untyped.Mapped(LINES, decode=3, encode=str),
            "decode must be a function, not 3",
        ),
        (
            lambda: untyped.Mapped(LINES, decode=int, encode=None),
            "encode must be a function, not None",
        ),
        (
            lambda: toolkit.respond(answer, on_error="log"),
            "on_error must be a function, not 'log'",
        ),
        (
            lambda: toolkit.respond(answer, concurrency=8),
            "concurrency must be of type Concurrency, not 8",
        ),
        (
            lambda: toolkit.respond(answer, shed="busy"),
            "shed must be a function, not 'busy'",
        ),
        (lambda: toolkit.Hub(history=100), "history must be of type Mapping, not 100"),
        (lambda: toolkit.Hub().subscribe(3), "topic must be of type str, not 3"),
        (
            lambda: toolkit.Hub().subscribe("a", after="1f-2"),
            "after must be of type Mapping, not '1f-2'",
        ),
        (
            lambda: toolkit.Hub().subscribe("a", after={"a": "1f-2"}),
            "after['a'] must be of type Position, not '1f-2'",
        ),
        (
            lambda: toolkit.Hub().subscribe("a", when_full="keep_latest", key="id"),
            "key must be a function, not 'id'",
        ),
        (
            lambda: toolkit.Hub().attach(3, "a"),
            "connection must be of type Connection, not 3",
        ),
        (
            lambda: toolkit.RedisBackplane(3, codec=LINES),
            "url must be of type str, not 3",
        ),
        (
            lambda: toolkit.RedisBackplane(REDIS, codec=codecs.Lines),
            "codec must be a codec, not the class of one: Lines(...)",
        ),
        (
            lambda: toolkit.RedisBackplane(REDIS, codec=LINES, backoff=3),
            "backoff must be of type Backoff, not 3",
        ),
        (
            lambda: toolkit.RedisBackplane(REDIS, codec=LINES, observer="log"),
            "observer must be a function, not 'log'",
        ),
        (
            lambda: toolkit.Tls("cert.pem"),
            "context must be of type SSLContext, not 'cert.pem'",
        ),
        (
            lambda: toolkit.Limits(farewell="busy"),
            "farewell must be of type bytes, not 'busy'",
        ),
        (
            lambda: toolkit.ProxyProtocol(trusted=8),
            "trusted must be of type Iterable, not 8",
        ),
        (
            lambda: untyped.Delimited(b"\n", "\n"),
            r"delimiters must be of type bytes, not '\n'",
        ),
        (
            lambda: untyped.LengthField(adjustment="2"),
            "adjustment must be of type int, not '2'",
        ),
    ],
)
def test_what_is_not_of_its_type_is_refused_by_name(
    make: Callable[[], object], message: str
) -> None:
    with pytest.raises(TypeError, match=says(message)):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: toolkit.Limits(when_full="close"),
            "when_full must be 'wait' or 'reject', not 'close'",
        ),
        (
            lambda: toolkit.Backoff(jitter="half"),
            "jitter must be 'full', 'decorrelated' or 'none', not 'half'",
        ),
        (
            lambda: untyped.LengthPrefixed(5),
            "prefix_size must be 1, 2, 3, 4 or 8, not 5",
        ),
        (
            lambda: untyped.LengthPrefixed(True),
            "prefix_size must be 1, 2, 3, 4 or 8, not True",
        ),
        (
            lambda: untyped.Lines(newline="\r"),
            r"newline must be '\n' or '\r\n', not '\r'",
        ),
        (
            lambda: toolkit.Hub(history={"room": 0}),
            "history['room'] must be a whole number, 1 or more, not 0",
        ),
        (
            lambda: toolkit.Hub().subscribe("room", last=-1),
            "last must be a whole number, 0 or more, not -1",
        ),
        (
            lambda: toolkit.RedisBackplane(REDIS, codec=LINES, expire=math.inf),
            "expire must be a number of seconds, above zero and finite, not inf",
        ),
    ],
)
def test_what_is_none_of_the_choices_is_refused_with_all_of_them(
    make: Callable[[], object], message: str
) -> None:
    with pytest.raises(ValueError, match=says(message)):
        make()
