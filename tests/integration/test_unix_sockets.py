"""Our server and our client over a Unix socket."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import socket
import stat
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_tcp
from tests.integration.loopback import (
    Record,
    echo,
    open_descriptors,
    run_program,
)
from trio_tcp import CloseReason, codecs

LOCK_SECONDS = 5.0
"""How long a directory may be locked."""


async def start(
    nursery: trio.Nursery, path: Path, record: Record | None = None
) -> trio_tcp.Server:
    """Start an echo server on a path."""
    observer = trio_tcp.log_events if record is None else record
    serve = partial(
        trio_tcp.serve_unix, echo, path, codec=codecs.Lines(), observer=observer
    )
    server: trio_tcp.Server = await nursery.start(serve)
    return server


async def test_messages_go_both_ways(nursery: trio.Nursery, tmp_path: Path) -> None:
    """The address of such a server is its path."""
    server = await start(nursery, tmp_path / "socket")
    async with trio_tcp.connect_unix(
        tmp_path / "socket", codec=codecs.Lines()
    ) as connection:
        await connection.send("hello")
        assert await connection.receive() == "hello"
        assert str(connection.peer) == str(server.addresses[0])
        assert str(connection.peer) == f"unix:{tmp_path / 'socket'}"


async def test_its_path_is_there_as_long_as_the_server(tmp_path: Path) -> None:
    """So the next server can start in the same place."""
    path = tmp_path / "socket"
    async with trio.open_nursery() as nursery:
        await start(nursery, path)
        assert path.is_socket()
        nursery.cancel_scope.cancel()
    assert not path.exists()
    async with trio.open_nursery() as nursery:
        await start(nursery, path)
        nursery.cancel_scope.cancel()


async def test_a_path_that_exists_is_refused_and_left_alone(tmp_path: Path) -> None:
    """It may be a file of somebody else's."""
    path = tmp_path / "socket"
    path.write_text("precious")
    with pytest.raises(OSError) as caught:  # noqa: PT011 - its errno is looked at
        await trio_tcp.serve_unix(echo, path, codec=codecs.Lines())
    assert caught.value.errno == errno.EADDRINUSE
    assert path.read_text() == "precious"


async def test_nobody_at_a_path_is_a_connect_error(tmp_path: Path) -> None:
    """With the system's reason, and the path in its text."""
    with pytest.raises(trio_tcp.ConnectError) as caught:
        async with trio_tcp.connect_unix(tmp_path / "socket", codec=codecs.Lines()):
            pass
    assert caught.value.errno == errno.ENOENT
    assert str(tmp_path / "socket") in str(caught.value)


async def test_an_aborting_client_ends_its_own_connection_alone(
    nursery: trio.Nursery, record: Record, tmp_path: Path
) -> None:
    """A Unix socket has no RST: whoever aborts just closes."""
    await start(nursery, tmp_path / "socket", record)
    async with trio_tcp.connect_unix(
        tmp_path / "socket", codec=codecs.Lines()
    ) as honest:
        async with trio_tcp.connect_unix(
            tmp_path / "socket", codec=codecs.Lines()
        ) as aborting:
            await aborting.send("hello")
            assert await aborting.receive() == "hello"
            aborting.abort()
            [ended] = await record.wait(trio_tcp.ConnectionEnded)
        assert ended.reason is CloseReason.PEER_CLOSED
        await honest.send("still here")
        assert await honest.receive() == "still here"


async def serve(
    nursery: trio.Nursery, listener: trio.SocketListener
) -> trio_tcp.Server:
    """Start an echo server on a listener."""
    server: trio_tcp.Server = await nursery.start(
        partial(trio_tcp.serve_listeners, echo, [listener], codec=codecs.Lines())
    )
    return server


async def talk(path: str | Path) -> None:
    """Check that an echo server answers there."""
    async with trio_tcp.connect_unix(path, codec=codecs.Lines()) as connection:
        await connection.send("hello")
        assert await connection.receive() == "hello"


def permissions(path: Path) -> int:
    """Return the permissions of a file."""
    return stat.S_IMODE(path.lstat().st_mode)


