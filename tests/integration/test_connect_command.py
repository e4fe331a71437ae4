"""``trio-tcp connect`` as a program: through pipes, in a terminal, with other peers."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import signal
import stat
import subprocess
from pathlib import Path

import pytest
import trio

import trio_tcp
from tests.certificates import (
    HOST,
    certificate,
    server_context,
    strange_certificate,
    write_files,
)
from tests.integration.loopback import LOOPBACK, echo, run_program, start_server
from tests.integration.test_real_redis import free_port, redis_server
from tests.tmux import SECONDS, open_tmux, trio_tcp_command
from trio_tcp import codecs


def needs(program: str) -> pytest.MarkDecorator:
    """Skip a test where this program is missing."""
    return pytest.mark.skipif(
        shutil.which(program) is None, reason=f"the program {program} is not installed"
    )


async def connect(
    *arguments: object, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """Run the command to its end."""
    with trio.fail_after(SECONDS):
        return await trio.run_process(
            trio_tcp_command("connect", *arguments),
            stdin=stdin,
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )


@pytest.fixture
async def port(nursery: trio.Nursery) -> int:
    """Serve echoes of lines."""
    server = await start_server(nursery, echo, codecs.Lines())
    assert isinstance(server.port, int)
    return server.port


# Through pipes


@needs("socat")
@pytest.mark.parametrize("family", ["TCP", "UNIX"])
async def test_lines_go_to_socat_and_back(family: str, tmp_path: Path) -> None:
    """Standard output has the messages alone, standard error how it ended."""
    path = tmp_path / "socket"
    where = {"TCP": f"TCP-LISTEN:0,bind={LOOPBACK}", "UNIX": f"UNIX-LISTEN:{path}"}
    command = ("socat", "-dd", "-t30", where[family], "EXEC:cat")
    async with run_program(*command, stream="stderr") as listener:
        port = (await listener.line()).rpartition(":")[2]
        address = f":{port}" if family == "TCP" else f"unix:{path}"
        done = await connect(address, stdin="one\ngrüße\n\nlast".encode())
    assert done.returncode == 0, done.stderr
    assert done.stdout == "one\ngrüße\n\nlast\n".encode()
    last = done.stderr.decode().splitlines()[-1]
    assert re.fullmatch(
        r"\* peer closed \(after \d+\.\d+ s; 4 sent, 4 received\); exit code 0", last
    )


async def test_much_goes_through_pipes_whole(port: int) -> None:
    """Far more than any buffer holds, while both sides wait for each other."""
    lines = b"".join(b"%d %s\n" % (number, b"x" * 500) for number in range(20_000))
    done = await connect(f":{port}", "--quiet", stdin=lines)
    assert done.stdout == lines
    assert done.stderr == b""
    assert done.returncode == 0


async def test_a_file_can_be_the_input(port: int, tmp_path: Path) -> None:
    """Linux cannot wait for files; and /dev/null is nothing to send."""
    path = tmp_path / "lines"
    path.write_text("one\ntwo\n")
    command = trio_tcp_command("connect", f":{port}", "-q")
    for file, expected in ((path, b"one\ntwo\n"), (Path(os.devnull), b"")):
        with file.open() as stdin:
            done = await trio.run_process(command, stdin=stdin, capture_stdout=True)
        assert done.stdout == expected


async def test_objects_are_for_programs(port: int) -> None:
    """One a line."""
    done = await connect(f":{port}", "--json", stdin=b"hi\n")
    sent, received = map(json.loads, done.stdout.splitlines())
    assert sent["direction"], received["direction"] == ("sent", "received")
    assert sent["message"] == received["message"] == "hi"


async def test_whoever_reads_only_the_first_lines_ends_it(port: int) -> None:
    """As ``head`` does: no traceback, and the exit code of SIGPIPE."""
    process = await trio.lowlevel.open_process(
        trio_tcp_command("connect", f":{port}", "-q"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    with trio.fail_after(SECONDS):
        await process.stdin.send_all(b"one\n")
        assert await process.stdout.receive_some() == b"one\n"
        await process.stdout.aclose()
        await process.stdin.send_all(b"two\n")
        assert await process.wait() == 128 + signal.SIGPIPE
        assert await process.stderr.receive_some() == b""
        await process.stdin.aclose()
        await process.stderr.aclose()


async def test_what_it_says_is_never_output_also_if_nobody_is_to_hear_it(
    port: int,
) -> None:
    """As where a service is started with standard error closed."""
    script = 'exec "$@" 2>&-'
    command = ["sh", "-c", script, "sh", *trio_tcp_command("connect", f":{port}")]
    done = await trio.run_process(command, stdin=b"hi\n", capture_stdout=True)
    assert done.stdout == b"hi\n"


@pytest.mark.parametrize("closed", ["<&-", ">&-"])
async def test_without_standard_input_or_output_it_says_so(
    closed: str, port: int
) -> None:
    """It takes no other descriptor for them."""
    command = [
        "sh",
        "-c",
        f'exec "$@" {closed}',
        "sh",
        *trio_tcp_command("connect", f":{port}"),
    ]
    done = await trio.run_process(command, capture_stderr=True, check=False)
    assert done.returncode == 2
    assert b"Standard input or output is closed" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_and_says_so(number: signal.Signals, port: int) -> None:
    """With the exit code that a shell has for it."""
    process = await trio.lowlevel.open_process(
        trio_tcp_command("connect", f":{port}"),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stderr is not None
    with trio.fail_after(SECONDS):
        said = b""
        while b"connected" not in said:
            said += await process.stderr.receive_some()
        process.send_signal(number)
        assert await process.wait() == 128 + number
        said += b"".join([chunk async for chunk in process.stderr])
        await process.stdin.aclose()
    last = said.decode().splitlines()[-1]
    assert last == f"* ended by {number.name}; exit code {128 + number}"


async def test_nobody_there_is_one_sentence_and_exit_code_1() -> None:
    """No traceback."""
    done = await connect(f"{LOOPBACK}:{free_port()}")
    assert done.returncode == 1
    assert done.stderr.startswith(b"Error: could not connect to 127.0.0.1")
    assert done.stderr.count(b"\n") == 1


async def test_what_breaks_the_protocol_is_quoted(nursery: trio.Nursery) -> None:
    """A server of another protocol; the exit code is 1."""

    async def refuse(connection: trio_tcp.Connection[str, str]) -> None:
        await connection.send("HTTP/1.1 400 Bad Request")

    server = await start_server(nursery, refuse, codecs.Lines())
    done = await connect(f":{server.port}", "--codec", "netstrings")
    assert done.returncode == 1
    *_, quoted, last = done.stderr.decode().splitlines()
    assert "it begins 48 54 54 50" in quoted
    assert last.startswith("* protocol error: ")


# Scripts


async def test_a_recorded_session_can_be_played(port: int, tmp_path: Path) -> None:
    """It is a script, which nobody else may read."""
    record = tmp_path / "session"
    await connect(f":{port}", "--record", record, stdin=b"a\tb\\\n/etc/\n")
    lines = record.read_text().splitlines()
    sent = [line for line in lines if line.startswith(">")]
    received = [line for line in lines if line.startswith("<")]
    assert sent == [r"> a\tb\\", "> /etc/", ">EOF"]
    assert received == [r"< a\tb\\", "< //etc/", "<EOF"]
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    done = await connect(f":{port}", "--script", record)
    assert done.returncode == 0, done.stderr
    assert b"6 steps, all as they should be" in done.stdout


async def test_a_script_that_is_not_kept_to_shows_how(port: int) -> None:
    """As a diff, on standard error, with exit code 1."""
    done = await connect(f":{port}", "--script", "-", stdin=b"> hello\n< hallo\n")
    assert done.returncode == 1
    assert done.stdout == b""
    assert b"<stdin>, line 2: something else has come\n- hallo\n" in done.stderr
    assert b"+ hello\n" in done.stderr


async def test_a_script_with_a_mistake_is_wrong_usage(port: int) -> None:
    """It has not connected."""
    done = await connect(f":{port}", "--script", "-", stdin=b"hello\n")
    assert done.returncode == 2
    assert b"line 1: 'hello' begins with none of" in done.stderr


@needs("redis-server")
async def test_redis_is_talked_to_in_its_own_protocol(tmp_path: Path) -> None:
    """By a codec that is named as module:object."""
    script = r"""
