from __future__ import annotations

from typing import TYPE_CHECKING

import trio

import trio_tcp
from trio_tcp import codecs

if TYPE_CHECKING:
    from tests.examples.conftest import Programs


async def test_it_keeps_what_it_is_given(programs: Programs) -> None:
    """Requests that are sent ahead are answered in order; errors are replies, too."""
    server = await programs.start("key_value_server.py", 0)
    dialogue = [
        ("get colour", "error: no such key"),
        ("set colour dark green", "ok"),
        ("get colour", "dark green"),
        ("del colour", "ok"),
        ("del colour", "error: no such key"),
        ("del", "error: it is get KEY, set KEY VALUE, or del KEY"),
    ]
    async with trio_tcp.connect_tcp(
        "127.0.0.1", await server.port(), codec=codecs.Lines()
    ) as connection:
        with trio.fail_after(15):
            await connection.send_many(request for request, _ in dialogue)
            await connection.send_eof()
            replies = [line async for line in connection]
            assert replies == [reply for _, reply in dialogue]
    await server.interrupt()


async def test_what_one_sets_another_gets(programs: Programs) -> None:
    """There is one store for all."""
    port = await (await programs.start("key_value_server.py", 0)).port()
    for request, reply in {"set a 1": "ok", "get a": "1"}.items():
        async with trio_tcp.connect_tcp(
            "127.0.0.1", port, codec=codecs.Lines()
        ) as connection:
            with trio.fail_after(15):
                await connection.send(request)
                assert await connection.receive() == reply
