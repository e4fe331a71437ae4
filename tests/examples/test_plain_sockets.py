from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.examples.conftest import Programs

BOTH_LINES = "hello\nhow are you?\n"


async def test_its_client_speaks_to_our_server(programs: Programs) -> None:
    """A blocking client, and a server of this package."""
    port = await (await programs.start("echo_server.py", 0)).port()
    client = await programs.start("plain_sockets.py", "client", port)
    assert await client.ends() == BOTH_LINES


async def test_our_client_speaks_to_its_server(programs: Programs) -> None:
    """A client of this package, and a blocking server, which ends with Ctrl-C."""
    server = await programs.start("plain_sockets.py", "server", 0)
    client = await programs.start("echo_client.py", "--port", await server.port())
    assert await client.ends() == BOTH_LINES
    await server.prints("is here\n.* has gone\n")
    assert await server.interrupt() == ""


async def test_its_ends_speak_to_each_other(programs: Programs) -> None:
    """One client after the other is served."""
    port = await (await programs.start("plain_sockets.py", "server", 0)).port()
    for _ in range(2):
        client = await programs.start("plain_sockets.py", "client", port)
        assert await client.ends() == BOTH_LINES
