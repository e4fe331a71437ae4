from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.examples.conftest import Programs


async def test_it_prints_what_comes_back(programs: Programs) -> None:
    """Lines from the command line are echoed."""
    port = await (await programs.start("echo_server.py", 0)).port()
    client = await programs.start("echo_client.py", "--port", port, "one", "zwölf")
    assert await client.ends() == "one\nzwölf\n"


async def test_it_has_something_to_say_by_itself(programs: Programs) -> None:
    """Without lines it sends its own."""
    port = await (await programs.start("echo_server.py", 0)).port()
    client = await programs.start("echo_client.py", "--port", port)
    assert await client.ends() == "hello\nhow are you?\n"


async def test_it_says_that_nobody_listens(programs: Programs) -> None:
    """A refused connection is one line, and no traceback."""
    server = await programs.start("echo_server.py", 0)
    port = await server.port()
    await server.interrupt()
    client = await programs.start("echo_client.py", "--port", port)
    await client.prints(r"^echo_client: could not connect to 127.0.0.1 port \d+: .+\n$")
    assert await client.process.wait() == 1
