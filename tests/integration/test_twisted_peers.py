# mypy: allow-untyped-calls
# pyright: reportUnknownMemberType=false
# ruff: noqa: N802 - the names of methods are Twisted's
"""Twisted's receivers at the other end, each as a client and as a server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import Any, Protocol, TypeAlias

import pytest
import trio
from twisted.internet.protocol import ClientFactory, connectionDone
from twisted.internet.selectreactor import SelectReactor
from twisted.protocols.basic import (
    Int32StringReceiver,
    LineReceiver,
    NetstringReceiver,
)
from twisted.python.failure import Failure

import trio_tcp
from tests.integration.loopback import LOOPBACK, start_server
from trio_tcp import codecs

TEXTS = ["one", "", "grüße", "x" * 9000, "five"]
SECONDS = 40
"""How long anything may take on a slow machine. Nothing waits for it to pass."""

Say: TypeAlias = Callable[[bytes], None]


class Role(Protocol):
    """What a peer does, whatever its framing."""

    def begin(self, say: Say, /) -> None: ...
    def hear(self, message: bytes, say: Say, /) -> None: ...
    def end(self) -> None: ...


class Echo:
    """Send back every message."""

    def begin(self, _say: Say, /) -> None:
        pass

    def hear(self, message: bytes, say: Say, /) -> None:
        say(message)

    def end(self) -> None:
        pass


class Talk:
    """Send all messages at once, and keep what comes until the other end closes."""

    def __init__(self) -> None:
        self._heard: list[str] = []
        self.heard: Future[list[str]] = Future()

    def begin(self, say: Say, /) -> None:
        for text in TEXTS:
            say(text.encode())

    def hear(self, message: bytes, _say: Say, /) -> None:
        self._heard.append(message.decode())

    def end(self) -> None:
        self.heard.set_result(self._heard)


class LinePeer(LineReceiver):
    role: Role

    def say(self, message: bytes) -> None:
        self.sendLine(message)

    def connectionMade(self) -> None:
        self.role.begin(self.say)

    def lineReceived(self, line: bytes) -> None:
        self.role.hear(line, self.say)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.role.end()


class Int32Peer(Int32StringReceiver):
    role: Role

    def say(self, message: bytes) -> None:
        self.sendString(message)

    def connectionMade(self) -> None:
        self.role.begin(self.say)

    def stringReceived(self, string: bytes) -> None:
        self.role.hear(string, self.say)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.role.end()


class NetstringPeer(NetstringReceiver):
    role: Role

    def say(self, message: bytes) -> None:
        self.sendString(message)

    def connectionMade(self) -> None:
        self.role.begin(self.say)

    def stringReceived(self, string: bytes) -> None:
        self.role.hear(string, self.say)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.role.end()


Peer: TypeAlias = LinePeer | Int32Peer | NetstringPeer
TextCodec: TypeAlias = codecs.Codec[str, str]


class PeerFactory(ClientFactory):
    def __init__(self, peer: type[Peer], role: Role) -> None:
        self._peer = peer
        self._role = role

    def buildProtocol(self, addr: object) -> Peer:
        peer = self._peer()
        peer.role = self._role
        return peer


@pytest.fixture(scope="module")
def reactor() -> Generator[SelectReactor, None, None]:
    """Run a reactor in a thread, for all tests here: it cannot be started twice."""
    reactor = SelectReactor()
    thread = threading.Thread(target=reactor.run, args=(False,))
    thread.start()
    yield reactor
    reactor.callFromThread(reactor.stop)
    thread.join(SECONDS)
    assert not thread.is_alive()


def in_reactor(reactor: SelectReactor, function: Callable[[], Any]) -> Any:  # noqa: ANN401
    """Call a function in the reactor's thread, and wait for its result."""
    result: Future[Any] = Future()
    reactor.callFromThread(lambda: result.set_result(function()))
    return result.result(SECONDS)


def text(framing: codecs.Codec[bytes, bytes]) -> TextCodec:
    """Carry text in a framing that carries bytes."""
    return codecs.Mapped(framing, decode=bytes.decode, encode=str.encode)


every_receiver = pytest.mark.parametrize(
    ("peer", "codec"),
    [
        pytest.param(LinePeer, codecs.Lines(newline="\r\n"), id="LineReceiver"),
        pytest.param(
            Int32Peer, text(codecs.LengthPrefixed()), id="Int32StringReceiver"
        ),
        pytest.param(NetstringPeer, text(codecs.Netstrings()), id="NetstringReceiver"),
    ],
)


@every_receiver
async def test_a_twisted_client_talks_to_our_server(
    nursery: trio.Nursery, reactor: SelectReactor, peer: type[Peer], codec: TextCodec
) -> None:
    """It gets an answer to each message, and then the end."""

    async def echo_all(connection: trio_tcp.Connection[str, str]) -> None:
        for _ in TEXTS:
            await connection.send(await connection.receive())

    server = await start_server(nursery, echo_all, codec)
    talk = Talk()
    factory = PeerFactory(peer, talk)
    reactor.callFromThread(reactor.connectTCP, LOOPBACK, server.port, factory)
    assert await trio.to_thread.run_sync(talk.heard.result, SECONDS) == TEXTS


@every_receiver
async def test_our_client_talks_to_a_twisted_server(
    reactor: SelectReactor, peer: type[Peer], codec: TextCodec
) -> None:
    """One message after the other, then all at once."""
    factory = PeerFactory(peer, Echo())
    port = in_reactor(
        reactor, lambda: reactor.listenTCP(0, factory, interface=LOOPBACK)
    )
    try:
        async with trio_tcp.connect_tcp(
            LOOPBACK, port.getHost().port, codec=codec
        ) as connection:
            for message in TEXTS:
                await connection.send(message)
                assert await connection.receive() == message
            await connection.send_many(TEXTS)
            assert [await connection.receive() for _ in TEXTS] == TEXTS
    finally:
        in_reactor(reactor, port.stopListening)
