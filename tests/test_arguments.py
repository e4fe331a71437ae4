"""Arguments that are none: refused by name, before anything is opened or begun."""

from __future__ import annotations

import array
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
    ("server_hostname", 3, "server_hostname must be of type str, not 3"),
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
            "server_hostname",
            "example.org",
            "server_hostname without tls: nobody would look at it",
        ),
    ],
)
async def test_a_client_refuses_what_makes_no_sense(
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


async def test_a_client_names_a_host_that_cannot_be_one() -> None:
    """Python's own error does not; its words differ from version to version."""
    with pytest.raises(ValueError, match=r"^host 'a{64}' is no name: .*too long"):
        async with trio_tcp.connect_tcp("a" * 64, 1, codec=LINES):
            raise AssertionError("it was to fail")


async def test_a_stream_is_closed_if_a_name_is_given_for_no_certificate() -> None:
    ours, _ = testing.memory_stream_pair()
    with pytest.raises(ValueError, match=r"^server_hostname without tls"):
        async with trio_tcp.open_connection(
            ours, codec=LINES, server_hostname="example.org"
        ):
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


async def test_a_server_refuses_a_listener_where_there_may_be_several() -> None:
    listener: Any = testing.MemoryListener()
    with pytest.raises(TypeError, match=r"^listeners must be a list of them, such as"):
        await trio_tcp.serve_listeners(handler, listener, codec=LINES)
    with pytest.raises(trio.ClosedResourceError):
        await listener.accept()


async def test_a_server_refuses_to_listen_nowhere() -> None:
    with pytest.raises(ValueError, match=says("listeners must hold at least one")):
        await trio_tcp.serve_listeners(handler, [], codec=LINES)


async def test_no_listener_stays_open_where_another_is_closed_already() -> None:
    listener = testing.MemoryListener()
    [closed] = await trio_tcp.open_tcp_listeners(0, host="127.0.0.1")
    await closed.aclose()
    with pytest.raises(OSError, match="Bad file descriptor"):
        await trio_tcp.serve_listeners(handler, [listener, closed], codec=LINES)
    with pytest.raises(trio.ClosedResourceError):
        await listener.accept()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("connection", 3, "connection must be of type Connection, not 3"),
        ("is_answer", "PONG", "is_answer must be a function, not 'PONG'"),
        ("reply", "PONG", "reply must be a function, not 'PONG'"),
    ],
)
async def test_a_heartbeat_refuses_what_is_not_of_its_type(
    name: str, value: object, message: str
) -> None:
    async with testing.connection_pair(LINES) as (ours, _):
        arguments: dict[str, Any] = {
            "connection": ours,
            "message": "PING",
            "is_answer": "PONG".__eq__,
            "every": 1,
            "within": 1,
            name: value,
        }
        with pytest.raises(TypeError, match=says(message)):
            async with trio_tcp.heartbeat(**arguments):
                raise AssertionError("it was to fail")


async def test_what_was_called_already_cannot_be_served_until_a_signal() -> None:
    with pytest.raises(TypeError, match=says("serve must be a function, not None")):
        await toolkit.serve_until_signalled(None)


async def test_a_handler_that_was_called_already_is_refused_by_what_it_is() -> None:
    called = handler(None)  # type: ignore[arg-type] # the mistake
    try:
        with pytest.raises(TypeError, match=r"^handler must be a function, not <coro"):
            trio_tcp.framed(called, codec=LINES)  # type: ignore[arg-type] # the mistake
    finally:
        called.close()


async def test_what_is_no_stream_is_refused_before_it_is_sent_anything() -> None:
    for value in None, trio.socket.socket():
        with pytest.raises(TypeError, match=r"^stream must be of type Stream, not "):
            async with toolkit.open_connection(value, codec=LINES):
                raise AssertionError("it was to fail")
        if value is not None:
            value.close()


async def test_a_connection_goes_on_with_its_codec_if_the_next_is_none() -> None:
    async with testing.connection_pair(LINES) as (here, there):
        with pytest.raises(TypeError, match=r"^codec must be a codec, not the class"):
            here.switch_codec(codecs.Lines)  # type: ignore[arg-type] # the mistake
        await there.send("hello")
        assert await here.receive() == "hello"


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
        (
            lambda: toolkit.Requester(3),
            "connection must be of type Connection, not 3",
        ),
        (lambda: toolkit.listener_from_fd("3"), "fd must be an int, not '3'"),
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
            lambda: toolkit.Hub().attach("web", "a"),
            "connection must be of type Connection, not 'web'",
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


OF_BYTES: list[codecs.Codec[bytes, bytes]] = [
    codecs.Chunks(),
    codecs.Delimited(b"\n"),
    codecs.FixedLength(2),
    codecs.LengthField(size=2, strip_header=2),
    codecs.LengthPrefixed(),
    codecs.Netstrings(),
    codecs.VarintPrefixed(),
]


@pytest.mark.parametrize("codec", OF_BYTES, ids=lambda codec: type(codec).__name__)
@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("hi", "str"),
        ([1, 2], "list"),
        # Two items, eight bytes: their length is not that of the frame.
        (array.array("i", [1, 2]), "array"),
        (None, "NoneType"),
    ],
)
async def test_a_message_that_is_not_of_bytes_is_refused_and_nothing_is_sent(
    codec: codecs.Codec[bytes, bytes], message: object, kind: str
) -> None:
    async with testing.connection_pair(codec) as (here, there):
        with pytest.raises(
            TypeError, match=says(f"a message must be of type bytes, not {kind}")
        ):
            await here.send(message)  # type: ignore[arg-type] # the mistake
        await here.send(b"ok")
        assert await there.receive() == b"ok"


@pytest.mark.parametrize("message", [b"hi", None])
async def test_a_line_that_is_no_text_is_refused_and_nothing_is_sent(
    message: object,
) -> None:
    async with testing.connection_pair(LINES) as (here, there):
        kind = type(message).__name__
        with pytest.raises(
            TypeError, match=says(f"a line must be of type str, not {kind}")
        ):
            await here.send(message)  # type: ignore[arg-type] # the mistake
        await here.send("ok")
        assert await there.receive() == "ok"


@pytest.mark.parametrize("codec", OF_BYTES, ids=lambda codec: type(codec).__name__)
@pytest.mark.parametrize("view", [bytearray, memoryview])
async def test_bytes_that_are_changed_after_send_arrive_as_they_were(
    codec: codecs.Codec[bytes, bytes], view: Callable[[bytearray], object]
) -> None:
    async with testing.connection_pair(codec, capacity=1) as (here, there):
        buffer = bytearray(b"hi")
        await here.send(view(buffer))  # type: ignore[arg-type] # as good as bytes
        buffer[:] = b"no"
        received = await there.receive()
        while len(received) < len(buffer):  # chunks may be cut
            received += await there.receive()
        assert received == b"hi"