@contextmanager
def umask(mask: int) -> Generator[None, None, None]:
    """Set the umask of this process."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666, 0o777])
@pytest.mark.parametrize("mask", [0o000, 0o022, 0o777])
async def test_its_permissions_are_exactly_the_mode(
    tmp_path: Path, mode: int, mask: int
) -> None:
    """Whatever the umask takes away or lets through."""
    path = tmp_path / "socket"
    with umask(mask):
        async with trio_tcp.open_unix_listener(path, mode=mode):
            assert permissions(path) == mode


async def test_without_a_mode_the_umask_decides(tmp_path: Path) -> None:
    """As for every other file."""
    path = tmp_path / "socket"
    with umask(0o027):
        async with trio_tcp.open_unix_listener(path):
            assert permissions(path) == 0o750


async def test_it_never_has_more_permissions_than_its_mode() -> None:
    """Somebody who may not connect tries all the time, and looks at its file."""
    with TemporaryDirectory() as directory, umask(0):
        os.chmod(directory, 0o755)  # the client is another user if this one is root
        path = os.path.join(directory, "socket")
        told: list[str] = []
        async with (
            run_program("unwelcome_client.py", path) as client,
            trio.open_nursery() as nursery,
        ):

            async def listen_again_and_again() -> None:
                while True:
                    async with trio_tcp.open_unix_listener(path, mode=0):
                        await trio.lowlevel.checkpoint()

            nursery.start_soon(listen_again_and_again)
            told.append(await client.line())
            nursery.cancel_scope.cancel()
        assert told == ["nothing"]


@pytest.mark.skipif(
    sys.platform != "linux", reason="other systems set permissions in one call"
)
@pytest.mark.parametrize(
    ("moment", "told"),
    [
        ("open", "refused: somebody else has replaced the socket"),
        ("os.chmod", "listened"),
    ],
)
async def test_a_link_put_in_the_place_of_its_file_is_not_followed(
    tmp_path: Path, moment: str, told: str
) -> None:
    """Or root would change the permissions of any file, for who can make the link."""
    path, victim = tmp_path / "socket", tmp_path / "shadow"
    victim.touch(0o600)
    async with run_program("robbed_listener.py", path, victim, moment) as program:
        assert await program.line() == told
    assert permissions(victim) == 0o600


async def test_the_stale_file_of_a_killed_server_is_replaced(
    nursery: trio.Nursery, tmp_path: Path
) -> None:
    """It could not remove it."""
    path = tmp_path / "socket"
    async with run_program("unix_server.py", path) as program:
        assert await program.line() == "listening"
        await talk(path)
    assert program.process.returncode == -signal.SIGKILL
    assert path.is_socket()
    async with trio_tcp.open_unix_listener(path) as listener:
        await serve(nursery, listener)
        await talk(path)
        nursery.cancel_scope.cancel()


async def test_a_live_server_is_not_replaced_and_does_not_notice(
    nursery: trio.Nursery, tmp_path: Path
) -> None:
    """The error names the path."""
    path = tmp_path / "socket"
    async with trio_tcp.open_unix_listener(path) as listener:
        server = await serve(nursery, listener)
        for _ in range(10):
            with pytest.raises(OSError, match="in use") as caught:
                async with trio_tcp.open_unix_listener(path):
                    pass
            assert caught.value.errno == errno.EADDRINUSE
            assert caught.value.filename == str(path)
        await talk(path)
        assert server.statistics().accepted == 1
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET]
)
async def test_a_socket_that_only_has_the_path_keeps_it(
    tmp_path: Path, kind: socket.SocketKind
) -> None:
    """As another program's that is about to listen, or has no need to."""
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX, kind) as sock:
        sock.bind(str(path))
        with pytest.raises(OSError, match="in use") as caught:
            async with trio_tcp.open_unix_listener(path):
                pass
    assert caught.value.errno == errno.EADDRINUSE
    assert path.is_socket()


async def test_a_server_that_is_too_busy_to_answer_is_not_replaced(
    tmp_path: Path,
) -> None:
    """Its backlog is full."""
    path = tmp_path / "socket"
    with ExitStack() as sockets:
        server = sockets.enter_context(socket.socket(socket.AF_UNIX))
        server.bind(str(path))
        server.listen(1)
        with pytest.raises(BlockingIOError):
            while True:
                client = sockets.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                client.connect(str(path))
        with pytest.raises(OSError, match="in use"):
            async with trio_tcp.open_unix_listener(path):
                pass


def make_file(path: Path) -> None:
    path.write_text("precious")


def make_dangling_link(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


def make_link_to_a_stale_socket(path: Path) -> None:
    target = path.with_name("target")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(target))
    path.symlink_to(target)


