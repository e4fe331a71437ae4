"""What becomes of a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from examples.key_value.resp_replies import NIL, Error
from examples.key_value.server import sweep
from tests.examples.key_value.conftest import ask

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.examples.key_value.conftest import Served


async def test_requests_that_come_together_are_answered_in_order(
    served: Served,
) -> None:
    """A thousand in one go, half of which make no sense."""
    said = await served.says(b"INCR a\nNONSENSE\n" * 1000)
    numbers = [line for line in said.split(b"\r\n") if line.startswith(b":")]
    assert numbers == [b":%d" % number for number in range(1, 1001)]
    assert said.count(b"-ERR unknown command 'nonsense'\r\n") == 1000


async def test_who_breaks_the_protocol_is_told_and_sent_away(served: Served) -> None:
    """What was whole is answered before; others go on."""
    async with served.client() as other:
        said = await served.says(b"SET a 1\r\n*1\r\n+GET\r\nGET a\r\n")
        assert said == b"+OK\r\n-ERR Protocol error: expected '$', got '+'\r\n"
        assert await ask(other, "GET a") == b"1"


async def test_who_sends_too_much_is_told_and_sent_away(served: Served) -> None:
    """Before it has sent it all."""
    said = await served.says(b"*1\r\n$9999999\r\n" + b"x" * 100_000)
    assert said == (
        b"-ERR Protocol error: the peer sends an unfinished message, more than "
        b"max_bytes allows (1048576)\r\n"
    )


async def test_quit_is_answered_and_ends_the_connection(served: Served) -> None:
    """What comes behind it is not done."""
    assert await served.says(b"SET a 1\nQUIT\nSET a 2\n") == b"+OK\r\n+OK\r\n"
    async with served.client() as client:
        assert await ask(client, "GET a") == b"1"


async def test_a_reply_that_is_too_large_is_an_error_in_its_place(
    served: Served,
) -> None:
    """The connection goes on."""
    async with served.client() as client:
        await client.send([b"SET", b"a", b"x" * 600_000])
        assert await client.receive() == "OK"
        error = Error("ERR the reply is larger than 1048576 bytes")
        assert await ask(client, "MGET a a") == error
        assert await ask(client, "EXISTS a") == 1


async def test_a_request_that_is_cut_short_is_not_done(served: Served) -> None:
    """Nor answered."""
    with pytest.raises(trio.BrokenResourceError):
        await served.says(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$5\r\nab")
    async with served.client() as client:
        assert await ask(client, "GET a") == NIL


async def test_counters_lose_nothing_however_many_count(served: Served) -> None:
    """A plain function is not interrupted."""

    async def count() -> None:
        async with served.client() as client:
            for _ in range(100):
                assert isinstance(await ask(client, "INCR a"), int)

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(count)
    async with served.client() as client:
        assert await ask(client, "GET a") == b"1000"


@pytest.mark.parametrize("count", [1, 1000])
async def test_what_nobody_asks_for_is_swept_away(
    served: Served, nursery: trio.Nursery, autojump_clock: MockClock, count: int
) -> None:
    """Where much has expired, all of it goes soon."""
    for number in range(count):
        served.store.put(b"%d" % number, b"")
        served.store.expire(b"%d" % number, 5)
    served.store.put(b"last", b"")
    nursery.start_soon(sweep, served.store)
    await trio.sleep(4.95)
    assert len(served.store) == count + 1
    await trio.sleep(0.2)
    assert len(served.store) == 1
