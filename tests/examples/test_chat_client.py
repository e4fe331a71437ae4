from __future__ import annotations

import re
import subprocess
import sys
import termios
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

if TYPE_CHECKING:
    from pathlib import Path

    from tests.examples.conftest import Program, Programs

CTRL_C, CTRL_D, CTRL_U, CTRL_W, BACKSPACE, UP = (
    "\x03",
    "\x04",
    "\x15",
    "\x17",
    "\x7f",
    "\x1b[A",
)


@pytest.fixture
async def server(programs: Programs) -> Program:
    """A chat server."""
    return await programs.start("chat_server.py", 0)


@pytest.fixture
async def port(server: Program) -> int:
    """Where it listens."""
    return await server.port()


async def join(programs: Programs, port: int, name: str) -> Program:
    """Start a client in a terminal, and see that it has joined."""
    client = await programs.start_in_terminal("chat_client.py", "--port", port, name)
    await client.prints(f"hello {name}, you are in lobby.*\r\n")
    return client


def drawn(text: str) -> str:
    """Return the pattern of a prompt with this text, at the bottom of the screen."""
    return re.escape(f"\r\x1b[K> {text}") + "$"


def echoes_lines(program: Program) -> bool:
    """Return whether its terminal is in the state in which a shell expects it."""
    assert isinstance(program.keyboard, trio.lowlevel.FdStream)
    local_modes: int = termios.tcgetattr(program.keyboard.fileno())[3]
    wanted = termios.ECHO | termios.ICANON | termios.ISIG
    return local_modes & wanted == wanted


async def test_two_people_talk(programs: Programs, port: int) -> None:
    """Each sees what the other says."""
    ann, ben = await join(programs, port, "ann"), await join(programs, port, "ben")
    await ann.prints("ben has joined")
    await ann.types("hello ben\n")
    await ben.prints("<ann> hello ben\r\n")
    await ben.types("hellø ann ☃\n")
    await ann.prints("<ben> hellø ann ☃\r\n")


async def test_a_name_can_be_given_when_it_asks(programs: Programs, port: int) -> None:
    """Without a name on the command line, the server asks for one."""
    client = await programs.start_in_terminal("chat_client.py", "--port", port)
    await client.prints("what is your name?")
    await client.types("ann\n")
    await client.prints("hello ann")


async def test_a_line_that_is_being_typed_stays(programs: Programs, port: int) -> None:
    """Others' lines appear above it, and it can be finished."""
    ann, ben = await join(programs, port, "ann"), await join(programs, port, "ben")
    await ann.types("how are y")
    await ann.prints(drawn("how are y"))
    await ben.types("hello\n")
    await ann.prints("\r\x1b\\[K<ben> hello\r\n" + drawn("how are y"))
    await ann.types("ou?\n")
    await ben.prints("<ann> how are you\\?\r\n")


async def test_a_line_can_be_edited(programs: Programs, port: int) -> None:
    """Backspace, Ctrl-W and Ctrl-U erase; keys that mean nothing here do nothing."""
    ann, ben = await join(programs, port, "ann"), await join(programs, port, "ben")
    await ann.types(f"to be erased{CTRL_U}helloö{BACKSPACE} bin{CTRL_W}ben{UP}\x01\n")
    await ben.prints("<ann> hello ben\r\n")


async def test_a_long_line_shows_its_end(programs: Programs, port: int) -> None:
    """A line that is wider than the screen is not broken over two rows."""
    ann, ben = await join(programs, port, "ann"), await join(programs, port, "ben")
    await ann.types("x" * 200)
    await ann.prints(drawn("x" * 77))
    await ann.types("\n")
    await ben.prints(f"<ann> {'x' * 200}\r\n")


async def test_a_server_cannot_control_the_terminal(
    programs: Programs, nursery: trio.Nursery
) -> None:
    """What it sends is shown as text, without the characters that are none."""

    async def hostile(stream: trio.SocketStream) -> None:
        await stream.send_all(b"\x1b]0;title\x07hello\x1b[2J\xc2\x9b2Jann\n")
        await trio.sleep_forever()

    serve = partial(trio.serve_tcp, hostile, 0, host="127.0.0.1")
    [listener] = await nursery.start(serve)
    port = listener.socket.getsockname()[1]
    client = await programs.start_in_terminal("chat_client.py", "--port", port)
    await client.prints(re.escape("\r\x1b[K]0;titlehello[2J2Jann\r\n"))
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("key", [CTRL_C, CTRL_D], ids=["Ctrl-C", "Ctrl-D"])
async def test_a_key_leaves(programs: Programs, port: int, key: str) -> None:
    """The program ends in order, and leaves the terminal as it was."""
    ben = await join(programs, port, "ben")
    ann = await join(programs, port, "ann")
    await ben.prints("ann has joined")
    assert not echoes_lines(ann)
    await ann.types(key)
    assert (await ann.ends()).endswith("* disconnected\r\n")
    assert echoes_lines(ann)
    await ben.prints("ann has left")


async def test_ctrl_c_leaves_in_the_middle_of_a_line(
    programs: Programs, port: int
) -> None:
    """What is half typed does not hold it up; Ctrl-D would not leave here."""
    ann = await join(programs, port, "ann")
    await ann.types(f"half a line{CTRL_D}")
    await ann.prints(drawn("half a line"))
    await ann.types(CTRL_C)
    await ann.ends()


async def test_it_ends_when_the_server_closes(programs: Programs, port: int) -> None:
    """Nothing has to be typed for that."""
    ann = await join(programs, port, "ann")
    await ann.types("/quit\n")
    assert (await ann.ends()).endswith("* disconnected\r\n")


async def test_it_ends_when_the_server_dies(
    programs: Programs, server: Program, port: int
) -> None:
    """It says so, in the middle of a line."""
    ann = await join(programs, port, "ann")
    await ann.types("half a line")
    await ann.prints(drawn("half a line"))
    await server.kill()
    assert (await ann.ends()).endswith("* disconnected\r\n")


async def test_it_reads_a_pipe(programs: Programs, port: int) -> None:
    """At the end of the pipe it waits for the answers, and prints nothing else."""
    client = await programs.start("chat_client.py", "--port", port, "ann")
    await client.types("/who\n/nick anna\n/who")
    await client.keyboard.aclose()
    assert (await client.ends()).splitlines() == [
        "* welcome! what is your name?",
        "* hello ann, you are in lobby; /help lists the commands",
        "* lobby: ann",
        "* you are now anna",
        "* lobby: anna",
        "* disconnected",
    ]


async def test_it_reads_a_file(port: int, tmp_path: Path) -> None:
    """A file works like a pipe, though the system cannot wait for one."""
    script = tmp_path / "script"
    script.write_text("/who\n/quit\n")
    with script.open() as lines, trio.fail_after(15):
        ended = await trio.run_process(
            [sys.executable, "examples/chat_client.py", "--port", str(port), "ann"],
            stdin=lines,
            capture_stdout=True,
            stderr=subprocess.STDOUT,
        )
    assert ended.stdout.endswith(b"* lobby: ann\n* disconnected\n")


async def test_it_says_that_nobody_listens(
    programs: Programs, server: Program, port: int
) -> None:
    """A refused connection is one line, and no traceback."""
    await server.interrupt()
    client = await programs.start("chat_client.py", "--port", port)
    await client.prints("^chat_client: could not connect to .+\n$")
    assert await client.process.wait() == 1
