from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.examples.conftest import Program, Programs


async def start(programs: Programs, port: int, *arguments: object) -> Program:
    """Start the client's program."""
    return await programs.start("key_value.client", "--port", port, *arguments)


async def test_it_prints_the_reply_to_a_command(programs: Programs) -> None:
    """In the way of redis-cli; a reply that is an error goes elsewhere."""
    port = await (await programs.start("key_value", 0)).port()
    dialogue = {
        "set a größer": "OK\n",
        "get a": "größer\n",
        "get b": "(nil)\n",
        "incr c": "1\n",
        "mget a b": "1) größer\n2) (nil)\n",
    }
    for command, reply in dialogue.items():
        assert await (await start(programs, port, *command.split())).ends() == reply
    refused = await start(programs, port, "incr", "a")
    await refused.prints("^client: ERR value is not an integer or out of range\n$")
    assert await refused.process.wait() == 1


async def test_it_sets_what_is_in_its_input(programs: Programs) -> None:
    """Values may have blanks; there may be many lines."""
    port = await (await programs.start("key_value", 0)).port()
    client = await start(programs, port, "--load")
    await client.types("colour dark green\nempty\n")
    await client.types("".join(f"key{number} {number}\n" for number in range(5000)))
    await client.keyboard.aclose()
    assert await client.ends() == "5002 keys are set\n"
    client = await start(programs, port, "mget", "colour", "empty", "key4999")
    assert await client.ends() == "1) dark green\n2) \n3) 4999\n"


@pytest.mark.parametrize("arguments", [["get", "a"], ["--load"]])
async def test_it_gives_up_where_nobody_listens(
    programs: Programs, arguments: list[str]
) -> None:
    """After a few attempts."""
    server = await programs.start("key_value", 0)
    port = await server.port()
    await server.interrupt()
    client = await start(programs, port, *arguments)
    await client.types("a b\n")
    await client.keyboard.aclose()
    await client.prints("^client: could not connect to .*refused.*\n$")
    assert await client.process.wait() == 1


@pytest.mark.parametrize("arguments", [["get", "a"], ["--load"]])
async def test_it_gives_up_where_nobody_replies(
    programs: Programs, arguments: list[str]
) -> None:
    """After as long as it was told to wait."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        client = await start(programs, port, "--patience", 0.1, *arguments)
        await client.types("a b\n")
        await client.keyboard.aclose()
        await client.prints("^client: no reply in 0.1 s\n$")
        assert await client.process.wait() == 1
