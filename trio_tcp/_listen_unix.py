"""Opening the Unix socket on which a server listens, and removing its file.

A socket's file outlives its server where that was killed. So a path that exists may be
of a live server, which must be left alone, or be stale, which would keep every later
server from starting. What tells them apart is whether any socket is bound to the file.

Between that question and bind(2), another server could ask it too, and one would remove
the other's file. A lock on the directory (flock(2)) keeps them apart. It leaves no file
behind and ends with its process.

The file has its permissions before the socket listens. That alone is not enough:
connect(2) looks at the permissions first and then at the socket, so a client that was
quick with the one and slow with the other would be let in. So on Linux the file never
has more of them than in the end.

It is not made under another name and then moved, although a move would replace a stale
file in one step: a socket is called by the name it was bound to, so clients
(getpeername(2)) and ``ss`` would be told a name that is gone.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from typing import Final, TypeAlias

import trio

from trio_tcp._kinds import check_integer
from trio_tcp._listen import backlog_size

__all__ = ["open_unix_listener"]

ALL_PERMISSIONS: Final = stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO

LOCK_SECONDS: Final = 5.0
"""How long to wait for the lock on the directory. Servers hold it for microseconds;
anybody who can read the directory can hold it longer."""

LOCK_RETRY_SECONDS: Final = 0.01
"""How often to try it: no call waits for a lock and can be cancelled too."""

Identity: TypeAlias = tuple[int, int, int]
"""Of a file: device, inode and time of its making."""


@asynccontextmanager
async def open_unix_listener(
    path: str | os.PathLike[str],
    *,
    mode: int | None = None,
    backlog: int | None = None,
) -> AsyncGenerator[trio.SocketListener, None]:
    r"""Listen on a Unix socket within a block; remove its file at the end.

    A stale file, to which no socket is bound, is replaced. Everything else at that
    path is left alone. The file is removed if it is still the one that was made: it
    may have been replaced since. If it cannot be removed, as by a process that gave up
    its privileges, it stays, and is stale for the next server.

    Args:
        path: of the socket. On Linux also an abstract name, ``"\0name"`` (unix(7)),
            which has no file.
        mode: the permissions of the file, such as ``0o660``, whatever the umask. None
            leaves it to the umask. On Linux who may write may connect, and nobody else
            ever could; some systems look at the directory's permissions alone.
        backlog: how many clients the kernel keeps waiting until they are accepted
            (listen(2)); None is as many as it can.

    Raises:
        OSError: it cannot listen there: ``EADDRINUSE`` if a socket is bound to the
            path or it is not a socket's, ``ENAMETOOLONG``, ``EAGAIN`` if another
            program keeps the directory locked, and what the file system says. (The
            directory must be readable, to be locked.)
        ValueError: the path, the mode or the backlog is none.
        TypeError: likewise.
        RuntimeError: this system has no Unix sockets, or Python does not know them.

    Cancellation:
        While it waits for another server to start in the same directory, nothing has
        happened. At the end, that wait is shielded, and bounded.

    Example::

        async with open_unix_listener("/run/echo.sock", mode=0o660) as listener:
            await trio_tcp.serve_listeners(echo, [listener], codec=codecs.Lines())
    """
    if not hasattr(socket, "AF_UNIX"):
        raise RuntimeError("Python has no Unix sockets on this system")
    name = os.fspath(path)
    size = backlog_size(backlog)
    _check(name, mode)
    if name.startswith("\0"):
        async with _listen(name, None, size) as listener:
            yield listener
        return
    file = _absolute(name)
    async with _locked(os.path.dirname(file)):
        _remove_stale(name)
        listener = _listen(name, mode, size)
        ours = _identity(file)
    try:
        yield listener
    finally:
        listener.socket.close()
        with trio.CancelScope(shield=True), suppress(OSError):
            async with _locked(os.path.dirname(file)):
                if _identity(file) == ours:
                    os.unlink(file)


def _absolute(path: str) -> str:
    """Find the file also when the process has changed its directory.

    Not normalised, for ``..`` behind a symbolic link is what the system says. (The
    socket is bound to the path as it was given: that may be shorter, and it is what
    clients are told.)
    """
    return path if os.path.isabs(path) else os.path.join(os.getcwd(), path)


def _check(name: object, mode: int | None) -> None:
    if not isinstance(name, str):
        raise TypeError(f"path must be text, not {name!r}")
    if not name:
        # Linux would take this for "any abstract name" (unix(7), autobind).
        raise ValueError("path must not be empty")
    if mode is not None:
        _check_mode(mode)
    if name.startswith("\0"):
        if sys.platform != "linux":
            raise ValueError(f"only Linux has abstract names, such as {name!r}")
        if mode is not None:
            raise ValueError(f"an abstract name, {name!r}, has no file to have a mode")
    elif "\0" in name:
        raise ValueError(f"path must not contain a NUL character: {name!r}")


def _check_mode(mode: int) -> None:
    check_integer("mode", mode)
    if not 0 <= mode <= ALL_PERMISSIONS:
        raise ValueError(f"mode must be 0 to 0o777, not {mode:#o}")


@asynccontextmanager
async def _locked(directory: str) -> AsyncGenerator[None, None]:
    """Keep others who do this out of a directory."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        give_up_at = trio.current_time() + LOCK_SECONDS
        while not _try_to_lock(descriptor):
            if trio.current_time() >= give_up_at:
                text = f"another program has kept it locked for {LOCK_SECONDS} seconds"
                raise OSError(errno.EAGAIN, text, directory)
            await trio.sleep(LOCK_RETRY_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _try_to_lock(descriptor: int) -> bool:
    import fcntl  # noqa: PLC0415 - Windows has none

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove_stale(path: str) -> None:
    """Remove a file to which no socket is bound; refuse everything else.

    A symbolic link is refused too, wherever it points: bind(2) does not follow it.
    """
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            text = "it exists, is not a socket and is left alone"
            raise OSError(errno.EADDRINUSE, text, path)
        with _naming(path):
            bound = _is_bound(path)
        if bound:
            text = f"{os.strerror(errno.EADDRINUSE)} by another socket"
            raise OSError(errno.EADDRINUSE, text, path)
        os.unlink(path)


def _is_bound(path: str) -> bool:
    """Ask with connect(2) whether a file has its socket.

    First by a datagram socket. Where it is not refused, it is told that the other one
    is of another type, and a server does not notice. It even tells of a socket on
    which nobody listens yet. gVisor refuses it in any case, so a stream socket asks
    again; it never finds anybody where the first one could.
    """
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_UNIX, kind) as probe:
            probe.setblocking(False)
            try:
                probe.connect(path)
            except ConnectionRefusedError:
                continue
            except OSError as error:
                # EAGAIN: its backlog is full.
                if error.errno not in (errno.EPROTOTYPE, errno.EAGAIN):
                    raise
            return True
    return False


