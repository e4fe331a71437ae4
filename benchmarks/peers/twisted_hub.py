# lab: twisted for=hub
# mypy: allow-untyped-calls
# pyright: reportUnknownMemberType=false
# ruff: noqa: N802 - the names of methods are Twisted's
"""One to many on Twisted: who does not read misses something."""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet import reactor as its_reactor
from twisted.internet.protocol import Factory, connectionDone
from twisted.protocols.basic import Int32StringReceiver
from twisted.python.failure import Failure

reactor: Any = its_reactor  # a module, which stands for the one of this platform

listeners: dict[Listener, None] = {}


class Listener(Int32StringReceiver):
    """Listens until it says something."""

    MAX_LENGTH = 16 << 20
    transport: Any

    def connectionMade(self) -> None:
        """Begin. As a producer, it is told when the transport has too much."""
        self.transport.setTcpNoDelay(True)
        self.transport.registerProducer(self, streaming=True)
        self.resumeProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Be gone."""
        self.pauseProducing()

    def pauseProducing(self) -> None:
        """Leave out what comes while 64 KiB wait, the default of Twisted."""
        listeners.pop(self, None)

    def resumeProducing(self) -> None:
        """Listen again."""
        listeners[self] = None

    def stopProducing(self) -> None:
        """Be gone."""
        self.pauseProducing()

    def stringReceived(self, string: bytes) -> None:
        """Publish one message."""
        listeners.pop(self, None)
        # Who has no room any more leaves while it is told.
        for listener in list(listeners):
            listener.sendString(string)


factory = Factory.forProtocol(Listener)
reactor.listenTCP(int(sys.argv[1]), factory, backlog=4096, interface="127.0.0.1")
reactor.run()