> [b"SET", b"greeting", b"hello\x00"]
< 'OK'
> [b"GET", b"greeting"]
< b'hello\x00'
> [b"INCR", b"counter"]
< 1
> [b"NOPE"]
< /Error\(text="ERR unknown command .*/
> [b"QUIT"]
< "OK"
<EOF
"""
    port = free_port()
    async with redis_server(tmp_path, port):
        codec = ("--codec", "examples.key_value.resp:CLIENT")
        done = await connect(f":{port}", *codec, "--script", "-", stdin=script.encode())
    assert done.returncode == 0, done.stderr


# TLS


async def serve_tls(nursery: trio.Nursery, *names: str, strange: bool = False) -> str:
    """Serve echoes over TLS; return the address."""
    context = server_context(
        *names, certificate_from=strange_certificate(HOST) if strange else None
    )
    context.set_alpn_protocols(["echo"])
    serve = functools.partial(
        trio_tcp.serve_tcp, echo, 0, host=LOOPBACK, codec=codecs.Lines(), tls=context
    )
    server: trio_tcp.Server = await nursery.start(serve)
    return f"{HOST}:{server.port}"


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """Write the certificate of the authority that servers here have theirs from."""
    return write_files(certificate(HOST), tmp_path)[2]


async def test_it_shows_whom_it_talks_to(
    nursery: trio.Nursery, authority: Path
) -> None:
    """The authority in a file is believed."""
    address = await serve_tls(nursery)
    done = await connect(address, "--ca", authority, "--alpn", "echo", stdin=b"hi\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"hi\n"
    said = done.stderr.decode()
    assert re.search(r"^\* TLSv1\.3, TLS_\w+, ALPN echo$", said, re.MULTILINE)
    assert "* names: localhost, 127.0.0.1\n" in said
    assert "* believed: yes\n" in said


async def test_a_certificate_that_is_not_believed_is_one_sentence(
    nursery: trio.Nursery,
) -> None:
    """Why, and what can be done."""
    done = await connect(await serve_tls(nursery), "--tls")
    assert done.returncode == 1
    error = done.stderr.decode().splitlines()[-1]
    assert error.startswith(
        "Error: the certificate of localhost is not to be believed: "
    )
    assert "--ca FILE" in error
    assert "--insecure" in error


async def test_a_certificate_for_another_name_is_not_believed(
    nursery: trio.Nursery, authority: Path
) -> None:
    """Whoever has signed it."""
    address = await serve_tls(nursery)
    expected = ("--server-name", "example.org")
    done = await connect(address, "--ca", authority, *expected)
    assert done.returncode == 1
    assert b"not valid for 'example.org'" in done.stderr


async def test_insecure_goes_on_and_says_what_it_would_have_believed(
    nursery: trio.Nursery,
) -> None:
    """The reason of the check that did not count."""
    address = await serve_tls(nursery, strange=True)
    done = await connect(address, "--insecure", stdin=b"hi\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"hi\n"
    assert re.search(rb"\* believed: no: .*issuer certificate", done.stderr)
    assert b"issuer: " in done.stderr


@needs("openssl")
async def test_openssls_server_is_talked_to(authority: Path) -> None:
    """It sends each line back from its end to its beginning."""
    chain, key = authority.with_name("certificate.pem"), authority.with_name("key.pem")
    where = ("-accept", f"{LOOPBACK}:0", "-naccept", "1", "-rev")
    command = ("openssl", "s_server", *where, "-cert", chain, "-key", key)
    async with run_program(*command) as server:
        while "ACCEPT" not in (line := await server.line()):
            assert line
        port = line.rpartition(":")[2]
        done = await connect(f"{HOST}:{port}", "--ca", authority, stdin=b"abc\n")
    assert done.stdout == b"cba\n"
    assert done.returncode == 0, done.stderr


# In a terminal


@needs("tmux")
async def test_a_conversation_in_a_terminal(
    nursery: trio.Nursery, tmp_path: Path
) -> None:
    """What comes never breaks the line that is being typed, and the end says why."""
    server = await start_server(nursery, echo, codecs.Lines())
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    program = trio_tcp_command("connect", f":{server.port}")
    async with open_tmux(tmp_path, program, environment=state) as tmux:
        await tmux.shows("^> ?$")
        await tmux.enters("hello")
        await tmux.shows(r"6 B  < hello$")
        await tmux.types("half a l")
        await tmux.shows("^> half a l$")
        (connection,) = server.connections
        await connection.send("\x1b[2Jboo")
        await tmux.shows(r"< \\x1b\[2Jboo\n> half a l$")  # drawn anew, below
        await tmux.enters("ine")
        await tmux.shows("< half a line$")
        await tmux.types("not this")
        await tmux.presses("C-c")
        await tmux.presses("C-d")
        screen = await tmux.shows("^exit code 0$")
        assert "* peer closed (after " in screen
        assert "not this" not in screen
    history = tmp_path / "state" / "trio-tcp" / "connect_history"
    assert "+half a line\n" in history.read_text()
    assert stat.S_IMODE(history.stat().st_mode) == 0o600


@needs("tmux")
async def test_nothing_that_was_shown_is_lost(
    nursery: trio.Nursery, tmp_path: Path
) -> None:
    """While messages come in the middle of typing, as fast as they can."""
    server = await start_server(nursery, echo, codecs.Lines())
    program = trio_tcp_command("connect", f":{server.port}", "--no-history")
    async with open_tmux(tmp_path, program, rows=100) as tmux:
        await tmux.shows("^> ?$")
        (connection,) = server.connections
        for number in range(0, 60, 3):
            await connection.send(f"message {number}")
            await tmux.enters(f"message {number + 1}")
            await connection.send(f"message {number + 2}")
        await tmux.enters("the last")
        screen = await tmux.shows(r"< the last$\s+^>$")
        assert screen.startswith("* connected to ")
        received = re.findall(r"  < message (\d+)$", screen, re.MULTILINE)
        sent = re.findall(r"  > message (\d+)$", screen, re.MULTILINE)
        assert sorted(map(int, received)) == list(range(60))
        assert list(map(int, sent)) == list(range(1, 60, 3))


@needs("tmux")
async def test_lines_come_back_from_history(port: int, tmp_path: Path) -> None:
    """Unless nothing is to be kept."""
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    program = trio_tcp_command("connect", f":{port}", "--no-history")
    async with open_tmux(tmp_path, program, environment=state) as tmux:
        await tmux.shows("^> ?$")
        await tmux.enters("AUTH secret")
        await tmux.shows("< AUTH secret$")
        await tmux.presses("Up")
        await tmux.shows("^> AUTH secret$")
        await tmux.presses("C-c")
        await tmux.enters("/close for lunch")
        assert "* for lunch\n* closed here" in await tmux.shows("^exit code 0$")
    assert not (tmp_path / "state").exists()


@needs("tmux")
async def test_a_signal_leaves_the_terminal_as_it_was(
    nursery: trio.Nursery, tmp_path: Path
) -> None:
    """In the middle of a line, too: it echoes, and knows Ctrl-C."""
    server = await start_server(nursery, echo, codecs.Lines())
    program = trio_tcp_command("connect", f":{server.port}", "--no-history")
    shell = ["sh", "-c", 'echo "pid $$"; exec "$@"', "sh", *program]
    async with open_tmux(tmp_path, shell) as tmux:
        await tmux.shows("^> ?$")
        await tmux.types("half a line")
        screen = await tmux.shows("^> half a line$")
        found = re.search(r"^pid (\d+)$", screen, re.MULTILINE)
        assert found is not None
        os.kill(int(found[1]), signal.SIGTERM)
        screen = await tmux.shows("^exit code 143$")
        screen = await tmux.shows("icanon")
        for mode in ("icanon", "isig", "echo"):
            assert re.search(rf"(^| ){mode} ", screen, re.MULTILINE), mode
