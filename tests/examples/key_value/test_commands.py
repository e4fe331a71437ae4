"""What the commands do, as one client sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from examples.key_value import commands
from examples.key_value.resp_replies import NIL, Error, Reply
from tests.examples.key_value.conftest import ask

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.examples.key_value.conftest import Served

NO_INTEGER = Error("ERR value is not an integer or out of range")
SYNTAX = Error("ERR syntax error")


async def check(served: Served, *dialogue: tuple[str, Reply]) -> None:
    """Ask one thing after the other."""
    async with served.client() as client:
        for line, reply in dialogue:
            assert (line, await ask(client, line)) == (line, reply)


async def test_values_are_kept_until_they_are_deleted(served: Served) -> None:
    """GET, SET, DEL, EXISTS and DBSIZE."""
    await check(
        served,
        ("get a", NIL),
        ("SET a 1", "OK"),
        ("GET a", b"1"),
        ("SET a 2", "OK"),
        ("Get a", b"2"),
        ("EXISTS a b a", 2),
        ("DBSIZE", 1),
        ("DEL a b", 1),
        ("GET a", NIL),
        ("DBSIZE", 0),
    )


async def test_set_can_be_made_to_depend_on_what_is_there(served: Served) -> None:
    """NX and XX; what is not set is left alone."""
    await check(
        served,
        ("SET a 1 XX", NIL),
        ("EXISTS a", 0),
        ("SET a 1 NX", "OK"),
        ("SET a 2 nx", NIL),
        ("SET a 3 XX EX 9", "OK"),
        ("GET a", b"3"),
        ("TTL a", 9),
        ("SET a 4 NX XX", SYNTAX),
        ("SET a 4 EX 1 PX 1", SYNTAX),
        ("SET a 4 WHAT", SYNTAX),
        ("SET a 4 EX", SYNTAX),
        ("SET a 4 EX 1.5", NO_INTEGER),
        ("SET a 4 EX 0", Error("ERR invalid expire time in 'set' command")),
        ("GET a", b"3"),
    )


async def test_values_expire(served: Served, autojump_clock: MockClock) -> None:
    """At their time and not before, whether anybody sweeps or not."""
    async with served.client() as client:
        assert await ask(client, "SET a 1 EX 10") == "OK"
        assert await ask(client, "SET b 1 PX 9999") == "OK"
        assert await ask(client, "SET c 1") == "OK"
        assert await ask(client, "TTL a") == 10
        assert await ask(client, "TTL c") == -1
        assert await ask(client, "TTL d") == -2
        await trio.sleep(9.9995)
        assert await ask(client, "EXISTS a b c") == 2
        await trio.sleep(0.0005)
        assert await ask(client, "MGET a b c") == [NIL, NIL, b"1"]
        assert await ask(client, "DEL a") == 0
        assert await ask(client, "TTL a") == -2


async def test_expire_gives_a_time_and_set_takes_it_away(
    served: Served, autojump_clock: MockClock
) -> None:
    """INCR leaves it as it is."""
    await check(
        served,
        ("EXPIRE a 10", 0),
        ("SET a 1", "OK"),
        ("EXPIRE a 10", 1),
        ("INCR a", 2),
        ("TTL a", 10),
        ("SET a 1", "OK"),
        ("TTL a", -1),
        ("EXPIRE a soon", NO_INTEGER),
        ("EXPIRE a 0", 1),
        ("EXISTS a", 0),
    )


async def test_numbers_are_counted_up(served: Served) -> None:
    """INCR and INCRBY, up to 64 bits; what is no number stays."""
    await check(
        served,
        ("INCRBY b 20", 20),
        ("INCRBY b -30", -10),
        ("INCRBY b 1.5", NO_INTEGER),
        ("INCR a", 1),
        ("INCR a", 2),
        ("GET a", b"2"),
        ("SET a -1", "OK"),
        ("INCR a", 0),
        ("SET a 9223372036854775807", "OK"),
        ("INCR a", Error("ERR increment or decrement would overflow")),
        ("SET a 01", "OK"),
        ("INCR a", NO_INTEGER),
        ("GET a", b"01"),
    )


async def test_many_are_asked_for_and_kept_at_once(served: Served) -> None:
    """MSET is done whole or not at all."""
    await check(
        served,
        ("MSET a 1 b 2", "OK"),
        ("MGET a x b", [b"1", NIL, b"2"]),
        ("MSET a 3 b", Error("ERR wrong number of arguments for 'mset' command")),
        ("GET a", b"1"),
        ("FLUSHALL", "OK"),
        ("MGET a b", [NIL, NIL]),
    )


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("PING", "PONG"),
        ("PING hello", b"hello"),
        ("ECHO hello", b"hello"),
        ("SELECT 0", "OK"),
        ("SELECT 1", Error("ERR DB index is out of range")),
        ("CONFIG GET save", [b"save", b""]),
        ("CONFIG GET append* save", [b"save", b"", b"appendonly", b"no"]),
        ("CONFIG GET nothing", []),
        (
            "CONFIG GET " + "[" * 10_000,
            Error("ERR too many patterns, or too long ones"),
        ),
        (
            "CONFIG GET" + " a" * 1000,
            Error("ERR too many patterns, or too long ones"),
        ),
        ("CONFIG SET save 1", Error("ERR only CONFIG GET is possible")),
        ("CLIENT SETINFO LIB-NAME a", "OK"),
        ("CLIENT GETNAME", NIL),
        (
            "CLIENT KILL",
            Error("ERR unknown subcommand or wrong number of arguments"),
        ),
        ("COMMAND COUNT", 21),
        ("COMMAND DOCS", []),
        ("HELLO 4", Error("NOPROTO unsupported protocol version")),
        ("HELLO 2 AUTH a b", Error("ERR syntax error in HELLO")),
        ("GET", Error("ERR wrong number of arguments for 'get' command")),
        ("GET a b", Error("ERR wrong number of arguments for 'get' command")),
        ("LPUSH a b", Error("ERR unknown command 'lpush'")),
    ],
)
async def test_what_clients_ask_has_an_answer(
    served: Served, line: str, reply: Reply
) -> None:
    """Some of it is that there is none."""
    await check(served, (line, reply))


async def test_commands_are_described(served: Served) -> None:
    """With their arity as Redis counts it: the name, too, and negative for more."""
    async with served.client() as client:
        described = await ask(client, "COMMAND")
    assert isinstance(described, list)
    assert ["get", 2, [], 0, 0, 0] in described
    assert ["set", -3, ["denyoom"], 0, 0, 0] in described
    assert ["dbsize", 1, [], 0, 0, 0] in described


async def test_a_client_has_a_name(served: Served) -> None:
    """It has it from CLIENT SETNAME, or from HELLO."""
    async with served.client() as client:
        assert await ask(client, "CLIENT SETNAME ann") == "OK"
        assert await ask(client, "CLIENT GETNAME") == b"ann"
        await ask(client, "HELLO 2 SETNAME ben")
        assert await ask(client, "CLIENT GETNAME") == b"ben"
        reply = await ask(client, "CLIENT SETNAME \u00e4")
        assert isinstance(reply, Error)
        assert await ask(client, "CLIENT GETNAME") == b"ben"


async def test_hello_changes_the_version_from_its_own_reply_on(served: Served) -> None:
    """There and back, also in the middle of requests that were sent together."""
    said = await served.says(b"GET a\nHELLO 3\nGET a\nHELLO\nHELLO 2\nGET a\n")
    first, *rest = said.split(b"\r\n", 1)
    assert first == b"$-1"
    assert rest[0].startswith(b"%7\r\n$6\r\nserver\r\n")
    assert b"\r\n_\r\n%7\r\n" in rest[0]  # the version stays with HELLO alone
    assert rest[0].endswith(b"*0\r\n$-1\r\n")


async def test_info_tells_what_it_holds(served: Served) -> None:
    """In the format that is known from Redis."""
    async with served.client() as client:
        await ask(client, "SET a 1")
        info = await ask(client, "INFO")
    assert isinstance(info, bytes)
    assert b"\r\nredis_version:7." in info
    assert b"\r\ndb0:keys=1\r\n" in info


async def test_a_full_store_takes_no_more(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is there can be read and deleted, and then there is room."""
    monkeypatch.setattr(commands, "MAX_STORE_BYTES", 1000)
    full = Error("OOM command not allowed when used memory > 'maxmemory'.")
    await check(
        served,
        (f"SET a {'x' * 1000}", "OK"),
        ("SET b 1", full),
        ("MSET b 1", full),
        ("INCR b", full),
        ("EXISTS a b", 1),
        ("DEL a", 1),
        ("SET b 1", "OK"),
    )
