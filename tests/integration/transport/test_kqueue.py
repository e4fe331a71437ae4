"""The poller over kqueue, on a machine that has none.

What kqueue's part of it asks of the system is answered by epoll: descriptors are added
with EV_CLEAR, and tell of edges. What a real kqueue does besides, this cannot show.
"""

from __future__ import annotations

import select
import socket
from functools import partial
from typing import Any, final

import attrs
import pytest
import trio

import trio_tcp
from trio_tcp import codecs
from trio_tcp._transport import _kqueue, _poller

ADD, CLEAR, DELETE, READ = 1, 32, 2, -1

pytestmark = pytest.mark.skipif(
    not hasattr(select, "epoll"), reason="it stands on epoll"
)


@final
@attrs.frozen
class Kevent:
    """As `select.kevent`."""

    ident: int
    filter: int
    flags: int


@final
class Kqueue:
    """As `select.kqueue`."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self.fileno, self.close = self._epoll.fileno, self._epoll.close

    def control(
        self, changes: list[Kevent] | None, most: int, timeout: float
    ) -> list[Kevent]:
        for change in changes or []:
            assert change.filter == READ
            if change.flags == ADD | CLEAR:
                events = select.EPOLLIN | select.EPOLLPRI | select.EPOLLRDHUP
                self._epoll.register(change.ident, events | select.EPOLLET)
            else:
                assert change.flags == DELETE
                self._epoll.unregister(change.ident)
        if not most:
            return []
        return [Kevent(fd, READ, 0) for fd, _ in self._epoll.poll(timeout, most)]


@pytest.fixture(autouse=True)
def kqueues(monkeypatch: pytest.MonkeyPatch) -> list[Kqueue]:
    """Have the poller find kqueue, and no epoll; return those that it opens."""
    opened: list[Kqueue] = []

    def open_kqueue() -> Kqueue:
        opened.append(Kqueue())
        return opened[-1]

    names: dict[str, Any] = {
        "kqueue": open_kqueue,
        "kevent": Kevent,
        "KQ_EV_ADD": ADD,
        "KQ_EV_CLEAR": CLEAR,
        "KQ_EV_DELETE": DELETE,
        "KQ_FILTER_READ": READ,
    }
    for name, value in names.items():
        monkeypatch.setattr(select, name, value, raising=False)
    # Trio itself needs epoll here.
    monkeypatch.setattr(_poller, "HAS_EPOLL", False)
    monkeypatch.setattr(_poller, "HAS_KQUEUE", True)
    monkeypatch.setattr(_kqueue, "HAS_KQUEUE", True)
    return opened


def upper(request: str) -> str:
    return request.upper()


async def upper_in_a_task(connection: trio_tcp.Connection[str, str]) -> None:
    async for line in connection:
        await connection.send(line.upper())


async def converse(nursery: trio.Nursery, handler: trio_tcp.Handler[str, str]) -> None:
    """Talk to a server over many connections: at once, in pieces, urgently."""
    serve = partial(trio_tcp.serve_tcp, host="127.0.0.1", codec=codecs.Lines())
    server: trio_tcp.Server = await nursery.start(serve, handler, 0)
    streams = [await trio.open_tcp_stream("127.0.0.1", server.port) for _ in range(20)]
    for number, stream in enumerate(streams):
        await stream.send_all(b"hello %d\nun" % number)
        await stream.socket.send(b"!", socket.MSG_OOB)
        await stream.send_all(b"finished\n" + b"x" * 5000 + b"\n")
        await stream.send_eof()
    for number, stream in enumerate(streams):
        expected = b"HELLO %d\nUNFINISHED\n" % number + b"X" * 5000 + b"\n"
        came = b""
        async for chunk in stream:
            came += chunk
        assert came == expected
        await stream.aclose()
    report = await server.drain(grace=5)
    assert not report.cancelled
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("handler", [trio_tcp.respond(upper), upper_in_a_task])
async def test_it_serves_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
    kqueues: list[Kqueue],
    handler: trio_tcp.Handler[str, str],
) -> None:
    monkeypatch.setenv("TRIO_TCP_TRANSPORT", "polled")
    async with trio.open_nursery() as nursery:
        await converse(nursery, handler)
    assert len(kqueues) == 1


async def test_it_is_not_used_unasked(kqueues: list[Kqueue]) -> None:
    async with trio.open_nursery() as nursery:
        await converse(nursery, trio_tcp.respond(upper))
    assert not kqueues