@pytest.mark.parametrize(
    "make", [make_file, make_dangling_link, make_link_to_a_stale_socket, Path.mkdir]
)
async def test_what_is_no_socket_is_refused_and_left_alone(
    tmp_path: Path, make: Callable[[Path], object]
) -> None:
    """A link is none either, wherever it points."""
    path = tmp_path / "socket"
    make(path)
    before = path.lstat()
    with pytest.raises(OSError, match="is not a socket and is left alone") as caught:
        async with trio_tcp.open_unix_listener(path):
            pass
    assert caught.value.errno == errno.EADDRINUSE
    assert caught.value.filename == str(path)
    assert path.lstat() == before


async def test_of_servers_that_start_at_once_exactly_one_can(tmp_path: Path) -> None:
    """At a path with a stale file, in every round but the first."""
    rounds = 50
    async with run_program("contenders.py", tmp_path / "socket", str(rounds)) as race:
        for _ in range(rounds):
            assert await race.line() == "1"


async def test_its_file_is_removed_at_the_end(tmp_path: Path) -> None:
    """Nothing else is left in the directory, at any time."""
    path = tmp_path / "socket"
    async with trio_tcp.open_unix_listener(path):
        assert os.listdir(tmp_path) == [path.name]
    assert os.listdir(tmp_path) == []


async def test_its_file_is_removed_when_it_is_cancelled(tmp_path: Path) -> None:
    with trio.CancelScope() as scope:
        async with trio_tcp.open_unix_listener(tmp_path / "socket"):
            scope.cancel()
            await trio.sleep_forever()
    assert os.listdir(tmp_path) == []


async def test_a_file_that_has_replaced_its_own_is_left_alone(tmp_path: Path) -> None:
    """As that of a server that asks nobody."""
    path = tmp_path / "socket"
    async with trio_tcp.open_unix_listener(path):
        path.unlink()
        path.write_text("precious")
    assert path.read_text() == "precious"


async def test_the_file_of_a_successor_is_left_alone(tmp_path: Path) -> None:
    """Which could start as soon as this one had stopped to listen.

    Its file may even have the same inode number, that is why the time is looked at.
    """
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as successor:
        async with trio_tcp.open_unix_listener(path) as listener:
            made = path.stat().st_mtime_ns
            clock = tmp_path / "clock"
            clock.touch()
            while clock.stat().st_mtime_ns <= made:
                clock.touch()
            await listener.aclose()
            path.unlink()
            successor.bind(str(path))
            successor.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


async def test_the_end_is_no_error_where_its_file_cannot_be_removed(
    tmp_path: Path,
) -> None:
    """As where its directory is gone."""
    directory = tmp_path / "directory"
    directory.mkdir()
    async with trio_tcp.open_unix_listener(directory / "socket"):
        (directory / "socket").unlink()
        directory.rmdir()


async def test_a_relative_path_is_found_from_everywhere(
    nursery: trio.Nursery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process may change its directory while the server runs."""
    monkeypatch.chdir(tmp_path)
    async with trio_tcp.open_unix_listener("socket") as listener:
        server = await serve(nursery, listener)
        assert str(server.addresses[0]) == "unix:socket"
        monkeypatch.chdir("/")
        await talk(tmp_path / "socket")
        nursery.cancel_scope.cancel()
    assert not (tmp_path / "socket").exists()


async def test_clients_are_told_the_path(nursery: trio.Nursery, tmp_path: Path) -> None:
    """And the server says the same."""
    path = tmp_path / "socket"
    async with trio_tcp.open_unix_listener(path, mode=0o600) as listener:
        server = await serve(nursery, listener)
        assert server.addresses == (trio_tcp.UnixAddress(str(path)),)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            assert client.getpeername() == str(path)
        nursery.cancel_scope.cancel()


async def test_an_abstract_name_has_no_file(nursery: trio.Nursery) -> None:
    """It is gone with its socket."""
    name = f"\0trio_tcp test {os.getpid()}"
    for _ in range(2):
        async with (
            trio.open_nursery() as servers,
            trio_tcp.open_unix_listener(name) as listener,
        ):
            server = await serve(servers, listener)
            assert server.addresses == (trio_tcp.UnixAddress(name),)
            await talk(name)
            with pytest.raises(OSError, match="in use") as caught:
                async with trio_tcp.open_unix_listener(name):
                    pass
            assert caught.value.errno == errno.EADDRINUSE
            servers.cancel_scope.cancel()
    nursery.cancel_scope.cancel()


async def test_a_path_can_have_107_bytes_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is Linux's limit; the longest has no room for another name beside it."""
    monkeypatch.chdir(tmp_path)
    async with trio_tcp.open_unix_listener("x" * 107):
        pass
    with pytest.raises(OSError, match="too long") as caught:
        async with trio_tcp.open_unix_listener("x" * 108):
            pass
    assert caught.value.errno == errno.ENAMETOOLONG
    assert os.listdir(tmp_path) == []


async def test_a_missing_directory_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        async with trio_tcp.open_unix_listener(tmp_path / "missing" / "socket"):
            pass
    assert caught.value.filename == str(tmp_path / "missing")


@pytest.mark.parametrize(
    ("path", "mode", "error", "text"),
    [
        ("", None, ValueError, "path must not be empty"),
        ("a\0b", None, ValueError, "NUL"),
        ("\0name", 0o600, ValueError, "abstract name"),
        ("socket", 0o1000, ValueError, "mode must be 0 to 0o777, not 0o1000"),
        ("socket", -1, ValueError, "mode must be 0 to 0o777, not -0o1"),
        ("socket", "0o660", TypeError, "mode must be an int, not '0o660'"),
        (b"socket", None, TypeError, "path must be text, not b'socket'"),
    ],
)
async def test_what_is_no_path_or_mode_is_refused(
    path: str, mode: int | None, error: type[Exception], text: str
) -> None:
    """Before anything is opened."""
    with pytest.raises(error, match=text):
        async with trio_tcp.open_unix_listener(path, mode=mode):
            pass


async def test_a_python_without_unix_sockets_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows."""
    monkeypatch.delattr(socket, "AF_UNIX")
    with pytest.raises(RuntimeError, match="no Unix sockets"):
        async with trio_tcp.open_unix_listener(tmp_path / "socket"):
            pass


@contextmanager
def locked(directory: Path) -> Generator[None, None, None]:
    """Be another program that locks a directory."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


async def test_it_waits_for_another_server_that_starts_beside_it(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    """And for no longer than that."""
    path = tmp_path / "socket"

    async def listen() -> None:
        async with trio_tcp.open_unix_listener(path):
            pass

    async with trio.open_nursery() as nursery:
        with locked(tmp_path):
            nursery.start_soon(listen)
            await trio.sleep(1)
            assert not path.exists()
        released_at = trio.current_time()
    assert trio.current_time() - released_at < 0.1
    assert autojump_clock.current_time() < LOCK_SECONDS


async def test_it_does_not_wait_for_ever(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    """Whoever can read a directory can lock it."""
    with locked(tmp_path), pytest.raises(OSError, match="locked for 5") as caught:
        async with trio_tcp.open_unix_listener(tmp_path / "socket"):
            pass
    assert caught.value.errno == errno.EAGAIN
    assert caught.value.filename == str(tmp_path)
    assert autojump_clock.current_time() < LOCK_SECONDS + 1


async def test_when_it_is_cancelled_while_it_waits_nothing_has_happened(
    tmp_path: Path,
) -> None:
    before = open_descriptors()
    with locked(tmp_path), trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:

            async def cancel() -> None:
                await wait_all_tasks_blocked()
                scope.cancel()

            nursery.start_soon(cancel)
            async with trio_tcp.open_unix_listener(tmp_path / "socket"):
                pass
    assert scope.cancelled_caught
    assert open_descriptors() == before
    assert os.listdir(tmp_path) == []


async def test_the_end_waits_for_the_lock_even_if_cancelled(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    """Then the file is removed."""
    path = tmp_path / "socket"
    async with trio.open_nursery() as nursery:

        async def listen() -> None:
            with trio.CancelScope() as scope:
                async with trio_tcp.open_unix_listener(path):
                    scope.cancel()
                    lock.enter_context(locked(tmp_path))

        with ExitStack() as lock:
            nursery.start_soon(listen)
            await trio.sleep(1)
            assert path.is_socket()
    assert not path.exists()
    assert autojump_clock.current_time() < LOCK_SECONDS


async def test_the_end_waits_for_the_lock_but_not_for_ever(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    """Then the file stays, and is stale."""
    path = tmp_path / "socket"
    with ExitStack() as lock:
        async with trio_tcp.open_unix_listener(path):
            lock.enter_context(locked(tmp_path))
        assert autojump_clock.current_time() < LOCK_SECONDS + 1
        assert path.is_socket()
    async with trio_tcp.open_unix_listener(path):
        pass
    assert not path.exists()