def _listen(name: str, mode: int | None, backlog: int) -> trio.SocketListener:
    with _naming(name), ExitStack() as on_failure:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        on_failure.callback(sock.close)
        if mode is not None:
            _restrict(sock, mode)
        sock.bind(name)
        if mode is not None:
            _permit(name, mode)
        sock.listen(backlog)
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(sock))
        on_failure.pop_all()
    return listener


def _restrict(sock: socket.socket, mode: int) -> None:
    """Let bind(2) make no file with more permissions than these.

    On Linux it takes those of the socket, less the umask; elsewhere sockets have none.
    """
    with suppress(OSError):
        os.fchmod(sock.fileno(), mode)


def _permit(path: str, mode: int) -> None:
    """Add the permissions that the umask took away, to this socket and nothing else.

    Whoever can write to the directory can put a symbolic link in the socket's place,
    and chmod(2) would follow it: to any file of root's, where root serves. So Linux is
    told which file by a descriptor of it (open(2), ``O_PATH``). Its own call for that,
    fchmodat2(2), is of 2023, and older C libraries refuse to do without it.
    """
    if sys.platform != "linux":
        os.chmod(path, mode, follow_symlinks=False)
        return
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW)
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            text = "somebody else has replaced the socket"
            raise OSError(errno.EADDRINUSE, text, path)
        os.chmod(f"/proc/self/fd/{descriptor}", mode)
    finally:
        os.close(descriptor)


@contextmanager
def _naming(path: str) -> Generator[None, None, None]:
    """Complete errors of sockets, which do not say the path."""
    try:
        yield
    except OSError as error:
        # Python finds by itself that a path is too long, and gives no number.
        number = error.errno or errno.ENAMETOOLONG
        raise OSError(number, error.strerror or str(error), path) from error


def _identity(file: str) -> Identity | None:
    """Tell one file from all others that ever have its name.

    An inode's number may be used again once the file is gone and its socket closed.
    """
    try:
        found = os.lstat(file)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns
