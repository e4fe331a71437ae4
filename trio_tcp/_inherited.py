"""Listening sockets that another process opened and handed down.

A descriptor is a number, and a wrong one may be anything: a log file, a client. So each
is looked at before it is taken.
"""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from typing import Final

import trio

from trio_tcp._kinds import check_integer

__all__ = ["inherited_listeners", "listener_from_fd"]

FIRST_DESCRIPTOR: Final = 3
"""``SD_LISTEN_FDS_START`` of sd_listen_fds(3)."""

VARIABLES: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


def inherited_listeners() -> list[trio.SocketListener]:
    """Take the sockets that systemd handed down, as sd_listen_fds(3) does.

    Its variables are removed from the environment, so that no process that this one
    starts takes them for its own. Thus only the first call finds something.

    It needs no Trio to run, and must be called by the process that systemd started, not
    by a child of it.

    Returns:
        The listeners, in the order of the unit's lines. The list is empty if the
        process was started otherwise, so that a program can open its own then.

    Raises:
        ValueError: the variables are no numbers, or one of the sockets is no listening
            stream socket, as with ``ListenDatagram=`` or ``Accept=yes``. Those before
            it are closed.
        OSError: one of the descriptors is not open, or is no socket. Likewise.

    Example::

        async def main():
            listeners = trio_tcp.inherited_listeners()
            if not listeners:  # started by hand
                listeners = await trio.open_tcp_listeners(7777)
            await trio_tcp.serve_listeners(echo, listeners, codec=codecs.Lines())

    systemd opens the sockets before it starts the program, for which systemd.socket(5)
    wants two units of one name, ``echo.socket`` and ``echo.service``:

    .. code-block:: ini

        [Socket]
        ListenStream=7777
        ListenStream=/run/echo.sock
        SocketMode=0660

        [Install]
        WantedBy=sockets.target

    .. code-block:: ini

        [Service]
        ExecStart=/usr/bin/python3 /srv/echo.py
    """
    pid, count, _ = (os.environ.pop(name, None) for name in VARIABLES)
    if pid is None or count is None or _number("LISTEN_PID", pid) != os.getpid():
        return []
    with ExitStack() as on_failure:
        sockets = [
            on_failure.enter_context(_take(FIRST_DESCRIPTOR + index))
            for index in range(_number("LISTEN_FDS", count))
        ]
        on_failure.pop_all()
    return [_listener(sock) for sock in sockets]


def listener_from_fd(fd: int) -> trio.SocketListener:
    """Take a listening socket by the number of its descriptor.

    For sockets from a parent process or a supervisor, of TCP as well as Unix sockets.
    The descriptor belongs to the listener from then on: it is closed with it, and is
    not inherited by processes that this one starts. The socket is made non-blocking,
    also for the processes that it is shared with (``O_NONBLOCK``, fcntl(2)).

    It needs no Trio to run.

    Raises:
        ValueError: it is no listening stream socket. It stays as it was.
        OSError: it is not open (``EBADF``) or not a socket (``ENOTSOCK``). Likewise.
        TypeError: ``fd`` is no integer.

    Example::

        listener = trio_tcp.listener_from_fd(int(sys.argv[1]))
        await trio_tcp.serve_listeners(echo, [listener], codec=codecs.Lines())
    """
    return _listener(_take(fd))


def _take(fd: int) -> socket.socket:
    check_integer("fd", fd)
    if fd < 0:
        raise ValueError(f"a descriptor is not negative, as {fd} is")
    try:
        sock = socket.socket(fileno=fd)
    except OSError as error:
        raise OSError(error.errno, f"descriptor {fd}: {error.strerror}") from error
    with ExitStack() as on_failure:
        on_failure.callback(sock.detach)
        if sock.type != socket.SOCK_STREAM:
            kind = getattr(sock.type, "name", sock.type)
            raise ValueError(f"descriptor {fd} is a {kind} socket, not a SOCK_STREAM")
        if not _listens(sock):
            raise ValueError(f"descriptor {fd} is a socket that does not listen")
        sock.set_inheritable(False)
        on_failure.pop_all()
    return sock


def _listener(sock: socket.socket) -> trio.SocketListener:
    return trio.SocketListener(trio.socket.from_stdlib_socket(sock))


def _listens(sock: socket.socket) -> bool:
    try:
        return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        # macOS has the option but does not answer; accept() will tell.
        return True


def _number(name: str, text: str) -> int:
    # As C has it: int() would also take " 1_0".
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"{name} is no number: {text!r}")
    return int(text)
